"""Forecasts in words."""

from __future__ import annotations

from yunti.climbing.verdict import gap_text
from yunti.records import ForecastRecord
from yunti.specs import TaskSpec


def told(record: ForecastRecord, task: TaskSpec) -> str:
    """Say what is expected of a rung, and whether it is worth its time."""
    if record.median is None or record.low is None or record.high is None or record.chance is None:
        return f"no forecast: {record.refused}"
    metric = task.metric.replace("_", " ")
    cost = "" if record.seconds is None else f" for {_time(record.seconds)}"
    worth = "worth it" if record.worth_it else "not worth it"
    return (
        f"expected {metric} {record.median:.3g} ({record.low:.3g}–{record.high:.3g}){cost}; chance that it beats "
        f"{record.against} by more than {gap_text(record.least, task)}: {100 * record.chance:.0f} %: {worth}"
    )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

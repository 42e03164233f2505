"""The chosen rung and why, in one sentence for people."""

from __future__ import annotations

from yunti.climbing.compare import Choice, seconds
from yunti.climbing.wording import gap_text, metric_text
from yunti.records import RungRecord, VerdictRecord
from yunti.specs import TaskSpec
from yunti.words import say


def verdict(choice: Choice, task: TaskSpec) -> VerdictRecord:
    """Say which rung is handed over and why."""
    chosen, best = choice.chosen, choice.best
    if chosen is not best:
        reason = _tie(choice, task)
    elif not choice.differences:
        reason = say("verdict.only", chosen=chosen.name, metric=metric_text(task), value=_value(chosen))
    else:
        reason = _win(choice, task)
    return VerdictRecord(chosen=chosen.name, reason=reason)


def _tie(choice: Choice, task: TaskSpec) -> str:
    chosen, best = choice.chosen, choice.best
    gap = choice.differences[chosen.name]
    times = seconds(best) / max(seconds(chosen), 0.01)
    return say(
        "verdict.tie faster" if times >= 2 else "verdict.tie lower",
        chosen=chosen.name,
        metric=metric_text(task),
        value=_value(chosen),
        best=best.name,
        reached=_value(best),
        gap=gap_text(gap.difference, task),
        low=gap_text(gap.low, task),
        high=gap_text(gap.high, task),
        times=times,
    )


def _win(choice: Choice, task: TaskSpec) -> str:
    chosen = choice.chosen
    second = min(choice.differences, key=lambda name: choice.differences[name].difference)
    gap = choice.differences[second]
    values = {"chosen": chosen.name, "metric": metric_text(task), "value": _value(chosen), "second": second}
    if gap.low > 0:
        return say("verdict.win", **values, gap=gap_text(gap.difference, task))
    return say("verdict.even", **values)


def _value(record: RungRecord) -> str:
    return f"{record.score.valid if record.score else float('nan'):.4g}"

"""What is said about scores and forecasts, built from the numbers."""

from __future__ import annotations

from yunti.climbing.forecast.worth import FREE, Worth
from yunti.records import ForecastRecord
from yunti.specs import TaskSpec
from yunti.words import say
from yunti.words.units import bytes_text, decimals_for, energy_text, money_text, score_text, seconds_text

SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "calibration_error")


def foreseen(record: ForecastRecord, task: TaskSpec, worth: Worth = FREE) -> str:
    """Say what a rung is expected to bring and to cost, and whether that is worth it.

    Args:
        record: the forecast.
        task: what is asked.
        worth: what an hour costs and a better score is worth.
    """
    if record.median is None or record.low is None or record.high is None or record.chance is None:
        return say("forecast.none", reason=record.refused)
    return say(
        "forecast.told",
        expected=_expected(record, task, worth),
        against=record.against,
        least=gap_text(record.least, task),
        chance=100 * record.chance,
        worth=_worth_it(record, task),
    )


def _expected(record: ForecastRecord, task: TaskSpec, worth: Worth) -> str:
    assert record.median is not None
    assert record.low is not None
    assert record.high is not None
    places = decimals_for([(record.low, record.high)])
    value, low, high = (score_text(each, places) for each in (record.median, record.low, record.high))
    values = {"metric": metric_text(task), "value": value, "low": low, "high": high}
    if record.basis == "prior":
        return say("forecast.prior", **values)
    if record.seconds is None:
        return say("forecast.expected", **values)
    cost = [seconds_text(record.seconds)]
    if record.peak_memory_bytes is not None:
        cost.append(bytes_text(record.peak_memory_bytes))
    if record.energy_wh is not None:
        cost.append(energy_text(record.energy_wh))
    if money := money_text(record.seconds, worth.price_per_hour):
        return say("forecast.expected for money", **values, cost=", ".join(cost), money=money)
    return say("forecast.expected for", **values, cost=", ".join(cost))


def _worth_it(record: ForecastRecord, task: TaskSpec) -> str:
    if record.price is None or record.gain is None:
        return say("forecast.worth it" if record.worth_it else "forecast.not worth it")
    key = "forecast.pays" if record.worth_it else "forecast.does not pay"
    return say(key, gain=gap_text(record.gain, task), price=gap_text(record.price, task))


def metric_text(task: TaskSpec) -> str:
    """Write the name of the metric that decides.

    Example:
        >>> metric_text(TaskSpec("classification", "y", "macro_f1", "higher"))
        'macro-F1'
    """
    return say(f"metric.{task.metric}")


def gap_text(value: float, task: TaskSpec) -> str:
    """Write a difference of scores: in points where the metric is a share."""
    return say("points", points=f"{100 * value:.2f}") if task.metric in SHARES else f"{float(f'{value:.3g}'):,g}"

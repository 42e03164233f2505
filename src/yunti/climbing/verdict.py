"""The chosen rung and why, in one sentence for people."""

from __future__ import annotations

from yunti.climbing.compare import Choice, seconds
from yunti.records import RungRecord, VerdictRecord
from yunti.specs import TaskSpec

SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "calibration_error")


def verdict(choice: Choice, task: TaskSpec) -> VerdictRecord:
    """Say which rung is handed over and why."""
    chosen, best = choice.chosen, choice.best
    if chosen is not best:
        reason = _tie(choice, task)
    elif not choice.differences:
        reason = f"{chosen.name} is the only rung that was trained: {_value(chosen, task)}"
    else:
        reason = _win(choice, task)
    return VerdictRecord(chosen=chosen.name, reason=reason + ".")


def _tie(choice: Choice, task: TaskSpec) -> str:
    chosen, best = choice.chosen, choice.best
    gap = choice.differences[chosen.name]
    times = seconds(best) / max(seconds(chosen), 0.01)
    cheaper = f"it trains {times:,.0f} times faster" if times >= 2 else "it stands lower on the ladder"
    return (
        f"{chosen.name} is chosen with {_value(chosen, task)}: {best.name} reached {_value(best, task)}, but on the "
        f"same rows its lead of {gap_text(gap.difference, task)} lies within one standard error "
        f"({gap_text(gap.low, task)} to {gap_text(gap.high, task)}), and {cheaper}"
    )


def _win(choice: Choice, task: TaskSpec) -> str:
    chosen = choice.chosen
    runner_up = min(choice.differences, key=lambda name: choice.differences[name].difference)
    gap = choice.differences[runner_up]
    if gap.low > 0:
        told = f"{gap_text(gap.difference, task)} better than {runner_up} on the same rows"
        return f"{chosen.name} is chosen: {_value(chosen, task)}, {told}"
    return (
        f"{chosen.name} is chosen: {_value(chosen, task)}; {runner_up} cannot be told from it on these rows, "
        f"and costs as much or more"
    )


def _value(record: RungRecord, task: TaskSpec) -> str:
    value = record.score.valid if record.score else float("nan")
    return f"{task.metric.replace('_', ' ')} {value:.4g}"


def gap_text(value: float, task: TaskSpec) -> str:
    """Write a difference of scores: in points where the metric is a share."""
    return f"{100 * value:.2f} points" if task.metric in SHARES else f"{value:.4g}"

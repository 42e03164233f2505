"""What holds the score back: the data, their labels, the model or the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yunti.climbing.forecast.scaled import change_with_size, cut_short
from yunti.climbing.next import Standing, change_with_rows
from yunti.climbing.wording import gap_text
from yunti.records import LimitRecord, NextStep, RepeatsRecord, RungRecord
from yunti.specs import TaskSpec
from yunti.words import say

_LEAST_STRONG: Final = 3
_STRONG: Final = 1.25  # times the error of the best
_LEAST_WRONG: Final = 20
_SURE: Final = 0.6  # of a class that is rare; of a common one half way from its share to 1
_MOSTLY: Final = 0.6  # of the chosen rung's errors
_LEAST_PAIRS: Final = 50
_LEAST_SHARE: Final = 0.05  # of the training rows: fewer repeats may be rows of a kind of their own
_NEAR_FLOOR: Final = 1.3
_FALLS: Final = 0.96  # the factor at twice the size, of curves that fall: flat ones come to 0.98 or more

Predictions = Callable[[str], NDArray[Any]]


def limit(
    standing: Standing,
    steps: Sequence[NextStep],
    target: NDArray[Any],
    predictions: Predictions,
    repeats: RepeatsRecord | None,
) -> LimitRecord:
    """Say what holds the score back, the first of these that holds.

    The labels: rows that repeat one another carry other labels so often that the error is near what that alone makes
    it; or most of what the chosen rung gets wrong is answered alike by all strong rungs. The data: twice the rows
    would bring more than the score's standard error, more likely than not. The time: a rung that was cut short
    is among the best. The model: a rung that was left out is expected to be better, or the best network at
    twice its size. Or none of these.

    Args:
        standing: where the climb stands.
        steps: what could be done next.
        target: the validation target.
        predictions: gives a rung's predictions of the validation rows.
        repeats: how often rows that repeat one another differ in the target.
    """
    task, chosen = standing.spec.task, standing.chosen
    told = repeats is not None and repeats.pairs >= _LEAST_SHARE * standing.spec.rows
    floor = noise_floor(repeats, task, float(np.var(target)) if task.name == "regression" else 1.0) if told else None
    strong = strong_rungs(standing)
    wrong, against = _disagreements(task, chosen, strong, target, predictions)
    found: dict[str, Any] = {"noise_floor": floor, "disagreements": against}
    if floor is not None and _share(standing) <= _NEAR_FLOOR * floor:
        key = "limit.labels repeat" if task.name == "classification" else "limit.labels scatter"
        reason = say(key, most=1 - floor, rung=chosen.name, right=1 - _share(standing))
        return LimitRecord("labels", reason, **found)
    if len(strong) >= _LEAST_STRONG and wrong >= _LEAST_WRONG and against >= _MOSTLY * wrong:
        reason = say("limit.labels agree", count=against, wrong=wrong, rung=chosen.name, strong=len(strong))
        return LimitRecord("labels", reason, **found)
    return _other(standing, steps, found)


def _other(standing: Standing, steps: Sequence[NextStep], found: dict[str, Any]) -> LimitRecord:
    task, chosen = standing.spec.task, standing.chosen
    for step in steps:
        if step.rows == 2 * standing.spec.rows and step.chance is not None and step.chance >= 0.5:
            low, gain, high = (gap_text(value or 0.0, task) for value in (step.low, step.gain, step.high))
            curved = standing.curved
            rung = curved.name if curved else chosen.name
            return LimitRecord("data", say("limit.data", rung=rung, gain=gain, low=low, high=high), **found)
    longer = any(step.kind == "longer" and step.worth_it is not False for step in steps)
    cut = [each.name for each in strong_rungs(standing) if cut_short(each)]
    if cut and longer:
        return LimitRecord("time", say("limit.time", rungs=", ".join(cut)), **found)
    for step in steps:
        if step.kind == "rung" and step.chance is not None and step.chance >= 0.5:
            return LimitRecord("model", say("limit.model", rung=step.rung), **found)
        if step.kind == "larger" and (step.chance or 0.0) >= 0.5 and _gains_by_size(step.rung, standing):
            low, gain, high = (gap_text(value or 0.0, task) for value in (step.low, step.gain, step.high))
            reason = say("limit.size", rung=step.rung, gain=gain, low=low, high=high)
            return LimitRecord("model", reason, **found)
    curved = standing.curved
    if curved is None:
        return LimitRecord("unclear", say("limit.unclear", rung=chosen.name), **found)
    if change_with_rows(standing, 2 * standing.spec.rows) is None:
        return LimitRecord("unclear", say("limit.no shape", rung=curved.name), **found)
    if any(step.worth_it is None for step in steps):
        return LimitRecord("unclear", say("limit.open", rung=curved.name), **found)
    return LimitRecord("unclear", say("limit.flat", rung=curved.name), **found)


def _gains_by_size(name: str, standing: Standing) -> bool:
    """Say whether a network's own size curve clearly falls."""
    rung = next(each for each in standing.trained if each.name == name)
    seen = change_with_size(rung, standing.metric)
    return seen is not None and not seen.refused and seen.median < _FALLS


def strong_rungs(standing: Standing) -> list[RungRecord]:
    """Return the rungs, ensembles left out, whose error is at most a quarter above that of the best."""
    trained = [each for each in standing.trained if "weights" not in each.plan and each.name != "constant"]
    errors = {each.name: standing.metric.as_error(each.score.valid) for each in trained if each.score}
    most = _STRONG * min(errors.values(), default=0.0)
    return [each for each in trained if errors[each.name] <= most]


def noise_floor(repeats: RepeatsRecord | None, task: TaskSpec, variance: float) -> float | None:
    """Estimate the share of rows that nobody can get right, from rows with the same inputs.

    If each label were wrong with probability p, independently, two of the same kind would differ with 2p(1 − p);
    solved for p. For values: half the mean squared difference of two, as a share of the variance.

    Args:
        repeats: pairs of such rows, and how often or how much they differ.
        task: what is asked.
        variance: of the target.

    Returns:
        The share; None where fewer than 50 pairs, or pairs without a difference, tell nothing.

    Example:
        >>> task = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
        >>> round(noise_floor(RepeatsRecord(1000, 0.18), task, 1.0), 3)
        0.1
    """
    if repeats is None or repeats.pairs < _LEAST_PAIRS or repeats.unlike <= 0:
        return None
    if task.name == "classification":
        return float((1 - np.sqrt(max(0.0, 1 - 2 * repeats.unlike))) / 2)
    return min(1.0, repeats.unlike / variance) if variance > 0 else None


def _share(standing: Standing) -> float:
    """The chosen rung's error as the noise floor counts it: rows wrong, or variance left."""
    name = "accuracy" if standing.spec.task.name == "classification" else "r2"
    return 1 - standing.chosen.scores.get(name, float("nan"))


def _disagreements(
    task: TaskSpec, chosen: RungRecord, strong: Sequence[RungRecord], target: NDArray[Any], predictions: Predictions
) -> tuple[int, int]:
    """Count validation rows that the chosen rung gets wrong, and those on which all strong rungs are sure of the same
    other answer.
    """
    if task.name != "classification":
        return 0, 0
    answer = predictions(chosen.name).argmax(axis=1)
    wrong = answer != target
    if not strong:
        return int(wrong.sum()), 0
    usual = np.bincount(target, minlength=len(task.classes)) / len(target)
    sure = np.maximum(_SURE, (1 + usual) / 2)  # a common class is answered for want of anything better
    rows = np.arange(len(target))
    alike = np.all([predictions(each.name)[rows, answer] >= sure[answer] for each in strong], axis=0)
    return int(wrong.sum()), int((wrong & alike).sum())

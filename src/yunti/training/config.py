"""From a recipe, the size of the data and the time there is to the steps that will be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from yunti.errors import RungError
from yunti.models.recipe import LEAST_STEPS, Recipe
from yunti.training.batches import steps_per_epoch
from yunti.training.pace import Pace
from yunti.words import say

_MARGIN = 0.88  # of the time left is planned; the rest is for a machine that is slower than it was
_EVALUATION_SHARE = 0.12  # of the training's time may go into looking at validation rows
_MOST_EVALUATIONS = 40
_LEAST_EVALUATIONS = 4
_LEAST_JUDGED = 1000


@final
@dataclass(frozen=True)
class Steps:
    """What will be done.

    Args:
        total: steps of training.
        per_epoch: steps in which every training row that is used is seen once.
        rows: training rows that are used.
        judged: validation rows that each evaluation looks at.
        every: steps between evaluations.
        share: share of the recipe's epochs.
        reason: why so many, in a clause.
    """

    total: int
    per_epoch: int
    rows: int
    judged: int
    every: int
    share: float
    reason: str


def plan_steps(
    recipe: Recipe,
    rows: int,
    valid_rows: int,
    pace: Pace,
    seconds: float,
    given: float | None,
    least: int = LEAST_STEPS,
) -> Steps:
    """Plan the whole recipe, or the largest share 2^(−k/4) of it that the time holds.

    Args:
        recipe: what the network wishes.
        rows: training rows.
        valid_rows: validation rows.
        pace: how fast this machine is.
        seconds: time left for encoding, training and evaluating.
        given: the share that an earlier run of about the same time was given; it is taken if it can still hold.
        least: steps below which nothing is learned, unless the whole recipe has fewer.

    Raises:
        RungError: not even so many steps fit.
    """
    usable = seconds - valid_rows * (pace.encode_seconds + pace.predict_seconds)
    least = min(least, full_steps(recipe, rows))
    rows = _rows_to_encode(rows, pace, usable * _MARGIN)
    if given is not None:
        before = _laid(recipe, rows, valid_rows, pace, given)
        if _seconds(before, pace) < usable and before.total >= least:
            return before
    for share in (2 ** (-quarters / 4) for quarters in range(128)):
        steps = _laid(recipe, rows, valid_rows, pace, share)
        if steps.total < least:
            break
        if _seconds(steps, pace) <= usable * _MARGIN:
            return steps
    need = seconds - usable + _seconds(_laid(recipe, rows, valid_rows, pace, least / full_steps(recipe, rows)), pace)
    raise RungError(
        "training", f"{least} steps must fit the time",
        f"they need about {need / _MARGIN:.0f} s and {max(0.0, seconds):.0f} s are left",
        "give a larger budget or leave this rung out",
    )  # fmt: skip


def exactly(recipe: Recipe, rows: int, total: int) -> Steps:
    """Lay out so many steps as they are, without validation rows.

    Example:
        >>> steps = exactly(Recipe(batch=100, epochs=5.0, learning_rate=1e-3), rows=1000, total=20)
        >>> steps.rows, steps.per_epoch, steps.share
        (1000, 10, 0.4)
    """
    used = min(rows, total * recipe.batch)
    share = total / full_steps(recipe, rows)
    return Steps(total, steps_per_epoch(used, recipe.batch), used, 0, total, share, say("steps.again"))


def _rows_to_encode(rows: int, pace: Pace, seconds: float) -> int:
    """Take a part of the rows where encoding alone, as by a pretrained model, would use up more than half the time."""
    while rows > 1 and rows * pace.encode_seconds > 0.6 * seconds:
        rows = int(rows / 2**0.5)
    return rows


def full_steps(recipe: Recipe, rows: int) -> int:
    """Return the steps of a whole recipe on so many rows."""
    return max(1, round(recipe.epochs * steps_per_epoch(rows, recipe.batch)))


def _laid(recipe: Recipe, rows: int, valid_rows: int, pace: Pace, share: float) -> Steps:
    total = max(1, round(full_steps(recipe, rows) * share))
    used = min(rows, total * recipe.batch)
    training = total * pace.step_seconds
    affordable = int(_EVALUATION_SHARE * training / max(pace.predict_seconds, 1e-9))  # validation rows, all together
    judged = min(valid_rows, max(_LEAST_JUDGED, affordable // _LEAST_EVALUATIONS))
    count = max(_LEAST_EVALUATIONS, min(_MOST_EVALUATIONS, affordable // max(1, judged)))
    seen = total * recipe.batch / max(1, rows)
    if share >= 1:
        reason = say("steps.whole", epochs=recipe.epochs, rows=rows, batch=recipe.batch)
    elif used < rows:
        reason = say("steps.part", share=seen)
    else:
        reason = say("steps.fewer", seen=seen, epochs=recipe.epochs)
    every = max(1, -(-total // count))
    return Steps(total, steps_per_epoch(used, recipe.batch), used, judged, every, share, reason)


def _seconds(steps: Steps, pace: Pace) -> float:
    evaluations = -(-steps.total // steps.every)
    return (
        steps.rows * pace.encode_seconds
        + steps.total * pace.step_seconds
        + evaluations * steps.judged * pace.predict_seconds
    )

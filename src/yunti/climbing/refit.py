"""Whether the chosen rung is trained anew on training and validation rows together, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence

from yunti.records import RungRecord, SplitRecord
from yunti.words import say

LEAST_MORE = 0.05  # validation rows as a share of the training rows: fewer change no model
CLEARLY_MORE = 0.2  # from here on they are worth it even for a model that had too little time for its own rows
MOST_FOR_REFIT = 0.2  # of the budget is kept for it
AGAIN = say("refit.idea")


def parts_of(rung: RungRecord, trained: Sequence[RungRecord]) -> tuple[RungRecord, ...]:
    """Return the rungs that a rung is made of: the members of an ensemble, or itself."""
    weights = rung.plan.get("weights")
    return tuple(each for each in trained if each.name in weights) if isinstance(weights, dict) else (rung,)


def not_worth_it(rung: RungRecord, split: SplitRecord) -> str:
    """Say why the validation rows are not worth a second training; empty where they are.

    Args:
        rung: the chosen rung, or a member of the chosen ensemble.
        split: how many rows there are.
    """
    if rung.cost is not None and rung.cost.parameters == 0:
        return say("refit.nothing learned", rung=rung.name)
    more = split.valid / max(1, split.train)
    if more < LEAST_MORE:
        return say("refit.few", more=more)
    if rung.plan.get("rows", split.train) < split.train:
        return say("refit.part", rung=rung.name)
    if rung.reason and more < CLEARLY_MORE:
        return say("refit.no time", rung=rung.name)
    return ""


def refit_seconds(rung: RungRecord, split: SplitRecord, start: float) -> float:
    """Estimate the seconds of a second training: what the first took for each row, and the start of a process.

    The first training also chose and judged, which the second leaves out; so no margin is needed.

    Args:
        rung: a trained rung.
        split: how many rows there are.
        start: seconds that starting its process took, which are in its training time.
    """
    took = rung.cost.train_seconds if rung.cost else 0.0
    return start + max(0.0, took - start) * (split.train + split.valid) / max(1, split.train)

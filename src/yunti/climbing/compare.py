"""Choose among rungs judged on the same validation rows: the best, or a cheaper one that is not told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.records import RungRecord
from yunti.specs import TaskSpec
from yunti.tasks.intervals import Paired, paired

ONE_STANDARD_ERROR = 0.6827  # the share of a normal distribution within one standard error
SIMILAR_COST = 2.0  # timings on a shared machine differ by less for no reason

Predictions = Callable[[str], NDArray[Any]]


@final
@dataclass(frozen=True)
class Choice:
    """The chosen rung, the one with the best score, and the paired differences of the others to the best.

    Args:
        chosen: the rung that is handed over.
        best: the rung with the best validation score.
        differences: for every other rung, how much better the best is, with its interval of one standard error.
        tied: the rungs that the validation rows cannot tell from the best, which is among them.
    """

    chosen: RungRecord
    best: RungRecord
    differences: dict[str, Paired]
    tied: tuple[str, ...]


def choose(
    records: Sequence[RungRecord],
    task: TaskSpec,
    target: NDArray[Any],
    predictions: Predictions,
    *,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
) -> Choice:
    """Choose a rung: the best on the metric, unless a cheaper one is within one paired standard error of it.

    Differences are measured on the same rows by a paired bootstrap. Accepting a dearer model only beyond one paired
    standard error is the Ladder mechanism's rule (Blum and Hardt, 2015, ICML), which also keeps a validation set that
    is used many times from being overfitted.

    Args:
        records: trained rungs in the ladder's order, each with a score and a cost.
        task: what is asked.
        target: the validation target, shape (rows,).
        predictions: gives a rung's predictions for the validation rows.
        seed: the climb's seed.
        clusters: group code of every row, where rows of a group belong together.
    """
    best = best_of(records, task)
    differences = {}
    tied = []
    for record in records:
        if record is not best:
            difference = paired(
                task,
                target,
                predictions(record.name),
                predictions(best.name),
                seed=seed,
                clusters=clusters,
                level=ONE_STANDARD_ERROR,
            )
            differences[record.name] = difference
            if difference.low > 0:
                continue
        tied.append(record)
    return Choice(_cheapest(tied), best, differences, tuple(record.name for record in tied))


def _cheapest(records: Sequence[RungRecord]) -> RungRecord:
    """Return the first on the ladder whose cost is near the lowest."""
    lowest = min(seconds(record) for record in records)
    return next(record for record in records if seconds(record) <= SIMILAR_COST * lowest)


def seconds(record: RungRecord) -> float:
    """Seconds that training took; a rung that was not trained costs nothing."""
    return record.cost.train_seconds if record.cost else 0.0


def best_of(records: Sequence[RungRecord], task: TaskSpec) -> RungRecord:
    """Return the rung with the best score; of equals the first. There must be one."""
    return max(records, key=lambda record: _oriented(record, task))


def _oriented(record: RungRecord, task: TaskSpec) -> float:
    value = record.score.valid if record.score else float("nan")
    return value if task.direction == "higher" else -value

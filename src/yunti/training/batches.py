"""Which rows stand together in a step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_POOL = 50  # batches whose rows are sorted by length together: little padding, and still a random mixture


def endless(
    rows: int, batch: int, lengths: NDArray[np.int64] | None, random: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Give batches for ever, every row once an epoch; rows of like length stand together where lengths are given.

    Args:
        rows: number of rows.
        batch: rows a step; the last batch of an epoch takes the rest unless that is less than half a batch.
        lengths: shape (rows,), or None.
        random: decides on the order.
    """
    while True:
        yield from _epoch(rows, batch, lengths, random)


def steps_per_epoch(rows: int, batch: int) -> int:
    """Return the number of batches of an epoch.

    Example:
        >>> steps_per_epoch(100, 32), steps_per_epoch(115, 32), steps_per_epoch(5, 32)
        (3, 4, 1)
    """
    return max(1, rows // batch + (2 * (rows % batch) >= batch))


def _epoch(
    rows: int, batch: int, lengths: NDArray[np.int64] | None, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    order = random.permutation(rows)
    if lengths is not None:
        pool = batch * _POOL
        order = np.concatenate(
            [
                part[np.argsort(lengths[part], kind="stable")]
                for part in (order[start : start + pool] for start in range(0, rows, pool))
            ]
        )
    steps = steps_per_epoch(rows, batch)
    batches = [order[step * batch : (step + 1) * batch] for step in range(steps)]
    return [batches[place] for place in random.permutation(steps)]

"""Which rows stand together in a step."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from yunti.seeds import generator

_POOL = 50  # batches whose rows are sorted by length together: little padding, and still a random mixture


@final
class Batches:
    """Which rows every step takes: every row once an epoch, in an order that only seed and epoch decide.

    What a step takes depends on nothing that happened before it, so a training that goes on from a checkpoint needs
    its step alone.

    Args:
        rows: number of rows.
        batch: rows a step; the last batch of an epoch takes the rest unless that is less than half a batch.
        lengths: shape (rows,), or None; rows of like length stand together where they are given.
        seed: and `name`: decide on the order.
        name: whose batches they are.
    """

    def __init__(self, rows: int, batch: int, lengths: NDArray[np.int64] | None, seed: int, name: str) -> None:
        self._rows, self._batch, self._lengths = rows, batch, lengths
        self._seed, self._name = seed, name
        self.per_epoch = steps_per_epoch(rows, batch)
        self._epoch = -1
        self._order: list[NDArray[np.int64]] = []

    def at(self, step: int) -> NDArray[np.int64]:
        """Return the rows of a step, 0-based."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            random = generator(self._seed, self._name, "batches", str(epoch))
            self._order, self._epoch = _epoch(self._rows, self._batch, self._lengths, random), epoch
        return self._order[place]


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

"""A score told as sums over rows: what the bootstrap needs to score thousands of resamples in one matrix product.

Every metric here is a function of a few sums over rows: accuracy of (rows, hits), R² of (rows, Σt, Σt², Σe²), macro-F1
of three counts a class. A resample only changes how often each row counts, so its score follows from weighted sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Pieces:
    """What each row adds to the sums of a score, stored sparsely: row i adds values[i, j] to the sum columns[i, j].

    Args:
        columns: shape (rows, entries), integers in 0 to width - 1; (1, entries) when it is the same for all rows.
        values: shape (rows, entries), float64.
        width: number of sums.
        combine: turns sums of shape (..., width) into scores of shape (...).
    """

    columns: NDArray[np.int64]
    values: Floats
    width: int
    combine: Callable[[Floats], Floats]

    def __len__(self) -> int:
        return len(self.values)

    def sums(self, groups: NDArray[np.int64], count: int) -> Floats:
        """Add the rows of each group.

        Args:
            groups: shape (rows,); the group of each row, 0 to count - 1.
            count: number of groups.

        Returns:
            Shape (count, width).
        """
        result = np.zeros(count * self.width)
        for entry in range(self.values.shape[1]):
            places = groups * self.width + self.columns[:, entry]
            result += np.bincount(places, weights=self.values[:, entry], minlength=len(result))
        return result.reshape(count, self.width)

    def score(self) -> float:
        """Return the score of the rows as they are."""
        return float(self.combine(self.sums(np.zeros(len(self), dtype=np.int64), 1))[0])


def mean_of(values: NDArray[Any], then: Callable[[Floats], Floats] = lambda mean: mean) -> Pieces:
    """Return the pieces of a mean over rows, followed by a function of it.

    Args:
        values: shape (rows,).
        then: applied to the mean; elementwise.
    """
    both = np.column_stack([np.ones(len(values)), np.asarray(values, dtype=np.float64)])
    return Pieces(np.array([[0, 1]]), both, 2, lambda sums: then(sums[..., 1] / sums[..., 0]))

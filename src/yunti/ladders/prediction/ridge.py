"""Ridge regression for a whole path of penalties at the price of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
BLOCK_ROWS = 8192


@final
@dataclass(frozen=True, eq=False)
class Aim:
    """A target seen from the matrix: its mean, and its part along every eigenvector."""

    mean: float
    along: Doubles


@final
class Ridge:
    """Minimises the mean of ½(x·w + b - y)² + (α/2)·‖w‖² for any α and y from one eigendecomposition.

    With the centred matrix X the weights are V·(Λ + nα)⁻¹·Vᵀ·Xᵀy with XᵀX = V·Λ·Vᵀ (Hastie, Tibshirani and Friedman,
    2009, section 3.4.1); where there are more features than rows, Xᵀ·V·(Λ + nα)⁻¹·Vᵀ·y with X·Xᵀ = V·Λ·Vᵀ.

    Args:
        matrix: shape (rows, features), float32, dense.
    """

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self.rows, features = matrix.shape
        self.matrix = matrix
        self.mean = matrix.mean(axis=0, dtype=np.float64) if self.rows else np.zeros(features)
        self.wide = features > self.rows
        self.values, self.vectors = np.linalg.eigh(self._outer() if self.wide else self._inner())
        small = min(features, self.rows)
        self.flops = 2.0 * self.rows * features * small + 9.0 * small**3

    def aim(self, target: NDArray[Any]) -> Aim:
        """Prepare a target, shape (rows,)."""
        middle = float(np.mean(target, dtype=np.float64))
        centred = np.asarray(target, dtype=np.float64) - middle
        return Aim(middle, self.vectors.T @ (centred if self.wide else self._times(centred)))

    def solve(self, aim: Aim, alpha: float) -> tuple[Doubles, float]:
        """Return the weights, shape (features,), and the bias."""
        least = 1e-7 * max(float(self.values[-1]), 1e-12) if len(self.values) else 1.0  # float32 knows no finer
        weights = self.vectors @ (aim.along / (np.maximum(self.values, 0) + max(alpha * self.rows, least)))
        if self.wide:
            weights = self._times(weights)
        return weights, aim.mean - float(self.mean @ weights)

    def _outer(self) -> Doubles:
        centred = self.matrix - self.mean
        return centred @ centred.T

    def _inner(self) -> Doubles:
        square = np.zeros((self.matrix.shape[1], self.matrix.shape[1]))
        for start in range(0, self.rows, BLOCK_ROWS):
            block = self.matrix[start : start + BLOCK_ROWS] - self.mean
            square += block.T @ block
        return square

    def _times(self, values: Doubles) -> Doubles:
        """Multiply the centred matrix, transposed, with a value for every row."""
        along = -self.mean * values.sum()
        for start in range(0, self.rows, BLOCK_ROWS):
            along += self.matrix[start : start + BLOCK_ROWS].T.astype(np.float64) @ values[start : start + BLOCK_ROWS]
        return along

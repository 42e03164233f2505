"""The Gaussian kernel: exact over all rows where they are few, over landmarks among them where they are many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
BLOCK_CELLS = 1 << 24


def gaussian(matrix: Floats, landmarks: Floats, gamma: float) -> Floats:
    """Return exp(-gamma · ‖x - l‖²) for every row and landmark, shape (rows, landmarks)."""
    squares = np.einsum("ij,ij->i", matrix, matrix)[:, None] + np.einsum("ij,ij->i", landmarks, landmarks)[None, :]
    squares -= 2 * (matrix @ landmarks.T)
    np.maximum(squares, 0, out=squares)
    squares *= np.float32(-gamma)
    return np.exp(squares, out=squares)


def median_distance(matrix: Floats, random: np.random.Generator) -> float:
    """Return the median squared distance of two rows, of a thousand pairs; 1 where rows are all alike."""
    first, second = random.integers(0, len(matrix), (2, 1000))
    squares = np.square(matrix[first] - matrix[second]).sum(axis=1)
    apart = squares[squares > 0]
    return float(np.median(apart)) if len(apart) else 1.0


@final
@dataclass(frozen=True, eq=False)
class Landmarks:
    """Coordinates in which inner products are (nearly) the kernel's: k(x, L)·C⁻ᵀ with k(L, L) = C·Cᵀ.

    With all rows as landmarks they are exact on them, so that a linear machine in these coordinates is the kernel
    machine; with some of them it is Nyström's approximation (Williams and Seeger, 2001, Using the Nyström method to
    speed up kernel machines).

    Args:
        rows: the landmarks, shape (landmarks, features).
        gamma: width of the kernel.
        factor: C, lower triangular, shape (landmarks, landmarks), float32.
    """

    rows: Floats
    gamma: float
    factor: Floats

    @classmethod
    def among(cls, rows: Floats, gamma: float) -> Landmarks:
        """Prepare landmarks."""
        kernel = gaussian(rows, rows, gamma).astype(np.float64)
        kernel[np.diag_indices_from(kernel)] = 1 + 1e-4  # equal rows would make it singular
        return cls(rows, gamma, np.linalg.cholesky(kernel).astype(np.float32))

    def coordinates(self, matrix: Floats) -> Floats:
        """Return the coordinates of rows, shape (rows, landmarks)."""
        from scipy.linalg import solve_triangular

        result = np.empty((len(matrix), len(self.rows)), dtype=np.float32)
        step = max(1, BLOCK_CELLS // max(1, len(self.rows)))
        for start in range(0, len(matrix), step):
            kernel = gaussian(matrix[start : start + step], self.rows, self.gamma)
            result[start : start + step] = solve_triangular(self.factor, kernel.T, lower=True, check_finite=False).T
        return result

    def weights(self, inner: Floats) -> Floats:
        """Turn weights of coordinates into weights of kernel values, both of shape (landmarks, outputs)."""
        from scipy.linalg import solve_triangular

        weights: Floats = solve_triangular(self.factor, inner, lower=True, trans="T", check_finite=False)
        return weights

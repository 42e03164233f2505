"""Scores of regression. `target` and `prediction` hold values in the unit of the target, shape (rows,).

In the formulas n is the number of rows, tᵢ the true value of row i, ŷᵢ the predicted one, t̄ the mean of t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yunti.tasks.pieces import Floats, Pieces, mean_of


def decode(prediction: NDArray[np.floating]) -> Floats:
    """Return the predicted values as float64, shape (rows,)."""
    return np.asarray(prediction, dtype=np.float64)


def rmse(target: Floats, prediction: Floats) -> float:
    """Root mean squared error, in the unit of the target: √((1/n) Σ (ŷᵢ − tᵢ)²).

    Example:
        >>> rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        1.4142135623730951

    Source: scikit-learn `root_mean_squared_error`.
    """
    return float(np.sqrt(np.mean((prediction - target) ** 2)))


def rmse_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return RMSE as the root of a mean over rows."""
    return mean_of((prediction - target) ** 2, then=np.sqrt)


def mae(target: Floats, prediction: Floats) -> float:
    """Mean absolute error, in the unit of the target: (1/n) Σ |ŷᵢ − tᵢ|.

    Source: scikit-learn `mean_absolute_error`.
    """
    return float(np.mean(np.abs(prediction - target)))


def mae_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return MAE as a mean over rows."""
    return mean_of(np.abs(prediction - target))


def r2(target: Floats, prediction: Floats) -> float:
    """Share of the variance that is explained: 1 − Σ (ŷᵢ − tᵢ)² / Σ (tᵢ − t̄)².

    When all true values are equal the share is undefined; the score is then 1 for a perfect prediction and 0 otherwise.

    Source: scikit-learn `r2_score` (force_finite).
    """
    left = float(np.sum((prediction - target) ** 2))
    spread = float(np.sum((target - np.mean(target)) ** 2))
    if spread > 0:
        return 1 - left / spread
    return 1.0 if left == 0 else 0.0


def r2_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return R² as a function of n, Σ(t − t̄), Σ(t − t̄)² and Σ(ŷ − t)²; t̄ only keeps the numbers small."""
    centred = target - np.mean(target)

    def combine(sums: Floats) -> Floats:
        rows, first, second, left = (sums[..., place] for place in range(4))
        spread = second - first**2 / rows
        varied = spread > 1e-12 * second
        share: Floats = 1 - np.divide(left, spread, out=np.zeros_like(left), where=varied)
        return np.where(varied, share, np.where(left == 0, 1.0, 0.0))

    values = np.column_stack([np.ones(len(target)), centred, centred**2, (prediction - target) ** 2])
    return Pieces(np.array([[0, 1, 2, 3]]), values, 4, combine)

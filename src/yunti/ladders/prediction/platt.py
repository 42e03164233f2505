"""Turn decision values into probabilities."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.ladders.prediction.judge import log_softmax

Doubles = NDArray[np.float64]


@final
class Platt:
    """Probabilities as the softmax of a·f + b, f the decision values: one slope for all, a shift for each class.

    For two classes this is Platt's sigmoid (Platt, 1999, Probabilistic outputs for support vector machines), whose one
    decision value stands as (-f/2, f/2). As there, a row of a class that n rows have counts as 1/(n + 2) of the others,
    so that rows that are all on the right side do not make it certain. The shifts are drawn to 0 by half their square.
    """

    def __init__(self, slope: float = 1.0, shifts: Doubles | None = None) -> None:
        self.slope = slope
        self.shifts = np.zeros(1) if shifts is None else shifts

    def fit(self, decisions: NDArray[Any], target: NDArray[Any], weights: Doubles | None) -> float:
        """Learn slope and shifts from rows that the machine was not fitted on; return the log-loss they reach.

        Args:
            decisions: shape (rows, classes), or (rows, 1) for two classes.
            target: shape (rows,), class codes.
            weights: shape (rows,), or None.
        """
        from scipy.optimize import minimize

        values = both(decisions)
        rows = np.arange(len(values))
        share = np.ones(len(values)) if weights is None else weights / weights.mean()
        unit = float(values.std()) or 1.0
        aims = smoothed(target, values.shape[1])

        def loss(point: Doubles) -> tuple[float, Doubles]:
            slope, shifts = np.exp(point[0]) / unit, point[1:]
            logs = log_softmax(slope * values + shifts)
            slopes = (np.exp(logs) - aims) * share[:, None]
            value = -float((share[:, None] * logs * aims).sum()) + 0.5 * float(shifts @ shifts)
            return value, np.concatenate([[slope * (slopes * values).sum()], slopes.sum(axis=0) + shifts])

        start = np.zeros(values.shape[1] + 1)
        bounds = [(-3.0, 5.0), *[(-10.0, 10.0)] * values.shape[1]]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100}).x
        self.slope, self.shifts = float(np.exp(found[0]) / unit), found[1:]
        losses = -log_softmax(self.slope * values + self.shifts)[rows, target]
        return float((share * losses).mean())

    def chances(self, decisions: NDArray[Any]) -> NDArray[np.float32]:
        """Return probabilities, shape (rows, classes)."""
        chances: NDArray[np.float32] = np.exp(log_softmax(self.slope * both(decisions) + self.shifts)).astype(
            np.float32
        )
        return chances


def smoothed(target: NDArray[Any], classes: int) -> Doubles:
    """Return what probabilities are fitted to, shape (rows, classes): nearly 1 for a row's class, little for others."""
    counts = np.bincount(target, minlength=classes)
    loss = 1 / (counts[target] + 2)
    aims = np.repeat(loss[:, None] / (classes - 1), classes, axis=1)
    aims[np.arange(len(target)), target] = 1 - loss
    return aims


def both(decisions: NDArray[Any]) -> Doubles:
    """Return a decision value for every class, shape (rows, classes)."""
    values = np.asarray(decisions, dtype=np.float64)
    return np.concatenate([-values / 2, values / 2], axis=1) if values.shape[1] == 1 else values

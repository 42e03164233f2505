"""Fit linear scores to a convex loss by L-BFGS: one product with the data forwards and one backwards a step.

Minimises  (Σ_i w_i ℓ(x_i·W + b, y_i)) / Σ_i w_i + (α/2)·‖W‖²  over W and b. L-BFGS follows Nocedal and Wright (2006),
algorithm 7.5, with the diagonal of an upper bound of the Hessian as its first guess. Since scores are linear in the
weights, the scores along a search direction are Z + t·D with one product for D, so that any number of step lengths t is
tried without touching the data again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.ladders.prediction.losses import Loss

Floats = NDArray[np.float32]


@final
@dataclass
class Linear:
    """Linear scores: x·weights + bias.

    Args:
        weights: shape (features, outputs), float32.
        bias: shape (outputs,), float32.
    """

    weights: Floats
    bias: Floats

    def scores(self, matrix: Any) -> Floats:
        """Return the scores, shape (rows, outputs)."""
        scores: Floats = np.asarray(matrix @ self.weights) + self.bias
        return scores


@final
@dataclass
class Fit:
    """What a descent reached: the scores' weights, the steps it took, and whether it settled before its limit."""

    linear: Linear
    steps: int
    settled: bool


@final
class Problem:
    """Rows, answers, weights and a loss; solved for one penalty after another.

    Args:
        matrix: shape (rows, features); float32 array or CSR.
        loss: the loss of a row's scores, already holding the answers and the rows' weights.
        outputs: number of scores of a row.
    """

    def __init__(self, matrix: Any, loss: Loss, outputs: int) -> None:
        self.matrix = matrix
        self.loss = loss
        self.outputs = outputs
        self.spread = _mean_squares(matrix)
        stored = getattr(matrix, "nnz", None)
        self.flops_a_step = 4.0 * (matrix.shape[0] * matrix.shape[1] if stored is None else stored) * outputs

    def solve(
        self,
        alpha: float,
        *,
        start: Linear | None = None,
        steps: int = 200,
        tolerance: float = 1e-4,
        memory: int = 10,
        hurry: Callable[[int], bool] = lambda _: False,
    ) -> Fit:
        """Minimise for one penalty.

        Args:
            alpha: weight of the squared norm, against the mean loss.
            start: where to begin; zeros if none.
            steps: most steps.
            tolerance: it has settled when the scaled gradient falls below this share of the loss at zero.
            memory: pairs that L-BFGS keeps.
            hurry: asked after each step whether to stop.
        """
        features = self.matrix.shape[1]
        weights = np.zeros((features + 1, self.outputs), dtype=np.float32)  # the last row is the bias
        if start is not None:
            weights[:-1], weights[-1] = start.weights, start.bias
        state = _State(self, alpha, weights)
        history = _History(memory, state.scale)
        done, settled = 0, state.small(tolerance)
        while not settled and done < steps:
            direction = history.direction(state.gradient)
            if not state.move(direction, history):
                if history.pairs:
                    history.pairs.clear()  # a poor memory: once more along the gradient
                    continue
                settled = True
                break
            done += 1
            settled = state.small(tolerance)
            if hurry(done):
                break
        return Fit(Linear(state.weights[:-1], state.weights[-1]), done, settled)


class _State:
    """Where a descent stands: weights, scores, objective and gradient."""

    def __init__(self, problem: Problem, alpha: float, weights: Floats) -> None:
        self.problem, self.alpha, self.weights = problem, alpha, weights
        curvature = problem.loss.curvature
        self.scale = np.concatenate([1 / (alpha + curvature * problem.spread), [1 / curvature]]).astype(np.float32)[:, None]
        self.scores = self._forward(weights)
        self.gradient = self._gradient()
        self.objective = problem.loss.value(self.scores) + self._penalty(weights)
        self.at_zero = problem.loss.value(np.zeros_like(self.scores))

    def _forward(self, weights: Floats) -> Floats:
        scores: Floats = np.asarray(self.problem.matrix @ weights[:-1])
        scores += weights[-1]
        return scores

    def _gradient(self) -> Floats:
        slopes = self.problem.loss.slopes(self.scores)
        gradient = np.empty_like(self.weights)
        gradient[:-1] = self.problem.matrix.T @ slopes
        gradient[:-1] += np.float32(self.alpha) * self.weights[:-1]
        gradient[-1] = slopes.sum(axis=0)
        return gradient

    def _penalty(self, weights: Floats) -> float:
        return 0.5 * self.alpha * _dot(weights[:-1], weights[:-1])

    def small(self, tolerance: float) -> bool:
        """Whether the decrease that a Newton step with the diagonal Hessian would bring is negligible."""
        return _dot(self.gradient, self.gradient * self.scale) <= tolerance**2 * max(self.at_zero, 1e-12)

    def move(self, direction: Floats, history: _History) -> bool:
        """Go along a direction as far as the objective falls enough; false when it does not fall at all."""
        slope = _dot(self.gradient, direction)
        if slope >= 0:
            return False
        change = self._forward(direction)
        cross = self.alpha * _dot(self.weights[:-1], direction[:-1])
        square = self.alpha * _dot(direction[:-1], direction[:-1])
        penalty, length = self._penalty(self.weights), 1.0
        for _ in range(25):
            scores = self.scores + np.float32(length) * change
            objective = self.problem.loss.value(scores) + penalty + length * cross + 0.5 * length**2 * square
            if objective <= self.objective + 1e-4 * length * slope:
                break
            curved = objective - self.objective - length * slope
            length *= float(np.clip(-0.5 * length * slope / curved, 0.1, 0.5)) if curved > 0 else 0.5
        else:
            return False
        before = self.gradient
        step = np.float32(length) * direction
        self.weights = self.weights + step
        self.scores, self.objective = scores, objective
        self.gradient = self._gradient()
        history.add(step, self.gradient - before)
        return True


class _History:
    """The last steps and changes of the gradient, from which L-BFGS guesses the inverse Hessian."""

    def __init__(self, memory: int, scale: Floats) -> None:
        self.memory, self.scale = memory, scale
        self.pairs: list[tuple[Floats, Floats, float]] = []

    def add(self, step: Floats, change: Floats) -> None:
        product = _dot(step, change)
        if product > 1e-12:
            self.pairs = [*self.pairs, (step, change, product)][-self.memory :]

    def direction(self, gradient: Floats) -> Floats:
        result = -gradient
        shares = []
        for step, change, product in reversed(self.pairs):
            share = _dot(step, result) / product
            shares.append(share)
            result -= np.float32(share) * change
        result *= self.scale
        if self.pairs:
            _, change, product = self.pairs[-1]
            result *= np.float32(product / max(_dot(change, change * self.scale), 1e-30))
        for (step, change, product), share in zip(self.pairs, reversed(shares), strict=True):
            result += np.float32(share - _dot(change, result) / product) * step
        return result


def _dot(first: Floats, second: Floats) -> float:
    return float(np.dot(first.ravel(), second.ravel()))


def _mean_squares(matrix: Any) -> Floats:
    """Mean square of every feature, shape (features,)."""
    rows = max(1, matrix.shape[0])
    if isinstance(matrix, np.ndarray):
        return np.einsum("ij,ij->j", matrix, matrix) / np.float32(rows)
    squares: Floats = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float32).ravel() / np.float32(rows)
    return squares

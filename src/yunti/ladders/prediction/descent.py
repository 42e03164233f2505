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
Doubles = NDArray[np.float64]
PAIRS = 6  # steps that L-BFGS remembers
BLOCK_CELLS = 1 << 22
BLOCK = 2048  # rows of weights that are worked on while they are in the cache


@final
@dataclass
class Scorer:
    """Scores linear in the features: x·weights + bias.

    Args:
        weights: shape (features, outputs), float32.
        bias: shape (outputs,), float32.
    """

    weights: Floats
    bias: Floats

    def __post_init__(self) -> None:
        self.weights = np.ascontiguousarray(self.weights)  # as they come back from a file: products round by layout

    def scores(self, matrix: Any) -> Floats:
        """Return the scores, shape (rows, outputs)."""
        scores: Floats = np.asarray(matrix @ self.weights) + self.bias
        return scores


@final
@dataclass
class Fit:
    """What a descent reached: the scores' weights, the steps it took, and whether it settled before its limit."""

    scorer: Scorer
    steps: int
    settled: bool


@final
class Problem:
    """Rows, answers, weights and a loss; solved for one penalty after another.

    Args:
        matrix: shape (rows, features); float32 array or CSR.
        loss: the loss of a row's scores; holds the answers and the rows' weights.
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
        start: Scorer | None = None,
        steps: int = 200,
        tolerance: float = 1e-3,
        hurry: Callable[[int], bool] = lambda _: False,
    ) -> Fit:
        """Minimise for one penalty.

        Args:
            alpha: weight of the squared norm, against the mean loss.
            start: where to begin; zeros if none.
            steps: most steps.
            tolerance: settled when the scaled gradient falls below this share of the loss at zero.
            hurry: asked after each step whether to stop.
        """
        weights = np.zeros((self.matrix.shape[1] + 1, self.outputs), dtype=np.float32)  # the last row is the bias
        if start is not None:
            weights[:-1], weights[-1] = start.weights, start.bias
        state = _State(self, alpha, weights)
        history = _History(self.loss.separate)
        done = 0
        while done < steps and not state.small(tolerance):
            if not state.move(history):
                if not history.pairs:
                    break  # rounding: no step falls any more
                history.pairs.clear()  # a poor memory: once more along the gradient
                continue
            done += 1
            if hurry(done):
                break
        return Fit(Scorer(state.weights[:-1], state.weights[-1]), done, state.small(tolerance))


@final
class _State:
    """Where a descent stands: weights, scores, objective and gradient.

    Where the outputs' losses are separate, each output is a problem of its own, solved beside the others: every number
    that steers the descent has shape (outputs,). Else it has shape (1,).
    """

    def __init__(self, problem: Problem, alpha: float, weights: Floats) -> None:
        self.problem, self.alpha, self.weights = problem, np.float32(alpha), weights
        self.loss, self.separate = problem.loss, problem.loss.separate
        bound = self.loss.curvature[None, :]
        self.scale = np.concatenate([1 / (alpha + bound * problem.spread[:, None]), 1 / bound]).astype(np.float32)
        self.scores = self._forward(weights)
        self.gradient = self._gradient()
        self.objective = self.loss.value(self.scores) + self._penalty(weights, weights)
        self.at_zero = self.loss.value(np.zeros_like(self.scores))

    def _forward(self, weights: Floats) -> Floats:
        scores: Floats = np.asarray(self.problem.matrix @ weights[:-1])
        scores += weights[-1]
        return scores

    def _gradient(self) -> Floats:
        slopes = self.loss.slopes(self.scores)
        gradient = np.empty_like(self.weights)
        gradient[:-1] = self.problem.matrix.T @ slopes
        gradient[:-1] += self.alpha * self.weights[:-1]
        gradient[-1] = slopes.sum(axis=0)
        return gradient

    def _penalty(self, first: Floats, second: Floats) -> Doubles:
        return 0.5 * float(self.alpha) * _dot(first[:-1], second[:-1], self.separate)

    def small(self, tolerance: float) -> bool:
        """Whether the gain that a Newton step with the diagonal Hessian promises is negligible everywhere."""
        promised = _dot(self.gradient, self.gradient * self.scale, self.separate)
        return bool((promised <= tolerance**2 * np.maximum(self.at_zero, 1e-12)).all())

    def move(self, history: _History) -> bool:
        """Go along the direction that the history gives as far as the objective falls enough; false if nowhere."""
        direction = history.direction(self.gradient, self.scale)
        slope = _dot(self.gradient, direction, self.separate)
        change = self._forward(direction)
        lengths = np.where(slope < 0, 1.0, 0.0)
        penalty = self._penalty(self.weights, self.weights)
        cross, square = 2 * self._penalty(self.weights, direction), self._penalty(direction, direction)
        for _ in range(25):
            scores = self.scores + lengths.astype(np.float32) * change
            objective = self.loss.value(scores) + penalty + lengths * cross + lengths**2 * square
            rise = objective - self.objective - lengths * slope
            poor = (rise > -(1 - 1e-4) * lengths * slope) & (lengths > 0)
            if not poor.any():
                break
            shorter = np.clip(-0.5 * lengths * slope / np.maximum(rise, 1e-30), 0.1, 0.5) * lengths
            lengths = np.where(poor, shorter, lengths)
        lengths = np.where(poor, 0.0, lengths)
        if not lengths.any():
            return False
        step = lengths.astype(np.float32) * direction
        before, self.weights = self.gradient, self.weights + step
        self.scores, self.objective = scores, objective
        self.gradient = self._gradient()
        history.add(step, self.gradient - before)
        return True


@final
class _History:
    """The last steps and changes of the gradient, from which L-BFGS guesses the inverse Hessian."""

    def __init__(self, separate: bool) -> None:
        self.separate = separate
        self.pairs: list[tuple[Floats, Floats, Doubles]] = []

    def add(self, step: Floats, change: Floats) -> None:
        self.pairs = [*self.pairs, (step, change, _dot(step, change, self.separate))][-PAIRS:]

    def direction(self, gradient: Floats, scale: Floats) -> Floats:
        result = -gradient
        shares = []
        for step, change, product in reversed(self.pairs):
            shares.append(_share(_dot(step, result, self.separate), product))
            _add(result, -shares[-1], change)
        result *= scale
        if self.pairs:
            _, change, product = self.pairs[-1]
            against = _dot(change, change * scale, self.separate)
            result *= np.where(product > 0, _share(product, against), 1).astype(np.float32)
        for (step, change, product), share in zip(self.pairs, reversed(shares), strict=True):
            _add(result, share - _share(_dot(change, result, self.separate), product), step)
        return result


def _add(result: Floats, share: Floats, other: Floats) -> None:
    for start in range(0, len(result), BLOCK):
        result[start : start + BLOCK] += share * other[start : start + BLOCK]


def _share(part: Doubles, whole: Doubles) -> Floats:
    """Divide; 0 where there is nothing to divide by (an output that stood still)."""
    share: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0).astype(np.float32)
    return share


def _dot(first: Floats, second: Floats, separate: bool) -> Doubles:
    """Inner product of every column, shape (outputs,); or of the whole, shape (1,)."""
    if separate:
        return np.einsum("ij,ij->j", first, second).astype(np.float64)
    return np.array([np.dot(first.ravel(), second.ravel())], dtype=np.float64)


def _mean_squares(matrix: Any) -> Floats:
    """Mean square of every feature, shape (features,)."""
    rows = max(1, matrix.shape[0])
    if isinstance(matrix, np.ndarray):
        return np.einsum("ij,ij->j", matrix, matrix) / np.float32(rows)
    sums = np.zeros(matrix.shape[1])
    for start in range(0, len(matrix.data), BLOCK_CELLS):  # piece by piece: a squared copy would double the memory
        stretch = slice(start, start + BLOCK_CELLS)
        sums += np.bincount(matrix.indices[stretch], np.square(matrix.data[stretch]), len(sums))
    return (sums / rows).astype(np.float32)

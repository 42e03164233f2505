"""Fit support vector machines, kernel width and penalty chosen on held-out rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.ladders.prediction.descent import Problem, Scorer
from yunti.ladders.prediction.growth import class_weights
from yunti.ladders.prediction.judge import Judge, Scale
from yunti.ladders.prediction.kernel import Landmarks, gaussian, median_distance
from yunti.ladders.prediction.losses import SquaredHinge
from yunti.ladders.prediction.platt import Platt
from yunti.ladders.prediction.ridge import Ridge
from yunti.models.contract import Watch
from yunti.specs import TaskSpec

Rows = tuple[Any, NDArray[Any]]  # a matrix and its targets
EXACT_ROWS = 3000  # rows up to which all are landmarks
LANDMARKS = 1500
COORDINATE_CELLS = 1.2e8  # of the coordinates of the training rows: half a gigabyte
SEARCH_ROWS = 2000
WIDTHS = (1.0, 0.3, 3.0)  # of gamma times the median squared distance
KERNEL_WEIGHTS = (3.0, 30.0, 0.3)  # C, in the order they are tried
SPARSE_WEIGHTS = (0.3, 1.0, 0.1)
STEPS = 100


@final
@dataclass(frozen=True, eq=False)
class Machine:
    """What predicts: scores linear in the features, or in the kernel values of landmarks, and what they mean.

    Args:
        scorer: weights of features or of kernel values.
        landmarks: rows of features, or None where the scores are linear in the features.
        gamma: width of the kernel.
        platt: from decision values to probabilities; None for values.
        scale: of a regression's target.
    """

    scorer: Scorer
    landmarks: NDArray[np.float32] | None = None
    gamma: float = 0.0
    platt: Platt | None = None
    scale: Scale | None = None

    def scores(self, matrix: Any) -> NDArray[np.float32]:
        """Return decision values, shape (rows, outputs)."""
        if self.landmarks is None:
            return self.scorer.scores(matrix)
        return self.scorer.scores(gaussian(matrix, self.landmarks, self.gamma))

    def predict(self, matrix: Any) -> NDArray[np.float32 | np.float64]:
        """Predict rows of features: probabilities of shape (rows, classes), or values of shape (rows,)."""
        scores = self.scores(matrix)
        if self.platt is not None:
            return self.platt.chances(scores)
        assert self.scale is not None
        return self.scale.from_trees(scores[:, 0])


@final
@dataclass(frozen=True, eq=False)
class Chosen:
    """A candidate: kernel width (0 for none), weight of the data, and its loss on the held-out rows."""

    gamma: float
    weight: float
    loss: float


@final
class Maker:
    """Makes machines for rows.

    Args:
        task: what is asked.
        scale: of a regression's target.
        random: draws landmarks and the rows of the search.
        watch: the time it may take.
        landmarks: how many, where rows are too many for all.
        exact_rows: rows up to which all are landmarks; `EXACT_ROWS` if not given.
    """

    def __init__(
        self,
        task: TaskSpec,
        scale: Scale | None,
        random: np.random.Generator,
        watch: Watch,
        landmarks: int = LANDMARKS,
        exact_rows: int | None = None,
    ) -> None:
        self.task, self.scale, self.random, self.watch, self.landmarks = task, scale, random, watch, landmarks
        self.exact_rows = EXACT_ROWS if exact_rows is None else exact_rows
        self.outputs = 1 if len(task.classes) <= 2 else len(task.classes)
        self.flops, self.cut = 0.0, False

    def search(self, rows: Rows, held: Rows) -> list[Chosen]:
        """Try kernel widths and weights on a part of the rows; return all that were tried, the best first."""
        rows, held = self.some(rows, SEARCH_ROWS * self.patience()), self.some(held, 2 * SEARCH_ROWS)
        sparse = not isinstance(rows[0], np.ndarray)
        distance = 1.0 if sparse else median_distance(rows[0], self.random)
        widths = (0.0,) if sparse else tuple(width / distance for width in WIDTHS)
        tried: list[Chosen] = []
        longest = 0.0
        total = len(widths) * len(KERNEL_WEIGHTS)
        for gamma in widths:
            began = time.monotonic()
            if tried and self.watch.left < 4 * longest:
                break
            for weight, loss in self.losses(rows, held, gamma):
                tried.append(Chosen(gamma, weight, loss))
                self.watch.tell(0.4 * len(tried) / total, valid=loss)
            longest = max(longest, time.monotonic() - began)
        return sorted(tried, key=lambda each: each.loss)

    def patience(self) -> int:
        """How many times the usual rows a search needs: more where there are many classes."""
        return max(1, self.outputs // 20)

    def some(self, rows: Rows, most: int) -> Rows:
        """Return at most so many rows, at random."""
        if len(rows[1]) <= most:
            return rows
        chosen = np.sort(self.random.choice(len(rows[1]), most, replace=False))
        return rows[0][chosen], rows[1][chosen]

    def losses(self, rows: Rows, held: Rows, gamma: float) -> list[tuple[float, float]]:
        """Return weights and the losses of their machines."""
        if gamma == 0.0:
            machines = [(weight, self.linear(rows, weight)) for weight in SPARSE_WEIGHTS]
        else:
            machines = self.curved(rows, gamma, KERNEL_WEIGHTS)
        return [(weight, self.judged(machine, held)[1]) for weight, machine in machines]

    def judged(self, machine: Machine, held: Rows) -> tuple[Machine, float]:
        """Calibrate a machine on held-out rows, and give its loss there."""
        scores = machine.scores(held[0])
        if self.scale is not None:
            return machine, Judge(self.task, held[1], None, self.scale).loss(scores[:, 0])
        platt = Platt()
        loss = platt.fit(scores, held[1], class_weights(self.task, held[1]))
        return Machine(machine.scorer, machine.landmarks, machine.gamma, platt), loss

    def linear(self, rows: Rows, weight: float) -> Machine:
        """Fit a linear machine to sparse features by dual coordinate descent, class by class (LIBLINEAR)."""
        from sklearn.svm import LinearSVC, LinearSVR

        matrix, target = rows
        self.flops += 4.0 * matrix.nnz * self.outputs * 10
        seed = int(self.random.integers(2**31))
        if self.scale is not None:
            model = LinearSVR(C=weight, loss="squared_epsilon_insensitive", tol=0.01, max_iter=200, random_state=seed)
            fit = _quiet(model, matrix, self.scale.to_trees(target))
            scorer = Scorer(fit.coef_.astype(np.float32)[:, None], fit.intercept_.astype(np.float32))
            return Machine(scorer, scale=self.scale)
        model = LinearSVC(C=weight, tol=0.1, max_iter=200, random_state=seed)
        fit = _quiet(model, matrix, target, class_weights(self.task, target))
        weights = np.zeros((matrix.shape[1], self.outputs), dtype=np.float32)
        bias = np.full(self.outputs, -1.0, dtype=np.float32)
        places = fit.classes_ if self.outputs > 1 else [0]
        weights[:, places], bias[places] = fit.coef_.T, fit.intercept_
        return Machine(Scorer(weights, bias))

    def curved(self, rows: Rows, gamma: float, weights: tuple[float, ...]) -> list[tuple[float, Machine]]:
        """Fit machines with a Gaussian kernel for several weights, strong penalties first."""
        matrix, target = rows
        count = len(target) if len(target) <= self.exact_rows else self.landmarks
        places = np.sort(self.random.choice(len(target), count, replace=False))
        landmarks = Landmarks.among(matrix[places], gamma)
        inner = landmarks.coordinates(matrix)
        self.flops += 2.0 * len(target) * count * (matrix.shape[1] + count) + count**3 / 3
        solve = self._solver(inner, target)
        machines, start = [], None
        for weight in sorted(weights):
            start = solve(weight, start)
            scorer = Scorer(landmarks.weights(start.weights), start.bias)
            machines.append((weight, Machine(scorer, landmarks.rows, gamma, scale=self.scale)))
        return machines

    def _solver(self, inner: NDArray[np.float32], target: NDArray[Any]) -> Any:
        if self.scale is not None:
            ridge = Ridge(inner)
            aim = ridge.aim(self.scale.to_trees(target))
            self.flops += ridge.flops

            def exact(weight: float, _start: Scorer | None) -> Scorer:
                values, bias = ridge.solve(aim, 1 / (weight * len(target)))
                return Scorer(values.astype(np.float32)[:, None], np.array([bias], dtype=np.float32))

            return exact
        loss = SquaredHinge(target, self.outputs, class_weights(self.task, target))
        problem = Problem(inner, loss, self.outputs)
        end = time.monotonic() + 0.6 * self.watch.left

        def hurry(_done: int) -> bool:
            late = time.monotonic() > end
            self.cut = self.cut or late
            return late

        def descent(weight: float, start: Scorer | None) -> Scorer:
            fit = problem.solve(1 / (2 * weight * len(target)), start=start, steps=STEPS, tolerance=1e-2, hurry=hurry)
            self.flops += problem.flops_a_step * fit.steps
            return fit.scorer

        return descent


def _quiet(model: Any, matrix: Any, target: NDArray[Any], weights: NDArray[np.float64] | None = None) -> Any:
    """Fit without the warning that the limit of passes was reached: the limit is meant."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(matrix, target, sample_weight=weights)

"""Find the weights of a linear model, its penalty chosen on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from yunti.errors import RungError
from yunti.ladders.prediction.descent import Problem, Scorer
from yunti.ladders.prediction.growth import class_weights
from yunti.ladders.prediction.judge import Judge, Scale, log_softmax, logits_of, scale_of, wants_logarithm
from yunti.ladders.prediction.losses import Floats, Logistic, Loss, Softmax, Squared, sigmoid, softmax
from yunti.ladders.prediction.matrices import stored_cells
from yunti.ladders.prediction.paths import Tried, walk
from yunti.ladders.prediction.ridge import Aim, Ridge
from yunti.models.contract import Watch
from yunti.specs import TaskSpec
from yunti.words import say

CLOSED_FORM = 2500  # the smaller side of a dense matrix up to which ridge is solved exactly
STEPS = {True: 30, False: 200}  # of a descent, by whether the matrix is sparse
SEARCH_FLOPS = {True: 1e10, False: 1e11}  # of one fit of the search; sparse products are slower
SEARCH_ROWS = 2000  # but at least so many rows, and 100 for each output
MOST_SEARCH_ROWS = 100_000
START = 10.0  # C times the mean squared length of a row, where the path begins

Rows = tuple[Any, NDArray[Any]]  # a matrix and its targets
Links = Literal["softmax", "sigmoid", "one against the rest", "none"]


@final
@dataclass(frozen=True, eq=False)
class Answer:
    """Weights, and what turns their scores into predictions.

    Args:
        scorer: the linear scores.
        link: from scores to probabilities; "none" for values.
        correction: factor of the log-probabilities, or of an exponential.
        scale: of a regression's target.
        low, high: bounds of the scores of a regression's logarithm, beyond which an exponential would run away.
    """

    scorer: Scorer
    link: Links
    correction: float = 1.0
    scale: Scale | None = None
    low: float = -1e300
    high: float = 1e300

    def predict(self, matrix: Any) -> NDArray[np.float32 | np.float64]:
        """Predict rows of features: probabilities of shape (rows, classes), or values of shape (rows,)."""
        if self.scale is not None:
            return self.scale.from_trees(self.bounded(matrix), self.correction)
        logs = log_softmax(logits_of(self.chances(matrix)) * self.correction)
        return np.exp(logs).astype(np.float32)

    def chances(self, matrix: Any) -> Floats:
        """Return probabilities before their correction."""
        scores = self.scorer.scores(matrix)
        if self.link == "softmax":
            return softmax(scores)
        each = sigmoid(scores)
        if self.link == "sigmoid":
            return np.concatenate([1 - each, each], axis=1)
        each += np.float32(1e-9)
        return each / each.sum(axis=1, keepdims=True)

    def bounded(self, matrix: Any) -> NDArray[np.float64]:
        """Return scores of values within their bounds."""
        return np.clip(self.scorer.scores(matrix)[:, 0].astype(np.float64), self.low, self.high)


@final
@dataclass(frozen=True, eq=False)
class Found:
    """An answer, its loss on the held-out rows, what it cost and how it was found."""

    answer: Answer
    loss: float
    flops: float
    plan: dict[str, Any]


@final
class Clock:
    """Keeps fits within the time, and remembers whether one had to be cut short."""

    def __init__(self, watch: Watch) -> None:
        self.watch, self.longest, self.cut, self.flops = watch, 0.0, False, 0.0

    def solve(self, problem: Problem, alpha: float, start: Scorer | None, steps: int, share: float) -> Scorer:
        """Solve within a share of the time left."""
        began, allowed = time.monotonic(), share * self.watch.left

        def hurry(done: int) -> bool:
            spent = time.monotonic() - began
            late = spent + spent / done > allowed
            self.cut = self.cut or late
            return late

        fit = problem.solve(alpha, start=start, steps=steps, hurry=hurry)
        self.longest = max(self.longest, time.monotonic() - began)
        self.flops += problem.flops_a_step * max(1, fit.steps)
        return fit.scorer

    def hold(self) -> None:
        """Hold that no fit was cut short.

        Raises:
            RungError: one was.
        """
        if self.cut:
            raise RungError("linear", "its weights must settle in the time", "they did not", "give a larger budget")

    def has_time(self, ratio: float = 1.0) -> bool:
        """Whether a fit like the longest so far surely fits in, and after it one that takes `ratio` times as long."""
        return self.watch.left > (2 + ratio) * self.longest


def fit_classes(task: TaskSpec, rows: Rows, held: Rows, random: np.random.Generator, watch: Watch) -> Found:
    """Fit logistic regression.

    Args:
        task: what is asked.
        rows: training features of shape (rows, features) and codes of shape (rows,).
        held: the same of the rows that choose the penalty.
        random: draws the rows of the search, where all would take too long.
        watch: the time it may take.
    """
    fitter = _ClassFitter(task, rows, held, Clock(watch))
    searched, used = fitter.search_rows(random)
    best, tried = fitter.search(searched, used)
    clock, answer, loss = fitter.clock, best.candidate, best.loss
    weight = fitter.first * 10 ** (best.place / 2)
    if used is not None:
        problem = fitter.problem_of(rows)
        start = _spread(answer.scorer, used, rows[0].shape[1])
        scorer = clock.solve(problem, 1 / (weight * len(rows[1])), start, fitter.steps, 0.8)
        answer, loss = fitter.judged(scorer, held[0])
    plan: dict[str, Any] = {"C": weight, "link": fitter.link, "correction": answer.correction}
    plan |= {"penalties_tried": tried, "rows_of_the_search": len(searched[1])}
    return Found(answer, loss, clock.flops, plan | _stopped(clock))


Before = tuple[TaskSpec, Answer, float]  # what is asked, the answer that was chosen, and its C


def fit_classes_again(rows: Rows, before: Before, start: Scorer, watch: Watch) -> Found:
    """Fit logistic regression to other rows under a penalty and with a correction that were chosen before.

    Args:
        rows: features and codes.
        before: what was chosen.
        start: weights to begin from.
        watch: the time it may take.

    Raises:
        RungError: the time does not hold it.
    """
    task, answer, weight = before
    fitter = _ClassFitter(task, rows, rows, Clock(watch))
    fitter.link = answer.link
    scorer = fitter.clock.solve(fitter.problem_of(rows), 1 / (weight * len(rows[1])), start, fitter.steps, 1.0)
    fitter.clock.hold()
    return Found(Answer(scorer, answer.link, answer.correction), 0.0, fitter.clock.flops, {})


def fit_values_again(rows: Rows, before: Before, start: Scorer, watch: Watch) -> Found:
    """Fit ridge regression to other rows under a penalty and on a scale that were chosen before; arguments as above."""
    _, answer, weight = before
    assert answer.scale is not None
    clock = Clock(watch)
    scale = scale_of(rows[1], answer.scale.shift is not None)
    scaled = scale.to_trees(rows[1])
    scorer = _values_solver(rows[0], clock, 1.0)(scaled)(1 / (weight * len(scaled)), start)
    clock.hold()
    return Found(Answer(scorer, "none", answer.correction, scale, *_bounds(scaled, scale)), 0.0, clock.flops, {})


@final
class _ClassFitter:
    """Fits logistic regressions for one penalty after another."""

    def __init__(self, task: TaskSpec, rows: Rows, held: Rows, clock: Clock) -> None:
        self.task, self.rows, self.held, self.clock = task, rows, held, clock
        self.sparse = not isinstance(rows[0], np.ndarray)
        two = len(task.classes) == 2
        self.link: Links = "sigmoid" if two else "one against the rest" if self.sparse else "softmax"
        self.outputs = 1 if two else len(task.classes)
        self.steps = STEPS[self.sparse]
        self.judge = Judge(task, held[1], class_weights(task, held[1]), None)
        self.first = START / max(_mean_length(rows[0]), 1e-12)

    def problem_of(self, rows: Rows) -> Problem:
        loss: type[Loss] = Softmax if self.link == "softmax" else Logistic
        return Problem(rows[0], loss(rows[1], self.outputs, class_weights(self.task, rows[1])), self.outputs)

    def judged(self, scorer: Scorer, held: Any) -> tuple[Answer, float]:
        """Give the loss on the held-out rows, and the correction it is reached with."""
        answer = Answer(scorer, self.link)
        loss = self.judge.loss(answer.chances(held))
        return replace(answer, correction=self.judge.correction), loss

    def search_rows(self, random: np.random.Generator) -> tuple[Rows, NDArray[np.int64] | None]:
        """Return all rows and None; or so many at random as a search can afford, and the features that they have."""
        matrix, target = self.rows
        cost = 4.0 * stored_cells(matrix) * self.outputs * self.steps
        affordable = int(len(target) * SEARCH_FLOPS[self.sparse] / max(cost, 1.0))
        count = max(SEARCH_ROWS, 100 * self.outputs, min(affordable, MOST_SEARCH_ROWS))
        if count >= len(target):
            return self.rows, None
        chosen = np.sort(random.choice(len(target), count, replace=False))
        some = matrix[chosen]
        used = np.unique(some.indices).astype(np.int64) if self.sparse else np.arange(matrix.shape[1])
        return (some[:, used], target[chosen]), used

    def search(self, rows: Rows, used: NDArray[np.int64] | None) -> tuple[Tried[Answer], int]:
        """Walk along the path of penalties; return the best and how many were tried."""
        problem = self.problem_of(rows)
        held = self.held[0] if used is None else self.held[0][:, used]
        tried: list[int] = []

        def visit(place: int, near: Answer | None) -> tuple[Answer, float]:
            alpha = 1 / (self.first * 10 ** (place / 2) * len(rows[1]))
            scorer = self.clock.solve(problem, alpha, near.scorer if near else None, self.steps, 0.4)
            answer, loss = self.judged(scorer, held)
            tried.append(place)
            self.clock.watch.tell(min(0.9, len(tried) / 8), valid=loss, step=len(tried))
            return answer, loss

        ratio = len(self.rows[1]) / len(rows[1])  # what the fit of all rows will cost, in fits of the search
        return walk(visit, lambda: self.clock.has_time(ratio), fine=self.outputs == 1 or not self.sparse), len(tried)


def fit_values(task: TaskSpec, rows: Rows, held: Rows, _random: np.random.Generator, watch: Watch) -> Found:
    """Fit ridge regression to the target, and where it has a long tail to its logarithm; arguments as above."""
    matrix, target = rows
    logarithms = (False, True) if wants_logarithm(target) else (False,)
    clock = Clock(watch)
    solver = _values_solver(matrix, clock)
    found: list[Found] = []
    for place, logarithm in enumerate(logarithms):
        section = watch.part(place / len(logarithms), (place + 1) / len(logarithms))
        if not found or clock.has_time():
            found.append(_fit_scaled(task, rows, held, scale_of(target, logarithm), (solver, clock, section)))
    best = min(found, key=lambda each: each.loss)
    return replace(best, flops=clock.flops, plan=best.plan | _stopped(clock))


_Solver = Callable[[NDArray[np.float64]], Callable[[float, Scorer | None], Scorer]]


def _values_solver(matrix: Any, clock: Clock, share: float = 0.4) -> _Solver:
    """Return a function from a target to a function from (α, start) to weights.

    Args:
        matrix: features.
        clock: the time.
        share: of the time left that one descent may take.
    """
    if isinstance(matrix, np.ndarray) and min(matrix.shape) <= CLOSED_FORM:
        ridge = Ridge(matrix)
        clock.flops += ridge.flops

        def exact(target: NDArray[np.float64]) -> Callable[[float, Scorer | None], Scorer]:
            aim: Aim = ridge.aim(target)

            def solve(alpha: float, _start: Scorer | None) -> Scorer:
                weights, bias = ridge.solve(aim, alpha)
                return Scorer(weights.astype(np.float32)[:, None], np.array([bias], dtype=np.float32))

            return solve

        return exact

    def descent(target: NDArray[np.float64]) -> Callable[[float, Scorer | None], Scorer]:
        problem = Problem(matrix, Squared(target.astype(np.float32), 1), 1)
        return lambda alpha, start: clock.solve(problem, alpha, start, 100, share)

    return descent


def _fit_scaled(task: TaskSpec, rows: Rows, held: Rows, scale: Scale, means: tuple[_Solver, Clock, Watch]) -> Found:
    """Walk the path of penalties for one scale of the target."""
    solver, clock, watch = means
    scaled = scale.to_trees(rows[1])
    judge = Judge(task, held[1], None, scale)
    first = START / max(_mean_length(rows[0]), 1e-12)
    bounds = _bounds(scaled, scale)
    solve = solver(scaled)
    places: list[int] = []

    def visit(place: int, near: Answer | None) -> tuple[Answer, float]:
        scorer = solve(1 / (first * 10 ** (place / 2) * len(scaled)), near.scorer if near else None)
        answer = Answer(scorer, "none", 1.0, scale, *bounds)
        loss = judge.loss(answer.bounded(held[0]))
        watch.tell(min(1.0, len(places) / 8), valid=loss)
        places.append(place)
        return replace(answer, correction=judge.correction), loss

    best = walk(visit, clock.has_time)
    plan = {"C": first * 10 ** (best.place / 2), "link": "none", "correction": best.candidate.correction}
    plan |= {
        "target": say("plan.logarithm") if scale.shift is not None else say("plan.as it is"),
        "penalties_tried": len(places),
    }
    return Found(best.candidate, best.loss, 0.0, plan)


def _bounds(scaled: NDArray[np.float64], scale: Scale) -> tuple[float, float]:
    """Return how low and high the scores of a logarithm may go; those of plain values are free."""
    margin = 0.25 * float(np.ptp(scaled)) if scale.shift is not None else np.inf
    return max(-1e300, float(scaled.min()) - margin), min(1e300, float(scaled.max()) + margin)


def _spread(scorer: Scorer, used: NDArray[np.int64], features: int) -> Scorer:
    """Give weights of some features a place among all."""
    weights = np.zeros((features, scorer.weights.shape[1]), dtype=np.float32)
    weights[used] = scorer.weights
    return Scorer(weights, scorer.bias)


def _mean_length(matrix: Any) -> float:
    """Mean squared length of the rows."""
    values = matrix if isinstance(matrix, np.ndarray) else matrix.data
    return float(np.dot(values.ravel(), values.ravel())) / max(1, matrix.shape[0])


def _stopped(clock: Clock) -> dict[str, str]:
    return {"stopped": say("stopped.weights")} if clock.cut else {}

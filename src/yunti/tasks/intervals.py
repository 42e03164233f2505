"""How sure a score is, and whether two models differ: the bootstrap over rows, or over clusters of rows.

A score is a function of sums over rows (see `yunti.tasks.pieces`), so a resample costs one row of a matrix product.
Beyond 4,096 rows the rows are first dealt at random into 4,096 groups, and groups are drawn: that leaves the
variance of a sum unbiased, with a relative error of its root of 1/√(2·4096) = 1.1 %, and makes the time independent of
the number of rows.

Sources: Efron and Tibshirani (1993), "An introduction to the bootstrap", chapter 14 (BCa); Hesterberg (2015), "What
teachers should know about the bootstrap", 5.3 (wider quantiles for few rows, by Student's t); Field and Welsh (2007),
"Bootstrapping clustered data"; Wilson (1927) for shares near 0 or 1, where Brown, Cai and DasGupta (2001), "Interval
estimation for a binomial proportion", show that intervals centred at the estimate fall short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from yunti.seeds import generator
from yunti.specs import TaskSpec
from yunti.tasks.classification import chosen
from yunti.tasks.metrics import metric_named
from yunti.tasks.pieces import Floats
from yunti.tasks.task import check

RESAMPLES = 2000
GROUPS = 4096
FEW = 10  # with fewer wrong rows many a resample holds none of them
SHARES = ("accuracy", "balanced_accuracy", "macro_f1")
BOUNDED = (*SHARES, "roc_auc")
AT_A_TIME = 2_000_000  # numbers drawn at once, so that memory stays bounded


@final
@dataclass(frozen=True)
class Paired:
    """By how much the second model is better than the first on the same rows.

    Args:
        difference: of the scores, turned so that above 0 the second is better, in the unit of the metric.
        low: lower end of the interval.
        high: upper end; the models cannot be told apart when low <= 0 <= high.
    """

    difference: float
    low: float
    high: float


def interval(
    spec: TaskSpec,
    target: NDArray[Any],
    prediction: NDArray[Any],
    *,
    seed: int,
    clusters: NDArray[Any] | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the interval of a score by the bias-corrected and accelerated bootstrap (BCa); it always holds the score.

    Two cases take Wilson's interval, which has a width where the bootstrap has none: accuracy, balanced accuracy and
    macro-F1 with fewer than 10 wrong rows, and any of these or AUC when all resamples score the same. The number of
    rows in Wilson's formula is that of all rows (accuracy), K²/Σ(1/n_c) over the K classes with n_c rows (balanced
    accuracy, macro-F1), or the smallest n_c (AUC); with clusters it shrinks by clusters/rows.

    Args:
        spec: the task; its metric is the one that is scored.
        target: shape (rows,), as in `yunti.tasks.task.score`.
        prediction: shape (rows, classes) or (rows,).
        seed: the same seed gives the same interval.
        clusters: shape (rows,); rows with the same value are drawn together (a speaker, a document). With fewer than
            two clusters it is passed over; with fewer than ten the interval is somewhat too narrow.
        level: share of samples whose interval holds the true score, 0 to 1.

    Raises:
        RungError: as in `yunti.tasks.task.score`.

    Example:
        >>> spec = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
        >>> low, high = interval(spec, np.zeros(100, int), np.array([[0.9, 0.1]] * 100), seed=0)
        >>> round(low, 3), high
        (0.963, 1.0)
    """
    check(spec, target, prediction)
    groups, count, units = _groups(len(target), clusters, seed)
    pieces = metric_named(spec.metric).pieces(target, prediction)
    score = pieces.score()
    if units == len(target) and _few_to_draw(spec, target, prediction):
        return _wilson(score, _effective_rows(spec, target), level)
    low, high = _bootstrap(pieces.sums(groups, count), pieces.combine, level, seed)
    if low == high and spec.metric in BOUNDED:
        return _wilson(score, _effective_rows(spec, target) * units / len(target), level)
    return min(low, score), max(high, score)


def paired(
    spec: TaskSpec,
    target: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    *,
    seed: int,
    clusters: NDArray[Any] | None = None,
    level: float = 0.90,
) -> Paired:
    """Compare two models on the same rows: both are scored on the same resamples, so what they share cancels.

    Args:
        spec: the task; its metric is the one that is compared.
        target: shape (rows,), as in `yunti.tasks.task.score`.
        first: predictions of the first model, shape (rows, classes) or (rows,).
        second: predictions of the second model, same shape.
        seed: the same seed gives the same result.
        clusters: shape (rows,); rows with the same value are drawn together.
        level: of the interval; when the models are equal, 0 lies outside of it in a share of 1 - level of samples.

    Raises:
        RungError: as in `yunti.tasks.task.score`.
    """
    check(spec, target, first)
    check(spec, target, second)
    groups, count, _ = _groups(len(target), clusters, seed)
    metric = metric_named(spec.metric)
    one, two = metric.pieces(target, first), metric.pieces(target, second)
    sign = 1.0 if metric.direction == "higher" else -1.0

    def difference(sums: Floats) -> Floats:
        return sign * (two.combine(sums[..., one.width :]) - one.combine(sums[..., : one.width]))

    sums = np.concatenate([one.sums(groups, count), two.sums(groups, count)], axis=1)
    found = sign * (two.score() - one.score())
    low, high = _bootstrap(sums, difference, level, seed)
    return Paired(found, min(low, found), max(high, found))


def _groups(rows: int, clusters: NDArray[Any] | None, seed: int) -> tuple[NDArray[np.int64], int, int]:
    """Return the group of each row, the number of groups, and the number of units (clusters, or rows)."""
    unit, units = np.arange(rows), rows
    if clusters is not None:
        names, codes = np.unique(clusters, return_inverse=True)
        if len(names) > 1:
            unit, units = codes.astype(np.int64), len(names)
    if units <= GROUPS:
        return unit, units, units
    dealt = generator(seed, "intervals", "groups").permutation(units) % GROUPS
    return dealt[unit], GROUPS, units


def _bootstrap(sums: Floats, combine: Callable[[Floats], Floats], level: float, seed: int) -> tuple[float, float]:
    """Return the BCa interval of `combine` of the column sums, drawing the rows of `sums`, shape (groups, width)."""
    score = float(combine(sums.sum(axis=0)))
    drawn = combine(_resampled(sums, seed))
    bias = ndtri(np.clip(np.mean(drawn < score) + np.mean(drawn == score) / 2, 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    normal = bias + _widened([(1 - level) / 2, (1 + level) / 2], len(sums))
    shares = ndtr(bias + normal / np.maximum(0.01, 1 - _acceleration(sums, combine) * normal))
    low, high = np.quantile(drawn, shares)
    return float(low), float(high)


def _widened(shares: list[float], count: int) -> Floats:
    """Return the normal quantiles, widened for few groups: the bootstrap takes the spread with 1/n for 1/(n − 1)."""
    freedom = max(1, count - 1)
    quantiles: Floats = np.sqrt(count / freedom) * stdtrit(freedom, shares)
    return quantiles


def _resampled(sums: Floats, seed: int) -> Floats:
    """Draw as many groups as there are, with replacement, and add them up; shape (resamples, width)."""
    count = len(sums)
    random = generator(seed, "intervals", "resamples")
    at_once = max(1, AT_A_TIME // count)
    result = []
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        drawn = random.integers(0, count, size=(size, count)) + np.arange(size)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        result.append(times.astype(np.float64) @ sums)
    return np.concatenate(result)


def _acceleration(sums: Floats, combine: Callable[[Floats], Floats]) -> float:
    """Return how the spread changes with the score: a sixth of the skewness of the jackknife."""
    if len(sums) < 3:
        return 0.0
    left_out = combine(sums.sum(axis=0) - sums)
    move = left_out.mean() - left_out
    spread = float(np.sum(move**2))
    return float(np.sum(move**3)) / (6 * spread**1.5) if spread > 0 else 0.0


def _few_to_draw(spec: TaskSpec, target: NDArray[Any], prediction: NDArray[Any]) -> bool:
    if spec.metric not in SHARES:
        return False
    wrong = int(np.sum(chosen(prediction) != target))
    return wrong < FEW or (spec.metric == "accuracy" and len(target) - wrong < FEW)


def _effective_rows(spec: TaskSpec, target: NDArray[Any]) -> float:
    rows = np.bincount(target)
    rows = rows[rows > 0]
    if spec.metric == "accuracy":
        return float(len(target))
    if spec.metric == "roc_auc":
        return float(rows.min()) if len(rows) > 1 else 0.0
    return float(len(rows) ** 2 / np.sum(1 / rows))


def _wilson(share: float, rows: float, level: float) -> tuple[float, float]:
    """Return Wilson's score interval: all shares p with |share − p| ≤ z·√(p(1 − p)/rows)."""
    if rows <= 0:
        return 0.0, 1.0
    z = float(ndtri((1 + level) / 2))
    middle = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return max(0.0, min(share, float(middle - half))), min(1.0, max(share, float(middle + half)))

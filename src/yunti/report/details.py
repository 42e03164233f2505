"""What the validation rows tell about a rung: which classes it confuses, how honest its probabilities are, its errors.

Predictions of classes are probabilities, shape (rows, classes), and `target` holds codes; predictions of values and
their `target` have shape (rows,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from yunti.tasks.classification import BINS, chosen

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion(target: NDArray[Any], probabilities: NDArray[Any]) -> Counts:
    """Count the rows of every true class (first axis) by the class that is predicted (second axis).

    Example:
        >>> confusion(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])).tolist()
        [[1, 0], [1, 1]]

    Source: scikit-learn `confusion_matrix`.
    """
    classes = probabilities.shape[1]
    places = target.astype(np.int64) * classes + chosen(probabilities)
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


def confused_pairs(matrix: Counts, most: int) -> list[tuple[int, int, int]]:
    """Return the pairs of classes that are confused most: (true class, predicted class, rows), most rows first."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(place // len(matrix)), int(place % len(matrix))) for place in order]
    return [(true, guess, int(wrong[true, guess])) for true, guess in pairs if wrong[true, guess]]


@final
@dataclass(frozen=True, eq=False)
class PerClass:
    """Scores of every class, shape (classes,): NaN where there is nothing to divide by.

    Args:
        precision: of the rows that were predicted as the class, the share that are of it.
        recall: of the rows of the class, the share that were found.
        f1: the harmonic mean of both: 2 · hits / (rows of the class + rows predicted as it).
        rows: of the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    rows: Counts


def per_class(matrix: Counts) -> PerClass:
    """Score every class of a confusion matrix.

    Source: scikit-learn `precision_recall_fscore_support`.
    """
    hits, rows, guessed = np.diag(matrix).astype(np.float64), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return PerClass(hits / guessed, hits / rows, 2 * hits / (rows + guessed), rows)


@final
@dataclass(frozen=True)
class Bin:
    """Rows whose most probable class was given a probability in (low, high].

    Args:
        low: end of the bin.
        high: its other end.
        rows: in the bin.
        stated: mean probability that was stated.
        right: share of the rows that were right.
        right_low: lower end of the 95 % interval of that share (Wilson).
        right_high: its upper end.
    """

    low: float
    high: float
    rows: int
    stated: float
    right: float
    right_low: float
    right_high: float


def calibration(target: NDArray[Any], probabilities: NDArray[Any], bins: int = BINS) -> list[Bin]:
    """Compare the probability that is stated with the share that proves right, in bins of equal width; only bins with
    rows.

    Σ rows · |stated − right| / Σ rows is the expected calibration error (`yunti.tasks.classification`).
    """
    stated = probabilities.max(axis=1).astype(np.float64)
    right = (chosen(probabilities) == target).astype(np.float64)
    place = np.clip(np.ceil(stated * bins).astype(np.int64) - 1, 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (stated, right)]
    found = []
    for each in np.flatnonzero(rows):
        share = sums[1][each] / rows[each]
        low, high = wilson(share, int(rows[each]))
        middle = sums[0][each] / rows[each]
        found.append(Bin(each / bins, (each + 1) / bins, int(rows[each]), float(middle), float(share), low, high))
    return found


def wilson(share: float, rows: float, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share by Wilson's formula.

    Example:
        >>> low, high = wilson(0.9, 100)
        >>> round(low, 3), round(high, 3)
        (0.826, 0.945)

    Source: Wilson (1927); statsmodels `proportion_confint` with method="wilson".
    """
    z = float(ndtri((1 + level) / 2))
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def worst_rows(target: NDArray[Any], prediction: NDArray[Any], most: int) -> Counts:
    """Return the places of the rows that are answered worst, the worst first.

    Of classes, the rows that are wrong, by how much more probable the predicted class was called than the true one;
    of values, the rows with the largest errors.

    Example:
        >>> worst_rows(np.array([1.0, 5.0, 2.0]), np.array([1.5, 1.0, 2.0]), 2).tolist()
        [1, 0]
    """
    if prediction.ndim == 1:
        error = np.abs(prediction - target)
        return np.argsort(-error, kind="stable")[:most]
    rows = np.arange(len(target))
    lead = prediction.max(axis=1) - prediction[rows, target]
    wrong = np.flatnonzero(chosen(prediction) != target)
    return wrong[np.argsort(-lead[wrong], kind="stable")[:most]]

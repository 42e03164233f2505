"""Scores of classification: `target` holds codes, shape (rows,); `prediction` probabilities, shape (rows, classes).

In the formulas n is the number of rows, tᵢ the class of row i, pᵢ(c) the probability given to class c, and
ŷᵢ = argmax p(c) the class that is predicted (the first one among equals).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.tasks.pieces import Floats, Pieces, mean_of

Codes = NDArray[np.integer[Any]]
Probabilities = NDArray[np.floating[Any]]

BINS = 15  # as in Guo et al. (2017), so that figures compare with the literature
SMALLEST = float(np.finfo(np.float32).eps)  # probabilities come as float32, which knows no smaller step below 1


def decode(prediction: Probabilities, classes: tuple[str, ...]) -> NDArray[np.object_]:
    """Return the most probable label of each row.

    Args:
        prediction: shape (rows, classes).
        classes: the labels in the order of the probabilities.

    Returns:
        Shape (rows,), strings.
    """
    return np.array(classes, dtype=object)[chosen(prediction)]


def chosen(prediction: Probabilities) -> NDArray[np.int64]:
    """Return the code of the most probable class of each row, shape (rows,)."""
    codes: NDArray[np.int64] = np.argmax(prediction, axis=1)
    return codes


def accuracy(target: Codes, prediction: Probabilities) -> float:
    """Share of rows whose most probable class is the true one: (1/n) Σ [ŷᵢ = tᵢ].

    Example:
        >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))
        0.5

    Source: scikit-learn `accuracy_score`.
    """
    return float(np.mean(chosen(prediction) == target))


def accuracy_pieces(target: Codes, prediction: Probabilities) -> Pieces:
    """Return accuracy as a mean over rows."""
    return mean_of(chosen(prediction) == target)


def balanced_accuracy(target: Codes, prediction: Probabilities) -> float:
    """Mean recall: (1/K) Σ_c (rows of class c predicted as c) / (rows of class c), over the K classes in `target`.

    A class without rows is left out of the mean.

    Source: Brodersen et al. (2010), "The balanced accuracy and its posterior distribution"; scikit-learn
    `balanced_accuracy_score`.
    """
    return balanced_accuracy_pieces(target, prediction).score()


def balanced_accuracy_pieces(target: Codes, prediction: Probabilities) -> Pieces:
    """Return balanced accuracy as a function of rows and hits per class."""
    classes = prediction.shape[1]

    def combine(sums: Floats) -> Floats:
        rows, hits = sums[..., :classes], sums[..., classes:]
        recall = _ratio(hits, rows)
        return _ratio(recall.sum(-1), (rows > 0).sum(-1))

    columns = np.column_stack([target, target + classes]).astype(np.int64)
    values = np.column_stack([np.ones(len(target)), chosen(prediction) == target])
    return Pieces(columns, values, 2 * classes, combine)


def macro_f1(target: Codes, prediction: Probabilities) -> float:
    """Mean over classes of F1_c = 2·TP_c / (rows of class c + rows predicted as c).

    TP_c counts the rows of class c that are predicted as c. The mean is over the classes that are in `target` or are
    predicted; a class that is in neither is left out.

    Source: Opitz and Burst (2019), "Macro F1 and Macro F1" (the mean of F1, not F1 of means); scikit-learn `f1_score`
    with average="macro".
    """
    return macro_f1_pieces(target, prediction).score()


def macro_f1_pieces(target: Codes, prediction: Probabilities) -> Pieces:
    """Return macro-F1 as a function of hits, rows and predictions per class."""
    classes = prediction.shape[1]
    predicted = chosen(prediction)

    def combine(sums: Floats) -> Floats:
        hits, seen = sums[..., :classes], sums[..., classes : 2 * classes] + sums[..., 2 * classes :]
        return _ratio(_ratio(2 * hits, seen).sum(-1), (seen > 0).sum(-1))

    columns = np.column_stack([target, target + classes, predicted + 2 * classes]).astype(np.int64)
    values = np.column_stack([predicted == target, np.ones(len(target)), np.ones(len(target))])
    return Pieces(columns, values, 3 * classes, combine)


def log_loss(target: Codes, prediction: Probabilities) -> float:
    """Mean surprise, in nats: −(1/n) Σ ln pᵢ(tᵢ), with p kept within ε and 1 − ε, ε = 2⁻²³.

    Without the bound one row that was given probability 0 would make the loss infinite.

    Source: Good (1952), "Rational decisions"; scikit-learn `log_loss`, whose ε for float32 it is.
    """
    return float(np.mean(_surprise(target, prediction)))


def log_loss_pieces(target: Codes, prediction: Probabilities) -> Pieces:
    """Return log-loss as a mean over rows."""
    return mean_of(_surprise(target, prediction))


def _surprise(target: Codes, prediction: Probabilities) -> Floats:
    given = prediction[np.arange(len(target)), target].astype(np.float64)
    surprise: Floats = -np.log(np.clip(given, SMALLEST, 1 - SMALLEST))
    return surprise


def roc_auc(target: Codes, prediction: Probabilities) -> float:
    """Probability that a row of a class is given a higher probability of it than a row of another class.

    AUC_c = (Σ_{i of class c} Rᵢ − n₁(n₁ + 1)/2) / (n₁·n₀), with Rᵢ the rank of pᵢ(c) among all rows (equal values share
    their mean rank), n₁ the rows of class c and n₀ the others. With two classes it is AUC of the second; with more, the
    mean over the classes (one against the rest, macro). A class that has no rows, or all rows, is left out; when no
    class is left (all rows are of one class) the score is 0.5: nothing can be ranked.

    Source: Hanley and McNeil (1982), "The meaning and use of the area under a ROC curve"; scikit-learn `roc_auc_score`
    with multi_class="ovr", average="macro".
    """
    areas = [
        _area(np.ascontiguousarray(prediction[:, each]), target == each)[0]
        for each in _ranked_classes(target, prediction.shape[1])
    ]
    return float(np.mean(areas)) if areas else 0.5


def roc_auc_pieces(target: Codes, prediction: Probabilities) -> Pieces:
    """Return AUC, made linear in the rows on the scale of its logit, so that resamples stay within 0 and 1.

    Row i moves the area A by φᵢ/n: φᵢ = (n/n₁)(V₁ − A) for a row of the class, (n/n₀)(V₀ − A) for another one, with V
    the structural components of DeLong; over several classes φ is the mean.

    Source: DeLong, DeLong and Clarke-Pearson (1988); ranks as in Sun and Xu (2014), "Fast implementation of DeLong's
    algorithm"; logit as in Pepe (2003), "The statistical evaluation of medical tests", 5.2.
    """
    classes = _ranked_classes(target, prediction.shape[1])
    parts = [_area(np.ascontiguousarray(prediction[:, each]), target == each) for each in classes]
    area = float(np.mean([part[0] for part in parts])) if parts else 0.5
    influence = np.mean([part[1] for part in parts], axis=0) if parts else np.zeros(len(target))
    if not 0 < area < 1:
        return mean_of(influence, then=lambda mean: np.full(mean.shape, area))
    logit, slope = np.log(area / (1 - area)), 1 / (area * (1 - area))
    return mean_of(influence, then=lambda mean: 1 / (1 + np.exp(-(logit + slope * mean))))


def _ranked_classes(target: Codes, classes: int) -> list[int]:
    rows = np.bincount(target, minlength=classes)
    wanted = [1] if classes == 2 else range(classes)
    return [each for each in wanted if 0 < rows[each] < len(target)]


def _area(score: Probabilities, positive: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Return the area of one class, and by how much each row moves it (times the number of rows)."""
    order = np.argsort(score)
    score, ahead = score[order], positive[order]
    first = np.flatnonzero(np.concatenate([[True], score[1:] != score[:-1]]))  # where each run of equal values starts
    size = np.diff(np.append(first, len(score)))
    ours = np.add.reduceat(ahead, first, dtype=np.int64)
    others = size - ours
    below = np.cumsum(others) - others / 2  # other rows that lie lower than a run; those within it count a half
    above = ours.sum() - np.cumsum(ours) + ours / 2
    total, rest = int(ours.sum()), int(others.sum())
    area = float((ours * below).sum() / (total * rest))
    moves = np.where(ahead, np.repeat(below / rest - area, size) / total, np.repeat(above / total - area, size) / rest)
    influence = np.empty(len(score))
    influence[order] = moves * len(score)
    return area, influence


def calibration_error(target: Codes, prediction: Probabilities) -> float:
    """Expected calibration error of the most probable class, in 15 bins of equal width.

    ECE = Σ_b (n_b/n)·|acc_b − conf_b|; bin b holds the rows whose highest probability lies in ((b − 1)/15, b/15], acc_b
    is their accuracy and conf_b the mean of their highest probabilities. It is biased upwards on few rows: noise
    in a bin counts as error.

    Source: Guo et al. (2017), "On calibration of modern neural networks", equation 3.
    """
    return calibration_error_pieces(target, prediction).score()


def calibration_error_pieces(target: Codes, prediction: Probabilities) -> Pieces:
    """Return the calibration error as a function of Σ(hit − confidence) per bin and the number of rows."""
    sure = prediction.max(axis=1).astype(np.float64)
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    columns = np.column_stack([place, np.full(len(target), BINS)])
    values = np.column_stack([(chosen(prediction) == target) - sure, np.ones(len(target))])
    return Pieces(columns, values, BINS + 1, lambda sums: np.abs(sums[..., :BINS]).sum(-1) / sums[..., BINS])


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """Divide; 0 where the divisor is 0."""
    ratio: Floats = np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)
    return ratio

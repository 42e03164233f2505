"""How boosted trees grow: rounds, rate and shape of the trees, from the size of the data alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.specs import TaskSpec
from yunti.words import say

MOST_WORK = 1.5e11  # of one fit, in histogram additions: about a minute and a half on two cores
WORK_PER_SECOND = 0.6e9  # of one core; 1e9 were measured, so that this leaves a margin
ROW_WORK = 20  # gradients, sorting into leaves and scores cost a row as much as so many more features
BINNING_CELLS_PER_SECOND = 1.5e7
WIDE = 200  # dense features beyond which a tree looks at a part of them
PART_OF_WIDE = 100
FASTEST = 0.3  # the highest learning rate
LEAST_ROUNDS, USUAL_ROUNDS, MOST_ROUNDS = 250, 1000, 4000  # the least by size; short time may want fewer
BAGGED_ROWS = 5000
BAGS = 8
HUGE_ROWS = 1_000_000

REASONS = {
    "learning_rate": say("boosting.learning rate"),
    "rounds": say("boosting.rounds", rounds=MOST_ROUNDS),
    "leaves": say("boosting.leaves"),
    "least_rows": say("boosting.least rows"),
    "feature_share": say("boosting.feature share", wide=WIDE, part=PART_OF_WIDE),
    "bins": say("boosting.bins"),
    "bags": say("boosting.bags", rows=BAGGED_ROWS),
}


@final
@dataclass(frozen=True)
class Growth:
    """What one fit does.

    Args:
        rounds: boosting rounds at most; a round grows one tree a class, or one.
        learning_rate: weight of every tree.
        patience: rounds without a better validation loss after which it stops.
        leaves: leaves of a tree at most.
        least_rows: rows of a leaf at least.
        row_share: share of the rows that a tree sees.
        feature_share: share of the features that a tree sees.
        bins: histogram bins of a feature at most.
        bags: number of models that are averaged.
        rows: number of training rows that are used.
        leaf_penalty: added to the sum of second derivatives by which a leaf's value is divided (L2).
    """

    rounds: int
    learning_rate: float
    patience: int
    leaves: int
    least_rows: int
    row_share: float
    feature_share: float
    bins: int
    bags: int
    rows: int
    leaf_penalty: float = 0.0

    def adds(self, features: int, outputs: int) -> float:
        """Count the histogram additions of all rounds of one model.

        Every level of a tree adds gradient and Hessian of each of its rows to one bin of each feature; from the second
        level on only for the smaller half of each node's rows, the other half is found by subtraction:
        2 · rounds · trees a round · rows seen · features seen · (1 + log2(leaves) / 2).
        """
        cells = self.rows * self.row_share * max(1.0, features * self.feature_share)
        return 2.0 * self.rounds * outputs * cells * (1 + math.log2(max(2, self.leaves)) / 2)

    def work(self, features: int, outputs: int) -> float:
        """Estimate the time of one model in units of a histogram addition: with what a row and a histogram cost."""
        seen = max(1.0, features * self.feature_share)
        searched = 2.0 * self.rounds * outputs * self.leaves * seen * self.bins
        return self.adds(features, outputs) * (seen + ROW_WORK) / seen + searched


def growth_for(task: TaskSpec, rows: int, features: int, dial: float, groups: int | None = None) -> Growth:
    """Derive everything from the size of the data.

    Args:
        task: what is asked.
        rows: training rows.
        features: number of features.
        dial: 1.0 is the usual size of the trees; 0.5 gives half the leaves.
        groups: number of groups that must stay together, if there are any: fewer than folds cannot be dealt out.

    Source: Holzmüller, Grinsztajn and Steinwart (2024), Better by default, NeurIPS (LGBM-TD in pytabkit).
    """
    classifies = task.name == "classification"
    full = Growth(
        rounds=MOST_ROUNDS,
        learning_rate=0.04 if classifies else 0.05,
        patience=100,
        leaves=max(2, round((50 if classifies else 100) * dial)),
        least_rows=min(40, max(3, rows // 50)) if classifies else 3,
        row_share=0.75 if classifies else 0.7,
        feature_share=1.0,
        bins=63 if features > WIDE or rows >= HUGE_ROWS else 255,
        bags=BAGS if rows < BAGGED_ROWS and (groups is None or groups >= BAGS) else 1,
        rows=rows,
    )
    excess = replace(full, rounds=USUAL_ROUNDS).work(features, outputs_of(task)) / MOST_WORK
    if excess > 1 and features > WIDE:
        full = replace(full, feature_share=max(1 / excess, PART_OF_WIDE / features))
    excess = full.work(features, outputs_of(task)) / MOST_WORK
    return shortened(full, min(excess, MOST_ROUNDS / LEAST_ROUNDS))


def shortened(growth: Growth, factor: float) -> Growth:
    """Give `factor` times fewer rounds; of fewer than usual each counts for more. As it is where that is at most 1.

    Trees that count for more need a penalty on their leaves, as XGBoost has it by default (Chen and Guestrin, 2016):
    with many classes the second derivatives of a leaf's rows are next to nothing, and without it the loss explodes.
    """
    if factor <= 1:
        return growth
    rounds = max(10, int(growth.rounds / factor))
    rate = min(FASTEST, growth.learning_rate * max(1.0, min(growth.rounds, USUAL_ROUNDS) / rounds))
    penalty = 1.0 if rate > growth.learning_rate else growth.leaf_penalty
    patience = max(10, min(growth.patience, rounds // 5))
    return replace(growth, rounds=rounds, learning_rate=rate, patience=patience, leaf_penalty=penalty)


def fitting(growth: Growth, features: int, outputs: int, seconds: float, cores: int) -> Growth:
    """Shorten a fit that clearly does not hold in the time, by powers of 2^¼: about the same time gives the same plan.

    Args:
        growth: as the size of the data wants it.
        features: number of features.
        outputs: trees a round.
        seconds: time left.
        cores: processor cores that work.
    """
    pace = WORK_PER_SECOND * cores
    binning = growth.rows * max(1, features) / (BINNING_CELLS_PER_SECOND * cores)
    while binning > seconds / 4 and growth.rows > 1000:
        growth, binning = replace(growth, rows=growth.rows // 2), binning / 2
    # early stopping mostly ends a fit long before its last round, and the clock ends it where it does not
    likely = replace(growth, rounds=min(growth.rounds, USUAL_ROUNDS))
    needed = growth.bags * likely.work(features, outputs) / pace
    while needed > seconds and growth.bags > 1:
        growth, needed = replace(growth, bags=growth.bags // 2), needed / 2
    if needed <= seconds:
        return growth
    quarters = math.ceil(4 * math.log2(needed / max(seconds, 1e-3)))
    return shortened(replace(growth, rounds=likely.rounds), 2.0 ** (quarters / 4))


def outputs_of(task: TaskSpec) -> int:
    """Return the trees of a round: one a class from three classes on, else one."""
    return len(task.classes) if len(task.classes) > 2 else 1


def class_weights(task: TaskSpec, target: NDArray[Any]) -> NDArray[np.float64] | None:
    """Weigh rows so that all classes count the same, where the metric counts them so; else None.

    Returns:
        Shape (rows,): rows / (classes · rows of its class), as scikit-learn's "balanced".
    """
    if task.metric not in ("balanced_accuracy", "macro_f1"):
        return None
    counts = np.bincount(target, minlength=len(task.classes))
    weights: NDArray[np.float64] = (len(target) / (np.count_nonzero(counts) * np.maximum(counts, 1)))[target]
    return weights


def folds(
    target: NDArray[Any], count: int, random: np.random.Generator, groups: NDArray[np.int64] | None = None
) -> Sequence[NDArray[np.int64]]:
    """Deal rows out to folds so that each has the target's distribution: by class, or along its sorted values.

    Where rows belong to groups, whole groups are dealt out, the largest first, each to the fold with the fewest rows.

    Args:
        target: shape (rows,).
        count: number of folds; there must be as many groups.
        random: how to deal.
        groups: shape (rows,), or None.

    Returns:
        The rows of every fold.
    """
    if groups is not None:
        return _folds_of_groups(groups, count, random)
    mixed = random.permutation(len(target))
    ordered = mixed[np.argsort(target[mixed], kind="stable")]
    fold = np.empty(len(target), dtype=np.int64)
    for start in range(0, len(target), count):
        block = ordered[start : start + count]
        fold[block] = random.permutation(count)[: len(block)]
    return [np.flatnonzero(fold == each) for each in range(count)]


def _folds_of_groups(groups: NDArray[np.int64], count: int, random: np.random.Generator) -> Sequence[NDArray[np.int64]]:
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = random.permutation(len(sizes))
    filled, fold = np.zeros(count, dtype=np.int64), np.empty(len(sizes), dtype=np.int64)
    for each in order[np.argsort(-sizes[order], kind="stable")]:
        fold[each] = filled.argmin()
        filled[fold[each]] += sizes[each]
    return [np.flatnonzero(fold[group] == each) for each in range(count)]

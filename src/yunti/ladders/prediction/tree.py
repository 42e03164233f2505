"""One decision tree: questions about single columns, as deep as the validation rows allow."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples
from yunti.ladders.prediction.featured import Featured
from yunti.ladders.prediction.growth import class_weights
from yunti.ladders.rung import Rung, share_by_kind, too_little
from yunti.models.contract import Model, Parts, Size, Watch
from yunti.seeds import seed_for
from yunti.specs import Spec
from yunti.words import say

LEAST_ROWS = 10
MOST_CELLS = 1e7  # of the rows that a tree is grown from: growing cannot be broken off
CELLS_PER_SECOND = 5e5  # grown to the end, with a margin: 1.4e6 were measured
SPLITS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # rows that a node must have to be split
DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24)
PRIOR_ROWS = 1.0  # a leaf's shares are mixed with as many rows of the whole's shares

REASONS = {
    "min_samples_split": say("tree.min_samples_split"),
    "max_depth": say("tree.max_depth"),
    "shares": say("tree.shares", rows=PRIOR_ROWS),
    "rows": say("tree.rows", cells=MOST_CELLS),
}


@final
class DecisionTree(Featured):
    """One tree by scikit-learn (CART).

    A full tree is grown once; where to cut it is read off its nodes, because a smaller tree asks the same questions
    first. The chosen one is then grown. Its operations are comparisons of sorting: Σ over the nodes of the trees of
    rows · features · log2(training rows).

    Args:
        spec: the columns and the task.
        size: the dial multiplies the greatest depth that is tried.
    """

    view = "raw"

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec, size)
        self._tree: Any = None

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn from the training rows; the validation rows choose where to cut."""
        features = self.learn_features(train)
        rows = self._rows(len(train), len(features.names), watch.left)
        matrix = features.transform(train.table.take(slice(0, rows)))
        target = np.asarray(train.target[:rows])
        watch.tell(0.3)
        full = self._grown(matrix, target, {"min_samples_split": SPLITS[0]})
        watch.tell(0.6)
        cut = self._choose(full, features.transform(valid.table), np.asarray(valid.target))
        self._tree = self._grown(matrix, target, cut)
        grown = [full.tree_.n_node_samples.sum(), self._tree.tree_.n_node_samples.sum()]
        self._train_flops = float(sum(grown) * matrix.shape[1] * np.log2(max(2, rows)))
        self._plan = {**cut, "rows": rows, "features": matrix.shape[1], "leaves": int(self._tree.get_n_leaves())}
        self._plan |= {"depth": int(self._tree.get_depth()), "reasons": REASONS}
        if rows < min(len(train), self._rows(len(train), matrix.shape[1], float("inf"))):
            self._plan["shortened"] = say("shortened.tree", rows=rows, wanted=len(train))
        watch.tell(1.0)

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Grow a tree from other rows, cut where the first one was."""
        features = self.learn_features(rows)
        self.hold_all(self._rows(len(rows), len(features.names), watch.left), len(rows))
        matrix = features.transform(rows.table)
        watch.tell(0.4)
        cut = {name: self._plan[name] for name in ("min_samples_split", "max_depth")}
        self._tree = self._grown(matrix, np.asarray(rows.target), cut)
        self._train_flops = float(self._tree.tree_.n_node_samples.sum() * matrix.shape[1] * np.log2(max(2, len(rows))))
        self._plan |= {
            "rows": len(rows),
            "leaves": int(self._tree.get_n_leaves()),
            "depth": int(self._tree.get_depth()),
        }
        watch.tell(1.0)

    def _rows(self, rows: int, width: int, seconds: float) -> int:
        """Halve the rows until a tree of them can be grown twice in the time."""
        most = min(MOST_CELLS, seconds / 2.5 * CELLS_PER_SECOND)
        while rows * width > most and rows > 500:
            rows //= 2
        return rows

    def _grown(self, matrix: NDArray[np.float32], target: NDArray[Any], cut: dict[str, Any]) -> Any:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        seed = seed_for(self.spec.seed, "tree") % 2**31
        kind = DecisionTreeClassifier if self.spec.task.name == "classification" else DecisionTreeRegressor
        tree = kind(random_state=seed, **cut)
        return tree.fit(matrix, target, sample_weight=class_weights(self.spec.task, target))

    def _choose(self, full: Any, matrix: NDArray[np.float32], target: NDArray[Any]) -> dict[str, Any]:
        """Read off the full tree what each cut would lose on the validation rows; take the simplest of the best."""
        answers = leaf_answers(full, self.spec)
        weights = class_weights(self.spec.task, target)
        paths, depth, size_above = paths_of(full, matrix)
        most = max(1, round(DEPTHS[-1] * self.size.dial))
        depths = [each for each in DEPTHS if each < most] + [most]
        best, chosen = np.inf, {"min_samples_split": SPLITS[-1], "max_depth": depths[0]}
        for limit in depths:
            for least in reversed(SPLITS):
                reached = (depth[paths.indices] <= limit) & (size_above[paths.indices] >= least)
                nodes = np.maximum.reduceat(np.where(reached, paths.indices, 0), paths.indptr[:-1])
                loss = self._loss(answers[nodes], target, weights)
                if loss < best * (1 - 1e-9):
                    best, chosen = loss, {"min_samples_split": least, "max_depth": limit}
        return chosen

    def _loss(self, answers: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        if self.spec.task.name == "classification":
            losses = -np.log(answers[np.arange(len(target)), target])
            return float(np.average(losses, weights=weights))
        errors = answers - target
        return float(np.abs(errors).mean() if self.spec.task.metric == "mae" else (errors**2).mean())

    def answers(self, matrix: Any) -> NDArray[np.float32 | np.float64]:
        """Give every row the answer of its leaf."""
        result = leaf_answers(self._tree, self.spec)[self._tree.apply(matrix)]
        return result if self.spec.task.name == "regression" else result.astype(np.float32)

    @property
    def parameters(self) -> int:
        """Number of learned numbers: the answer of every leaf (a share a class) and the threshold of every split."""
        leaves = int(self._tree.get_n_leaves())
        return leaves * self.spec.outputs + leaves - 1

    def learned(self) -> Parts:
        """Return the tree."""
        return Parts(objects={"tree": self._tree})

    def relearn(self, parts: Parts) -> None:
        """Take the tree back."""
        self._tree = parts.objects["tree"]


def paths_of(tree: Any, matrix: NDArray[np.float32]) -> tuple[Any, NDArray[np.int64], NDArray[np.float64]]:
    """Follow rows down a tree.

    Returns:
        The nodes that each row passes (CSR, rows × nodes; a child's number is above its parent's), every node's depth,
        and the number of training rows of its parent (infinite for the root).
    """
    inner = tree.tree_
    depth = np.zeros(inner.node_count, dtype=np.int64)
    size_above = np.full(inner.node_count, np.inf)
    for node in np.flatnonzero(inner.children_left >= 0):
        children = [inner.children_left[node], inner.children_right[node]]
        depth[children] = depth[node] + 1
        size_above[children] = inner.n_node_samples[node]
    return tree.decision_path(matrix), depth, size_above


def leaf_answers(tree: Any, spec: Spec) -> NDArray[np.float64]:
    """Return the answer of every node: probabilities of shape (nodes, classes), or values of shape (nodes,)."""
    inner = tree.tree_
    if spec.task.name == "regression":
        values: NDArray[np.float64] = inner.value[:, 0, 0]
        return values
    shares = np.zeros((inner.node_count, spec.outputs))
    shares[:, tree.classes_.astype(np.int64)] = inner.value[:, 0, :] / inner.value[:, 0, :].sum(axis=1, keepdims=True)
    rows = inner.n_node_samples[:, None]
    prior = (shares[0] * rows[0] + 1) / (rows[0] + spec.outputs)
    mixed: NDArray[np.float64] = (shares * rows + prior * PRIOR_ROWS) / (rows + PRIOR_ROWS)
    return mixed


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_little(spec, LEAST_ROWS, say("purpose.tree"))


def build(spec: Spec, size: Size) -> Model:
    """Make the unfitted model."""
    return DecisionTree(spec, size)


RUNG = Rung(
    name="tree",
    era="traditional",
    idea=say("rung.tree"),
    source="Breiman et al. (1984), Classification and Regression Trees; scikit-learn",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(0.5),
)

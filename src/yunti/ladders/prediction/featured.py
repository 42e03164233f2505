"""What the traditional rungs share: they learn from features, a matrix of numbers for all kinds of columns."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples, Table
from yunti.errors import RungError
from yunti.ladders.prediction.matrices import matrices
from yunti.models.contract import Estimator, Parts, Size
from yunti.specs import Spec

if TYPE_CHECKING:
    from yunti.models.features import Features


class Featured(Estimator):
    """An estimator that knows its rows by their features, answers them chunk by chunk, and keeps its plan.

    Args:
        spec: the columns and the task.
        size: the dial.
    """

    view: ClassVar[Literal["raw", "scaled"]]
    copies: ClassVar[float] = 1.0  # of the features that are held while it fits, measured

    def __init__(self, spec: Spec, size: Size = Size()) -> None:  # noqa: B008  (a frozen value)
        super().__init__(spec, size)
        self._features: Features | None = None
        self._plan: dict[str, Any] = {}
        self._train_flops = 0.0

    @abstractmethod
    def answers(self, matrix: Any) -> NDArray[np.float32 | np.float64]:
        """Predict rows of features: probabilities of shape (rows, classes), or values of shape (rows,)."""

    @abstractmethod
    def learned(self) -> Parts:
        """Return what was learned beside the features."""

    @abstractmethod
    def relearn(self, parts: Parts) -> None:
        """Take back what `learned` gave."""

    @property
    def features(self) -> Features:
        """The fitted features."""
        assert self._features is not None
        return self._features

    @property
    def dense_width(self) -> int:
        """Number of sparse features that it still takes as a dense matrix."""
        from yunti.models.features import DENSE_WIDTH

        return DENSE_WIDTH

    def learn_features(self, rows: Examples) -> Features:
        """Fit new features to training rows; they stay sparse or dense as earlier ones were."""
        from yunti.models.features import Features

        before = None if self._features is None else self._features.sparse
        self._features = Features(self.spec, self.view, before, self.dense_width)
        self._features.fit(rows.table, rows.target)
        return self._features

    def hold_all(self, used: int, rows: int) -> None:
        """Hold that all rows are used: a model of a part of them gains nothing from more.

        Raises:
            RungError: they are not.
        """
        if used < rows:
            raise RungError("refit", "it must learn from all rows", f"{used:,} of {rows:,} fit", "leave it out")

    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row, some thousand at a time."""
        pieces = [self.answers(matrix) for matrix in matrices(self.features, table)]
        if not pieces:
            return np.zeros(0) if self.spec.task.name == "regression" else np.zeros((0, self.spec.outputs), np.float32)
        return np.concatenate(pieces)

    def row_bytes(self, table: Table) -> float:
        """Return the bytes of a row's features, times their copies."""
        matrix = self.features.transform(table)
        held = matrix.nbytes if isinstance(matrix, np.ndarray) else matrix.data.nbytes + matrix.indices.nbytes
        return self.copies * held / max(1, len(table))

    @property
    def train_flops(self) -> float:
        """Counted operations of the fit; the class says which."""
        return self._train_flops

    @property
    def plan(self) -> dict[str, Any]:
        """What was derived and chosen, and why."""
        return self._plan

    def parts(self) -> Parts:
        """Return the features' parts, what was learned, and the plan."""
        parts = self.learned()
        parts.put("features", self.features.parts())
        parts.facts |= {"plan": self._plan, "train_flops": self._train_flops}
        return parts

    def restore(self, parts: Parts) -> None:
        """Take everything back."""
        from yunti.models.features import Features

        self._features = Features(self.spec, self.view)
        self._features.restore(parts.get("features"))
        self.relearn(parts)
        self._plan, self._train_flops = parts.facts["plan"], float(parts.facts["train_flops"])

"""One answer for every row: the classes' shares, or the mean. What it scores is what knowing nothing scores."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples, Table
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Estimator, Model, Parts, Size, Watch
from yunti.specs import Spec
from yunti.words import say


@final
class Constant(Estimator):
    """Predicts the same for every row.

    Args:
        spec: the columns and the task.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self._answer: NDArray[np.float64] = np.zeros(spec.outputs)
        self._rows = 0

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn the classes' shares, or the target's mean (its median where the absolute error decides)."""
        task = self.spec.task
        self._rows = len(train)
        if task.name == "classification":
            self._answer = np.bincount(train.target, minlength=self.spec.outputs) / len(train)
        else:
            middle = np.median if task.metric == "mae" else np.mean
            self._answer = np.array([middle(np.asarray(train.target, dtype=np.float64))])
        watch.tell(1.0)

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Learn the answer from other rows."""
        self.fit(rows, rows, watch)

    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row: the same answer."""
        if self.spec.task.name == "regression":
            return np.full(len(table), self._answer[0])
        return np.tile(self._answer.astype(np.float32), (len(table), 1))

    @property
    def parameters(self) -> int:
        """Number of learned numbers: one for each output."""
        return len(self._answer)

    @property
    def train_flops(self) -> float:
        """One addition a row."""
        return float(self._rows)

    @property
    def plan(self) -> dict[str, Any]:
        """What the answer is."""
        task = self.spec.task
        if task.name == "regression":
            return {"answer": float(self._answer[0]), "why": "median" if task.metric == "mae" else "mean"}
        commonest = int(self._answer.argmax())
        return {"answer": task.classes[commonest], "why": say("plan.share", share=self._answer[commonest])}

    def parts(self) -> Parts:
        """Return the answer."""
        return Parts(arrays={"answer": self._answer}, facts={"rows": self._rows})

    def restore(self, parts: Parts) -> None:
        """Take the answer back."""
        self._answer, self._rows = np.asarray(parts.arrays["answer"]), int(parts.facts["rows"])


def build(spec: Spec, _size: Size) -> Model:
    """Make the unfitted model; it has no size."""
    return Constant(spec)


RUNG = Rung(
    name="constant",
    era="traditional",
    idea=say("rung.constant"),
    source="scikit-learn DummyClassifier and DummyRegressor",
    unfit_for=lambda _spec: None,
    build=build,
    share=share_by_kind(0.2),
)

"""Support vector machines: the widest margin between classes, with a Gaussian kernel or straight through the words."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples, Table
from yunti.errors import RungError
from yunti.ladders.prediction.descent import Scorer
from yunti.ladders.prediction.featured import Featured
from yunti.ladders.prediction.judge import Scale, scale_of
from yunti.ladders.prediction.machines import COORDINATE_CELLS, EXACT_ROWS, LANDMARKS, Chosen, Machine, Maker, Rows
from yunti.ladders.prediction.matrices import some_rows, stored_cells
from yunti.ladders.prediction.platt import Platt
from yunti.ladders.rung import Rung, share_by_kind, too_little
from yunti.models.contract import Model, Parts, Size, Watch
from yunti.seeds import generator
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from yunti.models.features import Features

LEAST_ROWS = 10
MOST_CELLS = 1e8
JUDGED_ROWS = 20_000
KERNEL_WIDTH = 2000  # features that categories may have for a kernel: a gigabyte for 130,000 rows
KERNEL_FLOPS_PER_SECOND = 1e10  # with a margin
SPARSE_CELLS_PER_SECOND = 4e6  # and class and weight; with a margin

REASONS = {
    "gamma": say("svm.gamma"),
    "C": say("svm.C"),
    "landmarks": say("svm.landmarks", rows=EXACT_ROWS, landmarks=LANDMARKS),
    "kernel": say("svm.kernel"),
    "rows": say("svm.rows"),
}


@final
class Svm(Featured):
    """A support vector machine with squared hinge loss, or kernel ridge regression for values.

    Its operations are products with the data, over all fits. Kernel: 2 · rows · landmarks · (features + landmarks) +
    landmarks³ / 3 for the coordinates, 4 · rows · landmarks · outputs for each step. Sparse: 4 · stored values ·
    outputs for each of about ten passes.

    Args:
        spec: the columns and the task.
        size: the dial multiplies the landmarks.
    """

    view = "scaled"

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec, size)
        self._machine: Machine | None = None

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn from the training rows; the validation rows choose kernel and weight, and calibrate."""
        features = self.learn_features(train)
        watch.tell(0.1)
        random = generator(self.spec.seed, "svm")
        used = some_rows(features, train, self._most_cells(features), random)
        judged = valid.take(slice(0, JUDGED_ROWS)) if len(valid) else used
        rows: Rows = (features.transform(used.table), np.asarray(used.target))
        held: Rows = (features.transform(judged.table), np.asarray(judged.target))
        watch.tell(0.2)
        scale = scale_of(rows[1], False) if self.spec.task.name == "regression" else None
        maker = Maker(self.spec.task, scale, random, watch.part(0.2, 1.0), self._landmarks)
        tried = maker.search(rows, held)
        fitting = self._fitting(rows, maker, watch.left)
        machine, loss = maker.judged(self._final(maker, fitting, tried[0]), held)
        self._machine, self._train_flops = machine, maker.flops
        self._account(maker, tried, len(fitting[1]), len(rows[1]))
        watch.tell(1.0, valid=loss)

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Learn from other rows with the kernel, the weight and the calibration that were chosen."""
        assert self._machine is not None
        features = self.learn_features(rows)
        watch.tell(0.2)
        random = generator(self.spec.seed, "svm")
        self.hold_all(len(some_rows(features, rows, self._most_cells(features), random)), len(rows))
        known: Rows = (features.transform(rows.table), np.asarray(rows.target))
        scale = None if self._machine.scale is None else scale_of(known[1], False)
        exact = (
            len(rows) if self._plan["landmarks"] == self._plan["rows"] else 0
        )  # all were landmarks, or Nyström's few
        maker = Maker(self.spec.task, scale, random, watch.part(0.3, 1.0), self._landmarks, exact)
        self.hold_all(len(self._fitting(known, maker, watch.left)[1]), len(rows))
        machine = self._final(maker, known, Chosen(self._plan["gamma"], self._plan["C"], 0.0))
        if maker.cut:
            raise RungError("svm", "its weights must settle in the time", "they did not", "give a larger budget")
        self._machine = replace(machine, platt=self._machine.platt)
        self._train_flops = maker.flops
        landmarks = 0 if machine.landmarks is None else len(machine.landmarks)
        self._plan |= {"rows": len(rows), "features": features.width, "landmarks": landmarks}
        watch.tell(1.0)

    @property
    def dense_width(self) -> int:
        """Many more for categories, for which a kernel is worth the zeros; texts are divided by a plane."""
        return super().dense_width if self.spec.of_kind("text") else KERNEL_WIDTH

    @property
    def _landmarks(self) -> int:
        return max(50, round(LANDMARKS * self.size.dial))

    def row_bytes(self, table: Table) -> float:
        """Return the bytes of a row's features, and of its coordinates where there is a kernel."""
        return super().row_bytes(table) + 4.0 * self._plan.get("landmarks", 0)

    def _most_cells(self, features: Features) -> float:
        """Cells of the rows that memory holds; a kernel's coordinates are more than the features."""
        if features.sparse:
            return MOST_CELLS
        return min(MOST_CELLS, COORDINATE_CELLS / LANDMARKS * max(1, features.width))

    def _final(self, maker: Maker, rows: Rows, best: Chosen) -> Machine:
        if best.gamma == 0.0:
            return maker.linear(rows, best.weight)
        return maker.curved(rows, best.gamma, (best.weight,))[0][1]

    def _fitting(self, rows: Rows, maker: Maker, seconds: float) -> Rows:
        """Halve the rows until the last fit clearly holds in the time: a factorisation cannot be broken off."""
        count, cells = len(rows[1]), stored_cells(rows[0])
        sparse = not isinstance(rows[0], np.ndarray)
        while count > 1000:
            share = count / len(rows[1])
            if sparse:
                needed = share * cells * maker.outputs / SPARSE_CELLS_PER_SECOND / 5
            else:
                landmarks = count if count <= maker.exact_rows else maker.landmarks
                each = rows[0].shape[1] + 2 * landmarks + 20 * maker.outputs
                needed = 2.0 * count * landmarks * each / KERNEL_FLOPS_PER_SECOND
            if needed < 0.7 * seconds:
                break
            count //= 2
        return maker.some(rows, count)

    def _account(self, maker: Maker, tried: list[Chosen], rows: int, wanted: int) -> None:
        assert self._machine is not None
        best, landmarks = tried[0], self._machine.landmarks
        self._plan = {
            "kernel": "none" if landmarks is None else "gaussian",
            "gamma": best.gamma,
            "C": best.weight,
            "landmarks": 0 if landmarks is None else len(landmarks),
            "rows": rows,
            "features": self.features.width,
            "tried": len(tried),
            "reasons": REASONS,
        }
        if maker.cut:
            self._plan["stopped"] = say("stopped.weights of rows", rows=rows)
        elif rows < wanted:
            self._plan["shortened"] = say("shortened.svm", rows=rows, wanted=wanted)

    def answers(self, matrix: Any) -> NDArray[np.float32 | np.float64]:
        """Predict rows of features."""
        assert self._machine is not None
        return self._machine.predict(matrix)

    @property
    def parameters(self) -> int:
        """Number of learned numbers: weights and biases, and the landmarks' features, which are kept as they were."""
        assert self._machine is not None
        landmarks = self._machine.landmarks
        kept = 0 if landmarks is None else landmarks.size
        return int(self._machine.scorer.weights.size + self._machine.scorer.bias.size + kept)

    def learned(self) -> Parts:
        """Return the weights, the landmarks and the calibration."""
        assert self._machine is not None
        machine = self._machine
        parts = Parts({"weights": machine.scorer.weights, "bias": machine.scorer.bias})
        if machine.landmarks is not None:
            parts.arrays["landmarks"] = machine.landmarks
        parts.facts["scale"] = None if machine.scale is None else asdict(machine.scale)
        parts.facts["slope"] = None if machine.platt is None else machine.platt.slope
        parts.facts["shifts"] = None if machine.platt is None else machine.platt.shifts.tolist()
        parts.facts["gamma"] = machine.gamma
        return parts

    def relearn(self, parts: Parts) -> None:
        """Take them back."""
        facts, arrays = parts.facts, parts.arrays
        scale = None if facts["scale"] is None else Scale(**facts["scale"])
        platt = None if facts["slope"] is None else Platt(facts["slope"], np.array(facts["shifts"]))
        scorer = Scorer(arrays["weights"], arrays["bias"])
        self._machine = Machine(scorer, arrays.get("landmarks"), float(facts["gamma"]), platt, scale)


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_little(spec, LEAST_ROWS, say("purpose.svm"))


def build(spec: Spec, size: Size) -> Model:
    """Make the unfitted model."""
    return Svm(spec, size)


RUNG = Rung(
    name="svm",
    era="traditional",
    idea=say("rung.svm"),
    source="Cortes and Vapnik (1995); Williams and Seeger (2001) for Nyström; Platt (1999)",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(1.5, image=2.0, text=2.0),
)

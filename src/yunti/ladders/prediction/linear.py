"""Logistic or ridge regression: every feature adds its part to a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples, Table
from yunti.ladders.prediction.descent import PAIRS, Scorer
from yunti.ladders.prediction.featured import Featured
from yunti.ladders.prediction.judge import Scale
from yunti.ladders.prediction.matrices import some_rows
from yunti.ladders.prediction.regress import (
    Answer,
    Links,
    fit_classes,
    fit_classes_again,
    fit_values,
    fit_values_again,
)
from yunti.ladders.rung import Rung, share_by_kind, too_little
from yunti.models.contract import Model, Parts, Size, Watch
from yunti.seeds import generator
from yunti.specs import Spec
from yunti.words import say

LEAST_ROWS = 4
MOST_CELLS = 1.5e8  # stored values of the training matrix: 0.6 GB dense, 1.2 GB sparse
JUDGED_ROWS = 20_000

REASONS = {
    "C": say("linear.C"),
    "link": say("linear.link"),
    "rows": say("linear.rows", cells=MOST_CELLS),
    "correction": say("linear.correction"),
}

_STATE = 2 * PAIRS + 8  # arrays of the weights' size while a descent runs
_WIDENS = 0.12  # of the n-grams of an eighth of the texts come with as many texts again: (8 ** 0.3 - 1) / 7


@final
class Linear(Featured):
    """Multinomial logistic regression, or ridge regression of the target or its logarithm.

    Its operations are products with the data. Descent: 4 · stored values · outputs a step (one product forwards, one
    backwards), over all steps of all fits. Closed form: 2 · rows · features · s for XᵀX or XXᵀ and 9 · s³ for its
    eigenvectors, s the smaller side.

    Args:
        spec: the columns and the task.
    """

    view = "scaled"

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self._answer: Answer | None = None

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn the weights from the training rows; the validation rows choose the penalty."""
        features = self.learn_features(train)
        watch.tell(0.15)
        random = generator(self.spec.seed, "linear")
        used = some_rows(features, train, MOST_CELLS, random)
        judged = valid.take(slice(0, JUDGED_ROWS)) if len(valid) else used
        matrix, held = features.transform(used.table), features.transform(judged.table)
        watch.tell(0.3)
        fit = fit_classes if self.spec.task.name == "classification" else fit_values
        rows = ((matrix, np.asarray(used.target)), (held, np.asarray(judged.target)))
        found = fit(self.spec.task, *rows, random, watch.part(0.3, 1.0))
        self._answer, self._train_flops = found.answer, found.flops
        self._plan = {"features": features.width, "rows": len(used.target), **found.plan, "reasons": REASONS}
        watch.tell(1.0, valid=found.loss)

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Learn the weights from other rows under the penalty that was chosen."""
        assert self._answer is not None
        known_names = self.features.names
        features = self.learn_features(rows)
        watch.tell(0.15)
        used = some_rows(features, rows, MOST_CELLS, generator(self.spec.seed, "linear"))
        self.hold_all(len(used), len(rows))
        known = (features.transform(used.table), np.asarray(used.target))
        again = fit_values_again if self._answer.scale else fit_classes_again
        start = _moved(self._answer.scorer, known_names, features.names)
        found = again(known, (self.spec.task, self._answer, self._plan["C"]), start, watch.part(0.3, 1.0))
        self._answer, self._train_flops = found.answer, found.flops
        self._plan |= {"features": features.width, "rows": len(used.target)}
        watch.tell(1.0)

    def answers(self, matrix: Any) -> NDArray[np.float32 | np.float64]:
        """Predict rows of features."""
        assert self._answer is not None
        return self._answer.predict(matrix)

    def row_bytes(self, table: Table) -> float:
        """Return the bytes of a row's features, and of what the weights grow by: more texts hold more n-grams."""
        held = super().row_bytes(table)
        if not self.features.sparse or not self.spec.of_kind("text"):
            return held
        return held + _WIDENS * _STATE * 4.0 * self.parameters / max(1, self.spec.rows)

    @property
    def parameters(self) -> int:
        """Number of learned numbers: a weight for every feature and output, and a bias for every output."""
        assert self._answer is not None
        return int(self._answer.scorer.weights.size + self._answer.scorer.bias.size)

    def learned(self) -> Parts:
        """Return the weights."""
        assert self._answer is not None
        answer = self._answer
        parts = Parts({"weights": answer.scorer.weights, "bias": answer.scorer.bias})
        parts.facts["scale"] = None if answer.scale is None else asdict(answer.scale)
        parts.facts |= {"link": answer.link, "correction": answer.correction, "low": answer.low, "high": answer.high}
        return parts

    def relearn(self, parts: Parts) -> None:
        """Take the weights back."""
        facts = parts.facts
        scale = None if facts["scale"] is None else Scale(**facts["scale"])
        link: Links = facts["link"]
        scorer = Scorer(parts.arrays["weights"], parts.arrays["bias"])
        self._answer = Answer(scorer, link, facts["correction"], scale, facts["low"], facts["high"])


def _moved(scorer: Scorer, before: Sequence[str], now: Sequence[str]) -> Scorer:
    """Give every feature the weights that the feature of its name had; 0 to new ones."""
    places = {name: place for place, name in enumerate(before)}
    found = np.array([places.get(name, -1) for name in now], dtype=np.int64)
    weights = np.zeros((len(now), scorer.weights.shape[1]), dtype=np.float32)
    weights[found >= 0] = scorer.weights[found[found >= 0]]
    return Scorer(weights, scorer.bias.copy())


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_little(spec, LEAST_ROWS, say("purpose.linear"))


def build(spec: Spec, _size: Size) -> Model:
    """Make the unfitted model; it has no size."""
    return Linear(spec)


RUNG = Rung(
    name="linear",
    era="traditional",
    idea=say("rung.linear"),
    source="Cox (1958); Hoerl and Kennard (1970); Liu and Nocedal (1989) for L-BFGS",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(1.0, image=2.0, audio=1.0, text=3.0),
)

"""What a report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.dataset import Dataset
from yunti.records import ClimbRecord, RungRecord
from yunti.tasks.metrics import Metric, metric_named
from yunti.tasks.task import shape_of
from yunti.words import spoken
from yunti.words.units import decimals_for


@final
@dataclass(frozen=True, eq=False)
class Material:
    """A climb, finished or not, and what is left of its data.

    Args:
        record: all numbers of the climb.
        dataset: the data as they were laid out; None where they are gone.
        predictions: of the rung that is shown, for the validation rows: shape as of `yunti.tasks.task.shape_of`;
            None where they are gone.
        spans: seconds of wall clock that passed for each part of the climb, in their order: "reading", the rungs by
            name, "refit", "test"; empty where nothing tells them.
    """

    record: ClimbRecord
    dataset: Dataset | None = None
    predictions: NDArray[Any] | None = None
    spans: Mapping[str, float] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return metric_named(self.record.task.metric)

    @property
    def shown(self) -> RungRecord | None:
        """The chosen rung; while none is chosen, the best so far."""
        return shown_rung(self.record)

    @property
    def scored(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Answers and predictions of the validation rows, if both are there and belong together."""
        if self.dataset is None or self.predictions is None or not len(self.predictions):
            return None
        target = self.dataset.valid.target
        if self.predictions.shape != shape_of(self.record.task, len(target)) or not np.isfinite(self.predictions).all():
            return None
        return np.asarray(target), np.asarray(self.predictions, dtype=np.float64)


def shown_rung(record: ClimbRecord) -> RungRecord | None:
    """Return the chosen rung; while none is chosen, the best so far; None where none was trained."""
    if record.verdict is not None and (chosen := record.rung(record.verdict.chosen)) is not None:
        return chosen
    metric = metric_named(record.task.metric)
    trained = [(metric.as_error(each.score.valid), place) for place, each in enumerate(record.rungs) if each.score]
    return record.rungs[min(trained)[1]] if trained else None


def decimals_of(record: ClimbRecord) -> int:
    """Say how many decimals the scores of a climb deserve."""
    return decimals_for((each.score.low, each.score.high) for each in record.rungs if each.score)


def metric_label(name: str) -> str:
    """Write the name of a metric for a reader."""
    return spoken(f"metric.{name}")

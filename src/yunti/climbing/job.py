"""What a worker is told, how it answers, and how it judges what a model predicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.climbing.supervise import Act
from yunti.data.dataset import Dataset
from yunti.errors import RungError
from yunti.ladders.rung import Rung
from yunti.models.contract import Watch
from yunti.records import Score
from yunti.specs import Spec, TaskSpec
from yunti.tasks.intervals import interval
from yunti.tasks.task import score

REPORT_SECONDS = 0.2

Send = Callable[[dict[str, Any]], None]


@final
@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Args:
        folder: the run folder.
        rung: the rung's name.
        task: what is asked.
        seconds: its share of the budget.
        began: `time.monotonic()` at which the process was started: imports count as its time too.
        seed: the climb's seed.
        device: where networks run.
        pretrained: the pretrained model that was given, if one.
        members: for a rung that combines others: the trained ones; or its members that are to be trained anew.
        settings: what was set by hand for the rung.
        token: tells the starts of a group of processes apart.
        act: train the rung; train it on parts of the rows, before that or after it, or over fewer steps; train the
            chosen one anew on training and validation rows; or open the test rows for it.
        parts: numbers of rows to train on, or of steps to train over, growing; or what the dial is divided by.
        whole_seconds: of all rows, of which every part gets its share.
    """

    folder: str
    rung: str
    task: TaskSpec
    seconds: float
    began: float
    seed: int
    device: str
    pretrained: str | None = None
    members: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    token: str = ""
    act: Act = "train"
    parts: tuple[int, ...] = ()
    whole_seconds: float = 0.0

    def spec(self, dataset: Dataset, rows: int | None = None) -> Spec:
        """What a model is told that learns from so many training rows; from all if not given."""
        known = len(dataset.train) if rows is None else rows
        return Spec(dataset.columns, self.task, known, self.seed, self.device, self.pretrained)

    def watch(self, send: Send, seconds: float) -> Watch:
        """Return the watch of its work, which may take so many seconds since its process was started."""
        return Watch(self.began + seconds, _reporter(send), lambda sentence: send({"said": sentence}))


def check(predictions: NDArray[Any], rung: Rung) -> None:
    """Hold that predictions are numbers.

    Raises:
        RungError: they are not.
    """
    if not np.isfinite(predictions).all():
        raise RungError(rung.name, "its predictions must be finite", "some are not", "the rung is set aside")


def scored(job: Job, dataset: Dataset, predictions: NDArray[Any]) -> Score:
    """Score predictions of the validation rows."""
    target, clusters = dataset.valid.target, dataset.valid.groups
    low, high = interval(job.task, target, predictions, seed=job.seed, clusters=clusters)
    return Score(job.task.metric, score(job.task, target, predictions), low, high)


def _reporter(send: Send) -> Callable[[float, dict[str, float]], None]:
    last = 0.0

    def report(fraction: float, numbers: dict[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS or "valid" in numbers or fraction >= 1:
            last = now
            send({"fraction": fraction, "numbers": {name: float(value) for name, value in numbers.items()}})

    return report

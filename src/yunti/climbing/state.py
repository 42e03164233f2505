"""The state of a climb: the record so far, what may still be spent, and the processes that do the work."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, final

from yunti.climbing.budget import (
    LEARNING,
    START_SECONDS,
    TORCH_START_SECONDS,
    Part,
    Purse,
    copies_seconds,
    reserve_seconds,
)
from yunti.climbing.compare import best_of
from yunti.climbing.events import RungEnded, RungProgress, RungSaid, Tell
from yunti.climbing.follow import invite, token_of
from yunti.climbing.refit import MOST_FOR_REFIT, not_worth_it, refit_seconds
from yunti.climbing.request import Request
from yunti.climbing.run import RunFolder
from yunti.climbing.supervise import Act, Ending, supervise
from yunti.data.dataset import Dataset
from yunti.devices import place_of
from yunti.ladders.find import find_rung, ladder_for
from yunti.ladders.rung import Rung
from yunti.records import ClimbRecord, Point, RungRecord
from yunti.specs import Spec
from yunti.tasks.metrics import Metric, metric_named
from yunti.words import say

INTERRUPTED = say("climb.interrupted")
CURVE_PARTS = (16, 8, 4, 2)  # of the rows
LEAST_CURVE_POINTS, LEAST_CURVE_ROWS = 3, 20
CURVE_START_SECONDS, CURVE_MARGIN = 0.1, 1.2  # a training on a part of the rows, beside what its rows take
LOOKS = 3.0  # at the validation rows, by a rung that learns: at the end, and while it does at a part of them
SHORTER_PARTS = ((4, 2), (8, 4))  # of the steps that a network took, the better ones first
LEAST_SHORTER_STEPS = 30
SMALLER_PARTS = (4, 2)  # by which the dial is divided
SMALLER_TIMES = (0.6, 0.8)  # of the time that the whole network took
AGAIN_START_SECONDS = 1.0  # of each shorter training or narrower network: building and encoding
GRACE_SECONDS = 15.0  # for a process that started slowly, as long as it costs the later rungs no more than a quarter


@final
class State:
    """The record so far, what may still be spent, and the processes that do the work."""

    def __init__(
        self, run: RunFolder, request: Request, dataset: Dataset, record: ClimbRecord, purse: Purse, tell: Tell
    ) -> None:
        self.run, self.request, self.dataset = run, request, dataset
        self.record, self.purse, self.tell = record, purse, tell
        self.place = place_of(os.environ)
        self.starts = {False: START_SECONDS, True: TORCH_START_SECONDS}
        self.spec = Spec(
            dataset.columns, record.task, len(dataset.train), request.seed, request.device, request.pretrained
        )

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return metric_named(self.record.task.metric)

    def trained(self) -> list[RungRecord]:
        """The rungs that have a model and a score, in the ladder's order."""
        return [each for each in self.record.rungs if each.score is not None]

    def best(self) -> RungRecord:
        """The best rung so far; there must be one."""
        return best_of(self.trained(), self.record.task)

    def rung(self, name: str) -> Rung:
        """The rung of the ladder with this name."""
        return find_rung(self.record.task.name, name)

    def needed(self, rung: Rung) -> float:
        """The least seconds with which a rung can learn something, as far as that is known without trying it."""
        like = self.record.rung(rung.stands_on)
        if like is None or like.cost is None:
            return self.to_start(rung)
        rows = rung.passes(self.spec) + LOOKS * len(self.dataset.valid)
        return self.to_start(rung) + rows * like.cost.predict_seconds_per_1000 / 1000

    def to_start(self, rung: Rung) -> float:
        """The seconds below which a rung need not even be started."""
        return self.starts[rung.needs_torch] * (1.0 if rung.combines else LEARNING)

    def left(self) -> float:
        """Seconds left for rungs: what is kept for the end is taken off."""
        return max(0.0, self.purse.left - self.reserve())

    def reserve(self) -> float:
        """Seconds to keep for the end: training the best rung anew, if not too dear, what it copies, and the test."""
        return self.reserve_for_test() + self._reserve_for_refit() + self.reserve_for_copies()

    def reserve_for_test(self) -> float:
        """Seconds to keep for opening the test rows."""
        slowest = max([each.cost.predict_seconds_per_1000 for each in self.trained() if each.cost], default=0.0)
        return reserve_seconds(self.record.budget.seconds, self.record.data.split.test, slowest)

    def reserve_for_copies(self) -> float:
        """Seconds to keep for looking for what the chosen rung copies, where it writes texts."""
        if self.record.task.name != "language" or not self.trained():
            return 0.0
        start = self.starts[self.rung(self.best().name).needs_torch]
        return copies_seconds(self.record.budget.seconds, start)

    def _reserve_for_refit(self) -> float:
        if not self.trained() or not self.request.refit:
            return 0.0
        best = self.best()
        if not_worth_it(best, self.record.data.split):
            return 0.0
        needed = self.refit_seconds(best)
        return needed if needed <= MOST_FOR_REFIT * self.record.budget.seconds else 0.0

    def refit_seconds(self, rung: RungRecord) -> float:
        """Seconds that training a rung anew is expected to take."""
        return refit_seconds(rung, self.record.data.split, self.starts[self.rung(rung.name).needs_torch])

    def add(self, rung: RungRecord) -> None:
        """Record a rung, at its place on the ladder, and tell it."""
        if rung.reason != INTERRUPTED:
            shutil.rmtree(self.run.checkpoints(rung.name), ignore_errors=True)
        if forecast := self.run.forecast(rung.name):
            reached = None if rung.score is None else rung.score.valid
            took = None if rung.cost is None else rung.cost.train_seconds
            rung = replace(rung, forecast=replace(forecast, outcome=reached, outcome_seconds=took))
        rung = self._drawn(rung)
        order = [each.name for each in ladder_for(self.record.task.name)]
        rungs = sorted((*self.record.rungs, rung), key=lambda each: order.index(each.name))
        self.save(rungs=tuple(rungs))
        self.tell(RungEnded(rung))

    def learned_from_a_part(self, rung: RungRecord) -> bool:
        """Say whether memory or time let a rung learn from a part of the rows only."""
        return bool(rung.plan.get("rows", self.spec.rows) < self.spec.rows)

    def draw_curve(self, rung: Rung, allowed: float) -> None:
        """Train a trained rung on parts of the rows too, if that fits the time and no learning curve of it is known.

        Args:
            rung: the rung.
            allowed: seconds.
        """
        record = self.record.rung(rung.name)
        if record is None or record.cost is None or rung.combines or rung.name == "constant":
            return
        if len(self.run.points(rung.name).points) >= LEAST_CURVE_POINTS or self.run.points(rung.name, "curve").complete:
            return
        if self.request.full or self.learned_from_a_part(record):
            return
        rows = [self.spec.rows // part for part in CURVE_PARTS if self.spec.rows // part >= LEAST_CURVE_ROWS]
        start = self.starts[rung.needs_torch]
        took = max(0.0, record.cost.train_seconds - start)
        predicting = record.cost.predict_seconds_per_1000 * len(self.dataset.valid) / 1000 + CURVE_START_SECONDS
        while len(rows) >= LEAST_CURVE_POINTS:
            needed = start + CURVE_MARGIN * took * sum(rows) / self.spec.rows + len(rows) * predicting
            if needed <= allowed:
                self.work(rung, allowed, act="curve", parts=rows, whole_seconds=took)
                self.redraw(rung.name)
                return
            rows = rows[:-1]

    def draw_compute_curve(self, record: RungRecord, allowed: float) -> None:
        """Train a network that was cut short over fewer steps too, if that fits the time.

        Not one that was narrowed to fit the time, or left out texts: with more time it would be another network, or
        learn from others.

        Args:
            record: the rung.
            allowed: seconds.
        """
        if "steps_taken" not in record.plan:
            return
        taken = int(record.plan["steps_taken"])
        for divisors in SHORTER_PARTS:
            steps = [taken // divisor for divisor in divisors]
            if steps[0] < LEAST_SHORTER_STEPS:
                return
            if self._train_again(record, "shorter", steps, sum(steps) / taken, allowed):
                return

    def draw_size_curve(self, record: RungRecord, allowed: float) -> None:
        """Train narrower networks of the same family as one that was trained in full, if that fits the time.

        Args:
            record: the rung.
            allowed: seconds.
        """
        self._train_again(record, "smaller", SMALLER_PARTS, sum(SMALLER_TIMES), allowed)

    def _train_again(self, record: RungRecord, act: Part, parts: Sequence[int], share: float, allowed: float) -> bool:
        """Train a network again, with less, if that fits the time; return whether the curve is there.

        Args:
            record: the rung.
            act: "shorter" or "smaller".
            parts: what each training gets or is divided by.
            share: of the time that the network took, that all of them take.
            allowed: seconds.
        """
        plan, cost, rung = record.plan, record.cost, self.rung(record.name)
        if cost is None or self.request.full or not rung.needs_torch or not rung.pilots:
            return True
        if isinstance(plan.get("dial"), dict) or "texts" in plan or self.run.points(rung.name, act).complete:
            return True
        start = self.starts[True]
        took = max(0.0, cost.train_seconds - start)
        predicting = cost.predict_seconds_per_1000 * len(self.dataset.valid) / 1000 + AGAIN_START_SECONDS
        if start + CURVE_MARGIN * took * share + len(parts) * predicting > allowed:
            return False
        self.work(rung, allowed, act=act, parts=parts)
        self.redraw(rung.name)
        return True

    def redraw(self, name: str) -> None:
        """Take into the record of a rung what was drawn of its curves since."""
        rungs = [self._drawn(each) if each.name == name else each for each in self.record.rungs]
        self.save(rungs=tuple(rungs))

    def _drawn(self, rung: RungRecord) -> RungRecord:
        return replace(
            rung,
            curve=self._curve(rung),
            shorter=self.run.points(rung.name, "shorter").points,
            smaller=self.run.points(rung.name, "smaller").points,
        )

    def _curve(self, rung: RungRecord) -> tuple[Point, ...]:
        """The learning curve of a rung: trainings on parts of the rows, and the whole one."""
        parts = self.run.points(rung.name, "curve").points or self.run.points(rung.name).points
        if not parts or rung.score is None or rung.cost is None or self.learned_from_a_part(rung):
            return parts
        whole = Point(
            self.spec.rows, rung.score.valid, rung.score.stderr, rung.cost.train_seconds, rung.cost.peak_memory_bytes
        )
        return (*parts, whole)

    def save(self, **changes: Any) -> None:
        """Write the record with some fields changed, and what was spent up to now."""
        budget = replace(self.record.budget, spent_seconds=round(self.purse.spent, 3))
        self.record = replace(self.record, budget=budget, **changes)
        self.run.save(self.record)

    def work(
        self,
        rung: Rung,
        share: float,
        members: Sequence[str] = (),
        act: Act = "train",
        parts: Sequence[int] = (),
        whole_seconds: float = 0.0,
    ) -> Ending:
        """Let a process of its own do something for a rung, and watch it.

        Args:
            rung: the rung.
            share: seconds that it may take.
            members: for a rung that combines others, or is trained anew: the others.
            act: what is to be done.
            parts: numbers of training rows, or of steps, of the points of a curve, or what its dials are divided by.
            whole_seconds: what all rows would get or got: each part gets its share of that.
        """
        job: dict[str, Any] = {
            "folder": str(self.run.path.resolve()),
            "rung": rung.name,
            "task": asdict(self.record.task),
            "seconds": share,
            "began": time.monotonic(),
            "seed": self.request.seed,
            "device": self.request.device,
            "pretrained": self.request.pretrained,
            "members": list(members),
            "act": act,
            "parts": list(parts),
            "whole_seconds": whole_seconds,
            "settings": dict(self.request.settings),
            "token": token_of(os.environ),
        }
        began = job["began"]
        shown = rung.name if act in ("train", "pilot", "curve", "shorter", "smaller") else act
        ready = 0.0

        def progress(fraction: float, numbers: dict[str, float]) -> None:
            nonlocal ready
            used = time.monotonic() - began
            if not ready:  # the first word of a process: what starting one takes here and now
                ready = used
                self.starts[rung.needs_torch] = max(self.starts[rung.needs_torch], used)
            left = (used - ready) * (1 - fraction) / fraction if fraction > 0.02 else None
            self.tell(RungProgress(shown, fraction, numbers, left))

        # The worker plans for its share; only when it misjudged that is it killed, and before the reserve is touched.
        spare = self.purse.left - (self.reserve_for_test() if act in ("refit", "test") else self.reserve())
        hard = max(share, min(1.5 * share, spare), min(share + GRACE_SECONDS, 0.25 * spare))
        if act == "train":  # a model that is trained, and not yet written, comes before refit and copies
            hard = max(hard, min(share + GRACE_SECONDS, self.purse.left - self.reserve_for_test()))
        if not self.trained():
            hard = max(hard, 20.0)  # the first rung is the model that there always is

        def say_it(sentence: str) -> None:
            self.tell(RungSaid(shown, sentence))

        if act == "train" and self.place.size > 1:
            invite(self.run.outcome(rung.name), job)
        return supervise(job, self.run.outcome(rung.name), hard, progress, say_it)

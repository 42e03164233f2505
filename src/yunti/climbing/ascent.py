"""The state of a climb on its way up: what each step does to the record, and what may still be spent."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, final

from yunti.bundle.format import about_of
from yunti.climbing.budget import (
    LEARNING,
    PILOT_START_SECONDS,
    START_SECONDS,
    TORCH_START_SECONDS,
    Purse,
    reserve_seconds,
    share_of,
)
from yunti.climbing.compare import best_of, choose
from yunti.climbing.events import Decided, Foreseen, RungEnded, RungProgress, RungSaid, RungStarted, Tell
from yunti.climbing.follow import invite, token_of
from yunti.climbing.forecast.outlook import outlook
from yunti.climbing.forecast.words import told
from yunti.climbing.refit import AGAIN, MOST_FOR_REFIT, not_worth_it, parts_of, refit_seconds
from yunti.climbing.request import Request
from yunti.climbing.run import RunFolder
from yunti.climbing.supervise import Act, Ending, supervise
from yunti.climbing.verdict import verdict
from yunti.data.dataset import Dataset
from yunti.devices import place_of
from yunti.errors import RungError
from yunti.ladders.find import find_rung
from yunti.ladders.rung import Rung
from yunti.records import ClimbRecord, ForecastRecord, RefitRecord, RungRecord
from yunti.specs import Spec
from yunti.tasks.metrics import metric_named

INTERRUPTED = "interrupted before it was trained; --resume trains it"
GRACE_SECONDS = 15.0  # for a process that started slowly, as long as it costs the later rungs no more than a quarter
PILOT_PARTS = (32, 16, 8)  # of the rows: a thirty-second, a sixteenth, an eighth
PILOT_SECONDS = 180.0  # a rung with a smaller share is trained at once: pilots would take what it needs to learn
LEAST_PILOT_ROWS = 100
LEAST_SECONDS = 1.0  # the first rung gets this much even when the budget is already spent: there is always a model


@final
class Ascent:
    """The state of a climb on its way up: the record so far, and what may still be spent."""

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

    def step(self, rung: Rung, later: Sequence[Rung]) -> None:
        """Train one rung, or say why not; a rung that is already recorded is left as it is."""
        if self.record.rung(rung.name):
            return
        if finished := self.run.rung_record(rung.name):  # the climb was killed before it could note this
            self._add(finished)
            return
        later = [each for each in later if not each.unfit_for(self.spec)]
        share = self._share(rung, later)
        if reason := self._unfit(rung, share):
            self._add(RungRecord(rung.name, rung.era, "skipped", reason))
            return
        if forecast := self._foresee(rung, share):
            if not forecast.worth_it:
                self._add(RungRecord(rung.name, rung.era, "skipped", told(forecast, self.record.task)))
                return
            share = self._share(rung, later)
        self.tell(RungStarted(rung.name, rung.era, rung.idea, share))
        members = [each.name for each in self.trained()] if rung.combines else []
        ending = self._work(rung, share, members)
        if ending.how != "ok" and (self.place.size > 1 or self._has_checkpoints(rung)):
            mend = f"go on with `yunti train --resume {self.run.path}`"
            raise RungError(rung.name, "its training must come to the end", ending.reason.rstrip("."), mend)
        trained = self.run.rung_record(rung.name) if ending.how == "ok" else None
        if trained is None:
            trained = RungRecord(rung.name, rung.era, "stopped" if ending.how == "late" else "failed", ending.reason)
        self._add(trained)

    def _share(self, rung: Rung, later: Sequence[Rung]) -> float:
        share = share_of(rung, later, self.spec, max(0.0, self.purse.left - self.reserve()), self._needed)
        return share if self.trained() else max(share, min(LEAST_SECONDS, self.record.budget.seconds))

    def _foresee(self, rung: Rung, share: float) -> ForecastRecord | None:
        """Forecast what a rung will bring, from pilots on parts of the rows; None where it is as cheap to train it."""
        if before := self.run.forecast(rung.name):  # the climb was killed after the pilots
            return before
        rows = self.spec.rows
        parts = [rows // part for part in PILOT_PARTS]
        if self.request.full or rung.combines or not self.trained():
            return None
        if share < PILOT_SECONDS or parts[0] < LEAST_PILOT_ROWS:
            return None
        self.tell(RungStarted(rung.name, rung.era, rung.idea, share))
        seconds = self.starts[rung.needs_torch] + len(parts) * PILOT_START_SECONDS + share * sum(parts) / rows
        self._work(rung, seconds, act="pilot", parts=parts)
        best = best_of(self.trained(), self.record.task)
        made = outlook(metric_named(self.record.task.metric), self.run.points(rung.name), rows, best)
        self.run.save_forecast(rung.name, made)
        self.tell(Foreseen(rung.name, made, told(made, self.record.task)))
        return made

    def _has_checkpoints(self, rung: Rung) -> bool:
        """Say whether a single rung, trained at full strength, left something to go on from."""
        return self.request.full and any(self.run.checkpoints(rung.name).glob("step-*"))

    def conclude(self, *, open_test: bool) -> None:
        """Choose a rung and, if all is done, open the test rows for it.

        Raises:
            RungError: no rung could be trained.
        """
        trained = self.trained()
        if not trained:
            reasons = "; ".join(f"{each.name}: {(each.reason or '').rstrip('.')}" for each in self.record.rungs)
            raise RungError(
                str(self.run.path), "at least one rung must be trained", reasons, "mend that and start anew"
            )
        valid = self.dataset.valid
        choice = choose(
            trained,
            self.record.task,
            valid.target,
            self.run.valid_predictions,
            seed=self.request.seed,
            clusters=valid.groups,
        )
        self._save(verdict=verdict(choice, self.record.task))
        if open_test and self.request.refit:
            self._refit(choice.chosen)
        if open_test and self.record.data.split.test:
            self._open_test(choice.chosen)
        assert self.record.verdict is not None
        self.tell(Decided(self.record.verdict, self.record.test))

    def interrupt(self, rungs: Sequence[Rung]) -> None:
        """Record the rungs that were not reached, so that a resumed climb trains them."""
        for rung in rungs:
            if not self.record.rung(rung.name):
                self._add(RungRecord(rung.name, rung.era, "skipped", INTERRUPTED))

    def settle(self) -> None:
        """Note what was spent in the end."""
        self._save()

    def trained(self) -> list[RungRecord]:
        """The rungs that have a model and a score, in the ladder's order."""
        return [each for each in self.record.rungs if each.score is not None]

    def reserve(self) -> float:
        """Seconds to keep for the end: for training the best rung so far anew, if it is not too dear, and the test."""
        return self._reserve_for_test() + self._reserve_for_refit()

    def _reserve_for_test(self) -> float:
        slowest = max([each.cost.predict_seconds_per_1000 for each in self.trained() if each.cost], default=0.0)
        return reserve_seconds(self.record.budget.seconds, self.record.data.split.test, slowest)

    def _reserve_for_refit(self) -> float:
        trained = self.trained()
        if not trained or not self.request.refit:
            return 0.0
        best = best_of(trained, self.record.task)
        if not_worth_it(best, self.record.data.split):
            return 0.0
        needed = self._refit_seconds(best)
        return needed if needed <= MOST_FOR_REFIT * self.record.budget.seconds else 0.0

    def _refit_seconds(self, rung: RungRecord) -> float:
        return refit_seconds(rung, self.record.data.split, self.starts[self._rung(rung.name).needs_torch])

    def _worth_it(self, chosen: RungRecord, seconds: float) -> tuple[str, list[str]]:
        """Say why the chosen rung is not trained anew, or which rungs are: itself, or members of the ensemble it is.

        Members come cheapest first, and only those that pay and that fit the time one after the other.
        """
        split = self.record.data.split
        parts = sorted(parts_of(chosen, self.trained()), key=self._refit_seconds)
        worthy = [each for each in parts if not not_worth_it(each, split)]
        if not worthy:
            return not_worth_it(parts[0], split), []
        fitting, needed = list[str](), 0.0
        for each in worthy:
            needed += self._refit_seconds(each)
            if fitting:  # one process serves them all
                needed -= self.starts[self._rung(each.name).needs_torch]
            if needed <= seconds:
                fitting.append(each.name)
        if not fitting:
            return (
                f"it would take about {self._refit_seconds(worthy[0]):.0f} s, and {max(0.0, seconds):.0f} s were left",
                [],
            )
        return "", fitting

    def _rung(self, name: str) -> Rung:
        return find_rung(self.record.task.name, name)

    def _unfit(self, rung: Rung, share: float) -> str | None:
        trained = self.trained()
        if reason := rung.unfit_for(self.spec):
            return reason
        if rung.combines and len(trained) < 2:
            return "it needs at least two trained rungs"
        needed = self._needed(rung)
        if trained and share < needed:
            return (
                f"its share of the budget, {share:.1f} s, is under the {needed:.0f} s with which it can learn something"
            )
        return None

    def _needed(self, rung: Rung) -> float:
        return self.starts[rung.needs_torch] * (1.0 if rung.combines else LEARNING)

    def _work(
        self, rung: Rung, share: float, members: Sequence[str] = (), act: Act = "train", parts: Sequence[int] = ()
    ) -> Ending:
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
            "settings": dict(self.request.settings),
            "token": token_of(os.environ),
        }
        began = job["began"]
        shown = rung.name if act in ("train", "pilot") else act
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
        spare = self.purse.left - (self.reserve() if act in ("train", "pilot") else self._reserve_for_test())
        hard = max(share, min(1.5 * share, spare), min(share + GRACE_SECONDS, 0.25 * spare))
        if not self.trained():
            hard = max(hard, 20.0)  # the first rung is the model that there always is

        def say(sentence: str) -> None:
            self.tell(RungSaid(shown, sentence))

        if act == "train" and self.place.size > 1:
            invite(self.run.outcome(rung.name), job)
        return supervise(job, self.run.outcome(rung.name), hard, progress, say)

    def _refit(self, chosen: RungRecord) -> None:
        """Train the chosen rung anew on training and validation rows, if that pays and fits, and note what came of it.

        What came of it is noted before the test rows are opened, so that a resumed climb does not do it afterwards.
        """
        name = chosen.name
        tested = self.run.test_record(name) is not None
        reason = ""
        if self.run.refit_record(name) is None and about_of(self.run.model(name)).refit_rows == 0 and not tested:
            left = self.purse.left - self._reserve_for_test()
            reason, parts = self._worth_it(chosen, left)
            if not reason:
                rung = self._rung(name)
                self.tell(RungStarted("refit", rung.era, AGAIN, left))
                reason = self._work(rung, left, parts, act="refit").reason.rstrip(".")
                shutil.rmtree(self.run.outcome(f"{name}-refit"), ignore_errors=True)
        done = self.run.refit_record(name)
        if done is None:  # refused or failed; or its bundle was written and the process was killed before it said so
            about = about_of(self.run.model(name))
            done = RefitRecord(about.refit_rows, 0.0, "" if about.refit_rows else reason, about.refit_members)
            self.run.save_refit(name, done)
        assert self.record.verdict is not None
        self._save(verdict=replace(self.record.verdict, refit=done))

    def _open_test(self, chosen: RungRecord) -> None:
        if self.run.test_record(chosen.name) is None:
            rung = self._rung(chosen.name)
            ending = self._work(rung, max(self.purse.left, 60.0), act="test")
            if ending.how != "ok":
                said = f"The test rows could not be scored: {ending.reason.rstrip('.')}."
                assert self.record.verdict is not None
                self._save(verdict=replace(self.record.verdict, reason=f"{self.record.verdict.reason} {said}"))
        self._save(test=self.run.test_record(chosen.name))

    def _add(self, rung: RungRecord) -> None:
        if rung.reason != INTERRUPTED:
            shutil.rmtree(self.run.checkpoints(rung.name), ignore_errors=True)
        if forecast := self.run.forecast(rung.name):
            reached = None if rung.score is None else rung.score.valid
            took = None if rung.cost is None else rung.cost.train_seconds
            rung = replace(rung, forecast=replace(forecast, outcome=reached, outcome_seconds=took))
        self._save(rungs=(*self.record.rungs, rung))
        self.tell(RungEnded(rung))

    def _save(self, **changes: Any) -> None:
        budget = replace(self.record.budget, spent_seconds=round(self.purse.spent, 3))
        self.record = replace(self.record, budget=budget, **changes)
        self.run.save(self.record)

"""The way up: cheap rungs are trained at once; dear ones are tried on parts of the rows, and climbed while worth it.

Where the user said what a better score is worth, nothing is trained at once beyond the first real rung: the rung that
promises most after its price comes first, until none is worth it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import final

from yunti.climbing.budget import part_seconds, share_of
from yunti.climbing.events import Foreseen, RungStarted
from yunti.climbing.forecast.outlook import Known, judged, outlook
from yunti.climbing.forecast.prior import prior, usual_seconds
from yunti.climbing.state import INTERRUPTED, State
from yunti.climbing.wording import foreseen
from yunti.errors import RungError
from yunti.ladders.rung import Rung
from yunti.records import ForecastRecord, RungRecord
from yunti.words import say

PILOT_PARTS = (32, 16, 8)  # of the rows: a thirty-second, a sixteenth, an eighth
PILOT_SECONDS = 180.0  # a rung with a smaller share is trained at once: pilots would take what it needs to learn
LEAST_PILOT_ROWS = 100
CURVE_SHARE = 0.03  # of the budget, for the learning curve of a cheap rung
LEAST_SECONDS = 1.0  # the first rung gets this much even when the budget is already spent: there is always a model


@final
class Ascent:
    """Goes up the ladder.

    Args:
        state: the record so far, and what may still be spent.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.put_off: list[Rung] = []

    def step(self, rung: Rung, later: Sequence[Rung]) -> None:
        """Train one rung, say why not, or put it off; a rung that is already recorded is left as it is."""
        state = self.state
        if state.record.rung(rung.name):
            self._draw_curve(rung)  # where the climb was killed before it was done
            return
        if finished := state.run.rung_record(rung.name):  # the climb was killed before it could note this
            state.add(finished)
            self._draw_curve(rung)
            return
        later = [*self.put_off, *(each for each in later if not each.unfit_for(state.spec))]
        share = self._share(rung, later)
        if reason := self._unfit(rung, share):
            self._leave_out(rung, reason)
            return
        guess = self._guess(rung, share)
        if self._is_dear(rung, share) and _may_pay(guess) and self._try_on_parts(rung, share):
            self.put_off.append(rung)
        elif guess is not None and guess.price is not None:
            self.put_off.append(rung)  # with a rate the one that promises most comes first
        else:
            if guess is not None:
                state.run.save_forecast(rung.name, guess)
            self._train(rung, self._share(rung, later))

    def climb_put_off(self, later: Sequence[Rung]) -> None:
        """Train the rungs that were put off, the one that promises most first, while one is worth it.

        Args:
            later: the rungs that come after them.
        """
        state = self.state
        while self.put_off:
            seen = {rung.name: self._expect(rung, later) for rung in self.put_off}
            rung = max(self.put_off, key=lambda each: value(seen[each.name]))
            self.put_off.remove(rung)
            forecast = seen[rung.name]
            state.run.save_forecast(rung.name, forecast)
            told = foreseen(forecast, state.record.task, state.request.exchange)
            share = self._share(rung, [*(each for each in self.put_off if seen[each.name].worth_it), *later])
            if not forecast.worth_it:
                self._leave_out(rung, told)
            elif reason := self._unfit(rung, share):
                self._leave_out(rung, reason)
            else:
                state.tell(Foreseen(rung.name, forecast, told))
                self._train(rung, share)

    def interrupt(self, rungs: Sequence[Rung]) -> None:
        """Record the rungs that were not reached, so that a resumed climb trains them."""
        for rung in rungs:
            if not self.state.record.rung(rung.name):
                self.state.add(RungRecord(rung.name, rung.era, "skipped", INTERRUPTED))

    def _train(self, rung: Rung, share: float) -> None:
        state = self.state
        state.tell(RungStarted(rung.name, rung.era, rung.idea, share))
        members = [each.name for each in state.trained()] if rung.combines else []
        ending = state.work(rung, share, members)
        if ending.how != "ok" and (state.place.size > 1 or self._has_checkpoints(rung)):
            mend = f"go on with `yunti train --resume {state.run.path}`"
            raise RungError(rung.name, "its training must come to the end", ending.reason.rstrip("."), mend)
        trained = state.run.rung_record(rung.name) if ending.how == "ok" else None
        if trained is None:
            trained = RungRecord(rung.name, rung.era, "stopped" if ending.how == "late" else "failed", ending.reason)
        state.add(trained)
        self._draw_curve(rung)

    def _draw_curve(self, rung: Rung) -> None:
        """Draw the learning curve of a cheap rung: what more rows would bring is read off it."""
        allowed = min(CURVE_SHARE * self.state.record.budget.seconds, self.state.left())
        self.state.draw_curve(rung, allowed)

    def _leave_out(self, rung: Rung, reason: str) -> None:
        self.state.add(RungRecord(rung.name, rung.era, "skipped", reason))

    def _share(self, rung: Rung, later: Sequence[Rung]) -> float:
        state = self.state
        share = share_of(rung, later, state.spec, state.left(), state.needed)
        return share if state.trained() else max(share, min(LEAST_SECONDS, state.record.budget.seconds))

    def _unfit(self, rung: Rung, share: float) -> str | None:
        state, trained = self.state, self.state.trained()
        if reason := rung.unfit_for(state.spec):
            return reason
        if rung.combines and len(trained) < 2:
            return say("climb.too few to combine")
        needed = state.to_start(rung)
        return say("climb.no time", share=share, needed=needed) if trained and share < needed else None

    def _is_dear(self, rung: Rung, share: float) -> bool:
        """Say whether it pays to try a rung on parts of the rows first."""
        state = self.state
        if state.request.full or rung.combines or not rung.pilots or not state.trained():
            return False
        if state.run.points(rung.name).complete:  # the climb was killed after the pilots
            return True
        return share >= PILOT_SECONDS and state.spec.rows // PILOT_PARTS[0] >= LEAST_PILOT_ROWS

    def _try_on_parts(self, rung: Rung, share: float) -> bool:
        """Train a rung on parts of the rows, and tell what it is expected to bring; False where it proved cheap."""
        state, rows = self.state, self.state.spec.rows
        if not state.run.points(rung.name).complete:
            parts = [rows // part for part in PILOT_PARTS]
            seconds = state.starts[rung.needs_torch] + sum(part_seconds(share, part / rows) for part in parts)
            state.tell(RungStarted(rung.name, rung.era, rung.idea, seconds))
            state.work(rung, seconds, act="pilot", parts=parts, whole_seconds=share)
        if state.run.points(rung.name).cheap:
            return False
        forecast = self._foresee(rung, share)
        told = foreseen(forecast, state.record.task, state.request.exchange)
        state.tell(Foreseen(rung.name, forecast, told))
        return True

    def _foresee(self, rung: Rung, share: float) -> ForecastRecord:
        """Forecast what a rung that was tried on parts of the rows will bring, against the best rung there is now."""
        known, seen = self._known(rung, share), self.state.run.points(rung.name)
        return outlook(seen.points, known, seen.recipe_seconds, seen.row_bytes)

    def _expect(self, rung: Rung, later: Sequence[Rung]) -> ForecastRecord:
        """Forecast what a rung that was put off will bring: from its pilots, or by the prior."""
        tried = self.state.run.points(rung.name)
        share = self._share(rung, [*(each for each in self.put_off if each is not rung), *later])
        if tried.complete and not tried.cheap:
            return self._foresee(rung, share)
        guess = self._guess(rung, share)
        assert guess is not None  # it was not put off without one
        return guess

    def _guess(self, rung: Rung, share: float) -> ForecastRecord | None:
        """Say what a rung is expected to bring by what it did on other data; None where nothing is known."""
        state = self.state
        if state.request.full or rung.combines or all(each.name == "constant" for each in state.trained()):
            return None  # what a first real rung makes of the data nobody can know
        known = self._known(rung, share)
        seen = prior(rung.name, state.spec, state.metric, known.trained)
        if seen is None:
            return None
        priced = None if known.worth.gain_per_second is None else usual_seconds(rung.name, share)
        made = ForecastRecord(
            rows=state.spec.rows, basis="prior", seconds=priced, against=known.best.name, least=known.least
        )
        return replace(judged(made, seen, known), seconds=None)

    def _known(self, rung: Rung, share: float) -> Known:
        state = self.state
        return Known(
            state.metric,
            state.spec.rows,
            state.trained(),
            state.best(),
            state.request.exchange,
            state.starts[rung.needs_torch],
            share,
        )

    def _has_checkpoints(self, rung: Rung) -> bool:
        """Say whether a single rung, trained at full strength, left something to go on from."""
        return self.state.request.full and any(self.state.run.checkpoints(rung.name).glob("step-*"))


def value(forecast: ForecastRecord) -> float:
    """Order rungs by what they promise: expected gain less its price; last those of which nothing is known."""
    return -math.inf if forecast.gain is None else forecast.gain - (forecast.price or 0.0)


def _may_pay(guess: ForecastRecord | None) -> bool:
    """Say whether the parts of the rows are worth trying: not where the prior's gain would not even pay for them."""
    if guess is None or guess.gain is None or guess.price is None:
        return True
    return guess.gain > guess.price * sum(1 / part for part in PILOT_PARTS)

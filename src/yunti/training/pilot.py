"""What watches over the loop: the clock, the patience, the health of the loss, and the news of how far it is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import final

from yunti.devices import peak_memory_bytes
from yunti.models.contract import Watch
from yunti.models.recipe import Recipe
from yunti.training.config import Steps
from yunti.training.group import Group
from yunti.training.judge import Judge
from yunti.training.schedules import Course
from yunti.words import say

RESERVE_SECONDS = 0.3  # for putting back the best weights
HISTORY = 200  # lines of a training's history, besides those with a score
_TELL_SECONDS = 0.5
_ASK_EVERY = 10  # steps after which several processes ask the leading one's clock
_EXPLODED = 10.0  # times the loss that a training began with
_FIRST = 20  # steps whose loss it began with


@final
@dataclass(frozen=True)
class Order:
    """What the clock says after a step.

    Args:
        stop: no further step fits.
        land: come down over so many steps, or None.
        save: a checkpoint is due.
    """

    stop: bool = False
    land: int | None = None
    save: bool = False


_ON = Order()


@final
class Pilot:
    """Decides whether a training goes on as planned, comes down early, or ends.

    Args:
        course: the learning rate's way; it is bent where the training must come down early.
        judge: knows the best weights.
        recipe: says how much patience there is.
        steps: what was planned.
        watch: the time there is.
        group: the processes that must do the same at the same step.
    """

    def __init__(self, course: Course, judge: Judge, recipe: Recipe, steps: Steps, watch: Watch, group: Group) -> None:
        self._course, self._judge, self._recipe, self._steps, self._watch = course, judge, recipe, steps, watch
        self._group = group
        self._began = self._saved = time.monotonic()
        self.first = 0
        looks = -(-steps.total // steps.every)
        self._patience = max(3, round(recipe.patience * looks))
        self.notes: dict[str, str] = {}

    def begin_at(self, step: int) -> None:
        """Measure the pace from here: from a checkpoint on, or from when all is compiled."""
        self._began, self.first = time.monotonic(), step

    def has_patience(self, step: int) -> bool:
        """Say whether to go on after a look at the validation rows.

        Where nothing better came for long, the best weights come back and the rate falls to zero from there; where it
        is falling already, the training ends.
        """
        if self._judge.since_best <= self._patience:
            return True
        if self._course.descends(step):
            self.notes["ended"] = say("ended.patience", step=self._judge.best_step + 1)
            return False
        self._judge.restore_best()
        self._course.land(step, round(self._recipe.decay * step))
        return True

    def ask_clock(self, step: int, checkpoint_seconds: float | None) -> Order:
        """Return what the clock orders after a step; all processes of a group get the same order at the same step.

        Where the planned steps will not fit the time, the rate begins to fall to zero at once.

        Args:
            step: steps taken.
            checkpoint_seconds: time between checkpoints; None where none are kept.
        """
        if self._group.is_alone and math.isinf(self._watch.deadline) and checkpoint_seconds is None:
            return _ON
        if self._group.is_alone:
            order = self._order(step, checkpoint_seconds)
        elif step % _ASK_EVERY:
            return Order()
        else:
            order = self._group.agree(self._order(step, checkpoint_seconds))
        if order.save:
            self._saved = time.monotonic()
        if order.stop:
            self.notes["stopped"] = say("stopped.steps", step=step, total=self._steps.total)
        if order.land is not None:
            self._course.land(step, order.land)
            self.notes["stopped"] = say("stopped.slower", taken=self._course.total, total=self._steps.total)
        return order

    def seconds_per_step(self, step: int) -> float:
        """Return the pace that was kept, evaluations included."""
        return (time.monotonic() - self._began) / max(1, step - self.first)

    def _order(self, step: int, checkpoint_seconds: float | None) -> Order:
        save = checkpoint_seconds is not None and time.monotonic() - self._saved >= checkpoint_seconds
        left = self._watch.left
        if math.isinf(left):
            return Order(save=save)
        left -= RESERVE_SECONDS + self._judge.seconds_for_all  # all validation rows are predicted afterwards
        fitting = left / max(1e-9, self.seconds_per_step(step))
        if fitting < (1 if self._group.is_alone else _ASK_EVERY):
            return Order(stop=True)
        warm = step > 2 * self._recipe.warmup * self._steps.total
        if step + fitting < self._course.total and warm and not self._course.landing:
            return Order(land=int(0.9 * fitting), save=save)
        return Order(save=save)


@final
class Health:
    """Says when a loss is no number any more, or ten times what it was at the start."""

    def __init__(self) -> None:
        self._seen = 0
        self._first = 0.0
        self._mean = math.nan

    @property
    def mean(self) -> float:
        """The loss's moving mean."""
        return self._mean

    def trouble(self, loss: float) -> str:
        """Take in the loss of a step; return what is wrong with it, or nothing."""
        if not math.isfinite(loss):
            return say("trouble.no number")
        if self._seen < _FIRST:
            self._first += abs(loss) / _FIRST
        self._seen += 1
        self._mean = loss if math.isnan(self._mean) else 0.95 * self._mean + 0.05 * loss
        if self._seen > _FIRST and abs(self._mean) > _EXPLODED * max(self._first, 1e-3):
            return say("trouble.exploded")
        return ""

    def forget(self) -> None:
        """Begin the moving mean anew."""
        self._mean = math.nan

    def facts(self) -> list[float]:
        """Return what a checkpoint keeps."""
        return [self._seen, self._first, self._mean]

    def restore(self, facts: list[float]) -> None:
        """Take back what `facts` returned."""
        self._seen, self._first, self._mean = int(facts[0]), facts[1], facts[2]


@final
class News:
    """Tells how far a training is, every half second and after every look at the validation rows; keeps a history.

    The history is told by steps, not by the clock, so that a training that was interrupted leaves the same one.

    Args:
        watch: whom to tell.
        steps: what was planned.
        row_flops: operations that one row costs.
        peak: operations a second that this machine reaches at most, 0 if that was not measured.
    """

    def __init__(self, watch: Watch, steps: Steps, row_flops: float, peak: float) -> None:
        self._watch, self._steps = watch, steps
        self._row_flops, self._peak = row_flops, peak
        self._told = self._since = time.monotonic()
        self._every = max(1, steps.total // HISTORY)
        self._rows = 0
        self.norm = math.nan
        self.history: list[dict[str, float]] = []

    def add(self, rows: int, norm: float) -> None:
        """Take in a step: its rows, over all processes, and the norm of its gradient."""
        self._rows += rows
        self.norm = norm

    def is_due(self, step: int) -> bool:
        """Say whether the history will have a line of this step."""
        return step % self._every == 0 or step % self._steps.every == 0

    def rest(self, seconds: float) -> None:
        """Leave time out of the pace that was spent on other things than steps."""
        self._since += seconds

    def tell(self, step: int, course: Course, loss: float, learning_rate: float, valid: float | None = None) -> None:
        """Note and tell, where it is time or there is a score.

        Args:
            step: steps taken.
            course: says how many there will be.
            loss: moving mean.
            learning_rate: of the last step.
            valid: the score on the validation rows, if they were looked at after this step.
        """
        now = time.monotonic()
        is_kept = valid is not None or step % self._every == 0
        is_told = valid is not None or now - self._told >= _TELL_SECONDS
        if not (is_kept or is_told):
            return
        facts = {"step": float(step), "loss": loss, "learning_rate": learning_rate}
        if math.isfinite(self.norm):  # it is measured where it is clipped or told
            facts["gradient_norm"] = self.norm
        if valid is not None:
            facts["valid"] = valid
        if is_kept:
            self.history.append(facts)
        if not is_told:
            return
        self._told = now
        numbers = {**facts, "epoch": step / self._steps.per_epoch, "memory_bytes": float(peak_memory_bytes())}
        self._watch.tell(step / course.total, **numbers, **self.pace(now))

    def pace(self, now: float) -> dict[str, float]:
        """Return rows and operations a second since the pace was last asked for, and the share of the peak."""
        seconds = now - self._since
        if seconds <= 0 or not self._rows:
            return {}
        rate = self._rows / seconds
        numbers = {"rows_per_second": rate, "flops_per_second": rate * self._row_flops}
        if self._peak:
            numbers["peak_share"] = rate * self._row_flops / self._peak
        self._rows, self._since = 0, now
        return numbers

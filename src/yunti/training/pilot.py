"""What watches over the loop: the clock, the patience, and the news of how far it is."""

from __future__ import annotations

import math
import time
from typing import final

from yunti.models.contract import Watch
from yunti.models.recipe import Recipe
from yunti.training.config import Steps
from yunti.training.judge import Judge
from yunti.training.schedules import Course

RESERVE_SECONDS = 0.3  # for the last look at the validation rows
_TELL_SECONDS = 0.5


@final
class Pilot:
    """Decides whether a training goes on as planned, comes down early, or ends.

    Args:
        course: the learning rate's way; it is bent where the training must come down early.
        judge: knows the best weights.
        recipe: says how much patience there is.
        steps: what was planned.
        watch: the time there is.
    """

    def __init__(self, course: Course, judge: Judge, recipe: Recipe, steps: Steps, watch: Watch) -> None:
        self._course, self._judge, self._recipe, self._steps, self._watch = course, judge, recipe, steps, watch
        self._began = time.monotonic()
        looks = -(-steps.total // steps.every)
        self._patience = max(3, round(recipe.patience * looks))
        self.notes: dict[str, str] = {}

    def has_patience(self, step: int) -> bool:
        """Say whether to go on after a look at the validation rows.

        Where nothing better came for long, the best weights come back and the rate falls to zero from there; where it
        is falling already, the training ends.
        """
        if self._judge.since_best <= self._patience:
            return True
        if self._course.descends(step):
            self.notes["ended"] = f"nothing better came after step {self._judge.best_step + 1}"
            return False
        self._judge.restore_best()
        self._course.land(step, round(self._recipe.decay * step))
        return True

    def has_time(self, step: int) -> bool:
        """Say whether another step fits; where the planned ones will not, the rate begins to fall to zero at once."""
        seconds = (time.monotonic() - self._began) / step
        fitting = (self._watch.left - RESERVE_SECONDS) / max(1e-9, seconds)
        if fitting < 1:
            self.notes["stopped"] = f"the time was over at step {step} of {self._steps.total}"
            return False
        warm = step > 2 * self._recipe.warmup * self._steps.total
        if step + fitting < self._course.total and warm and not self._course.landing:
            self._course.land(step, int(0.9 * fitting))
            taken = f"{self._course.total} of {self._steps.total} steps"
            self.notes["stopped"] = f"the machine was slower than planned: {taken} were taken"
        return True

    def seconds_per_step(self, step: int) -> float:
        """Return the pace that was kept, evaluations included."""
        return (time.monotonic() - self._began) / max(1, step)


@final
class News:
    """Tells how far a training is, every half second and after every look at the validation rows.

    Args:
        watch: whom to tell.
        per_epoch: steps of an epoch.
    """

    def __init__(self, watch: Watch, per_epoch: int) -> None:
        self._watch = watch
        self._per_epoch = per_epoch
        self._loss = math.nan
        self._told = time.monotonic()

    def add(self, loss: float) -> None:
        """Take in the loss of a step; what is told is its moving mean."""
        self._loss = loss if math.isnan(self._loss) else 0.95 * self._loss + 0.05 * loss

    def tell(self, step: int, total: int, learning_rate: float, valid: float | None = None) -> None:
        """Tell, if it is time or there is a score."""
        now = time.monotonic()
        if valid is None and now - self._told < _TELL_SECONDS:
            return
        self._told = now
        numbers = {"loss": self._loss, "step": float(step), "epoch": step / self._per_epoch}
        numbers["learning_rate"] = learning_rate
        self._watch.tell(step / total, **numbers, **({} if valid is None else {"valid": valid}))

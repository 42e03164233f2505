"""The learning rate over the course of a training: pure functions of the share done, as a factor on the peak."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from yunti.models.recipe import Recipe


def wsd(done: float, warmup: float, decay: float) -> float:
    """Warm up, stay, fall to zero as 1 − √x: a training can be prolonged or ended early at any point of its stay.

    Source: Hägele et al., 2024, Scaling laws and compute-optimal training beyond fixed training durations,
    arXiv 2405.18392.

    Args:
        done: share of the steps done, 0 to 1.
        warmup: share of the steps over which the rate rises.
        decay: share of the steps over which it falls.

    Example:
        >>> wsd(0.05, 0.1, 0.4), wsd(0.5, 0.1, 0.4), wsd(1.0, 0.1, 0.4)
        (0.5, 1.0, 0.0)
    """
    if done < warmup:
        return done / warmup
    left = 1 - done
    return 1.0 if left >= decay else 1 - math.sqrt(1 - max(0.0, left) / decay)


def linear(done: float, warmup: float) -> float:
    """Rise and fall in straight lines.

    Sources: Smith and Topin, 2018, Super-convergence, arXiv 1708.07120; Bergsma et al., 2025, Straight to zero, arXiv
    2502.15938.

    Example:
        >>> linear(0.1, 0.2), linear(0.6, 0.2)
        (0.5, 0.5)
    """
    return done / warmup if done < warmup else max(0.0, 1 - done) / (1 - warmup)


def cosine(done: float, warmup: float) -> float:
    """Rise in a line, fall as half a cosine to zero (Loshchilov and Hutter, 2017, SGDR, arXiv 1608.03983).

    Example:
        >>> cosine(0.0, 0.0), round(cosine(0.5, 0.0), 12)
        (1.0, 0.5)
    """
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup) / (1 - warmup))))


def constant(done: float, warmup: float) -> float:
    """Warm up and stay.

    Example:
        >>> constant(0.05, 0.1), constant(0.7, 0.1)
        (0.5, 1.0)
    """
    return done / warmup if done < warmup else 1.0


@final
class Course:
    """The factor on the learning rate, step by step; `land` ends the training early without leaving out the descent.

    Args:
        recipe: names the schedule.
        total: planned steps.
    """

    def __init__(self, recipe: Recipe, total: int) -> None:
        self.total = total
        self._recipe = recipe
        self._landing: tuple[int, float] | None = None

    def factor(self, step: int) -> float:
        """Return the factor on the peak learning rate for a step, 0-based."""
        if self._landing is not None:
            start, height = self._landing
            return height * max(0.0, 1 - (step + 0.5 - start) / max(1, self.total - start))
        done = (step + 0.5) / self.total
        match self._recipe.schedule:
            case "wsd":
                return wsd(done, self._recipe.warmup, self._recipe.decay)
            case "cosine":
                return cosine(done, self._recipe.warmup)
            case "linear":
                return linear(done, self._recipe.warmup)
            case "constant":
                return constant(done, self._recipe.warmup)

    @property
    def landing(self) -> bool:
        """Whether the end was brought forward."""
        return self._landing is not None

    @property
    def landed_at(self) -> int:
        """The step from which on the rate falls because the end was brought forward, or -1."""
        return -1 if self._landing is None else self._landing[0]

    def descends(self, step: int) -> bool:
        """Whether the learning rate is falling already."""
        return self.landing or self.factor(step + 1) < self.factor(step)

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"total": self.total, "landing": self._landing}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take back what `facts` returned."""
        self.total = int(facts["total"])
        self._landing = None if facts["landing"] is None else (facts["landing"][0], facts["landing"][1])

    def land(self, step: int, steps: int) -> None:
        """From this step on fall to zero in a line, over this many steps, and end there."""
        self._landing, self.total = (step, self.factor(step)), step + max(1, steps)

"""How long boosted trees will grow on all rows, from how they grew on parts of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from yunti.ladders.prediction.growth import Growth
from yunti.ladders.prediction.rounds import threads_for
from yunti.models.contract import Fitted

_POWER: Final = 0.5  # of the rows, by which early stopping comes later, where two fits do not tell
_GAIN_OF_THREADS: Final = 0.7  # power of their number by which rounds get faster: two cores take 0.6 times as long


def seconds_of(fits: Sequence[Fitted], whole: Growth, features: int) -> float:
    """Forecast the seconds in which trees grow: the rounds to be expected, times what one takes.

    A round has a part that is always the same and one that grows with the rows; neither is negative, and relative
    errors are least. From many rows on more threads share it.

    Args:
        fits: on growing parts of the rows.
        whole: how they are to grow.
        features: number of features.
    """
    from scipy.optimize import nnls

    sizes = np.array([fit.rows for fit in fits], dtype=np.float64)
    paces = np.array([max(fit.seconds, 1e-6) / sum(fit.plan["rounds_tried"]) for fit in fits])
    always, grows = nnls(np.column_stack([1 / paces, sizes / paces]), np.ones(len(fits)))[0]
    more = threads_for(whole.rows * features) / threads_for(fits[-1].rows * features)
    pace = (always + grows * whole.rows) / more**_GAIN_OF_THREADS
    return float(whole.bags * rounds_expected(fits, whole) * pace)


def rounds_expected(fits: Sequence[Fitted], whole: Growth) -> float:
    """Say after how many rounds a fit will end, which stops when nothing gets better: later with more rows.

    Rounds are counted by what each adds, its learning rate. If the last fit was cut short, or took all the rounds that
    it might, the whole one is taken to use all of its own.
    """
    ended = [(fit.rows, learned) for fit in fits if (learned := _learned(fit)) is not None]
    if not ended or ended[-1][0] != fits[-1].rows:
        return whole.rounds
    (few, less), (many, learned) = ended[0], ended[-1]
    power = min(1.0, max(0.0, math.log(learned / less) / math.log(many / few))) if many > few else _POWER
    return min(whole.rounds, learned * (whole.rows / many) ** power / whole.learning_rate)


def _learned(fit: Fitted) -> float | None:
    """Return after how many rounds models stopped by themselves, times their rate; None if they did not."""
    tried, plan = fit.plan["rounds_tried"], fit.plan
    if "stopped" in plan or max(tried) >= plan["rounds"]:
        return None
    return float(np.mean(tried) * plan["learning_rate"])

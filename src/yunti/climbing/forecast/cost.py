"""What a training will cost, from pilots on parts of the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from yunti.climbing.budget import LEAST_PART
from yunti.records import Point, RungRecord

_USUAL_MISS: Final = 0.16  # standard deviation of the logarithm of seconds: other work on the machine, other batches
_NINETY: Final = 1.6449
_CUT: Final = 0.75  # of its share takes a training that must be shortened to it
_CUT_LOW: Final = 0.5  # at the 5th percentile


@final
@dataclass(frozen=True)
class Seconds:
    """How long a training will take.

    Args:
        median: seconds, everything included.
        low: lower end of the 90 % interval.
        high: its upper end.
        start: of them, those that pass before it learns.
    """

    median: float
    low: float
    high: float
    start: float


def seconds_at(
    points: Sequence[Point],
    rows: int,
    start: float = 0.0,
    share: float = math.inf,
    recipe_seconds: float | None = None,
) -> Seconds | None:
    """Forecast the seconds of a training: a part that is always the same, and one that grows with the rows.

    Parts so small that they were given more than their share of the time tell nothing of it.

    Neither is negative, and every point counts for its own share: relative errors are least. The interval has the
    scatter of the points about the line, and never less than what trainings differ by anyway.

    Args:
        points: pilots.
        rows: of the whole training.
        start: seconds that starting its process takes.
        share: seconds that it may take at most: then it ends.
        recipe_seconds: that it learns for if nothing cuts it short, where that is known better than by the line.
    """
    like = [point for point in points if point.rows >= LEAST_PART * rows] or points
    found = _line(like, rows)
    if found is None:
        return None
    if recipe_seconds is not None:
        found = recipe_seconds + max(point.start_seconds for point in points)
    fitted = [_line(like, point.rows) or 1.0 for point in like]
    misses = [math.log(max(point.seconds, 1e-3) / line) for point, line in zip(like, fitted, strict=True)]
    deviation = math.hypot(_USUAL_MISS, float(np.std(misses)))
    before = start + max(point.start_seconds for point in points)
    median, low, high = (start + found * math.exp(side * _NINETY * deviation) for side in (0, -1, 1))
    if median > share:  # it is planned for less, with a margin: mostly it ends before its time
        median, low = _CUT * share, min(low, _CUT_LOW * share)
    return Seconds(median, min(low, median), min(high, share), min(before, median))


def memory_at(points: Sequence[Point], rows: int, row_bytes: float) -> int | None:
    """Forecast the peak memory of a training: the highest of the pilots, and what further rows take.

    A line through the pilots would not do: what libraries and buffers hold comes and goes by more than small parts of
    the rows take.

    Args:
        points: pilots.
        rows: of the whole training.
        row_bytes: that each further row takes, as the model knows it.
    """
    if not points:
        return None
    return round(max(point.peak_memory_bytes for point in points) + row_bytes * (rows - points[-1].rows))


def energy_at(seconds: float, cheap: Sequence[RungRecord]) -> float | None:
    """Forecast the energy of a training in watt-hours: as much a second as the rungs before it, the longest of them."""
    known = [each.cost for each in cheap if each.cost is not None and each.cost.train_seconds > 0]
    if not known:
        return None
    longest = max(known, key=lambda cost: cost.train_seconds)
    return seconds * longest.energy_wh / longest.train_seconds


def _line(points: Sequence[Point], rows: int) -> float | None:
    from scipy.optimize import nnls

    if not points:
        return None
    sizes = np.array([point.rows for point in points], dtype=np.float64)
    seen = np.maximum([point.seconds for point in points], 1e-9)
    always, grows = nnls(np.column_stack([1 / seen, sizes / seen]), np.ones(len(points)))[0]
    return float(always + grows * rows)

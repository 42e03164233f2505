"""What a rung is expected to bring and to cost when it is trained in full, from pilots on parts of the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from yunti.climbing.forecast.curve import Forecast, extrapolate
from yunti.records import ForecastRecord, Point, RungRecord
from yunti.tasks.metrics import Metric

LEAST_CHANCE = 0.2  # of counting as better: below it the time is better spent elsewhere
_NINETY = 1.6449  # standard deviations from the median to either end of a 90 % interval
_LEAST_ERROR = 1e-4  # a rung without a single mistake may make one in ten thousand


def outlook(metric: Metric, points: Sequence[Point], rows: int, best: RungRecord) -> ForecastRecord:
    """Forecast a rung's score and cost on all training rows, and whether that is worth it.

    It is worth it unless the chance to be better than the best rung so far, by more than that one's standard error, is
    under a fifth; where no number can be given it is.

    Args:
        metric: the one that decides.
        points: pilots, on growing parts of the rows.
        rows: all training rows.
        best: the best rung so far.
    """
    assert best.score is not None
    least = (best.score.high - best.score.low) / (2 * 1.96)
    seen = in_errors(metric, points, rows)
    made = ForecastRecord(
        rows=rows,
        refused=seen.refused,
        seconds=seconds_at(points, rows),
        peak_memory_bytes=memory_at(points, rows),
        against=best.name,
        least=least,
        points=tuple(points),
    )
    if seen.refused:
        return made
    wanted = metric.as_error(best.score.valid) - least
    chance = chance_below(seen, wanted)
    low, high = sorted((metric.as_error(seen.low), metric.as_error(seen.high)))
    median, worth_it = metric.as_error(seen.median), chance >= LEAST_CHANCE
    return replace(made, median=median, low=low, high=high, chance=chance, worth_it=worth_it)


def in_errors(metric: Metric, points: Sequence[Point], rows: int) -> Forecast:
    """Extrapolate the metric, as an error that is better when lower, to all rows."""
    if not points:
        return Forecast(math.nan, math.nan, math.nan, "no pilot came to an end")
    errors = np.maximum([metric.as_error(point.score) for point in points], _LEAST_ERROR)
    unit = max(1.0, float(errors.max(initial=0.0)))  # errors of regressions have a unit: only their ratios count
    sizes, doubts = [point.rows for point in points], [point.stderr / unit for point in points]
    seen = extrapolate(sizes, (errors / unit).tolist(), rows, stderr=doubts)
    return Forecast(unit * seen.median, unit * seen.low, unit * seen.high, seen.refused)


def chance_below(seen: Forecast, wanted: float) -> float:
    """Return the probability that an error comes to lie below a value.

    Each side of the median is taken as half of a log-normal distribution, whose end of the 90 % interval is the
    forecast's.

    Example:
        >>> round(chance_below(Forecast(0.2, 0.1, 0.3), 0.2), 3), round(chance_below(Forecast(0.2, 0.1, 0.3), 0.1), 3)
        (0.5, 0.05)
    """
    if wanted <= 0:
        return 0.0
    distance = math.log(wanted / seen.median)
    end = seen.low if distance < 0 else seen.high
    deviation = max(1e-9, abs(math.log(end / seen.median)) / _NINETY)
    return float(ndtr(distance / deviation))


def seconds_at(points: Sequence[Point], rows: int) -> float | None:
    """Forecast the seconds of a training: a part that is always the same, and one that grows with the rows.

    Neither is negative, and every point counts for its own share: relative errors are least.
    """
    return _line(points, [point.seconds for point in points], rows)


def memory_at(points: Sequence[Point], rows: int) -> int | None:
    """Forecast the peak memory of a training, as `seconds_at` does its seconds."""
    found = _line(points, [float(point.peak_memory_bytes) for point in points], rows)
    return None if found is None else round(found)


def _line(points: Sequence[Point], values: Sequence[float], rows: int) -> float | None:
    from scipy.optimize import nnls

    if not points:
        return None
    sizes, seen = np.array([point.rows for point in points], dtype=np.float64), np.maximum(values, 1e-9)
    always, grows = nnls(np.column_stack([1 / seen, sizes / seen]), np.ones(len(points)))[0]
    return float(always + grows * rows)

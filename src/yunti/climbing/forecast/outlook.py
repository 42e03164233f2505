"""What a rung is expected to bring and to cost when it is trained in full, and whether that is worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from yunti.climbing.forecast.chances import Likely, chance_below, corrected, expected_gain, shifted
from yunti.climbing.forecast.cost import energy_at, memory_at, seconds_at
from yunti.climbing.forecast.curve import WORSENS, Forecast, Kind, extrapolate
from yunti.climbing.forecast.prior import FEW_MISTAKES, least_error
from yunti.climbing.forecast.worth import FREE, Worth
from yunti.records import ForecastRecord, Point, RungRecord
from yunti.tasks.metrics import Metric
from yunti.words import say

LEAST_CHANCE = 0.2  # of counting as better: below it the time is better spent elsewhere
_ANCHOR: Final = 0.3  # how much the ratio to a rung whose whole curve is known counts beside the rung's own curve


@final
@dataclass(frozen=True)
class Known:
    """What is known when a rung is judged.

    Args:
        metric: the one that decides.
        rows: all training rows.
        trained: the rungs that were trained, with their scores and costs.
        best: the best of them.
        worth: what a better score is worth.
        start: seconds that starting a process takes.
        share: seconds that the rung may take at most.
    """

    metric: Metric
    rows: int
    trained: Sequence[RungRecord]
    best: RungRecord
    worth: Worth = FREE
    start: float = 0.0
    share: float = math.inf

    @property
    def least(self) -> float:
        """How much better than the best counts: its standard error."""
        assert self.best.score is not None
        return self.best.score.stderr


def outlook(
    points: Sequence[Point], known: Known, recipe_seconds: float | None = None, row_bytes: float = 0.0
) -> ForecastRecord:
    """Forecast a rung's score and cost on all training rows from pilots, and whether it is worth it.

    Its own learning curve counts for most; where a trained rung has a point at the size of the last pilot, the ratio of
    the two there, carried to all rows, counts for the rest. Forecasts that came true or failed earlier in the climb
    correct it.

    Args:
        points: pilots, on growing parts of the rows.
        known: what else is known.
        recipe_seconds: that the whole recipe takes on all rows, where that is known.
        row_bytes: of memory that each further row takes.
    """
    seen = in_errors(known.metric, points, known.rows)
    time = seconds_at(points, known.rows, known.start, known.share, recipe_seconds)
    made = ForecastRecord(
        rows=known.rows,
        refused=seen.refused,
        seconds=time.median if time else None,
        seconds_low=time.low if time else None,
        seconds_high=time.high if time else None,
        start_seconds=time.start if time else None,
        peak_memory_bytes=memory_at(points, known.rows, row_bytes),
        energy_wh=energy_at(time.median, known.trained) if time else None,
        against=known.best.name,
        least=known.least,
        points=tuple(points),
    )
    if seen.refused:
        return replace(made, worth_it=seen.refused != WORSENS)
    seen = corrected(_anchored(seen, points[-1], known), _earlier(known))
    if seen.median < FEW_MISTAKES * known.least:
        seen = replace(seen, low=min(seen.low, least_error(known.metric, seen.median)))
    return judged(made, seen, known)


def judged(made: ForecastRecord, likely: Forecast | Likely, known: Known) -> ForecastRecord:
    """Put a forecast of an error into a record, with what it means for whoever has to decide.

    With a rate of exchange a rung is worth it when its expected gain is more than its seconds cost. Without one,
    unless the chance to be better than the best rung by more than that one's standard error is under a fifth; on the
    ladder's prior alone no rung is refused then.
    """
    assert known.best.score is not None
    present = known.metric.as_error(known.best.score.valid)
    seen = likely.forecast if isinstance(likely, Likely) else likely
    chance = chance_below(likely, present - known.least)
    least = 0.0 if seen.low <= least_error(known.metric, seen.median) else seen.low
    low, high = sorted((known.metric.as_error(least), known.metric.as_error(seen.high)))
    gain = expected_gain(likely, present)
    price = known.worth.needed(made.seconds)
    worth_it = gain > price if price is not None else made.basis == "prior" or chance >= LEAST_CHANCE
    return replace(
        made, median=known.metric.as_error(seen.median), low=low, high=high, chance=chance, gain=gain, price=price,
        worth_it=worth_it,
    )  # fmt: skip


def in_errors(metric: Metric, points: Sequence[Point], rows: int) -> Forecast:
    """Extrapolate the metric, as an error that is better when lower, to all rows."""
    if not points:
        return Forecast(math.nan, math.nan, math.nan, say("forecast.no pilots"))
    sizes, errors, doubts, unit = as_curve(metric, points)
    seen = extrapolate(sizes, errors, rows, stderr=doubts, kind=curve_kind(metric))
    return Forecast(unit * seen.median, unit * seen.low, unit * seen.high, seen.refused)


def as_curve(metric: Metric, points: Sequence[Point]) -> tuple[list[float], list[float], list[float], float]:
    """Return sizes, errors and standard errors of points in a unit in which no error is above 1, and that unit.

    A size is the dial of a point of a size curve, the steps of one of a compute curve, the rows of any other.
    Errors of regressions have a unit of their own, and only their ratios count.
    """
    found = [metric.as_error(point.score) for point in points]
    errors = np.maximum(found, least_error(metric, max(found)))
    unit = max(1.0, float(errors.max(initial=0.0)))
    return (
        [point.dial or point.steps or point.rows for point in points],
        (errors / unit).tolist(),
        [point.stderr / unit for point in points],
        unit,
    )


def curve_kind(metric: Metric) -> Kind:
    """Say how a metric's curves scatter: those of language are losses, all others errors."""
    return "loss" if metric.task == "language" else "error"


def as_forecast(record: ForecastRecord, metric: Metric) -> Forecast | None:
    """Return the forecast of a record as that of an error; None where there was none."""
    if record.median is None or record.low is None or record.high is None:
        return None
    low, high = sorted((metric.as_error(record.low), metric.as_error(record.high)))
    median = metric.as_error(record.median)
    least = least_error(metric, median)
    return Forecast(max(least, median), max(least, low), max(least, high))


def _anchored(seen: Forecast, last: Point, known: Known) -> Forecast:
    ratios = []
    for rung in known.trained:
        same = next((point for point in rung.curve if point.rows == last.rows), None)
        if same is not None and rung.score is not None:
            then, now, mine = (known.metric.as_error(value) for value in (same.score, rung.score.valid, last.score))
            least = least_error(known.metric, max(then, mine))
            then, now, mine = max(least, then), max(least, now), max(least, mine)
            ratios.append((now, math.log(mine * now / then)))
    if not ratios:
        return seen
    _, carried = min(ratios)  # the best of the rungs with a curve
    return shifted(seen, _ANCHOR * (carried - math.log(seen.median)))


def _earlier(known: Known) -> list[tuple[Forecast, float]]:
    found = []
    for rung in known.trained:
        record = rung.forecast
        if record is not None and record.basis == "pilots" and record.outcome is not None:
            seen = as_forecast(record, known.metric)
            if seen is not None:
                least = least_error(known.metric, seen.median)
                found.append((seen, max(least, known.metric.as_error(record.outcome))))
    return found

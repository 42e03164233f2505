"""What a forecast says about what one would gain.

Each side of the median is half of a log-normal distribution whose end of the 90 % interval is the forecast's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from scipy.special import ndtr, ndtri

from yunti.climbing.forecast.curve import Forecast
from yunti.climbing.forecast.shapes import Floats

_NINETY: Final = 1.6449  # standard deviations from the median to either end of a 90 % interval
_DRAWS: Final = ndtri((np.arange(400) + 0.5) / 400)
_FIVE: Final = ndtri([0.05, 0.25, 0.5, 0.75, 0.95])
_USUAL_LEAD: Final = 0.12  # of the best rung before the next, in logarithms: on half of LCDB's tables at most 0.08
_USUAL: Final = 4.0  # outcomes that it takes to believe them as much as what was found on other data
_STEADY: Final = 2.0  # the same for a miss that all of them share


@final
@dataclass(frozen=True)
class Likely:
    """An error of which five quantiles are known; its logarithm lies between them as a normal one would.

    Args:
        quantiles: its 5th, 25th, 50th, 75th and 95th percentile.
    """

    quantiles: tuple[float, float, float, float, float]

    @property
    def forecast(self) -> Forecast:
        """Its median and 90 % interval."""
        low, _, median, _, high = self.quantiles
        return Forecast(median, low, high)

    def times(self, factor: float) -> Likely:
        """Return the same of an error that is so many times as large."""
        low, lower, median, upper, high = (value * factor for value in self.quantiles)
        return Likely((low, lower, median, upper, high))

    def errors(self) -> Floats:
        """Return 400 errors that are equally likely."""
        return np.exp(np.interp(_DRAWS, _FIVE, np.log(self.quantiles)) + _beyond(self.quantiles))


def _beyond(quantiles: tuple[float, ...]) -> Floats:
    """How far the logarithms of draws lie beyond the outer quantiles: on in the direction from the median to there."""
    low, _, median, _, high = np.log(quantiles)
    under, over = np.minimum(0.0, _DRAWS - _FIVE[0]), np.maximum(0.0, _DRAWS - _FIVE[-1])
    beyond: Floats = under * (median - low) / _NINETY + over * (high - median) / _NINETY
    return beyond


def chance_below(seen: Forecast | Likely, wanted: float) -> float:
    """Return the probability that an error comes to lie below a value.

    Example:
        >>> round(chance_below(Forecast(0.2, 0.1, 0.3), 0.2), 3), round(chance_below(Forecast(0.2, 0.1, 0.3), 0.1), 3)
        (0.5, 0.05)
    """
    if wanted <= 0:
        return 0.0
    if isinstance(seen, Likely):
        return float((seen.errors() < wanted).mean())
    distance = math.log(wanted / seen.median)
    return float(ndtr(distance / _deviation(seen, below=distance < 0)))


def expected_gain(seen: Forecast | Likely, present: float) -> float:
    """Return by how much an error is expected to fall below the present one, where it does not counted as 0.

    Example:
        >>> round(expected_gain(Forecast(0.2, 0.19, 0.21), 0.3), 3), expected_gain(Forecast(0.2, 0.19, 0.21), 0.1)
        (0.1, 0.0)
    """
    if isinstance(seen, Likely):
        return float(np.maximum(0.0, present - seen.errors()).mean())
    sides = np.where(_DRAWS < 0, _deviation(seen, below=True), _deviation(seen, below=False))
    return float(np.maximum(0.0, present - seen.median * np.exp(_DRAWS * sides)).mean())


def shifted(seen: Forecast, by: float) -> Forecast:
    """Return a forecast moved by a difference of logarithms."""
    factor = math.exp(by)
    return replace(seen, median=seen.median * factor, low=seen.low * factor, high=seen.high * factor)


def widened(seen: Forecast, by: float) -> Forecast:
    """Return a forecast whose interval reaches so many times as far, in logarithms."""
    low, high = (math.exp(math.log(seen.median) + by * math.log(end / seen.median)) for end in (seen.low, seen.high))
    return replace(seen, low=low, high=high)


def pooled(one: Forecast, other: Forecast) -> Forecast:
    """Return what two independent forecasts of the same say together: logarithms weighed by their precision.

    Example:
        >>> both = pooled(Forecast(0.9, 0.8, 1.0125), Forecast(0.8, 0.7111, 0.9))
        >>> f"{both.median:.2f} ({both.low:.2f} to {both.high:.2f})"
        '0.85 (0.78 to 0.92)'
    """
    weights = [max(1e-9, math.log(each.high / each.low)) ** -2 for each in (one, other)]
    centre = float(np.average([math.log(one.median), math.log(other.median)], weights=weights))
    half = 0.5 * sum(weights) ** -0.5
    return Forecast(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def combined(one: Forecast, other: Forecast) -> Forecast:
    """Return the product of two independent factors: each side of the interval has the doubt of both.

    Example:
        >>> both = combined(Forecast(0.9, 0.8, 1.0), Forecast(1.0, 1.0, 1.0))
        >>> (both.median, round(both.low, 3), round(both.high, 3))
        (0.9, 0.8, 1.0)
    """
    below, above = (
        math.hypot(math.log(ends[0] / one.median), math.log(ends[1] / other.median))
        for ends in ((one.low, other.low), (one.high, other.high))
    )
    median = one.median * other.median
    return Forecast(median, median * math.exp(-below), median * math.exp(above))


def lead(error: float, stderr: float, best: float) -> Forecast:
    """Say by what factor a rung's error lies beside that of the one that was chosen, as far as the scores can tell.

    A lead that was not enough to be chosen is partly chance: of its logarithm as much is believed as the usual
    difference between rungs makes likely beside the noise. A rung that lies behind stays there.

    Args:
        error: of the rung, on the validation rows.
        stderr: its standard error; that of the difference is about as large, since both answer the same rows.
        best: the error of the chosen rung on the same rows.

    Example:
        >>> [round(lead(error, stderr, 0.10).median, 2) for error, stderr in ((0.09, 0.0), (0.09, 0.02), (0.11, 0.02))]
        [0.9, 0.98, 1.1]
    """
    seen, noise = math.log(error / best), stderr / error
    believed = _USUAL_LEAD**2 / (_USUAL_LEAD**2 + noise**2)
    centre, half = (seen * believed if seen < 0 else seen), _NINETY * noise * math.sqrt(believed)
    return Forecast(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def corrected(seen: Forecast, earlier: Sequence[tuple[Forecast, float]]) -> Forecast:
    """Correct a forecast by how earlier ones of the same climb were missed.

    What their misses share, in logarithms, is added, a third of the first one's, half of two; and the interval gets
    the width with which the earlier ones, so corrected, would have held: a posterior mean of the variance, whose prior
    counts as much as four outcomes.

    Args:
        seen: the forecast.
        earlier: forecasts, each with what came.
    """
    known = [(each, math.log(came / each.median)) for each, came in earlier if came > 0 and not each.refused]
    if seen.refused or not known:
        return seen
    misses = np.array([miss for _, miss in known])
    common = float(misses.sum() / (len(misses) + _STEADY))
    rest = [miss - common for miss in misses]
    deviations = [_deviation(each, below=left < 0) for (each, _), left in zip(known, rest, strict=True)]
    squares = sum((left / deviation) ** 2 for left, deviation in zip(rest, deviations, strict=True))
    width = math.sqrt((_USUAL + squares) / (_USUAL + len(rest)))
    return shifted(widened(seen, width), common)


def _deviation(seen: Forecast, *, below: bool) -> float:
    return max(1e-9, abs(math.log((seen.low if below else seen.high) / seen.median)) / _NINETY)

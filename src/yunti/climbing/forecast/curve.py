"""What a score will be at a larger size, from the scores at a few smaller ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, final

import numpy as np
from scipy.special import stdtrit

from yunti.climbing.forecast.shapes import Floats, believe
from yunti.errors import OptionError
from yunti.words import say

Kind = Literal["error", "loss"]

WORSENS: Final = say("forecast.worsens")

_LEAST_POINTS = 3
_LEAST_RANGE = 4.0
_MOST_REACH = 16.0
_NEARLY = 0.97  # whole numbers of rows do not halve exactly
_CLEARLY = 2.0  # standard errors
_SURELY = 0.99  # of the distribution of a slope beside its scatter
_LINE = math.log(4.2)  # the last two octaves tell the slope
_DAMPED = 0.6
_SHARES = (0.25, 0.25, 0.5)  # of the shapes' median, the best power law and the damped line
_INTERVAL = (0.05, 0.5, 0.95)


@final
@dataclass(frozen=True)
class Forecast:
    """What is to be expected.

    Args:
        median: as likely to be missed as to be undercut; NaN where it is refused.
        low: lower end of the 90 % interval.
        high: its upper end.
        refused: why no honest number can be given; "" where one is.
    """

    median: float
    low: float
    high: float
    refused: str = ""


@final
@dataclass(frozen=True)
class _Noise:
    """How real curves of a kind leave the shapes.

    Args:
        floor: standard deviation of a point's logarithm beside its own standard error.
        blind: the same where no standard errors are given.
        discrepancy: more of it for every factor of e beyond the last size.
        spread: share of the forecasters' disagreement that counts beside the shapes' doubt.
        up: share of both by which the interval reaches above the median at least.
        down: the same below it.
    """

    floor: float
    blind: float
    discrepancy: float
    spread: float
    up: float
    down: float


_NOISE: dict[Kind, _Noise] = {
    "error": _Noise(floor=0.042, blind=0.07, discrepancy=0.03, spread=0.5, up=0.6, down=0.85),
    "loss": _Noise(floor=0.01, blind=0.01, discrepancy=0.012, spread=0.7, up=0.8, down=0.8),
}


def extrapolate(
    sizes: Sequence[float],
    scores: Sequence[float],
    at: float,
    *,
    stderr: Sequence[float] | float | None = None,
    kind: Kind = "error",
) -> Forecast:
    """Forecast a score that is better when lower at a size beyond those it is known at.

    The median is a mean, in logarithms, of three forecasts that fail in different places: the median over many shapes
    of curves, each weighed by how well it fits; the one power law with a floor that fits best; and the slope of the
    last two octaves, damped, never rising. The interval reaches as far as that of the shapes, and beyond it where the
    three lie apart; its factors were found on learning curves of other data (docs/forecasting.md).

    Args:
        sizes: rows, steps or operations, not falling; equal ones are repetitions.
        scores: positive; an error rate, 1 − R², or a loss.
        at: the size that is asked about, beyond the last.
        stderr: the standard error of each score, or one for all; judged by the scores' own scatter if not given.
        kind: "error" for scores within (0, 1], which scatter much; "loss" for log-losses and other unbounded ones.

    Returns:
        The median with its 90 % interval; refused for fewer than 3 sizes, sizes that span less than a factor of 4, more
        than 16 times the last size, and curves that clearly get worse.

    Raises:
        OptionError: the lengths differ, or a number is not what it must be.

    Example:
        >>> seen = extrapolate([250, 500, 1000, 2000, 4000], [0.40, 0.30, 0.23, 0.18, 0.145], 16000)
        >>> f"{seen.median:.3f} ({seen.low:.3f} to {seen.high:.3f})"
        '0.105 (0.078 to 0.126)'
        >>> extrapolate([1000, 2000], [0.3, 0.2], 4000).refused
        'two sizes are too few: three are needed'
    """
    seen = _seen(_points(sizes, scores, at, stderr, kind), math.log(at), kind, level=True)
    if kind == "loss" or seen.refused:
        return seen
    return replace(seen, median=min(1.0, seen.median), low=min(1.0, seen.low), high=min(1.0, seen.high))


def growth(
    sizes: Sequence[float],
    scores: Sequence[float],
    at: float,
    *,
    stderr: Sequence[float] | float | None = None,
    kind: Kind = "error",
) -> Forecast:
    """Forecast by what factor a score changes between the last size and a larger one.

    It is surer than two scores divided: what the last one owes to chance is in both and falls out. The arguments,
    refusals and errors are those of `extrapolate`.

    Example:
        >>> seen = growth([250, 500, 1000, 2000, 4000], [0.40, 0.30, 0.23, 0.18, 0.145], 8000)
        >>> f"{seen.median:.2f} ({seen.low:.2f} to {seen.high:.2f})"
        '0.85 (0.75 to 0.90)'
    """
    return _seen(_points(sizes, scores, at, stderr, kind), math.log(at), kind, level=False)


def _seen(points: tuple[Floats, Floats, Floats | None], at: float, kind: Kind, *, level: bool) -> Forecast:
    """Forecast from logarithms of sizes, scores and their standard errors, or say why not."""
    x, y, errors = points
    noise = _NOISE[kind]
    relative = np.zeros_like(y) if errors is None else np.minimum(errors / y, 1.0)
    variances = relative**2 + (noise.blind if errors is None else noise.floor) ** 2
    if reason := _reason(x, np.log(y), variances, at):
        return Forecast(math.nan, math.nan, math.nan, reason)
    low, median, high = _forecast(x, np.log(y), variances, at, noise, level=level)
    return Forecast(math.exp(median), math.exp(low), math.exp(high))


def _points(
    sizes: Sequence[float], scores: Sequence[float], at: float, stderr: Sequence[float] | float | None, kind: Kind
) -> tuple[Floats, Floats, Floats | None]:
    n, y = np.asarray(sizes, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    errors = np.asarray(0.0 if stderr is None else stderr, dtype=np.float64)
    if errors.ndim == 0 and y.ndim == 1:
        errors = np.full_like(y, errors)
    if kind not in _NOISE:
        raise OptionError("kind", 'it must be "error" or "loss"', repr(kind), "name one of them")
    if n.ndim != 1 or not len(n) == len(y) == len(errors) or not len(n):
        got = f"they are {len(n)}, {len(y)} and {len(errors)}"
        raise OptionError("sizes, scores and stderr", "they must be equally many", got, "give one of each a point")
    if not np.isfinite(n).all() or (n <= 0).any() or (np.diff(n) < 0).any():
        raise OptionError("sizes", "they must be positive and not fall", f"they are {n.tolist()}", "sort the points")
    most = 1.0 if kind == "error" else math.inf
    if not np.isfinite(y).all() or (y <= 0).any() or (y > most).any():
        must = "they must be positive" + (' and at most 1 with kind "error"' if kind == "error" else "")
        mend = "leave such points out" + (', or say kind="loss"' if kind == "error" else "")
        raise OptionError("scores", must, f"they are {y.tolist()}", mend)
    if not np.isfinite(errors).all() or (errors < 0).any():
        raise OptionError("stderr", "they must be numbers from 0 on", f"they are {errors.tolist()}", "leave them out")
    if not math.isfinite(at) or at <= n[-1]:
        raise OptionError("at", f"it must lie beyond the last size, {n[-1]:g}", f"it is {at:g}", "ask for more")
    return np.log(n), y, None if stderr is None else errors


def _reason(x: Floats, u: Floats, variances: Floats, at: float) -> str:
    """Return why no honest number can be given, or nothing."""
    distinct = len(np.unique(x))
    if distinct < _LEAST_POINTS:
        return say(("forecast.one size", "forecast.two sizes")[distinct - 1])
    if np.exp(x[-1] - x[0]) < _LEAST_RANGE * _NEARLY:
        return say("forecast.short range", span=float(np.exp(x[-1] - x[0])), needed=_LEAST_RANGE)
    if np.exp(at - x[-1]) > _MOST_REACH / _NEARLY:
        return say("forecast.far", factor=float(np.exp(at - x[-1])), most=_MOST_REACH)
    return WORSENS if _worsens(x, u, variances) else ""


def _worsens(x: Floats, u: Floats, variances: Floats) -> bool:
    """Say whether a curve clearly rises: over its last two octaves, or over all of it and still at its end."""
    late, doubt = _slope(x, u, variances)
    whole, error = _slope(x, u, variances, math.inf)
    if late > _CLEARLY * doubt or (late > 0 and whole > _CLEARLY * error):
        return True
    centred = x - x.mean()
    line = u.mean() + centred * (u @ centred) / (centred @ centred)
    scatter = math.sqrt(float(((u - line) ** 2).sum()) / (len(x) - 2) / float(centred @ centred))
    return late > 0 and whole > stdtrit(len(x) - 2, _SURELY) * scatter  # the points may scatter less than is usual


def _forecast(
    x: Floats, u: Floats, variances: Floats, at: float, noise: _Noise, *, level: bool
) -> tuple[float, float, float]:
    """Return the interval and the median of the score's logarithm; without `level`, of how much it changes."""
    belief = believe(x, u, variances)
    distance = at - x[-1]
    doubt = math.hypot(noise.discrepancy * distance, 0.0 if level else noise.floor / 2)
    low, median, high = belief.quantiles(distance, doubt, _INTERVAL, level=level)
    slope, _ = _slope(x, u, variances)
    line = (float(u[-1]) if level else 0.0) + _DAMPED * min(0.0, slope) * distance
    three = np.array([median, belief.power_law(distance, level=level), line])
    centre = float(np.average(three, weights=_SHARES))
    apart = noise.spread * math.sqrt(float(np.average((three - centre) ** 2, weights=_SHARES)))
    up = noise.up * math.hypot(high - median, apart)
    down = noise.down * math.hypot(median - low, apart)
    return min(low, centre - down), centre, max(high, centre + up)


def _slope(x: Floats, u: Floats, variances: Floats, reach: float = _LINE) -> tuple[float, float]:
    """Return the slope over the last two octaves, or so far back, of three sizes at least, and its standard error."""
    start = min(x[-1] - reach, np.unique(x)[-_LEAST_POINTS])
    late = x >= start - 1e-9
    weights = 1 / variances[late]
    centred = x[late] - np.average(x[late], weights=weights)
    spread = float((weights * centred**2).sum())
    return float((weights * centred * u[late]).sum()) / spread, spread**-0.5

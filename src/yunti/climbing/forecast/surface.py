"""What a loss will be for a larger model on more data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from yunti.climbing.forecast.curve import Forecast
from yunti.climbing.forecast.shapes import Floats, huber, mixture_quantiles
from yunti.errors import OptionError

_EXPONENTS = np.geomspace(0.08, 1.2, 22)
_LEAST_POINTS = 8
_LEAST_RANGE = 4.0
_MOST_REACH = 100.0  # times the largest amount of computing seen
_FLOOR = 0.01  # standard deviation of a loss's logarithm, seeds and all
_DISCREPANCY = 0.012  # more of it for every factor of e in computing beyond the largest seen
_FREEDOM = 4.0
_ROUNDS = 4
_BEND = 1.5


def extrapolate_surface(
    parameters: Sequence[float],
    tokens: Sequence[float],
    losses: Sequence[float],
    at_parameters: float,
    at_tokens: float,
) -> Forecast:
    """Forecast a loss from those of smaller models and data, by L = E + A / N^α + B / D^β.

    For each pair of exponents on a grid E, A and B are the non-negative numbers that fit best, with Huber's loss of
    relative errors (variable projection: no local minima); the forecast is the median over all pairs, each weighed by
    how well it fits, and its interval holds the doubt about exponents, numbers and the law itself, which grows with
    the distance. Sources: Hoffmann et al., 2022, arXiv 2203.15556; Besiroglu et al., 2024, arXiv 2404.10102; Golub and
    Pereyra, 1973.

    Args:
        parameters: N of each run, positive.
        tokens: D of each run, positive: tokens, or rows, that were learned from.
        losses: L of each run, positive, lower is better.
        at_parameters: N that is asked about.
        at_tokens: D that is asked about.

    Returns:
        The median with its 90 % interval; refused for fewer than 8 runs, N or D that span less than a factor of 4,
        and beyond 100 times the computing N · D of the largest run.

    Raises:
        OptionError: the lengths differ, or a number is not positive.

    Example:
        >>> n, d = [1e6, 1e6, 1e6, 4e6, 4e6, 4e6, 16e6, 16e6, 16e6], [1e8, 4e8, 16e8] * 3
        >>> loss = [1.7 + 400 / a**0.34 + 410 / b**0.28 for a, b in zip(n, d)]
        >>> seen = extrapolate_surface(n, d, loss, 64e6, 64e8)
        >>> abs(seen.median - (1.7 + 400 / 64e6**0.34 + 410 / 64e8**0.28)) < 0.05
        True
    """
    n, d, y = _points(parameters, tokens, losses, at_parameters, at_tokens)
    reach = math.log(at_parameters * at_tokens) - float(np.log(n * d).max())
    if reason := _reason(n, d, reach):
        return Forecast(math.nan, math.nan, math.nan, reason)
    low, median, high = _forecast(n, d, y, (at_parameters, at_tokens), max(0.0, reach))
    return Forecast(math.exp(median), math.exp(low), math.exp(high))


def _points(
    parameters: Sequence[float], tokens: Sequence[float], losses: Sequence[float], *at: float
) -> tuple[Floats, Floats, Floats]:
    n, d, y = (np.asarray(values, dtype=np.float64) for values in (parameters, tokens, losses))
    if n.ndim != 1 or not n.shape == d.shape == y.shape:
        got = f"they are {n.shape}, {d.shape} and {y.shape}"
        raise OptionError("parameters, tokens and losses", "they must be equally many", got, "give one of each a run")
    for name, values in (("parameters", n), ("tokens", d), ("losses", y), ("at_parameters, at_tokens", np.array(at))):
        if not np.isfinite(values).all() or (values <= 0).any():
            raise OptionError(
                name, "they must be positive numbers", f"they are {values.tolist()}", "leave such runs out"
            )
    return n, d, y


def _reason(n: Floats, d: Floats, reach: float) -> str:
    if len(n) < _LEAST_POINTS:
        return f"{len(n)} runs are too few: {_LEAST_POINTS} are needed"
    for name, values in (("parameters", n), ("tokens", d)):
        if values.max() / values.min() < _LEAST_RANGE * (1 - 1e-9):
            return f"the {name} span a factor of {values.max() / values.min():.2g}: {_LEAST_RANGE:g} is needed"
    if reach > math.log(_MOST_REACH) + 1e-9:
        return f"it is {math.exp(reach):.3g} times the largest computing seen: beyond {_MOST_REACH:g} nobody knows"
    return ""


def _forecast(n: Floats, d: Floats, y: Floats, at: tuple[float, float], reach: float) -> tuple[float, float, float]:
    alpha, beta = (grid.ravel() for grid in np.meshgrid(_EXPONENTS, _EXPONENTS))
    scale_n, scale_d = math.exp(np.log(n).mean()), math.exp(np.log(d).mean())

    def columns(some_n: Floats, some_d: Floats) -> Floats:
        """Return shape (pairs, runs, 3): what E, A and B are multiplied with."""
        powers = (some_n / scale_n) ** -alpha[:, None], (some_d / scale_d) ** -beta[:, None]
        return np.stack([np.ones_like(powers[0]), *powers], axis=2)

    matrix = columns(n, d) / y[None, :, None]  # relative: every run counts for its share of its own loss
    weights = np.ones(matrix.shape[:2])
    for _ in range(_ROUNDS):
        numbers, normal = _fitted(matrix, weights)
        misses = (np.einsum("prc,pc->pr", matrix, numbers) - 1) / _FLOOR
        weights = np.where(np.abs(misses) > _BEND, _BEND / np.maximum(np.abs(misses), 1e-12), 1.0)
    squares = 2 * huber(misses, _BEND).sum(axis=1)
    freedom = _FREEDOM + len(y) - 3
    likelihood = -0.5 * (freedom + 3) * np.log1p(squares / _FREEDOM)
    belief = np.exp(likelihood - likelihood.max())
    there = columns(np.array([at[0]]), np.array([at[1]]))[:, 0]
    expected = np.einsum("pc,pc->p", there, numbers)
    inverse = np.linalg.inv(normal + 1e-9 * np.eye(3) * np.trace(normal, axis1=1, axis2=2)[:, None, None])
    variance = np.einsum("pc,pcd,pd->p", there, inverse, there) * _FLOOR**2 * (_FREEDOM + squares) / freedom
    spread = np.sqrt(variance / expected**2 + _FLOOR**2 + (_DISCREPANCY * reach) ** 2)
    low, median, high = mixture_quantiles(belief, np.log(expected), spread, freedom, (0.05, 0.5, 0.95))
    return low, median, high


def _fitted(matrix: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the non-negative numbers that bring matrix · numbers nearest to 1, and the normal matrices.

    Of three numbers each may be 0: all seven choices are solved, and the best one without a negative number is taken.

    Args:
        matrix: shape (pairs, runs, 3).
        weights: shape (pairs, runs).
    """
    weighted = matrix * weights[:, :, None]
    normal = np.einsum("prc,prd->pcd", weighted, matrix)
    right = weighted.sum(axis=1)
    best, numbers = np.full(len(matrix), np.inf), np.zeros((len(matrix), 3))
    for chosen in itertools.chain.from_iterable(itertools.combinations(range(3), count) for count in (3, 2, 1)):
        places = list(chosen)
        some = normal[:, places][:, :, places] + 1e-12 * np.eye(len(places))
        found = np.linalg.solve(some, right[:, places, None])[:, :, 0]
        lost = -np.einsum("pc,pc->p", found, right[:, places])  # of the squares, up to what all choices share
        better = (found >= 0).all(axis=1) & (lost < best)
        best[better] = lost[better]
        whole = np.zeros((len(matrix), 3))
        whole[:, places] = found
        numbers[better] = whole[better]
    return numbers, normal

"""The shapes that a learning curve may have, as a grid, and how likely each is after some points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]

_POWER, _SHIFTED, _SLOWING, _FLAT = range(4)
_EXPONENTS = np.geomspace(0.03, 3.0, 24)
_FLOORS = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.98])  # of the last score
_SHIFTS = np.geomspace(0.25, 32.0, 8)  # of the last size
_SLOPES = np.concatenate([np.geomspace(0.01, 2.0, 20), [-0.01, -0.03, -0.08, -0.2]])
_SLOWINGS = np.array([0.15, 0.3, 0.6, 1.0, 1.6])

_FREEDOM = 4.0  # of Student's t: how sure it is beforehand that the noise is as large as it was said to be
_UNLIKELY = 12.0  # shapes that are so many nats behind the likeliest say nothing
_PROBABILITIES = (np.arange(24) + 0.5) / 24


def _cells() -> Floats:
    cells = [(_POWER, exponent, floor) for exponent in _EXPONENTS for floor in _FLOORS]
    cells += [(_SHIFTED, exponent, shift) for exponent in _EXPONENTS for shift in _SHIFTS]
    cells += [(_SLOWING, slope, slowing) for slope in _SLOPES for slowing in _SLOWINGS]
    return np.array([*cells, (_FLAT, 0.0, 0.0)], dtype=np.float64)


CELLS: Final = _cells()
POWER_LAWS: Final = CELLS[:, 0] == _POWER


def shapes(distance: Floats) -> Floats:
    """Return how far the logarithm of the score lies from that at the last size, for every shape.

    With z = ln(n / n_last): power laws with a floor, ln(ρ + (1 − ρ) e^(−αz)); power laws that begin late,
    −α ln((e^z + s) / (1 + s)); slopes that fade or grow, −β (1 − e^(−kz)) / k, for β < 0 rising; and a flat line.
    Sources: Viering and Loog, 2022, The shape of learning curves, arXiv 2103.10948; Rosenfeld et al., 2020,
    arXiv 1909.12673.

    Args:
        distance: shape (points,): z of each.

    Returns:
        Shape (shapes, points).
    """
    family, first, second = (CELLS[:, place][:, None] for place in range(3))
    z = np.asarray(distance, dtype=np.float64)[None, :]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        power = np.log(second + (1 - second) * np.exp(np.clip(-first * z, -50, 50)))
        shifted = -first * (np.log(np.exp(z) + second) - np.log(1 + second))
        slowing = -first * (1 - np.exp(np.clip(-second * z, -50, 6))) / second
    return np.select([family == _POWER, family == _SHIFTED, family == _SLOWING], [power, shifted, slowing], 0.0)


@final
@dataclass(frozen=True, eq=False)
class Belief:
    """How likely each shape is, and where it lies.

    Args:
        weights: shape (shapes,), they sum to 1.
        levels: shape (shapes,): logarithm of the score at the last size.
        deviations: shape (shapes,): of the levels.
        misfits: shape (shapes,): Huber's loss of the residuals, in standard deviations.
        freedom: of Student's t that the levels follow.
    """

    weights: Floats
    levels: Floats
    deviations: Floats
    misfits: Floats
    freedom: float

    def quantiles(
        self, distance: float, doubt: float, probabilities: tuple[float, ...], *, level: bool = True
    ) -> list[float]:
        """Return quantiles of the logarithm of the score at a distance beyond the last size.

        Args:
            distance: ln(n / n_last).
            doubt: standard deviation by which real curves have left every shape there.
            probabilities: of the quantiles.
            level: False for how far it lies from where it is at the last size.
        """
        kept = self.weights > self.weights.max() * np.exp(-_UNLIKELY)
        centres = level * self.levels[kept] + shapes(np.array([distance]))[kept, 0]
        spread = np.sqrt(level * self.deviations[kept] ** 2 + doubt**2)
        return mixture_quantiles(self.weights[kept], centres, spread, self.freedom, probabilities)

    def power_law(self, distance: float, *, level: bool = True) -> float:
        """Return the logarithm of the score by the one power law with a floor that fits best; `level` as above."""
        best = np.flatnonzero(POWER_LAWS)[np.argmin(self.misfits[POWER_LAWS])]
        return float(level * self.levels[best] + shapes(np.array([distance]))[best, 0])


def believe(sizes: Floats, scores: Floats, variances: Floats) -> Belief:
    """Weigh every shape by how well it goes through the points: an exact posterior, without sampling.

    The level of a curve and the size of its noise are integrated out in closed form: the level has a flat prior, the
    noise is that of `variances` times a factor with an inverse χ² prior of 4 degrees of freedom.

    Args:
        sizes: shape (points,): logarithms, increasing.
        scores: shape (points,): logarithms.
        variances: shape (points,): of the scores.
    """
    weights = 1 / variances
    residuals = scores[None, :] - shapes(sizes - sizes[-1])
    levels = (residuals * weights).sum(axis=1) / weights.sum()
    misses = (residuals - levels[:, None]) * np.sqrt(weights)
    squares = (misses**2).sum(axis=1)
    freedom = _FREEDOM + len(sizes) - 1
    likelihood = -0.5 * freedom * np.log1p(squares / _FREEDOM)
    belief = np.exp(likelihood - likelihood.max())
    deviations = np.sqrt((_FREEDOM + squares) / freedom / weights.sum())
    return Belief(belief / belief.sum(), levels, deviations, huber(misses).sum(axis=1), freedom)


def huber(misses: Floats, bend: float = 1.5) -> Floats:
    """Return Huber's loss: squares near 0, lines beyond the bend (Huber, 1964)."""
    size = np.abs(misses)
    return np.where(size < bend, 0.5 * size**2, bend * (size - 0.5 * bend))


def mixture_quantiles(
    weights: Floats, centres: Floats, spreads: Floats, freedom: float, probabilities: tuple[float, ...]
) -> list[float]:
    """Return quantiles of a mixture of Student's t distributions, each told by 24 equally likely values.

    Args:
        weights: shape (parts,), not negative.
        centres: shape (parts,).
        spreads: shape (parts,).
        freedom: degrees of freedom of all parts.
        probabilities: of the quantiles.
    """
    values = (centres[:, None] + spreads[:, None] * stdtrit(freedom, _PROBABILITIES)[None, :]).ravel()
    order = np.argsort(values)
    reached = np.cumsum(np.repeat(weights / weights.sum() / len(_PROBABILITIES), len(_PROBABILITIES))[order])
    places = np.searchsorted(reached, probabilities).clip(max=len(values) - 1)
    return [float(value) for value in values[order][places]]

"""What the rungs made of 133 other tables, of which those count most that are like the one at hand.

Alike are tables on which the best rung was about as good and the others were as far behind it. `lcdb.csv` holds the
error rates of logistic regression, a decision tree, an SVM, CatBoost and RealMLP at the largest size of every data set
of LCDB 1.1 that has them all (Yan, Mohr and Viering, 2025, CC BY 4.0); `benchmarks/forecast.py` writes it anew.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import numpy as np

from yunti.climbing.forecast.shapes import Floats

Five = tuple[float, float, float, float, float]  # the 5th, 25th, 50th, 75th and 95th percentile

SIBLINGS: Final = ("resnet", "transformer", "convnet", "recurrent")  # networks that LCDB lacks: much as its network
_NETWORK: Final = "mlp"
_PARTS: Final = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
# logarithms by which siblings leave the network, at the same percentiles, where rungs lie far apart: ten tables
_LEAVE: Final = {
    "resnet": np.array([-0.4, -0.06, 0.0, 0.05, 0.3]),
    "transformer": np.array([-0.25, -0.03, 0.04, 0.2, 0.9]),
    "convnet": np.array([-0.3, -0.03, 0.02, 0.15, 0.6]),
    "recurrent": np.array([-0.3, -0.03, 0.02, 0.15, 0.6]),
}
_LEVEL: Final = 1.0  # bandwidth of the logarithm of the best error
_BEHIND: Final = 0.3  # of the distance of another rung from it
_FAR: Final = 1.0  # distances beyond this are all the same
_ANY: Final = 1e-3  # weight of a table that is not alike at all
_USUALLY_BEHIND: Final = 0.6  # distance of the third best, from where on siblings leave the network as far as given
_NEAREST: Final = 0.2
_LEAST: Final = 1e-4


def factors_on_tables(rung: str, errors: Mapping[str, float]) -> Five | None:
    """Return by what factor a rung changes the best error, as quantiles; None for a rung of which nothing is known.

    Args:
        rung: its name.
        errors: of the rungs that were trained, as shares, by their names.

    Example:
        >>> [round(factor, 1) for factor in factors_on_tables("boosting", {"linear": 0.2})]
        [0.1, 0.4, 0.6, 0.9, 1.1]
    """
    names, tables = _tables()
    like = _NETWORK if rung in SIBLINGS else rung
    if like not in names or not errors:
        return None
    seen = {name: max(_LEAST, error) for name, error in errors.items() if name in names}
    networks = [error for name, error in errors.items() if name in SIBLINGS]
    if networks and _NETWORK not in seen:
        seen[_NETWORK] = max(_LEAST, min(networks))
    places = [names.index(name) for name in seen] or list(range(len(names)))
    best = tables[:, places].min(axis=1)
    mine = np.log(list(seen.values()) or [max(_LEAST, min(errors.values()))])
    weights = _likeness(tables[:, places] - best[:, None], best, mine)
    found = _quantiles(tables[:, names.index(like)] - best, weights)
    if rung in SIBLINGS:
        leave = _LEAVE[rung] * _apart(mine)
        middle = found[2] + leave[2]
        found = middle + np.sign(_PARTS - 0.5) * np.hypot(found - found[2], leave - leave[2])
    found += mine.min() - np.log(max(_LEAST, min(errors.values())))
    low, lower, median, upper, high = np.exp(found).tolist()
    return low, lower, median, upper, high


def _likeness(behind: Floats, best: Floats, mine: Floats) -> Floats:
    """Return how much each table counts, by its best error and by how far its other rungs are behind."""
    distance = ((best - mine.min()) / _LEVEL) ** 2
    if behind.shape[1] == len(mine):
        apart = (np.minimum(behind, _FAR) - np.minimum(mine - mine.min(), _FAR)) / _BEHIND
        distance = distance + (apart**2).sum(axis=1)
    weights: Floats = np.exp(-distance / 2) + _ANY
    return weights


def _quantiles(values: Floats, weights: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weights[order])
    found: Floats = np.interp(_PARTS, (passed - weights[order] / 2) / passed[-1], values[order])
    return found


def _apart(mine: Floats) -> float:
    """How far siblings may leave the network: less where the best three rungs lie near each other."""
    if len(mine) < 3:
        return 1.0
    best, _, third = np.sort(mine)[:3]
    return float(np.clip((third - best) / _USUALLY_BEHIND, _NEAREST, 1.0))


@functools.cache
def _tables() -> tuple[list[str], Floats]:
    """Return the rungs' names, and the logarithms of their errors: (tables, rungs)."""
    lines = files("yunti.climbing.forecast").joinpath("lcdb.csv").read_text("utf-8").splitlines()
    rows = [line.split(",")[1:] for line in lines]
    return rows[0], np.log(np.array(rows[1:], dtype=np.float64))

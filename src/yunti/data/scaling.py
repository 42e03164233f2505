"""Numbers, flags and times as features of about unit size, fitted on training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Numbers, Table
from yunti.specs import ColumnSpec

_SAMPLE = 200_000  # quantiles of more rows than these do not move by anything that matters
_DAY = 86_400.0
_CYCLES = {"day": _DAY, "week": 7 * _DAY, "year": 365.2425 * _DAY}


@final
class Scaler:
    """Every number centred on its median, divided by its quartile range and softly clipped to -3 … 3.

    f(x) = z / √(1 + (z/3)²) with z = (x − median) / (q75 − q25), as RealMLP does (Holzmüller et al., 2024, arXiv
    2407.04491); where the quartiles are equal the whole range stands in. Missing is 0, the median, and a column that
    had missing values in training also gets a feature that says so. A time gives its place on the line of time and,
    where training rows differ in it, sine and cosine of the time of day, of the week and of the year.

    Args:
        columns: columns of kind number, flag and time; others are passed over.
    """

    def __init__(self, columns: Sequence[ColumnSpec]) -> None:
        self.columns = tuple(column for column in columns if column.kind in ("number", "flag", "time"))
        self._facts: dict[str, dict[str, Any]] = {}

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(1 + fact["missing"] + 2 * len(fact["cycles"]) for fact in self._facts.values())

    def fit(self, table: Table) -> None:
        """Learn centre and scale of every column from these rows."""
        for column in self.columns:
            values = _values(table, column.name)[:_SAMPLE]
            known = values[np.isfinite(values)]
            centre, scale = (0.5, 2.0) if column.kind == "flag" else _centre_and_scale(known)
            self._facts[column.name] = {
                "centre": centre,
                "scale": scale,
                "missing": bool(len(known) < len(values)),
                "cycles": _cycles_of(known) if column.kind == "time" else [],
            }

    def apply(self, table: Table) -> NDArray[np.float32]:
        """Return the features of these rows, shape (rows, width)."""
        features = np.empty((len(table), self.width), dtype=np.float32)
        place = 0
        for column in self.columns:
            for feature in self._features(_values(table, column.name), self._facts[column.name]):
                features[:, place] = feature
                place += 1
        return features

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON values."""
        return self._facts

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take back what was learned."""
        self._facts = dict(facts)

    @staticmethod
    def _features(values: NDArray[np.float64], fact: Mapping[str, Any]) -> list[NDArray[Any]]:
        known = np.isfinite(values)
        scaled = np.where(known, (np.where(known, values, 0.0) - fact["centre"]) * fact["scale"], 0.0)
        features: list[NDArray[Any]] = [scaled / np.sqrt(1 + (scaled / 3) ** 2)]
        if fact["missing"]:
            features.append(~known)
        for name in fact["cycles"]:
            angle = 2 * np.pi * (np.where(known, values, 0.0) % _CYCLES[name]) / _CYCLES[name]
            features += [np.where(known, np.sin(angle), 0.0), np.where(known, np.cos(angle), 0.0)]
        return features


def quantile_edges(features: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Return edges that cut every feature into at most `bins` equally full bins.

    Args:
        features: shape (rows, width).
        bins: most bins of a feature; one with fewer distinct values gets fewer.

    Returns:
        Shape (width, bins + 1), ascending; where there are fewer bins the last edge repeats.
    """
    sample = features[:_SAMPLE]
    edges = np.empty((sample.shape[1], bins + 1), dtype=np.float32)
    for place in range(sample.shape[1]):
        distinct = np.unique(sample[:, place])
        if len(distinct) > bins:
            distinct = np.unique(np.quantile(sample[:, place], np.linspace(0, 1, bins + 1)))
        edges[place] = distinct[-1] if len(distinct) else 0.0
        edges[place, : len(distinct)] = distinct
    return edges


def _values(table: Table, name: str) -> NDArray[np.float64]:
    column = table[name]
    if not isinstance(column, Numbers):
        raise TypeError(f"{name} is stored as {type(column).__name__}, not as numbers")
    return np.asarray(column.values, dtype=np.float64)


def _centre_and_scale(known: NDArray[np.float64]) -> tuple[float, float]:
    if not len(known):
        return 0.0, 0.0
    low, centre, high = (float(value) for value in np.quantile(known, (0.25, 0.5, 0.75)))
    if high > low:
        return centre, 1 / (high - low)
    whole = float(known.max() - known.min())
    return centre, 2 / whole if whole > 0 else 0.0


def _cycles_of(known: NDArray[np.float64]) -> list[str]:
    """A cycle is told only where rows stand at different places of it, and a year only where they span half of one."""
    if not len(known) or known.max() == known.min():
        return []
    span = float(known.max() - known.min())
    return [
        name
        for name, period in _CYCLES.items()
        if span >= period / 2 and len(np.unique(np.floor(known % period / period * 96))) > 1
    ]

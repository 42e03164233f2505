"""Numbers, flags, categories and times as features."""

from __future__ import annotations

from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Categories, Column, Numbers
from yunti.models.contract import Parts
from yunti.models.features.block import Block

Floats = NDArray[np.float32]
DAY = 86400.0


@final
class Number(Block):
    """A number or a flag as it is, NaN where missing; nothing where it is constant.

    Values are taken relative to the training median where float32 would merge them otherwise.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.origin = 0.0
        self.used = True

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """See whether it varies, and around which value."""
        del target, seed
        values = cast(Numbers, column).values
        known = values[np.isfinite(values)]
        self.used = len(known) > 0 and bool(known.min() < known.max() or len(known) < len(values))
        if values.dtype == np.float64 and self.used:
            self.origin = float(np.median(known))

    def transform(self, column: Column) -> Floats:
        """Return one feature, or none."""
        values = cast(Numbers, column).values
        if not self.used:
            return np.zeros((len(values), 0), dtype=np.float32)
        shifted = (values - self.origin if self.origin else values).astype(np.float32)
        return np.where(np.isfinite(shifted), shifted, np.float32(np.nan))[:, None]

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name."""
        return (self.name,) if self.used else ()

    def parts(self) -> Parts:
        """Return the origin."""
        return Parts(facts={"origin": self.origin, "used": self.used})

    def restore(self, parts: Parts) -> None:
        """Take it back."""
        self.origin, self.used = float(parts.facts["origin"]), bool(parts.facts["used"])


@final
class NumberAndLogarithm(Block):
    """A number and, where it takes many values, how it grows: sgn(d) · ln(1 + 3·|d| / m).

    d is the distance from the least training value and m its median, so that prices, counts and sizes add up as shares
    as well as amounts.
    """

    MANY = 8
    SAMPLE = 200_000

    def __init__(self, name: str) -> None:
        self.number = Number(name)
        self.least = 0.0
        self.median = 0.0

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Find the least value and the median distance from it."""
        self.number.fit(column, target, seed)
        values = self.number.transform(column.take(slice(0, self.SAMPLE)))
        known = values[np.isfinite(values)].astype(np.float64)
        if len(np.unique(known)) > self.MANY:
            self.least = float(known.min())
            self.median = float(np.median(known) - self.least) or float(known.mean() - self.least)

    def transform(self, column: Column) -> Floats:
        """Return one feature, two, or none."""
        values = self.number.transform(column)
        if not self.median:
            return values
        distance = (values - np.float32(self.least)) * np.float32(3 / self.median)
        return np.concatenate([values, np.copysign(np.log1p(np.abs(distance)), distance)], axis=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name, and that of the logarithm."""
        return (*self.number.names, *(f"logarithm of {name}" for name in self.number.names if self.median))

    def parts(self) -> Parts:
        """Return the numbers that were found."""
        parts = Parts(facts={"least": self.least, "median": self.median})
        parts.put("number", self.number.parts())
        return parts

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.least, self.median = float(parts.facts["least"]), float(parts.facts["median"])
        self.number.restore(parts.get("number"))


@final
class Time(Block):
    """A time as days since the training median, and its place in the day, the week and the year.

    Args:
        name: the column's name.
        circular: give the places as sine and cosine (for models that add), else as ordinals.
    """

    CYCLES = (("day", DAY), ("week", 7 * DAY), ("year", 365.2425 * DAY))

    def __init__(self, name: str, circular: bool) -> None:
        self.name, self.circular = name, circular
        self.origin = 0.0
        self.used: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Find the origin and which features vary."""
        del target, seed
        seconds = cast(Numbers, column).values.astype(np.float64)
        known = seconds[np.isfinite(seconds)]
        self.origin = float(np.median(known)) if len(known) else 0.0
        values = self._all(known)
        self.used = np.flatnonzero(np.ptp(values, axis=0) > 1e-6) if len(known) else self.used

    def transform(self, column: Column) -> Floats:
        """Return those that vary."""
        return self._all(cast(Numbers, column).values.astype(np.float64))[:, self.used]

    def _all(self, seconds: NDArray[np.float64]) -> Floats:
        columns = [(seconds - self.origin) / DAY, *self._places(seconds)]
        return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(seconds), 0), np.float32)

    def _places(self, seconds: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        # 1970-01-01 was a Thursday; weeks are counted from a Monday.
        turns = [np.mod(seconds + (3 * DAY if name == "week" else 0), length) / length for name, length in self.CYCLES]
        if self.circular:
            return [part(2 * np.pi * turn) for turn in turns for part in (np.sin, np.cos)]
        months = np.where(np.isfinite(seconds), seconds, 0).astype("datetime64[s]").astype("datetime64[M]")
        month = np.where(np.isfinite(seconds), months.astype(np.int64) % 12, np.nan)
        return [turns[0] * 24, np.floor(turns[1] * 7), turns[2] * 365.2425, month]

    @property
    def names(self) -> tuple[str, ...]:
        """Column and what of the time."""
        if self.circular:
            places = [f"{part} of the {name}" for name, _ in self.CYCLES for part in ("sine", "cosine")]
        else:
            places = ["hour", "weekday", "day of the year", "month"]
        names = [self.name, *(f"{self.name}: {place}" for place in places)]
        return tuple(names[index] for index in self.used.tolist())

    def parts(self) -> Parts:
        """Return the origin and the features in use."""
        return Parts({"used": self.used}, {"origin": self.origin})

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.used, self.origin = parts.arrays["used"], float(parts.facts["origin"])


class _Leveled(Block):
    """What all encodings of categories share: the levels worth knowing, most frequent first."""

    MOST = 1000

    def __init__(self, name: str) -> None:
        self.name = name
        self.known: tuple[str, ...] = ()

    def fit(self, column: Column, target: NDArray[Any], seed: int) -> None:
        """Keep the levels that enough training rows have; ties stand in the order of their names."""
        del target, seed
        categories = cast(Categories, column)
        counts = np.bincount(categories.codes[categories.codes >= 0], minlength=len(categories.names))
        least = self.least(len(categories))
        kept = [(-int(count), name) for name, count in zip(categories.names, counts, strict=True) if count >= least]
        self.known = tuple(name for _, name in sorted(kept)[: self.MOST])

    @staticmethod
    def least(rows: int) -> int:
        """Return how many rows a level needs to be kept: 2, and 10 in large data."""
        return 1 if rows < 50 else 2 if rows < 20_000 else 10

    def codes(self, column: Column, other: int, missing: int) -> NDArray[np.int32]:
        """Return the place of every row's level; `other` and `missing` for the rest."""
        categories = cast(Categories, column)
        codes = categories.codes_in({name: place for place, name in enumerate(self.known)}, other)
        return np.where(categories.codes < 0, np.int32(missing), codes)

    def parts(self) -> Parts:
        """Return the levels."""
        return Parts(facts={"known": list(self.known)})

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.known = tuple(parts.facts["known"])


@final
class OneHot(_Leveled):
    """A category as one feature a level, one for all rare ones together, one for missing."""

    sparse = True

    def transform(self, column: Column) -> Any:
        """Return a CSR matrix with one 1 in every row."""
        from scipy import sparse

        width = len(self.names)
        codes = self.codes(column, width - 2, width - 1)
        ones = np.ones(len(codes), dtype=np.float32)
        return sparse.csr_matrix((ones, codes, np.arange(len(codes) + 1, dtype=np.int32)), shape=(len(codes), width))

    @property
    def names(self) -> tuple[str, ...]:
        """Column and level."""
        levels = (*(f"= {level!r}" for level in self.known), "is rare", "is missing")
        return tuple(f"{self.name} {level}" for level in levels)


@final
class Codes(_Leveled):
    """A category as the rank of its level's frequency; NaN where missing, the rank after the last for all rare levels.

    Args:
        name: the column's name.
        unordered: whether the model treats codes as labels without order.
    """

    def __init__(self, name: str, unordered: bool) -> None:
        super().__init__(name)
        self.unordered = unordered

    def transform(self, column: Column) -> Floats:
        """Return one feature."""
        codes = self.codes(column, len(self.known), -1)
        return np.where(codes < 0, np.float32(np.nan), codes.astype(np.float32))[:, None]

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name."""
        return (self.name,)

    @property
    def levels(self) -> tuple[int, ...]:
        """How many codes there are, if they have no order."""
        return (len(self.known) + 1 if self.unordered else 0,)

"""What the checks look at: the typed columns in the order of the source, and the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.parse import Reading
from yunti.data.raw import Raw
from yunti.data.table import Categories, Numbers, Table
from yunti.data.target import Answers
from yunti.seeds import generator
from yunti.specs import ColumnSpec, Kind

DRAWN = 20_000  # rows that costly checks look at


@final
@dataclass(frozen=True, eq=False)
class Facts:
    """What remains known of a column's reading once its values are on disk."""

    present: int
    unreadable: int
    wrong: Mapping[int, str]


def facts_of(reading: Reading) -> Facts:
    """Take the counts of a reading."""
    return Facts(reading.present, reading.unreadable, reading.wrong)


@final
@dataclass(frozen=True, eq=False)
class Sheet:
    """The data as the checks see them.

    Args:
        raw: rows as they stand in the source.
        columns: the columns that may become inputs.
        table: their typed values, in the order of the source; ids that are left out are not in it.
        facts: counts of each column's reading.
        usable: rows that are neither broken nor without an answer, shape (rows,), bool.
        answers: the answers, or None where no target was named.
        seed: seed of the draws.
    """

    raw: Raw
    columns: tuple[ColumnSpec, ...]
    table: Table
    facts: Mapping[str, Facts]
    usable: NDArray[np.bool_]
    answers: Answers | None
    seed: int

    def of_kind(self, *kinds: Kind) -> Iterator[ColumnSpec]:
        """Give the columns of these kinds."""
        return (column for column in self.columns if column.kind in kinds and column.name in self.table.columns)

    def drawn(self, purpose: str, most: int = DRAWN) -> NDArray[np.int64]:
        """Draw usable rows at random, in the order of the source; rows of a ready test part stay closed."""
        ready = self.raw.parts
        rows = np.flatnonzero(self.usable if ready is None else self.usable & (ready != "test"))
        if len(rows) <= most:
            return rows
        return np.sort(generator(self.seed, "doctor", purpose).choice(rows, most, replace=False))

    def values(self, name: str, rows: Any) -> NDArray[np.float64]:
        """Give a column's values at some rows: numbers as they are, categories as their codes; NaN where missing."""
        match self.table[name]:
            case Numbers(values):
                return np.asarray(values[rows], dtype=np.float64)
            case Categories(codes, _):
                some = codes[rows].astype(np.float64)
                return np.where(some < 0, np.nan, some)
            case other:
                raise TypeError(f"{name} is stored as {type(other).__name__}, which has no single value a row")

"""A `Table`: named columns of typed values, in memory or memory-mapped, never Python objects a row.

Five storages carry all kinds: `Numbers` (number, flag, time), `Categories` (category, id), `Texts` (text),
`Images` (image) and `Ragged` (audio, sequence). A sixth, `Packed`, holds what a language model learns from: windows of
tokens that were cut from texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Union, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = slice | NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Numbers:
    """Values of a number, a flag (0 or 1) or a time (seconds since 1970, UTC); NaN where missing.

    Args:
        values: shape (rows,), float32, or float64 where float32 would merge values.
    """

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> Numbers:
        """Return these rows: a view for a slice, a copy for indices."""
        return Numbers(self.values[rows])


@final
@dataclass(frozen=True, eq=False)
class Categories:
    """Values out of a list of distinct strings.

    The list is only a way to store them: it may differ between two tables and says nothing about training rows.
    What a model knows about categories is fitted on its training rows and looked up by the string.

    Args:
        codes: shape (rows,), int32; the place in `names`, -1 where missing.
        names: the distinct strings.
    """

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Rows) -> Categories:
        """Return these rows: a view for a slice, a copy for indices."""
        return Categories(self.codes[rows], self.names)

    def codes_in(self, known: Mapping[str, int], other: int) -> NDArray[np.int32]:
        """Translate to the codes of another list; unknown and missing values become `other`.

        Args:
            known: code for each known name.
            other: code for everything else.

        Returns:
            Shape (rows,), int32.
        """
        lookup = np.array([known.get(name, other) for name in self.names] + [other], dtype=np.int32)
        return lookup[self.codes]  # -1 (missing) picks the last place


@final
@dataclass(frozen=True, eq=False)
class Texts:
    """Strings; null where missing.

    Args:
        values: an Arrow array of large_string, often memory-mapped.
    """

    values: pa.LargeStringArray

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows) -> Texts:
        """Return these rows: a view for a slice, a copy for indices."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self.values))
            if step == 1:
                return Texts(self.values.slice(start, max(0, stop - start)))
            rows = np.arange(start, stop, step)
        return Texts(self.values.take(pa.array(rows)))

    def strings(self) -> list[str]:
        """Return the rows as Python strings; a missing one is empty."""
        return [text or "" for text in self.values.to_pylist()]


@final
@dataclass(frozen=True, eq=False)
class Images:
    """Pictures of one size.

    Args:
        pixels: shape (rows, height, width, channels), uint8, often memory-mapped; zeros where missing.
        present: shape (rows,), bool.
    """

    pixels: NDArray[np.uint8]
    present: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: Rows) -> Images:
        """Return these rows: a view for a slice, a copy for indices."""
        return Images(self.pixels[rows], self.present[rows])


@final
@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of different lengths: sounds (one channel) or sequences; a missing row has length 0.

    Args:
        values: shape (steps of all rows, channels); float32, or int16 for sound (divide by 32768).
        offsets: shape (rows + 1,), int64; row i is values[offsets[i]:offsets[i + 1]]. The first need not be 0.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Rows) -> Ragged:
        """Return these rows: a view for a contiguous slice, a copy for indices."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return Ragged(self.values, self.offsets[start : max(start, stop) + 1])
            rows = np.arange(start, stop, step)
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Ragged(self.values[starts + np.arange(offsets[-1])], offsets)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of steps of each row, shape (rows,)."""
        return np.diff(self.offsets)

    def row(self, index: int) -> NDArray[np.float32]:
        """Return one row as float32, shape (steps, channels); sound is in -1 to 1."""
        values = self.values[self.offsets[index] : self.offsets[index + 1]]
        scale = np.float32(1 / 32768) if self.values.dtype == np.int16 else np.float32(1)
        return np.asarray(values, dtype=np.float32) * scale


class Source(Protocol):
    """Where the rows of a packed column come from."""

    def __len__(self) -> int: ...

    def arrays(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the arrays of some rows by the ends of their names; "" is the main one."""


@final
@dataclass(frozen=True, eq=False)
class Packed:
    """Rows that are put together only when they are asked for, from a file that memory need not hold.

    Args:
        source: where they come from.
        rows: shape (rows,), int64; which of the source's.
    """

    source: Source
    rows: NDArray[np.int64]

    @staticmethod
    def all(source: Source) -> Packed:
        """Return all rows of a source."""
        return Packed(source, np.arange(len(source), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Rows) -> Packed:
        """Return these rows."""
        return Packed(self.source, self.rows[rows])

    def arrays(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """Return the arrays of some rows."""
        return self.source.arrays(self.rows[rows])


Column = Union[Numbers, Categories, Texts, Images, Ragged]  # noqa: UP007  (a runtime alias that beartype can read)


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of equal length.

    Example:
        >>> table = Table({"age": Numbers(np.array([30.0, 41.0], dtype=np.float32))})
        >>> len(table), len(table.take(slice(0, 1)))
        (2, 1)
    """

    columns: Mapping[str, Column | Packed]

    def __len__(self) -> int:
        return next((len(column) for column in self.columns.values()), 0)

    def __getitem__(self, name: str) -> Column:
        column = self.columns[name]
        assert not isinstance(column, Packed)
        return column

    def packed(self, name: str) -> Packed:
        """Return a column that is put together row by row."""
        column = self.columns[name]
        assert isinstance(column, Packed)
        return column

    def take(self, rows: Rows) -> Table:
        """Return these rows of every column."""
        return Table({name: column.take(rows) for name, column in self.columns.items()})


@final
@dataclass(frozen=True, eq=False)
class Examples:
    """Rows with their answers.

    Args:
        table: the input columns.
        target: shape (rows,); int32 class codes, or float64 values.
        rows: shape (rows,), int64; each row's number in the source, 0-based.
        groups: shape (rows,), int64; rows of one group, such as one speaker's, must stay together wherever rows are
            divided again. None where no group column was named.
    """

    table: Table
    target: NDArray[Any]
    rows: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: Rows) -> Examples:
        """Return these rows."""
        groups = None if self.groups is None else self.groups[rows]
        return Examples(self.table.take(rows), self.target[rows], self.rows[rows], groups)

"""Rows on their way into one memory-mapped table: batches whose columns may differ in type from block to block."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from yunti.data.files import new_file, reading
from yunti.data.raw import BrokenRow
from yunti.errors import SourceError


@final
@dataclass(frozen=True)
class FileReport:
    """What was read from one file.

    Args:
        rows: data rows in the file, those that were lost included.
        lost: 1-based numbers of the rows that are not in the table.
        broken: the rows that could not be read.
        notes: what was assumed, one clause each.
    """

    rows: int
    lost: tuple[int, ...] = ()
    broken: tuple[BrokenRow, ...] = ()
    notes: tuple[str, ...] = ()


@final
class Spill:
    """Takes batches of rows, writes them as uncompressed Arrow files, and gives them back memory-mapped.

    A column that is missing from a batch is null there; types that differ are joined (see `joined`). Since a type can
    only be widened a few times, few files need to be written anew at the end.

    Args:
        folder: where the files go.
        name: the source as the user named it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.rows = 0
        self._folder, self._name = folder, name
        self._parts: list[tuple[Path, pa.Schema]] = []
        self._writer: Any = None
        self._first: tuple[str, tuple[str, ...]] | None = None

    def agree(self, file: str, names: Sequence[str]) -> None:
        """Check that a file's columns are those of the files before it, in any order.

        Raises:
            SourceError: they are not.
        """
        if self._first is None:
            self._first = (file, tuple(names))
            return
        other, expected = self._first
        missing, extra = [sorted(set(a) - set(b)) for a, b in ((expected, names), (names, expected))]
        if missing or extra:
            got = f"it lacks {missing[0]!r}" if missing else f"it has {extra[0]!r} as well"
            mend = "give files of one kind, or one file alone"
            raise SourceError(file, f"its columns must be those of {other}", got, mend)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add rows. Columns are brought to the plain types first (see `plain_type`).

        Raises:
            SourceError: two columns have one name, or the disk is full.
        """
        batch = plain(batch)
        must_differ(batch.schema.names, self._name)
        old = self._parts[-1][1] if self._parts else None
        schema = batch.schema if old is None else joined(old, batch.schema)
        with reading(self._name):
            if schema != old:
                self._begin(schema)
            self._writer.write_batch(fitted(batch, schema))
        self.rows += batch.num_rows

    def _begin(self, schema: pa.Schema) -> None:
        self.close()
        path = new_file(self._folder, "rows", ".arrow")
        self._parts.append((path, schema))
        self._writer = pa.ipc.new_file(pa.OSFile(str(path), "wb"), schema)

    def close(self) -> None:
        """Finish the file that is being written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def table(self) -> pa.Table:
        """Return all rows, memory-mapped; nothing can be added afterwards."""
        self.close()
        if not self._parts:
            return pa.table({})
        schema = self._parts[-1][1]
        return pa.concat_tables([self._mapped(path, old, schema) for path, old in self._parts])

    def _mapped(self, path: Path, old: pa.Schema, schema: pa.Schema) -> pa.Table:
        table = mapped(path)
        if old == schema:
            return table
        wider = new_file(self._folder, "rows", ".arrow")
        with reading(self._name), pa.ipc.new_file(pa.OSFile(str(wider), "wb"), schema) as writer:
            for batch in table.to_batches():
                writer.write_batch(fitted(batch, schema))
        path.unlink()
        return mapped(wider)


def must_differ(names: Sequence[str], name: str) -> None:
    """Check that no two columns have the same name.

    Raises:
        SourceError: two have.
    """
    twice = next((each for each, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        places = " and ".join(str(place) for place, each in enumerate(names, 1) if each == twice)
        raise SourceError(
            name,
            "each column must have a name of its own",
            f"columns {places} are both called {twice!r}",
            "rename one of them",
        )


def mapped(path: Path) -> pa.Table:
    """Open an Arrow file memory-mapped; no row is read yet."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that stands for this one everywhere behind the readers.

    Strings are large_string, lists large_list, lists of objects text, dictionaries their values, decimals float64,
    half floats float32, extension types their storage; booleans, integers, floats, dates, times and durations stay.
    """
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if types.is_string(kind) or types.is_string_view(kind) or types.is_large_string(kind):
        return pa.large_string()
    if types.is_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind):
        return pa.large_binary()
    if types.is_decimal(kind):
        return pa.float64()
    if types.is_float16(kind):
        return pa.float32()
    if is_list(kind):
        inner = plain_type(kind.value_type)
        return pa.large_string() if types.is_struct(inner) else pa.large_list(inner)
    if types.is_map(kind) or types.is_union(kind) or types.is_interval(kind):
        return pa.large_string()
    return kind


def is_list(kind: pa.DataType) -> bool:
    """Say whether values of this type are lists."""
    types = pa.types
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    return any(test(kind) for test in tests)


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bring all columns to plain types; the fields of a struct become columns named `outer.inner`."""
    names, columns = list(batch.schema.names), list(batch.columns)
    while True:
        columns = [as_type(column, plain_type(column.type)) for column in columns]
        if not any(pa.types.is_struct(column.type) for column in columns):
            return pa.RecordBatch.from_arrays(columns, names=names)
        pairs = [pair for name, column in zip(names, columns, strict=True) for pair in _fields(name, column)]
        names, columns = [name for name, _ in pairs], [column for _, column in pairs]


def _fields(name: str, column: pa.Array) -> Iterable[tuple[str, pa.Array]]:
    if not pa.types.is_struct(column.type):
        return [(name, column)]
    if not column.type.num_fields:
        return [(name, pa.nulls(len(column)))]
    inner = zip(column.type, column.flatten(), strict=True)
    return [(f"{name}.{field.name}", values) for field, values in inner]


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Bring a column to another type: by Arrow's cast where there is one, else through text."""
    if column.type == kind:
        return column
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    to_text = pa.types.is_large_string(kind)
    if not (to_text and pa.types.is_nested(column.type)) and not _casts_wrongly(column.type):
        try:
            return column.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    values = column.to_pylist()
    return pa.array([None if value is None else text_of(value) for value in values] if to_text else values, kind)


def _casts_wrongly(kind: pa.DataType) -> bool:
    """Say whether Arrow 26 makes invalid lists of this type, or has no cast for it."""
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind) or pa.types.is_run_end_encoded(kind))


def text_of(value: Any) -> str:
    """Write one value of a column that mixes types: strings as they are, other values as in JSON, else by `str`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
    return str(value)


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Bring a batch to a schema: columns in its order, of its types, null where missing."""
    if batch.schema == schema:
        return batch
    there = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns = [
        as_type(there[field.name], field.type) if field.name in there else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def joined(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Return the columns of both, each of a type that holds the values of both."""
    kinds = {field.name: field.type for field in first}
    for field in second:
        kinds[field.name] = wider(kinds[field.name], field.type) if field.name in kinds else field.type
    return pa.schema(list(kinds.items()))


def wider(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Return a type for the values of both: the larger number, the finer time, the list of the wider values, else text.

    Example:
        >>> wider(pa.int64(), pa.float64()), wider(pa.int64(), pa.bool_())
        (DataType(double), DataType(large_string))
    """
    types = pa.types
    if first == second or types.is_null(second):
        return first
    if types.is_null(first):
        return second
    if is_list(first) and is_list(second):
        return pa.large_list(wider(first.value_type, second.value_type))
    if types.is_integer(first) and types.is_integer(second):
        unsigned = types.is_uint64(first) or types.is_uint64(second)
        return pa.float64() if unsigned else pa.int64()
    numbers = types.is_integer, types.is_floating
    if any(test(first) for test in numbers) and any(test(second) for test in numbers):
        return pa.float64()
    if (types.is_timestamp(first) or types.is_date(first)) and (types.is_timestamp(second) or types.is_date(second)):
        zones = {kind.tz if types.is_timestamp(kind) else None for kind in (first, second)}
        return pa.timestamp("us", zones.pop()) if len(zones) == 1 else pa.large_string()
    return pa.large_string()

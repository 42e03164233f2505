"""Data frames and other tables in memory: pandas, polars, Arrow, and dictionaries and lists of Python values."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.arrays import read_arrays
from yunti.data.axes import scalars
from yunti.data.jsonlines import array_of, batch_of
from yunti.data.raw import Raw
from yunti.data.spill import Spill, must_differ, plain
from yunti.errors import SourceError

NAME = "data frame"


@runtime_checkable
class ArrowStream(Protocol):
    """Anything that gives its rows by the Arrow C stream interface: polars, DuckDB, Arrow itself and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give the rows as an Arrow C stream."""


def read_frame(source: object, workspace: Path) -> Raw:
    """Read a table in memory.

    Args:
        source: a data frame of pandas or polars, an Arrow table or batch, anything with `__arrow_c_stream__`, a
            dictionary of columns, or a list of dictionaries.
        workspace: a folder for memory-mapped files.

    Raises:
        SourceError: it is none of these, has no rows, or a column has values that no column can hold.
    """
    if isinstance(source, Mapping):
        return _from_columns({str(name): values for name, values in source.items()}, workspace)
    if isinstance(source, list | tuple) and source and all(isinstance(row, dict) for row in source):
        return _raw(pa.Table.from_batches([plain(batch_of(source))]))
    if isinstance(source, pa.RecordBatch):
        return _raw(_plain_table(pa.Table.from_batches([source])))
    if isinstance(source, pa.Table):
        return _raw(_plain_table(source))
    if _is_a(source, "pandas"):
        return _raw(_plain_table(_from_pandas(source)))
    if isinstance(source, ArrowStream):
        return _from_stream(source, workspace)
    mend = "name a file or folder, or give a pandas, polars or Arrow table"
    if _is_a(source, "polars", "LazyFrame"):
        mend = "call its collect() first"
    if isinstance(source, np.ndarray):
        mend = 'give named arrays, such as {"x": x, "y": y}'
    got = "it is an empty list" if isinstance(source, list) and not source else f"its type is {type(source).__name__}"
    raise SourceError(NAME, "the source must be a path or a table", got, mend)


def _is_a(source: object, package: str, kind: str = "DataFrame") -> bool:
    """Say whether it is this package's data frame, without importing the package."""
    module = sys.modules.get(package)
    return module is not None and isinstance(source, getattr(module, kind))


def _raw(table: pa.Table) -> Raw:
    must_differ(table.column_names, NAME)
    if not table.num_rows or not table.num_columns:
        got = f"it has {table.num_rows} rows and {table.num_columns} columns"
        raise SourceError(NAME, "it must hold rows", got, "give a table with rows")
    return Raw(NAME, table, files=(NAME,))


def _plain_table(table: pa.Table) -> pa.Table:
    must_differ(table.column_names, NAME)
    if not table.num_columns:
        return table
    return pa.Table.from_batches([plain(batch) for batch in table.to_batches()] or [plain(_no_rows(table.schema))])


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def _from_columns(columns: Mapping[str, Any], workspace: Path) -> Raw:
    if any(isinstance(values, np.ndarray) and values.ndim > 1 for values in columns.values()):
        return read_arrays(NAME, {name: _array(name, values) for name, values in columns.items()}, workspace)
    made = {name: _column(name, values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in made.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name!r} has {length}" for name, length in list(lengths.items())[:3])
        raise SourceError(NAME, "all columns must have the same number of rows", got, "make them equally long")
    return _raw(_plain_table(pa.table(made)))


def _array(name: str, values: Any) -> NDArray[Any]:
    try:
        return np.array(values) if not isinstance(values, np.ndarray) else values
    except ValueError as error:
        mend = "give it as a NumPy array"
        raise SourceError(f"{NAME}, column {name!r}", "all its rows must be alike", "they differ", mend) from error


def _column(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SourceError(
            f"{NAME}, column {name!r}", "it must be a list of values", f"it is {values!r}", "give one value a row"
        )
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biufUSM":
        return scalars(values)
    return array_of(list(values))


def _from_pandas(frame: Any) -> pa.Table:
    names = [".".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in frame.columns]
    must_differ(names, NAME)
    columns = [_from_series(frame.iloc[:, place], name) for place, name in enumerate(names)]
    return pa.table(columns, names=names) if columns else pa.table({})


def _from_series(series: Any, name: str) -> pa.Array | pa.ChunkedArray:
    """Take over one column; one whose values do not go together becomes text. The index is no column."""
    try:
        column = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        column = _from_values(series.tolist(), name)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if isinstance(kind, pa.BaseExtensionType):  # periods and intervals
        return _from_values(
            [None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)], name
        )
    return column


def _from_values(values: Sequence[Any], name: str) -> pa.Array:
    for value in values:
        if isinstance(value, complex) or (isinstance(value, np.ndarray) and value.ndim > 1):
            got = "it has complex numbers" if isinstance(value, complex) else f"it has arrays of {value.ndim} axes"
            mend = "give each array as an own array of all rows" if isinstance(value, np.ndarray) else "split them"
            raise SourceError(f"{NAME}, column {name!r}", "a row must hold a value or a list of numbers", got, mend)
    return array_of([None if _is_missing(value) else value for value in values])


def _is_missing(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")  # pandas' own, without importing pandas


def _from_stream(source: ArrowStream, workspace: Path) -> Raw:
    """Read any stream of Arrow batches into memory-mapped rows."""
    if _is_a(source, "polars"):
        _must_be_known(source)
    spill = Spill(workspace, NAME)
    try:
        reader = pa.RecordBatchReader.from_stream(source)
        must_differ(reader.schema.names, NAME)
        for batch in reader:
            spill.append(batch)
    except (pa.ArrowException, TypeError) as error:
        got, mend = str(error).splitlines()[0].rstrip("."), "turn the columns of that type into numbers or text"
        if "non-struct" in got:
            raise SourceError(NAME, "it must be a table", "it is a single column", "call its to_frame()") from error
        raise SourceError(NAME, "its columns must be of types that Arrow knows", got, mend) from error
    return _raw(spill.table())


def _must_be_known(frame: Any) -> None:
    for name, kind in frame.schema.items():
        if str(kind) == "Object":
            where = f"{NAME}, column {name!r}"
            raise SourceError(where, "its type must be known", "it is Object", "cast it to numbers or text")

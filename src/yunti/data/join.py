"""A source and its separate test source as one `Raw`, so that both are understood together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.media import endings_kind
from yunti.data.raw import Raw
from yunti.data.store import new_rows
from yunti.data.strings import as_strings, is_string, levels_of, plain
from yunti.errors import ColumnError, nearest


def joined(train: Raw, test: Raw, folder: Path) -> Raw:
    """Append the rows of a test source; they become the part "test", all others train (or valid, where so marked).

    Args:
        train: the source.
        test: the test source; columns that the source does not have are passed over.
        folder: where arrays that grow large may be written.

    Raises:
        ColumnError: the test source lacks a column, or has it with values of another type.
    """
    for name in train.names:
        if name not in test.names:
            raise ColumnError(
                test.source,
                f"the test rows must have column {name!r}, as {train.source} has",
                "it is missing",
                nearest(name, test.names),
            )
        if (name in train.arrays) != (name in test.arrays):
            raise _other_type(test, name, "arrays" if name in train.arrays else "single values")
    columns = {name: _joined_column(train, test, name) for name in train.arrow.column_names}
    arrays = {
        name: _joined_array(train.arrays[name], test, name, folder / f"joined-{place}.npy")
        for place, name in enumerate(train.arrays)
    }
    rows = (len(train), len(test))
    ready = np.where(train.parts == "valid", "valid", "train") if train.parts is not None else np.full(rows[0], "train")
    files = (train.files or (train.source,), test.files or (test.source,))
    return replace(
        train,
        arrow=pa.table(columns),
        arrays=arrays,
        parts=np.concatenate([ready, np.full(rows[1], "test")]),
        files=(*files[0], *files[1]),
        file_of=np.concatenate([_file_of(train), _file_of(test) + len(files[0])]).astype(np.int32),
        row_of=np.concatenate([_row_of(train), _row_of(test)]),
        broken=(*train.broken, *test.broken),
        documents=None if train.documents is None and test.documents is None else _documents_of(train, test),
    )


def _joined_column(train: Raw, test: Raw, name: str) -> pa.ChunkedArray:
    first, second = plain(train.arrow.column(name)), plain(test.arrow.column(name))
    if is_string(first.type) and train.folder != test.folder and endings_kind(levels_of(first.slice(0, 1000)).names):
        first, second = _absolute(first, train.folder), _absolute(second, test.folder)
    if first.type != second.type:
        first, second = _same_type(test, name, first, second)
    return pa.chunked_array([*first.chunks, *second.chunks], type=first.type)


def _same_type(test: Raw, name: str, *columns: pa.ChunkedArray) -> tuple[pa.ChunkedArray, ...]:
    types = [column.type for column in columns]
    if any(pa.types.is_null(each) for each in types):
        known = next(each for each in types if not pa.types.is_null(each))
        return tuple(column.cast(known) for column in columns)
    if all(pa.types.is_integer(each) or pa.types.is_floating(each) or pa.types.is_boolean(each) for each in types):
        return tuple(
            column.cast(pa.int8()).cast(pa.float64()) if pa.types.is_boolean(column.type) else column.cast(pa.float64())
            for column in columns
        )
    if any(pa.types.is_nested(each) for each in types):
        try:
            return columns[0], columns[1].cast(types[0])
        except pa.ArrowInvalid as error:
            raise _other_type(test, name, str(types[0])) from error
    return tuple(as_strings(column) for column in columns)


def _joined_array(first: NDArray[Any], test: Raw, name: str, path: Path) -> NDArray[Any]:
    second = test.arrays[name]
    picture = first.dtype == np.uint8
    same_shape = first.shape[1:] == second.shape[1:]
    if first.dtype != second.dtype or first.ndim != second.ndim or first.shape[2:] != second.shape[2:]:
        raise _other_type(test, name, f"arrays of shape {first.shape[1:]} and type {first.dtype}")
    if picture and not same_shape:
        raise _other_type(test, name, f"pictures of {first.shape[2]}×{first.shape[1]} pixels")
    steps = max(first.shape[1], second.shape[1])
    result = new_rows(path, (len(first) + len(second), steps, *first.shape[2:]), first.dtype)
    if not same_shape:
        result[:] = np.nan
    result[: len(first), : first.shape[1]] = first
    result[len(first) :, : second.shape[1]] = second
    return result


def _absolute(column: pa.ChunkedArray, folder: Path) -> pa.ChunkedArray:
    start = pa.scalar(str(folder.resolve()), pa.large_string())
    whole = pc.binary_join_element_wise(start, column, pa.scalar("/", pa.large_string()))
    return pc.if_else(pc.starts_with(column, "/"), column, whole)


def _documents_of(train: Raw, test: Raw) -> NDArray[np.int64]:
    first, second = (
        np.arange(len(raw), dtype=np.int64) if raw.documents is None else raw.documents for raw in (train, test)
    )
    return np.concatenate([first, second + first.max(initial=-1) + 1])


def _file_of(raw: Raw) -> NDArray[np.int32]:
    return raw.file_of if raw.file_of is not None else np.zeros(len(raw), dtype=np.int32)


def _row_of(raw: Raw) -> NDArray[np.int64]:
    return raw.row_of if raw.row_of is not None else np.arange(1, len(raw) + 1, dtype=np.int64)


def _other_type(test: Raw, name: str, wanted: str) -> ColumnError:
    return ColumnError(
        test.source,
        f"column {name!r} must hold {wanted}, as in training",
        "it does not",
        "give test rows of the same form",
    )

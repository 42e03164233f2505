"""Raw columns read as typed ones: the same way for training rows and for new rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data import audio, images, labels, media, numbers, sequences, times
from yunti.data.kinds import flag_values
from yunti.data.raw import Raw
from yunti.data.store import (
    PartPath,
    Stored,
    new_rows,
    open_column,
    open_texts,
    part_path,
    storage_of,
    write_column,
    write_rows,
    write_texts,
)
from yunti.data.strings import as_strings, levels_of, plain, shortened
from yunti.data.table import Categories, Column, Images, Numbers, Table, Texts
from yunti.errors import ColumnError, nearest
from yunti.specs import ColumnSpec
from yunti.words import say

TOLERATED = 0.05  # the share of values (or rows) that may be unreadable
_TOLD = 10_000  # unreadable values of a column that are told one by one

Tell = Callable[[float], None]

HOLDS = {
    "number": say("many.number"),
    "flag": say("holds.flag"),
    "time": say("holds.time"),
    "category": say("holds.category"),
    "text": say("holds.text"),
    "image": say("many.picture"),
    "audio": say("many.sound"),
    "sequence": say("holds.sequence"),
    "id": say("holds.id"),
}


@final
@dataclass(frozen=True, eq=False)
class Reading:
    """A column as it was read.

    Args:
        column: the typed values.
        present: how many rows have a value.
        unreadable: how many of these could not be read.
        wrong: what is wrong, by row (0-based): for every unreadable picture, sound and sequence; for others the first.
        written: whether the values stand in their files already, because they were read straight into them.
    """

    column: Column
    present: int
    unreadable: int = 0
    wrong: Mapping[int, str] = field(default_factory=dict)
    written: bool = False


def table_from_raw(raw: Raw, columns: Sequence[ColumnSpec], folder: Path | None = None) -> Table:
    """Read rows as a model's columns; used for prediction, where the order and the number of rows must stay.

    Args:
        raw: rows as they stand in the source.
        columns: the columns to read, complete with the facts found in training.
        folder: where memory-mapped arrays may be written; None keeps all in memory.

    Raises:
        ColumnError: a column is missing, or more than 5 % of its values are not of its kind.
    """
    read: dict[str, Column] = {}
    for place, spec in enumerate(columns):
        require(raw, spec)
        path = None if folder is None else part_path(folder, place)
        reading = read_column(raw, spec, path, lambda _fraction: None)
        mend = f"correct the values ({reading.unreadable:,} are wrong), or give the column as it was in training"
        check_readable(raw, reading, f"column {spec.name!r} must hold {HOLDS[spec.kind]}", mend)
        if folder is None:
            read[spec.name] = reading.column
        else:
            read[spec.name] = open_column(folder, keep_column(folder, spec.name, place, reading))
    return Table(read)


def target_from_raw(raw: Raw, target: ColumnSpec, classes: Sequence[str]) -> NDArray[Any]:
    """Read the answers.

    Args:
        raw: rows as they stand in the source.
        target: the target column, as training found it.
        classes: the class labels; empty for regression.

    Returns:
        Shape (rows,): int32 codes, -1 for a missing or unknown label; or float64 values, NaN where missing.

    Raises:
        ColumnError: the column is missing, or more than 5 % of its values are not of its kind.
    """
    require(raw, target)
    column = raw.arrow.column(target.name)
    if classes:
        found = labels.labels_of(column)
        known = labels.lookup(classes)
        codes = np.array([known.get(name, -1) for name in found.names.to_pylist()] + [-1], dtype=np.int32)
        return codes[found.codes]
    reading = read_column(raw, replace(target, kind="number"), None, lambda _fraction: None)
    check_readable(raw, reading, f"the target {target.name!r} must hold numbers", "correct the values")
    assert isinstance(reading.column, Numbers)
    return reading.column.values.astype(np.float64)


def keep_column(folder: Path, name: str, place: int, reading: Reading) -> Stored:
    """Write a column that was read with the path of this place, unless it stands there already."""
    if reading.written:
        return Stored(name, place, storage_of(reading.column))
    return write_column(folder, name, place, reading.column)


def check_readable(raw: Raw, reading: Reading, must: str, mend: str) -> None:
    """Check that at most 5 % of a column's values are of another kind.

    Raises:
        ColumnError: more are; the first of them is shown.
    """
    if reading.unreadable > TOLERATED * max(1, reading.present):
        row, reason = min(reading.wrong.items())
        file, number = raw.place(row)
        raise ColumnError(f"{file}, row {number}", must, reason, mend)


def require(raw: Raw, spec: ColumnSpec) -> None:
    """Check that a column is there and stored in a way that fits its kind.

    Raises:
        ColumnError: it is missing, or its type can never be of that kind.
    """
    if spec.name not in raw.names:
        raise ColumnError(
            raw.source,
            f"column {spec.name!r} must be there, as it was in training",
            "it is missing",
            nearest(spec.name, raw.names),
        )
    if spec.name in raw.arrays:
        values = raw.arrays[spec.name]
        picture = values.dtype == np.uint8 and values.ndim in (3, 4)
        if spec.kind != ("image" if picture else "sequence"):
            raise _other_type(raw, spec, f"it is an array of shape {values.shape} and type {values.dtype}")
        return
    kind = raw.arrow.column(spec.name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    strings = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    moment = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    fits = {
        "image": strings or media.is_packed(kind),
        "audio": strings or media.is_packed(kind),
        "sequence": strings or (sequences.is_list(kind) and not pa.types.is_large_string(sequences.innermost(kind))),
        "number": not pa.types.is_nested(kind) and not moment,
        "time": not pa.types.is_nested(kind) and not pa.types.is_boolean(kind),
        "flag": not pa.types.is_nested(kind) and not moment,
    }.get(spec.kind, not pa.types.is_nested(kind) or sequences.is_list(kind))
    if not fits and not pa.types.is_null(kind):
        raise _other_type(raw, spec, f"it holds values of type {kind}")


def complete(raw: Raw, spec: ColumnSpec) -> ColumnSpec:
    """Add what must be known before a picture or a sound can be read: the shape, the rate."""
    if spec.kind == "image" and spec.shape is None:
        if spec.name in raw.arrays:
            values = raw.arrays[spec.name]
            size = images.common_size([(int(values.shape[1]), int(values.shape[2]))])
            return replace(spec, shape=(*size, int(values.shape[3]) if values.ndim == 4 else 1))
        shape, parsing = images.measure(media.find_media(raw, spec.name))
        return replace(spec, shape=shape, parsing={**spec.parsing, **parsing})
    if spec.kind == "audio" and spec.rate is None:
        return replace(spec, rate=audio.measure(media.find_media(raw, spec.name)), channels=1)
    return spec


def read_column(raw: Raw, spec: ColumnSpec, path: PartPath | None, tell: Tell) -> Reading:
    """Read one column that `require` and `complete` have seen.

    Args:
        raw: rows as they stand in the source.
        spec: how to read it.
        path: where the parts of the column will be stored, so that pictures and sounds are written there at once;
            None keeps them in memory.
        tell: called with the fraction done.
    """
    if spec.kind == "image":
        return _read_images(raw, spec, path, tell)
    if spec.kind == "audio":
        return _read_audio(raw, spec, path, tell)
    if spec.name in raw.arrays:
        return _read_array(raw.arrays[spec.name])
    column = plain(raw.arrow.column(spec.name))
    if spec.kind in ("number", "flag", "time"):
        return _read_numbers(column, spec)
    if spec.kind == "sequence":
        return _read_sequences(column)
    if spec.kind == "text":
        return _read_texts(as_strings(column), path)
    levels = labels.labels_of(column)  # as class labels, so that 1.0 and 1 are one level
    return Reading(Categories(levels.codes, tuple(levels.names.to_pylist())), int((levels.codes >= 0).sum()))


def _read_numbers(column: pa.ChunkedArray, spec: ColumnSpec) -> Reading:
    if pa.types.is_null(column.type):
        return Reading(Numbers(np.full(len(column), np.nan, dtype=np.float32)), 0)
    if spec.kind == "flag":
        return _read_flags(column, spec)
    values = np.empty(len(column), dtype=np.float64)
    wrong: dict[int, str] = {}
    unreadable, start = 0, 0
    for chunk in column.chunks:
        found, bad = _chunk_values(chunk, spec)
        values[start : start + len(chunk)] = found
        rows = np.flatnonzero(bad)
        unreadable += len(rows)
        for row in rows[: _TOLD - len(wrong)]:
            wrong[start + int(row)] = say("broken.is", value=shortened(str(chunk[int(row)].as_py())))
        start += len(chunk)
    present = int(np.count_nonzero(~np.isnan(values))) + unreadable
    kept = values if spec.kind == "time" else numbers.compact(values)
    return Reading(Numbers(kept), present, unreadable, wrong)


def _chunk_values(chunk: Any, spec: ColumnSpec) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if spec.kind == "time":
        if pa.types.is_timestamp(chunk.type) or pa.types.is_date(chunk.type):
            found = times.typed_times(chunk)
            return found, np.zeros(len(found), dtype=np.bool_)
        texts = as_strings(pa.chunked_array([chunk])).combine_chunks()
        parsing = spec.parsing if "format" in spec.parsing or "epoch" in spec.parsing else {"format": "year-month-day"}
        return times.to_times(texts, parsing)
    if pa.types.is_large_string(chunk.type):
        return numbers.to_numbers(chunk, spec.parsing)
    return numbers.typed_numbers(chunk)


def _read_flags(column: pa.ChunkedArray, spec: ColumnSpec) -> Reading:
    levels = levels_of(column)
    known = flag_values(spec.parsing)
    names = levels.names.to_pylist()
    lookup = np.array([known.get(name.casefold(), np.nan) for name in names] + [np.nan], dtype=np.float32)
    values = lookup[levels.codes]
    bad = np.flatnonzero(np.isnan(values) & (levels.codes >= 0))
    wrong = {int(row): say("broken.is", value=shortened(names[levels.codes[row]])) for row in bad[:_TOLD]}
    return Reading(Numbers(values), int((levels.codes >= 0).sum()), len(bad), wrong)


def _read_sequences(column: pa.ChunkedArray) -> Reading:
    ragged, wrong = sequences.from_arrow(column)
    return Reading(ragged, len(column) - column.null_count, len(wrong), wrong)


def _read_array(values: NDArray[Any]) -> Reading:
    ragged = sequences.from_array(values)
    return Reading(ragged, int((ragged.lengths > 0).sum()))


def _read_images(raw: Raw, spec: ColumnSpec, path: PartPath | None, tell: Tell) -> Reading:
    assert spec.shape is not None
    pixels = new_rows(path and path("pixels"), (len(raw), *spec.shape), np.uint8)
    if spec.name in raw.arrays:
        images.fit_array(raw.arrays[spec.name], pixels, tell)
        present = np.ones(len(raw), dtype=np.bool_)
        if path is not None:
            write_rows(path("present"), present)
        return Reading(Images(pixels, present), len(raw), written=path is not None)
    files = media.find_media(raw, spec.name)
    wrong = images.decode(files, pixels, spec.parsing, tell)
    present = np.array([file is not None for file in files], dtype=np.bool_)
    count = int(present.sum())
    present[list(wrong)] = False
    if path is not None:
        write_rows(path("present"), present)
    return Reading(Images(pixels, present), count, len(wrong), wrong, path is not None)


def _read_audio(raw: Raw, spec: ColumnSpec, path: PartPath | None, tell: Tell) -> Reading:
    assert spec.rate is not None
    files = media.find_media(raw, spec.name)
    ragged, wrong = audio.decode(files, spec.rate, path and path("steps"), tell)
    if path is not None:
        write_rows(path("offsets"), ragged.offsets)
    return Reading(ragged, sum(file is not None for file in files), len(wrong), wrong, path is not None)


def _read_texts(column: pa.ChunkedArray, path: PartPath | None) -> Reading:
    """Read texts straight into their files, chunk by chunk, or as one array; an empty one is missing."""
    if path is not None:
        write_texts(path, column.chunks)
        texts = open_texts(path)
        return Reading(Texts(texts), len(texts) - texts.null_count, written=True)
    joined = column.combine_chunks()
    joined = pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.large_string()), joined)
    return Reading(Texts(joined), len(joined) - joined.null_count)


def _other_type(raw: Raw, spec: ColumnSpec, found: str) -> ColumnError:
    return ColumnError(
        raw.source,
        f"column {spec.name!r} must hold {HOLDS[spec.kind]}, as in training",
        found,
        "give the column as it was in the training data",
    )

"""JSON lines, and JSON arrays of objects: block by block, with Arrow's parser where it can and Python's where not."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import json as arrow_json

from yunti.data.encoding import MARK, MARKED_BYTE, Utf8File, as_utf8, shown
from yunti.data.files import reading, unpack
from yunti.data.raw import BrokenRow
from yunti.data.spill import FileReport, Spill, text_of
from yunti.errors import SourceError
from yunti.words import say

_BLOCK_BYTES = 1 << 23
_BLOCK_ROWS = 10_000
_SHOWN = 300
_TOO_MANY = 10_000  # broken rows that, once they outnumber the good ones, stop the reading
_ODD_LINES = re.compile(rb"\}[ \t\r]*[^\s,}\]]|^[ \t\r]*\{[ \t\r]*\}", re.MULTILINE)  # two values, or nothing
_MEND = 'write one object a line, such as {"age": 30, "name": "Li"}'


@final
@dataclass
class _Progress:
    """How far a file has been read, and the columns whose strings Arrow would take for dates."""

    rows: int = 0
    broken: list[BrokenRow] = field(default_factory=list)
    strings: dict[str, pa.DataType] = field(default_factory=dict)


def read_json(path: Path, name: str, spill: Spill, workspace: Path) -> FileReport:
    """Read a file of JSON objects into the spill: one a line, or all in one array.

    A missing key is null; a key whose values differ in type becomes text; objects in objects become `outer.inner`.

    Args:
        path: the file, perhaps packed.
        name: the file as the user named it.
        spill: takes the rows.
        workspace: a folder for temporary files.

    Raises:
        SourceError: it cannot be read, or holds no objects, or most of its lines are broken.
    """
    plain = unpack(path, name, workspace)
    text = as_utf8(plain, name, workspace)
    progress = _Progress()
    if _is_array(text, name):
        _read_array(text, name, spill, progress)
    else:
        _read_lines(text, name, spill, progress)
    for temporary in {plain, text.path} - {path}:
        temporary.unlink()
    if progress.rows == len(progress.broken):
        got = f"{progress.broken[0].reason} in row 1" if progress.broken else "it holds none"
        raise SourceError(name, "it must hold JSON objects", got, _MEND)
    notes = () if text.encoding == "utf-8" else (say("reading.encoding", encoding=text.encoding),)
    return FileReport(progress.rows, tuple(each.row for each in progress.broken), tuple(progress.broken), notes)


def _is_array(text: Utf8File, name: str) -> bool:
    """Say whether the file is one array of objects; refuse one object over several lines."""
    with reading(name), text.path.open("rb") as file:
        file.seek(text.start)
        first = next((line.strip() for line in file if line.strip()), b"")
        several = any(line.strip() for line in file)
    if not first.startswith(b"["):
        _must_be_lines(text, first, several, name)
        return False
    try:
        return not (several and isinstance(json.loads(first), list))
    except ValueError:
        return True


def _must_be_lines(text: Utf8File, first: bytes, several: bool, name: str) -> None:
    try:
        json.loads(first)
        return
    except ValueError:
        if not first.startswith(b"{") or not several or text.path.stat().st_size > _BLOCK_BYTES:
            return
    try:
        whole = json.loads(text.path.read_bytes()[text.start :])
    except ValueError:
        return
    keys = ", ".join(repr(key) for key in list(whole)[:3])
    raise SourceError(name, "it must hold many JSON objects", f"it is a single one with the keys {keys}", _MEND)


def _read_array(text: Utf8File, name: str, spill: Spill, progress: _Progress) -> None:
    try:
        values = json.loads(text.path.read_bytes()[text.start :])
    except (ValueError, RecursionError) as error:
        raise SourceError(name, "it must be a JSON array of objects", _complaint(error), "mend that place") from error
    for start in range(0, len(values), _BLOCK_ROWS):
        rows = []
        for value in values[start : start + _BLOCK_ROWS]:
            progress.rows += 1
            line_text = json.dumps(value, ensure_ascii=False)
            if reason := _fault(value, line_text):
                progress.broken.append(BrokenRow(name, progress.rows, reason, shown(line_text)[:_SHOWN]))
            else:
                rows.append(value)
        _append(rows, spill)


def _read_lines(text: Utf8File, name: str, spill: Spill, progress: _Progress) -> None:
    for block in _blocks(text, name):
        lines = [line for line in block.split(b"\n") if line.strip()]
        if not lines:
            continue
        marked = text.marked and MARK.encode() in block
        table = _parsed(block, len(lines), progress) if _are_objects(lines, block) and not marked else None
        if table is not None:
            progress.rows += len(lines)
            for batch in table.to_batches():
                spill.append(batch)
        else:
            _read_one_by_one(lines, name, spill, progress)
        if len(progress.broken) > max(_TOO_MANY, progress.rows / 2):
            got = f"most of the first {progress.rows:,} are not ({progress.broken[0].reason})"
            raise SourceError(name, "its lines must be JSON objects", got, _MEND)


def _blocks(text: Utf8File, name: str) -> Iterator[bytes]:
    with reading(name), text.path.open("rb") as file:
        file.seek(text.start)
        while block := file.read(_BLOCK_BYTES):
            yield block + file.readline()


def _are_objects(lines: Sequence[bytes], block: bytes) -> bool:
    """Say whether each line looks like one object: Arrow 26 crashes where a bare `null` stands beside objects."""
    outside = all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines)
    return outside and not _ODD_LINES.search(block)


def _parsed(block: bytes, lines: int, progress: _Progress) -> pa.Table | None:
    """Parse a block by Arrow; None where it cannot: a broken line, a key of several types, two objects on a line."""
    try:
        table = _by_arrow(block, progress)
        dates = {field.name: _with_strings(field.type) for field in table.schema if _has_dates(field.type)}
        if dates:
            progress.strings.update(dates)
            table = _by_arrow(block, progress).select(table.column_names)  # which had put these first
        table.validate(full=True)  # Arrow 26 counts the values of lists of nulls wrongly
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows != lines or not table.num_columns or len(set(table.column_names)) < table.num_columns:
        return None
    return table


def _by_arrow(block: bytes, progress: _Progress) -> pa.Table:
    schema = pa.schema(list(progress.strings.items())) if progress.strings else None
    options = arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    return arrow_json.read_json(io.BytesIO(block), options, arrow_json.ParseOptions(explicit_schema=schema))


def _has_dates(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_has_dates(field.type) for field in kind)
    return bool(_has_dates(kind.value_type) if pa.types.is_list(kind) else pa.types.is_timestamp(kind))


def _with_strings(kind: pa.DataType) -> pa.DataType:
    """Put strings where Arrow saw dates: what a date is, is decided later and for all sources alike."""
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with_strings(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_with_strings(kind.value_type))
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _read_one_by_one(lines: Sequence[bytes], name: str, spill: Spill, progress: _Progress) -> None:
    rows: list[dict[str, Any]] = []
    for line in lines:
        progress.rows += 1
        line_text = line.decode("utf-8", "replace").strip()
        try:
            value = json.loads(line_text)
            reason = _fault(value, line_text)
        except (ValueError, RecursionError) as error:
            reason = _undecoded(line_text) or _complaint(error)
        if reason:
            progress.broken.append(BrokenRow(name, progress.rows, reason, shown(line_text)[:_SHOWN]))
        else:
            rows.append(value)
        if len(rows) == _BLOCK_ROWS:
            _append(rows, spill)
            rows = []
    _append(rows, spill)


def _complaint(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        key = "broken.JSON line" if error.lineno > 1 else "broken.JSON"
        return say(key, message=error.msg, line=error.lineno, character=error.colno)
    return say("broken.JSON depth")


def _fault(value: object, line_text: str) -> str:
    if undecoded := _undecoded(line_text):
        return undecoded
    if isinstance(value, dict):
        return "" if value else say("broken.no keys")
    return say("broken.no object", text=shown(line_text)[:40])


def _undecoded(line_text: str) -> str:
    byte = MARKED_BYTE.search(line_text)
    return say("broken.byte", byte=byte[1]) if byte else ""


def _append(rows: Sequence[dict[str, Any]], spill: Spill) -> None:
    if rows:
        spill.append(batch_of(rows))


def batch_of(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Put dictionaries into columns, one for each key that any of them has; a missing key is null."""
    keys = dict.fromkeys(key for row in rows for key in row)
    names = [text_of(key) for key in keys]
    return pa.RecordBatch.from_arrays([array_of([row.get(key) for row in rows]) for key in keys], names=names)


def array_of(values: Sequence[Any] | NDArray[Any]) -> pa.Array:
    """Put Python values into an Arrow array; where their types do not go together, as text."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if value is None else text_of(value) for value in values], pa.large_string())

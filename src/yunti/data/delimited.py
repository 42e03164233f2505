"""Delimited text (CSV, TSV): streamed block by block into a memory-mapped table; rows that do not fit are set aside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from yunti.data.dialect import Dialect, detect
from yunti.data.encoding import MARK, MARKED_BYTE, Utf8File, as_utf8, shown
from yunti.data.files import bare_name, reading, unpack
from yunti.data.raw import BrokenRow
from yunti.data.spill import FileReport, Spill
from yunti.errors import SourceError
from yunti.words import say

_SAMPLE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 21
_BLOCK_ROWS = 256  # at least: each block costs something for each of its columns
_LARGEST_BLOCK_BYTES = 1 << 28  # only for files with a record that does not fit into the usual block
_SHOWN = 300  # characters of a broken row that are kept
_LINES = 10_000  # lines that one record may swallow, and misfits that may outnumber the rows, before reading stops


@final
@dataclass(frozen=True)
class _Misfit:
    """A record that does not fit the header; its lines, shortened."""

    row: int
    reason: str
    lines: tuple[str, ...]


@final
@dataclass
class _Progress:
    """How far one pass over a file has come."""

    good: int = 0
    misfits: list[_Misfit] = field(default_factory=list)
    undecoded: list[tuple[int, str, str]] = field(default_factory=list)  # place among good rows, reason, text


def read_delimited(path: Path, name: str, spill: Spill, workspace: Path) -> FileReport:
    """Read one delimited file into the spill; every column is large_string, an empty unquoted field is null.

    Args:
        path: the file, perhaps packed.
        name: the file as the user named it.
        spill: takes the rows.
        workspace: a folder for temporary files.

    Raises:
        SourceError: it cannot be read, has no header or no rows, or most rows do not fit the header.
    """
    plain = unpack(path, name, workspace)
    text = as_utf8(plain, name, workspace)
    if text.path != plain != path:
        plain.unlink()
    sample, whole = _sample(text)
    dialect = detect(sample, whole=whole, name=name, ending=Path(bare_name(path)).suffix)
    spill.agree(name, dialect.names)
    record_bytes = len(sample) // (1 + sample.count(b"\n") + sample.count(b"\r"))
    blocks = (min(max(_BLOCK_BYTES, _BLOCK_ROWS * record_bytes), _LARGEST_BLOCK_BYTES), _LARGEST_BLOCK_BYTES)
    progress = _read(text, dialect, name, blocks, spill)
    report = _report(text, dialect, name, progress)
    if text.path != path:
        text.path.unlink()
    return report


def _sample(text: Utf8File) -> tuple[bytes, bool]:
    with text.path.open("rb") as file:
        file.seek(text.start)
        sample = file.read(_SAMPLE_BYTES + 1)
        if len(sample) <= _SAMPLE_BYTES:
            return sample, True
        return sample + file.readline(_SAMPLE_BYTES << 4), False


def _read(text: Utf8File, dialect: Dialect, name: str, blocks: tuple[int, ...], spill: Spill) -> _Progress:
    done = 0
    for block in blocks:
        progress = _Progress()
        try:
            for batch in _closed(_batches(text, dialect, block, name, progress), text, dialect, progress):
                start = max(0, done - progress.good)  # rows that a pass with a smaller block has taken already
                _take(batch, start, text, progress, spill)
                _must_fit(progress, dialect, name)
            _must_fit(progress, dialect, name, allowed=0)
            return progress
        except pa.ArrowInvalid as error:
            if "straddl" not in str(error):
                raise SourceError(name, "it must be delimited text", str(error), "check how it was written") from error
            done = max(done, progress.good)
    row = progress.good + len(progress.misfits) + 1
    raise SourceError(
        f"{name}, near row {row}",
        "a quote that is opened must be closed",
        f"no record ends within {blocks[-1] >> 20} MB",
        "close or double the quote",
    )


def _batches(text: Utf8File, dialect: Dialect, block: int, name: str, progress: _Progress) -> Iterator[pa.RecordBatch]:
    def set_aside(row: csv.InvalidRow) -> str:
        reason = say("broken.fields", fields=row.actual_columns, wanted=len(dialect.names))
        progress.misfits.append(_Misfit(row.number - dialect.skip, reason, _lines(row.text)))
        return "skip"

    parsing = dialect.quoting.parsing(dialect.delimiter)
    parsing.invalid_row_handler = set_aside
    # threads would gain nothing here (parsing is one stream), and without them Arrow numbers the rows
    options = csv.ReadOptions(
        use_threads=False,
        block_size=block,
        column_names=list(dialect.names),
        skip_rows_after_names=dialect.skip,
    )
    converting = csv.ConvertOptions(
        check_utf8=False,  # the whole file was checked
        column_types={each: pa.large_string() for each in dialect.names},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with reading(name), pa.OSFile(str(text.path), "rb") as file:
        file.seek(text.start)
        yield from csv.open_csv(file, options, parsing, converting)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(shown(line)[:_SHOWN] for line in re.split("\r\n|\n|\r", text, maxsplit=_LINES + 1))


def _closed(
    batches: Iterator[pa.RecordBatch], text: Utf8File, dialect: Dialect, progress: _Progress
) -> Iterator[pa.RecordBatch]:
    """Pass batches on, without the very last row where the file ends before its quote is closed."""
    held: pa.RecordBatch | None = None
    for batch in batches:
        if held is not None:
            yield held
        held = batch
    if held is None or not held.num_rows:
        return
    value = held.column(held.num_columns - 1)[held.num_rows - 1].as_py()
    if _is_open(value, text, dialect):
        row = progress.good + held.num_rows + len(progress.misfits)
        progress.misfits.append(_Misfit(row, say("broken.quote"), _lines(value)))
        held = held.slice(0, held.num_rows - 1)
    yield held


def _is_open(value: str | None, text: Utf8File, dialect: Dialect) -> bool:
    sign = dialect.quoting.sign
    if value is None or sign is None or dialect.quoting.backslash:
        return False
    opened = (sign + value.replace(sign, sign + sign)).encode()
    with text.path.open("rb") as file:
        file.seek(max(0, text.path.stat().st_size - len(opened) - 4))
        tail = file.read()
    return tail.endswith(opened) and not tail.rstrip(b"\r\n").endswith(opened + sign.encode())


def _take(batch: pa.RecordBatch, start: int, text: Utf8File, progress: _Progress, spill: Spill) -> None:
    """Hand the rows from `start` on to the spill, without those that hold bytes that could not be decoded."""
    wrong = _undecoded(batch, progress) if text.marked else None
    progress.good += batch.num_rows
    if start >= batch.num_rows:
        return
    kept = batch.slice(start)
    if wrong is not None and wrong[start:].any():
        kept = kept.filter(pa.array(~wrong[start:]))
    spill.append(kept)


def _undecoded(batch: pa.RecordBatch, progress: _Progress) -> NDArray[np.bool_]:
    wrong = np.zeros(batch.num_rows, dtype=bool)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        hits = pc.fill_null(pc.match_substring(column, MARK), False).to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(hits & ~wrong):
            value = column[place].as_py()
            byte = MARKED_BYTE.search(value)
            reason = say("broken.byte of column", column=name, byte=byte[1] if byte else "??")
            progress.undecoded.append((progress.good + int(place), reason, shown(value)[:_SHOWN]))
        wrong |= hits
    return wrong


def _must_fit(progress: _Progress, dialect: Dialect, name: str, allowed: int = _LINES) -> None:
    """Stop where more than `allowed` rows are lost and most of all: the file is not what it was taken for."""
    lost = len(progress.misfits) + len(progress.undecoded)
    if lost > allowed and lost > progress.good:
        first = progress.misfits[0] if progress.misfits else None
        got = f"most of the first {lost + progress.good:,} do not" + (
            f" (row {first.row}: {first.reason})" if first else ""
        )
        mend = "check its delimiter, its quotes and its encoding"
        fields = f"{len(dialect.names)} field{'s' if len(dialect.names) > 1 else ''}"
        raise SourceError(name, f"its rows must have {fields} as the header has", got, mend)


def _report(text: Utf8File, dialect: Dialect, name: str, progress: _Progress) -> FileReport:
    rows = progress.good + len(progress.misfits)
    ragged = np.array([each.row for each in progress.misfits], dtype=np.int64)
    broken = [row for each in progress.misfits for row in _explained(each, dialect, name)]
    lost = [each.row for each in progress.misfits]
    if progress.undecoded:
        numbers = np.delete(np.arange(1, rows + 1), ragged - 1)
        for place, reason, value in progress.undecoded:
            lost.append(int(numbers[place]))
            broken.append(BrokenRow(name, lost[-1], reason, value))
    notes = dialect.notes
    if text.encoding != "utf-8":
        notes = (say("reading.encoding", encoding=text.encoding), *notes)
    return FileReport(rows, tuple(sorted(lost)), tuple(sorted(broken, key=lambda each: each.row)), notes)


def _explained(misfit: _Misfit, dialect: Dialect, name: str) -> list[BrokenRow]:
    """Explain a misfit: one broken row for each of its lines, so that lines that a stray quote swallows are counted."""
    if not any(line.strip() for line in misfit.lines):
        return []  # a blank line
    if len(misfit.lines) > _LINES:
        raise SourceError(
            f"{name}, row {misfit.row}",
            "a quote that is opened must be closed",
            f"it is still open {_LINES:,} lines further",
            "close or double the quote",
        )
    reason = misfit.reason
    if len(misfit.lines) > 1:
        reason = say("broken.lines", reason=reason, lines=len(misfit.lines))
    return [BrokenRow(name, misfit.row, reason, line) for line in misfit.lines]

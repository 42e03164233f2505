"""Running text: which files hold it rather than a table, and files of it read as documents or passages."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa

from yunti.data.arrays import PARTS
from yunti.data.dialect import DELIMITERS
from yunti.data.encoding import MARK, MARKED_BYTE, as_utf8
from yunti.data.files import bare_name, first_text, reading, unpack
from yunti.data.folders import media_kind
from yunti.data.passages import Cutter, as_texts, passage_bytes
from yunti.data.raw import Raw
from yunti.data.spill import Spill
from yunti.errors import SourceError
from yunti.words import say

TEXT = "text"  # the column that running text becomes
ENDINGS = frozenset([".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".org", ".adoc"])
_SAMPLE_BYTES = 1 << 18
_LINES = 400  # that tell a table from a text
_ALIKE = 0.95  # of a table's lines have as many fields as its header
_NAME = 64  # characters that the name of a column has at most
_PIECE = 1 << 22
_BATCH = 1 << 23  # bytes of passages that are written at once
_LOST = 0.01  # of the bytes may be undecodable
_MEND = "move it elsewhere, or save it as text in UTF-8"


def is_text_file(path: Path) -> bool:
    """Say whether a file's ending is that of text."""
    return Path(bare_name(path)).suffix in ENDINGS


def is_running_text(path: Path, name: str) -> bool:
    """Say whether a file ending in .txt, perhaps packed, holds running text, not a table.

    It holds a table where nearly all lines have as many fields as the first: divided by tabs, which text hardly has; or
    by commas, semicolons or bars, if the first line also looks like the names of columns.

    Raises:
        SourceError: it cannot be read.
    """
    with reading(name):
        if Path(bare_name(path)).suffix != ".txt" or not path.stat().st_size:
            return True
    lines = [line for line in first_text(path, name, _SAMPLE_BYTES).splitlines() if line.strip()]
    return not any(_fits(lines[:_LINES], delimiter) for delimiter in DELIMITERS)


def _fits(lines: Sequence[str], delimiter: str) -> bool:
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error:
        return False
    if len(rows) < 2 or len(rows[0]) < 2:
        return False
    widths = Counter(len(row) for row in rows[1:])
    alike = max(widths[len(rows[0])], widths[len(rows[0]) + 1])
    return alike >= _ALIKE * (len(rows) - 1) and (delimiter == "\t" or _are_names(rows[0]))


def _are_names(fields: Sequence[str]) -> bool:
    """Say whether a first line may name columns: short, distinct, no sentence."""
    names = [field.strip() for field in fields]
    short = all(0 < len(name) <= _NAME and name[-1] not in ".!?。！？" for name in names)
    return short and len(set(names)) == len(names)


def texts_in(folder: Path, *, every: bool) -> list[Path]:
    """Return the files of text in a folder and those below it, in the order of their names; hidden ones are left out.

    Args:
        folder: the folder.
        every: whether to return all files but pictures and sounds, whatever their endings say.
    """
    found = []
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith((".", "__")))
        here = [Path(top, name) for name in sorted(names) if not name.startswith(".")]
        found += [each for each in here if is_text_file(each) or (every and media_kind(each.name) is None)]
    return sorted(found)


def must_not_be_classes(folder: Path, files: Sequence[Path], name: str) -> None:
    """Refuse files that all lie one folder deep, in several folders: these may be classes.

    Raises:
        SourceError: they do.
    """
    parents = {each.parent for each in files}
    labels = sorted(each.name for each in parents)
    alike = len(parents) > 1 and all(each.parent == folder for each in parents)
    if alike and not {"train"} <= {PARTS.get(each.lower()) for each in labels}:
        got = f"its texts lie in the folders {labels[0]!r} and {labels[1]!r}, which may be either"
        mend = "add --task language to learn how the texts go, or give a table with a column of classes"
        raise SourceError(name, "its folders must be known to be classes or not", got, mend)


@final
@dataclass
class _Progress:
    """What was read of all files so far; a file that has passages is a document."""

    file_of: list[int] = field(default_factory=list)
    row_of: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    waiting: int = 0


def read_texts(paths: Sequence[Path], names: Sequence[str], source: str, workspace: Path) -> Raw:
    """Read files of running text: a column `text` with a row for each file, or for each passage where they are cut.

    Files are read piece by piece, and what was read stays memory-mapped; joined, the passages of a file are its text
    again, with its line ends. What cannot be decoded stands as U+FFFD.

    Args:
        paths: the files, perhaps packed.
        names: the files as the user named them.
        source: the source as the user named it.
        workspace: a folder for temporary files.

    Raises:
        SourceError: a file cannot be read or is not text, or there is no text at all.
    """
    with reading(source):
        sizes = [path.stat().st_size for path in paths]
    if not any(sizes):
        raise _empty(source)
    size = passage_bytes([each for each in sizes if each])
    spill, progress = Spill(workspace, source), _Progress()
    empty, others = [], []
    for place, (path, name) in enumerate(zip(paths, names, strict=True)):
        if not sizes[place]:
            empty.append(name)
            continue
        try:
            _read_one(path, name, size, workspace, progress, place, spill)
        except SourceError as error:
            if is_text_file(path) or len(paths) == 1 or error.parts[1] != "it must be text":
                raise
            others.append(name)
    _write(progress, spill)
    if not spill.rows:
        raise _empty(source)
    notes = [say("reading.no text", count=len(others), name=others[0])] if others else []
    notes += [say("reading.empty files", count=len(empty), name=empty[0])] if empty else []
    file_of = np.array(progress.file_of, dtype=np.int32)
    return Raw(
        source,
        spill.table(),
        hints={TEXT: "text"},
        folder=paths[0].parent,
        files=tuple(names),
        file_of=file_of if len(names) > 1 else None,
        row_of=np.array(progress.row_of, dtype=np.int64),
        notes=(*notes, *dict.fromkeys(progress.notes)),
        task="language",
        documents=None if size is None else file_of.astype(np.int64),
    )


def _empty(source: str) -> SourceError:
    return SourceError(source, "it must hold text", "it is empty", "give a file or a folder with text")


def _read_one(
    path: Path, name: str, size: int | None, workspace: Path, progress: _Progress, place: int, spill: Spill
) -> None:
    cutter = Cutter(size or 1 << 62)
    rows = 0
    for piece in _pieces(path, name, workspace, progress):
        for passage in cutter.feed(piece):
            rows += 1
            _keep(passage, place, rows, progress, spill)
    for passage in cutter.finish():
        _keep(passage, place, rows + 1, progress, spill)


def _keep(passage: bytes, place: int, row: int, progress: _Progress, spill: Spill) -> None:
    progress.file_of.append(place)
    progress.row_of.append(row)
    progress.pieces.append(passage)
    progress.waiting += len(passage)
    if progress.waiting >= _BATCH:
        _write(progress, spill)


def _write(progress: _Progress, spill: Spill) -> None:
    if progress.pieces:
        spill.append(pa.RecordBatch.from_arrays([as_texts(progress.pieces)], names=[TEXT]))
    progress.pieces, progress.waiting = [], 0


def _pieces(path: Path, name: str, workspace: Path, progress: _Progress) -> Iterator[bytes]:
    """Give a file's text in UTF-8, piece by piece, and note how it was decoded."""
    plain = unpack(path, name, workspace)
    try:
        text = as_utf8(plain, name, workspace)
    except SourceError as error:
        where, must, got, _ = error.parts
        raise SourceError(where, must, got, _MEND) from error
    lost, whole = 0, max(1, text.path.stat().st_size)
    with reading(name), text.path.open("rb") as file:
        file.seek(text.start)
        while piece := file.read(_PIECE):
            if text.marked:
                piece, found = _unmarked(piece + file.readline(_PIECE))  # no mark is cut in two
                lost += found
            yield piece
    if lost > _LOST * whole:
        got = f"{lost:,} of its bytes cannot be decoded"
        raise SourceError(name, "it must be text in an encoding that yunti knows", got, _MEND)
    for temporary in {plain, text.path} - {path}:
        temporary.unlink()
    if text.encoding != "utf-8":
        progress.notes.append(say("reading.encoding", encoding=text.encoding))
    if lost:
        progress.notes.append(say("reading.undecoded", name=name, count=lost))


def _unmarked(piece: bytes) -> tuple[bytes, int]:
    """Put U+FFFD where a byte could not be decoded, and count these."""
    if MARK.encode() not in piece:
        return piece, 0
    text, count = MARKED_BYTE.subn("\ufffd", piece.decode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape"), count

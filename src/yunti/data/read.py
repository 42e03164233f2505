"""Any source, as it stands, row by row: the one door through which data comes in."""

from __future__ import annotations

import glob
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from yunti.data.arrays import PARTS, read_npz
from yunti.data.columnar import read_arrow, read_parquet
from yunti.data.delimited import read_delimited
from yunti.data.files import bare_name, reading
from yunti.data.folders import holds_media, media_kind, read_class_folders
from yunti.data.frames import read_frame
from yunti.data.idx import find_idx, read_idx_folder
from yunti.data.jsonlines import read_json
from yunti.data.raw import Raw
from yunti.data.samples import find_sample
from yunti.data.spill import FileReport, Spill
from yunti.data.texts import is_running_text, is_text_file, must_not_be_classes, read_texts, texts_in
from yunti.errors import SourceError, nearest
from yunti.words import say

_Reader = Callable[[Path, str, Spill, Path], FileReport]


@final
@dataclass(frozen=True)
class _Format:
    """A kind of file that holds rows."""

    name: str
    endings: tuple[str, ...]
    read: _Reader


_FORMATS = (
    _Format("CSV", (".csv", ".tsv", ".tab", ".psv", ".txt", ".dat", ".data"), read_delimited),
    _Format("JSON lines", (".jsonl", ".ndjson", ".json"), read_json),
    _Format("Parquet", (".parquet", ".pq"), read_parquet),
    _Format("Arrow", (".arrow", ".arrows", ".feather", ".ipc"), read_arrow),
)
_LOOKED_AT = 20  # files of text that are looked into for tables
_BESIDE = frozenset(["readme.txt", "license.txt", "licence.txt", "notes.txt"])  # no tables, though their ending says so
_KNOWN = "CSV, TSV, JSON lines, Parquet, Arrow, Feather, .npz, text, or a folder"
_MENDS: Mapping[str, str] = {
    ".xlsx": "export the sheet as CSV",
    ".xls": "export the sheet as CSV",
    ".ods": "export the sheet as CSV",
    ".zip": "unpack it and name what was inside",
    ".tar": "unpack it and name what was inside",
    ".tgz": "unpack it and name what was inside",
    ".7z": "unpack it and name what was inside",
    ".zst": "unpack it and name what was inside",
    ".npy": "save it with a name by numpy.savez",
    ".pkl": "save the table as Parquet, since reading a pickle would run what is in it",
    ".pickle": "save the table as Parquet, since reading a pickle would run what is in it",
    ".h5": "save the table as Parquet",
    ".rds": "save the table as CSV",
    ".yunti": "give the data, since this is a bundle",
}


def read_raw(source: object, workspace: Path, *, running: bool | None = None) -> Raw:
    """Read a source: nothing is understood yet, and no row is lost without a word.

    Files of text become a column `text`, a row for each document or passage (see `yunti.data.texts`).

    Args:
        source: the path of a file or folder, a glob pattern, `sample:NAME`, or a table in memory (pandas, polars,
            Arrow, anything with `__arrow_c_stream__`, a dictionary of columns, a list of dictionaries).
        workspace: a folder for temporary files, made if it is not there; the rows stay memory-mapped from it, and
            the caller deletes it.
        running: whether files that do not tell by their ending hold running text (True) or a table (False); None
            decides by what they hold.

    Raises:
        SourceError: the source is missing, unreadable, empty, damaged, or not what its name promises.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     raw = read_raw("sample:penguins", Path(folder))
        >>> len(raw), raw.target, raw.names[:3]
        (344, 'species', ('species', 'island', 'bill_length_mm'))
    """
    with reading(str(workspace)):
        workspace.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="read-", dir=workspace))
    if isinstance(source, str | os.PathLike):
        return _read_named(os.fspath(source), folder, running)
    return read_frame(source, folder)


def _read_named(source: str, workspace: Path, running: bool | None) -> Raw:
    if source.startswith("sample:"):
        return _read_sample(source, workspace)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", source):
        raise SourceError(source, "the source must be on this machine", "it is an address", "download it first")
    if not source.strip():
        raise SourceError("source", "it must name a file, a folder or a sample", "it is empty", "give a path")
    path = Path(source).expanduser()
    with reading(source):
        if path.is_dir():
            return _read_folder(path, source.rstrip("/") or "/", workspace, running)
        if path.is_file():
            return _read_file(path, source, workspace, running)
        if path.exists():
            raise SourceError(source, "it must be a file or a folder", "it is neither", "write it to a file first")
    if re.search(r"[*?\[]", source):
        return _read_pattern(path, source, workspace, running)
    raise SourceError(source, "it must be there", "there is no such file or folder", _neighbour(path))


def _neighbour(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r} either"
    names = [each.name for each in path.parent.iterdir()]
    return nearest(path.name, names) if names else "its folder is empty"


def _read_sample(source: str, workspace: Path) -> Raw:
    sample = find_sample(source.removeprefix("sample:"))
    if sample.file is None:
        assert callable(sample.content)
        return sample.content(source)
    raw = _read_rows([sample.file], [source], source, workspace)
    return replace(raw, target=sample.target)


def _read_file(path: Path, source: str, workspace: Path, running: bool | None) -> Raw:
    if bare_name(path).endswith(".npz"):
        return read_npz(path, source, workspace)
    if _are_texts([path], [source], running):
        return _told(read_texts([path], [source], source, workspace), running)
    return _read_rows([path], [source], source, workspace)


def _read_pattern(path: Path, source: str, workspace: Path, running: bool | None) -> Raw:
    matches = glob.glob(str(path), recursive=True)  # noqa: PTH207  (Path.glob takes hidden files and refuses "a**")
    found = sorted(each for each in map(Path, matches) if each.is_file())
    if not found:
        raise SourceError(source, "the pattern must match files", "it matches none", _neighbour_of_pattern(path))
    names = [str(each) for each in found]
    if _are_texts(found, names, running):
        return _told(read_texts(found, names, source, workspace), running)
    return _read_rows(found, names, source, workspace)


def _are_texts(paths: Sequence[Path], names: Sequence[str], running: bool | None) -> bool:
    """Say whether files hold running text: as is asked, or as the endings and the first of them tell."""
    tables = [path for path in paths if _format_of(path) is not None and not is_text_file(path)]
    if running is False or tables:
        return False
    if running:
        return True
    return all(map(is_text_file, paths)) and all(
        is_running_text(path, name) for path, name in zip(paths[:_LOOKED_AT], names, strict=False)
    )


def _told(raw: Raw, running: bool | None) -> Raw:
    """Say that a source was taken for running text, where nobody asked for it."""
    if running or all(Path(bare_name(Path(name))).suffix != ".txt" for name in raw.files):
        return raw
    return replace(raw, notes=(*raw.notes, say("reading.running text")))


def _neighbour_of_pattern(path: Path) -> str:
    fixed = next(each for each in path.parents if not re.search(r"[*?\[]", str(each)))
    return f"look at what {str(fixed)!r} holds" if fixed.is_dir() else f"there is no folder {str(fixed)!r}"


def _read_folder(path: Path, source: str, workspace: Path, running: bool | None) -> Raw:
    files = sorted(each for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    if not running and (found := find_idx(path)):
        return read_idx_folder(found, source, workspace)
    if texts := _texts_of(path, files, source, running):
        names = [f"{source}/{each.relative_to(path).as_posix()}" for each in texts]
        raw = _told(read_texts(texts, names, source, workspace), running)
        return replace(raw, folder=path, parts=_parts_by_name(texts, raw, path))
    tables = [each for each in files if _format_of(each) is not None and bare_name(each) not in _BESIDE]
    if holds_media(path):
        _must_not_hold_a_table_too([each for each in tables if Path(bare_name(each)).suffix != ".txt"], source)
        return read_class_folders(path, source)
    if tables:
        raw = _read_rows(tables, [f"{source}/{each.name}" for each in tables], source, workspace)
        return replace(raw, parts=_parts_by_name(tables, raw))
    names = sorted(each.name for each in path.iterdir())
    got = f"it holds {', '.join(repr(name) for name in names[:3])}" if names else "it is empty"
    mend = f"give a folder of tables of one kind ({_KNOWN}), of texts, or of classes of pictures or sounds"
    raise SourceError(source, "a folder must hold data that yunti knows", got, mend)


def _texts_of(path: Path, files: Sequence[Path], source: str, running: bool | None) -> list[Path]:
    """Return the files of a folder that are the documents of a corpus; none where it holds something else.

    Raises:
        SourceError: its texts lie in folders that may be classes.
    """
    tables = [each for each in files if _format_of(each) is not None and not is_text_file(each)]
    if running:
        return [] if tables and len(tables) == len(files) else texts_in(path, every=True)
    if running is False or tables or holds_media(path):
        return []
    texts = texts_in(path, every=False)
    if 2 * len(texts) < len(texts_in(path, every=True)):  # they stand beside something else, such as a README
        return []
    loose = [each for each in texts if each.parent == path and bare_name(each) not in _BESIDE]
    if not _are_texts(loose or texts, [str(each) for each in loose or texts], None):
        return []
    must_not_be_classes(path, texts, source)
    return texts


def _must_not_hold_a_table_too(tables: Sequence[Path], source: str) -> None:
    if tables:
        got = f"it holds {tables[0].name!r} beside pictures or sounds"
        mend = f"name the table ({source}/{tables[0].name}), or move it elsewhere to use the folders as classes"
        raise SourceError(source, "a folder must hold either tables or classes", got, mend)


def _format_of(path: Path) -> _Format | None:
    ending = Path(bare_name(path)).suffix
    return next((each for each in _FORMATS if ending in each.endings), None)


def _must_be_known(path: Path, name: str) -> _Format:
    found = _format_of(path)
    if found is not None:
        return found
    ending = Path(bare_name(path)).suffix
    got = f"{ending!r} is not one of them" if ending else "it has no ending"
    mend = _MENDS.get(ending, "rename it, export it as CSV or Parquet, or add --task language if it is text")
    if media_kind(path.name):
        mend = "give a folder with one sub-folder a class, or a table with a column of file names"
    elif "idx" in path.name.lower():
        mend = "give the folder that holds the four files"
    raise SourceError(name, f"its ending must tell its kind ({_KNOWN})", got, mend)


def _read_rows(paths: Sequence[Path], names: Sequence[str], source: str, workspace: Path) -> Raw:
    """Read files of one kind as one table."""
    formats = [_must_be_known(path, name) for path, name in zip(paths, names, strict=True)]
    for kind, name in zip(formats, names, strict=True):
        if kind is not formats[0]:
            got = f"it is {kind.name} and {names[0]} is {formats[0].name}"
            raise SourceError(name, "all files must be of one kind", got, "give a pattern for one of them")
    spill = Spill(workspace, source)
    reports, ends = [], []
    for path, name in zip(paths, names, strict=True):
        reports.append(formats[0].read(path, name, spill, workspace))
        ends.append(spill.rows)
    return _gathered(spill, reports, names, ends, source, paths[0].parent)


def _gathered(
    spill: Spill, reports: Sequence[FileReport], names: Sequence[str], ends: Sequence[int], source: str, folder: Path
) -> Raw:
    table = spill.table()
    if not table.num_columns:
        raise SourceError(source, "it must have columns", "its rows are empty", "give rows with values")
    counts = np.diff([0, *ends])
    whole = len(reports) == 1 and not reports[0].lost
    several = len(names) > 1
    notes = dict.fromkeys(
        say("reading.about", name=name, note=note) if several else note
        for name, report in zip(names, reports, strict=True)
        for note in report.notes
    )
    return Raw(
        source,
        table,
        folder=folder,
        files=tuple(names),
        file_of=np.repeat(np.arange(len(names), dtype=np.int32), counts) if several else None,
        row_of=None if whole else np.concatenate([_numbers(report) for report in reports]),
        broken=tuple(row for report in reports for row in report.broken),
        notes=tuple(notes),
    )


def _numbers(report: FileReport) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the numbers in the file of the rows that were read."""
    return np.delete(np.arange(1, report.rows + 1, dtype=np.int64), np.array(report.lost, dtype=np.int64) - 1)


def _parts_by_name(
    paths: Sequence[Path], raw: Raw, folder: Path | None = None
) -> np.ndarray[tuple[int], np.dtype[np.str_]] | None:
    """Take files called train, valid and test for a ready split, and all that lies in folders of `folder` called so."""
    names = [path.name if folder is None else path.relative_to(folder).parts[0] for path in paths]
    parts = [PARTS.get(name.lower().split(".")[0]) for name in names]
    if raw.file_of is None or "train" not in parts or None in parts:
        return None
    return np.array(parts)[raw.file_of]

"""A `Dataset`: rows laid out for training in a folder, in the order train, valid, test, and opened from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.look import Look, data_record, look
from yunti.data.options import DataOptions
from yunti.data.quarantine import write_quarantine
from yunti.data.split import TEST, TRAIN, VALID
from yunti.data.store import Stored, StoredColumns, read_rows, text_blocks, write_column, write_rows
from yunti.data.table import Categories, Column, Examples, Numbers, Ragged, Table, Texts
from yunti.data.understand import Understanding, understand
from yunti.errors import SourceError
from yunti.records import DataRecord
from yunti.seeds import generator
from yunti.specs import ColumnSpec, TaskName
from yunti.storing import from_json, to_json, write_atomic
from yunti.words import say

__all__ = ["DataOptions", "Dataset", "Look", "look", "open_dataset", "prepare"]

_RECORD = "dataset.json"
_PERCENTILE = 95


@final
@dataclass(frozen=True)
class _Layout:
    """What `dataset.json` holds."""

    record: DataRecord
    target: ColumnSpec
    task: TaskName
    classes: tuple[str, ...]
    stored: tuple[Stored, ...]
    grouped: bool
    format: int = 1


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows ready for training, memory-mapped.

    Args:
        folder: where its files are.
        record: what was read and how it was understood.
        columns: the input columns.
        target: the target column.
        task: classification, regression or language.
        classes: the class labels in order; empty for other tasks.
        train: the rows to learn from, in random order; of a text in its own, so that passages of one document, which
            have one group, follow one another.
        valid: the rows to choose by.
    """

    folder: Path
    record: DataRecord
    columns: tuple[ColumnSpec, ...]
    target: ColumnSpec
    task: TaskName
    classes: tuple[str, ...]
    train: Examples
    valid: Examples
    _stored: tuple[Stored, ...]
    _grouped: bool

    def open_test(self) -> Examples:
        """Open the test rows: once, for the chosen rung, at the end."""
        return _examples(self.folder, self._stored, _slice(self.record, "test"), self._grouped)

    def both(self) -> Examples:
        """Return training and validation rows together: what a chosen model may learn from once nothing is chosen."""
        known = slice(0, self.record.split.train + self.record.split.valid)
        return _examples(self.folder, self._stored, known, self._grouped)


def prepare(source: object, options: DataOptions, folder: Path, tell: Callable[[str, float], None]) -> Dataset:
    """Read, examine and split a source, and lay its rows out in a folder.

    The folder is complete when `dataset.json` is there, which is written last; what an earlier, broken-off run left
    is made anew. Rows that cannot be read go to `quarantine.jsonl` beside the folder.

    Args:
        source: a file, folder, glob, `sample:NAME`, or a pandas, polars or Arrow table.
        options: what the user says about the data.
        folder: where to.
        tell: called with the stage ("reading", "understanding", "examining", "laying out") and how far it is.

    Raises:
        InputError: the source or an option cannot be used.
    """
    if folder.exists():
        shutil.rmtree(folder)
    workspace = folder / "work"
    workspace.mkdir(parents=True)
    try:
        found = understand(source, options, workspace, tell, need_target=True)
        write_quarantine(folder.parent / "quarantine.jsonl", found.broken)
        layout = _lay_out(found, folder, options.seed, tell)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    del found
    shutil.rmtree(workspace)
    write_atomic(folder / _RECORD, to_json(layout))
    return open_dataset(folder)


def open_dataset(folder: Path) -> Dataset:
    """Open a data set that `prepare` laid out; its arrays are memory-mapped.

    Raises:
        SourceError: the folder holds none, or an unfinished one.
    """
    path = folder / _RECORD
    if not path.is_file():
        raise SourceError(str(folder), f"a prepared data set must hold {_RECORD}", "there is none", "prepare it again")
    layout = from_json(_Layout, path.read_text(encoding="utf-8"), str(path))
    columns = tuple(column for column in layout.record.columns if column.role == "input")
    train, valid = (
        _examples(folder, layout.stored, _slice(layout.record, part), layout.grouped) for part in ("train", "valid")
    )
    return Dataset(
        folder,
        layout.record,
        columns,
        layout.target,
        layout.task,
        layout.classes,
        train,
        valid,
        layout.stored,
        layout.grouped,
    )


def _slice(record: DataRecord, part: str) -> slice:
    split = record.split
    ends = {"train": (0, split.train), "valid": (split.train, split.train + split.valid)}
    start, stop = ends.get(part, (split.train + split.valid, split.train + split.valid + split.test))
    return slice(start, stop)


def _examples(folder: Path, stored: tuple[Stored, ...], rows: slice, grouped: bool) -> Examples:
    table = Table(StoredColumns(folder, stored, rows, stay_open=True))
    groups = np.asarray(read_rows(folder / "groups.npy")[rows], dtype=np.int64) if grouped else None
    return Examples(table, read_rows(folder / "target.npy")[rows], read_rows(folder / "rows.npy")[rows], groups)


def _lay_out(found: Understanding, folder: Path, seed: int, tell: Callable[[str, float], None]) -> _Layout:
    """Write the rows in the order train, valid, test, shuffled within each (not of a text), column by column."""
    answers, division = found.answers, found.division
    assert answers is not None
    assert division is not None
    parts, groups = division.parts, division.groups
    random = generator(seed, "order")
    places = [np.flatnonzero(parts.part == part) for part in (TRAIN, VALID, TEST)]
    order = np.concatenate(places if answers.task == "language" else [random.permutation(each) for each in places])
    classes, values = _in_training(answers.classes, answers.values, parts.part)
    write_rows(folder / "rows.npy", order.astype(np.int64))
    write_rows(folder / "target.npy", values, order)
    if groups is not None:
        write_rows(folder / "groups.npy", groups, order)
    inputs = [column for column in found.columns if column.role == "input"]
    train = int((parts.part == TRAIN).sum())
    stored, complete = [], {}
    for place, spec in enumerate(inputs):
        column = found.table[spec.name]
        stored.append(write_column(folder, spec.name, place, column, order))
        complete[spec.name] = with_facts(spec, column, np.sort(order[:train]))
        tell(say("stage.laying out"), (place + 1) / len(inputs))
    columns = tuple(complete.get(column.name, column) for column in found.columns)
    record = replace(data_record(found), columns=columns)
    return _Layout(
        record, replace(answers.spec, role="target"), answers.task, classes, tuple(stored), groups is not None
    )


def with_facts(spec: ColumnSpec, column: Column, rows: NDArray[np.int64]) -> ColumnSpec:
    """Complete a column's spec by what its training rows hold: levels, length, shape, channels.

    Args:
        spec: the column.
        column: its values in the order of the source.
        rows: the training rows.
    """
    match column:
        case Numbers(values):
            if spec.kind != "flag":
                return spec
            some = values[rows]
            return replace(spec, levels=len(np.unique(some[~np.isnan(some)])))
        case Categories(codes, names):
            return replace(spec, levels=int((np.bincount(codes[rows] + 1, minlength=len(names) + 1)[1:] > 0).sum()))
        case Texts():
            return replace(spec, length=_typical(_letters(column, rows[:: max(1, len(rows) // 100_000)])))
        case Ragged():
            lengths = column.lengths[rows]
            return replace(spec, length=_typical(lengths), channels=int(column.values.shape[1]))
        case _:
            return spec


def _letters(texts: Texts, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    blocks = text_blocks(texts.values, rows)
    lengths = [pc.fill_null(pc.utf8_length(block), 0).to_numpy(zero_copy_only=False) for block in blocks]
    return np.concatenate(lengths).astype(np.int64) if lengths else np.zeros(0, dtype=np.int64)


def _typical(lengths: NDArray[np.int64]) -> int:
    present = lengths[lengths > 0]
    return int(np.percentile(present, _PERCENTILE, method="higher")) if len(present) else 1


def _in_training(
    classes: Sequence[str], values: NDArray[Any], part: NDArray[np.int8]
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Keep the classes that training rows have; rows of others were set aside."""
    if not classes:
        return (), values
    seen = np.bincount(values[part == TRAIN], minlength=len(classes)) > 0
    codes = np.where(seen, np.cumsum(seen) - 1, -1).astype(np.int32)
    return tuple(name for name, there in zip(classes, seen, strict=True) if there), np.append(codes, np.int32(-1))[
        values
    ]

"""What was understood of a source and what is wrong with it, without training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import pyarrow.compute as pc

from yunti.data.chats.turns import plain
from yunti.data.options import DataOptions
from yunti.data.raw import Raw
from yunti.data.split import TEST, TRAIN, VALID
from yunti.data.strings import MISSING_WORDS, is_string, shortened
from yunti.data.target import candidates
from yunti.data.understand import Understanding, understand
from yunti.records import DataRecord, SplitRecord
from yunti.specs import ColumnSpec, TaskName
from yunti.words import say

_EXAMPLES = 3


@final
@dataclass(frozen=True)
class Look:
    """What was understood of a source.

    Args:
        data: the source, its rows, columns with kinds and evidence, the split, and the findings.
        target: the target column, or None where none was named.
        task: what would be asked of it.
        classes: the class labels; empty for other tasks.
        candidates: columns that may be the target, where none was named.
        missing: share of rows without a value, by column.
        examples: some values, by column.
    """

    data: DataRecord
    target: ColumnSpec | None
    task: TaskName | None
    classes: tuple[str, ...]
    candidates: tuple[str, ...]
    missing: Mapping[str, float]
    examples: Mapping[str, tuple[str, ...]]


def look(source: object, options: DataOptions | None = None, tell: Callable[[str, float], None] | None = None) -> Look:
    """Say what a source holds and what is wrong with it, without training.

    Args:
        source: a file, folder, glob, `sample:NAME`, or a pandas, polars or Arrow table.
        options: what the user says about the data; the target may be left open.
        tell: called with the stage and how far it is.

    Raises:
        InputError: the source or an option cannot be used.

    Example:
        >>> import yunti
        >>> yunti.look("sample:digits").task
        'classification'
    """
    chosen = options or DataOptions()
    with tempfile.TemporaryDirectory(prefix="yunti-look-") as workspace:
        found = understand(source, chosen, Path(workspace), tell or (lambda _stage, _fraction: None), need_target=False)
        return _look(found)


def data_record(found: Understanding) -> DataRecord:
    """Write down what was understood."""
    rows = len(found.raw) + len(found.raw.broken)
    if found.division is None:
        split = SplitRecord(0, 0, 0, say("split.no target"))
    else:
        part = found.division.parts.part
        train, valid, test = (int((part == each).sum()) for each in (TRAIN, VALID, TEST))
        split = SplitRecord(train, valid, test, found.division.parts.how)
    return DataRecord(found.raw.source, rows, found.columns, split, found.findings, found.repeats, found.text)


def _look(found: Understanding) -> Look:
    rows = len(found.raw)
    missing = {name: 1 - facts.present / rows for name, facts in found.facts.items()}
    answers = found.answers
    if answers is not None:
        missing[answers.spec.name] = 1 - float(answers.known.mean())
    return Look(
        data=data_record(found),
        target=None if answers is None else replace(answers.spec, role="target"),
        task=None if answers is None else answers.task,
        classes=() if answers is None else answers.classes,
        candidates=() if answers is not None else candidates(found.columns),
        missing=missing,
        examples={each.name: _examples(found.raw, each) for each in found.columns if each.name in found.raw.names},
    )


def _examples(raw: Raw, column: ColumnSpec) -> tuple[str, ...]:
    if column.name in raw.arrays:
        shape = raw.arrays[column.name].shape[1:]
        return ("×".join(str(size) for size in shape),)
    some = raw.arrow.column(column.name).slice(0, 200)
    if raw.chats is not None and column.name == raw.chats.name:
        some = plain(some.combine_chunks())
    if is_string(some.type):
        some = pc.utf8_slice_codeunits(some, 0, 1_000)  # a value may be a whole book
    values: list[Any] = some.to_pylist()
    there = [str(value) for value in values if value is not None and str(value) not in MISSING_WORDS]
    seen = dict.fromkeys(shortened(value, 30) for value in there)
    return tuple(seen)[:_EXAMPLES]

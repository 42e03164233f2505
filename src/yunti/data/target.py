"""The target: which column it is (or which holds the text), what is asked of it, and the answers of every row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.labels import labels_of, ordered
from yunti.data.parse import check_readable, read_column
from yunti.data.raw import Raw
from yunti.data.sequences import innermost, is_list
from yunti.data.strings import Levels, as_strings, is_string, shortened
from yunti.data.table import Numbers
from yunti.errors import ColumnError, nearest
from yunti.specs import ColumnSpec, TaskName
from yunti.words import say

MOST_CLASSES = 1_000
_FEW = 20  # whole numbers with at most so many distinct values are classes unless the task is given
_SAMPLE = 2_000  # rows whose length tells how long the texts of a column are
_CHAT_LETTERS = 10_000
_CHAT = re.compile(r"""\s*\[\s*\{.*["'](role|from|content)["']\s*:""", re.DOTALL)
_LIKELY = (
    "target",
    "label",
    "class",
    "y",
    "outcome",
    "category",
    "score",
    "rating",
    "stars",
    "price",
    "status",
    "标签",
)


@final
@dataclass(frozen=True, eq=False)
class Answers:
    """What is asked and the answer of every row of the source.

    Args:
        spec: the target column.
        task: classification, regression or language.
        classes: the labels in order; empty for other tasks.
        values: shape (rows,): int32 codes, -1 where missing; or float64, NaN where missing or unreadable; of language
            zeros, since the text is its own answer.
        wrong: what is wrong in rows whose answer is there but is not a number (0-based).
    """

    spec: ColumnSpec
    task: TaskName
    classes: tuple[str, ...]
    values: NDArray[Any]
    wrong: dict[int, str]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows have an answer, shape (rows,)."""
        return self.values >= 0 if self.task == "classification" else ~np.isnan(self.values)


def choose_target(raw: Raw, asked: str | None, columns: Sequence[ColumnSpec]) -> str:
    """Name the target: the one asked for, else the source's own.

    Raises:
        ColumnError: there is no such column, or none was named.
    """
    name = asked or raw.target
    if name is None:
        raise ColumnError(
            raw.source,
            "the column to predict must be named",
            "no target was given",
            f"use --target with one of its columns, such as {_listed(candidates(columns))}",
        )
    if name not in raw.names:
        raise ColumnError(
            raw.source, "the target must be one of its columns", f"{name!r} is none", nearest(name, raw.names)
        )
    return name


def candidates(columns: Sequence[ColumnSpec]) -> tuple[str, ...]:
    """Name columns that may be the target, the likeliest first: by name, then the last, then flags and others."""
    fit = [column for column in columns if column.kind in ("number", "category", "flag")]
    named = [each.name for word in _LIKELY for each in fit if each.name.lower() == word]
    partly = [each.name for word in _LIKELY if len(word) > 1 for each in fit if word in each.name.lower()]
    last = [columns[-1].name] if columns and columns[-1] in fit else []
    flags = [each.name for each in fit if each.kind == "flag"]
    return tuple(dict.fromkeys([*named, *partly, *last, *flags, *(each.name for each in fit)]))[:5]


def choose_text(raw: Raw, asked: str | None, columns: Sequence[ColumnSpec]) -> tuple[str, int]:
    """Name the column whose text is to be learned: the one asked for, else the one with the longest texts.

    Returns:
        The name, and how many columns of text it was chosen from; 1 where it was named.

    Raises:
        ColumnError: there is no such column, or it holds no text that can be learned as it stands.
    """
    inputs = [column for column in columns if column.role == "input"]
    texts = [each.name for each in inputs if each.kind == "text" and "nested" not in each.parsing]
    name = asked or max(texts, key=lambda each: _usual_length(raw, each), default=None)
    if name is None:
        got = f"its columns are of kind {', '.join(dict.fromkeys(each.kind for each in inputs)) or 'none'}"
        raise ColumnError(raw.source, "it must have a column of text", got, "name one with --target")
    if name not in raw.names:
        raise ColumnError(
            raw.source, "the text must stand in one of its columns", f"{name!r} is none", nearest(name, raw.names)
        )
    _must_be_text(raw, next(each for each in columns if each.name == name))
    return name, 1 if asked else len(texts)


def _usual_length(raw: Raw, name: str) -> float:
    return float(pc.mean(pc.utf8_length(as_strings(raw.arrow.column(name).slice(0, _SAMPLE)))).as_py() or 0.0)


def _must_be_text(raw: Raw, column: ColumnSpec) -> None:
    must = f"the text must stand in {column.name!r} as it is to be read"
    kind = None if column.name in raw.arrays else raw.arrow.column(column.name).type
    inner = innermost(kind) if kind is not None and is_list(kind) else kind
    if inner is None or not (is_string(inner) or pa.types.is_null(inner)):
        got = f"it is of kind {column.kind}" if kind is None else f"it holds values of type {kind}"
        raise ColumnError(raw.source, must, got, "name a column of text with --target")
    first = next((value for value in raw.arrow.column(column.name).slice(0, _SAMPLE) if value.is_valid), None)
    if first is not None and _CHAT.match(str(first.as_py())[:_CHAT_LETTERS]):
        mend = "name it with --target to learn from conversations"
        raise ColumnError(raw.source, must, "it holds chats, which are lists of messages", mend)


def read_answers(raw: Raw, spec: ColumnSpec, asked: TaskName | None) -> Answers:
    """Decide between classification and regression, and read the answers.

    Raises:
        ColumnError: the column cannot be a target, or not of the task asked for.
    """
    if spec.name in raw.arrays or spec.kind in ("image", "audio", "sequence") or "nested" in spec.parsing:
        raise ColumnError(
            raw.source,
            "the target must be a number, a flag or a category",
            f"{spec.name!r} is of kind {spec.kind}",
            "choose another column",
        )
    if asked == "regression" or (asked is None and spec.kind == "number"):
        answers = _amounts(raw, spec)
        if asked == "regression":
            return _checked(raw, answers)
        known = answers.values[~np.isnan(answers.values)]
        distinct = np.unique(known)
        if not _are_classes(distinct, len(known)):
            return _checked(raw, answers)
        why = say("target.whole numbers", count=len(distinct), low=distinct[0], high=distinct[-1])
        return _classes(raw, replace(spec, evidence=why))
    if spec.kind == "time" and asked is None:
        raise ColumnError(
            raw.source,
            "the target must be a number, a flag or a category",
            f"{spec.name!r} holds times",
            f"read it otherwise with --kind {spec.name}=category",
        )
    return _classes(raw, spec)


def _are_classes(distinct: NDArray[np.float64], rows: int) -> bool:
    whole = bool((distinct == np.round(distinct)).all())
    return len(distinct) <= 2 or (whole and len(distinct) <= _FEW and len(distinct) * 5 <= rows)


def _amounts(raw: Raw, spec: ColumnSpec) -> Answers:
    kind = raw.arrow.column(spec.name).type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        raise ColumnError(
            raw.source,
            f"the target {spec.name!r} must hold numbers for regression",
            f"it holds values of type {kind}",
            "name another column",
        )
    parsing = spec.parsing if spec.kind == "number" else {}
    reading = read_column(raw, replace(spec, kind="number", parsing=parsing), None, lambda _fraction: None)
    must = f"the target {spec.name!r} must hold numbers for regression"
    check_readable(raw, reading, must, "leave out --task regression")
    assert isinstance(reading.column, Numbers)
    values = reading.column.values.astype(np.float64)
    return Answers(replace(spec, kind="number", parsing=parsing), "regression", (), values, dict(reading.wrong))


def _checked(raw: Raw, answers: Answers) -> Answers:
    known = answers.values[answers.known]
    name = answers.spec.name
    if len(known) == 0:
        raise ColumnError(
            raw.source, f"the target {name!r} must have values", "every row is empty", "name another column"
        )
    if known.min() == known.max():
        raise ColumnError(
            raw.source,
            f"the target {name!r} must have different values",
            f"every row holds {known[0]:g}",
            "name another column",
        )
    distinct = len(np.unique(known))
    key = "target.some amounts" if answers.wrong else "target.amounts"
    values = {"count": len(known), "present": len(known) + len(answers.wrong), "distinct": distinct}
    evidence = say(key, **values, low=known.min(), high=known.max())
    return replace(answers, spec=replace(answers.spec, evidence=evidence))


def _classes(raw: Raw, spec: ColumnSpec) -> Answers:
    levels = labels_of(raw.arrow.column(spec.name))
    _check_classes(raw, spec, levels)
    names = levels.names.to_pylist()
    classes = ordered(names)
    place = {name: code for code, name in enumerate(classes)}
    codes = np.array([place[name] for name in names] + [-1], dtype=np.int32)[levels.codes]
    counts = np.bincount(codes[codes >= 0], minlength=len(classes))
    shown = ", ".join(
        f"{shortened(classes[each], 24)} ({counts[each]:,})" for each in np.argsort(-counts, kind="stable")[:3]
    )
    shown += ", …" if len(classes) > 3 else ""
    evidence = spec.evidence or say("target.classes", count=len(classes), classes=shown)
    kept = replace(spec, kind=spec.kind if spec.kind in ("number", "flag") else "category", evidence=evidence)
    return Answers(kept, "classification", classes, codes, {})


def _check_classes(raw: Raw, spec: ColumnSpec, levels: Levels) -> None:
    name = spec.name
    rows, distinct = int((levels.codes >= 0).sum()), len(levels.names)
    if distinct == 0:
        raise ColumnError(
            raw.source, f"the target {name!r} must have values", "every row is empty", "name another column"
        )
    if distinct == 1:
        raise ColumnError(
            raw.source,
            f"the target {name!r} must have at least two classes",
            f"every row is of class {levels.names[0].as_py()!r}",
            "add rows of other classes",
        )
    if distinct > MOST_CLASSES or (distinct > 20 and distinct > rows / 2):
        found = f"{rows:,} rows hold {distinct:,} distinct values"
        must = f"the target {name!r} must have at most {MOST_CLASSES:,} classes, with several rows each"
        amounts, texts = "use --task regression if they are amounts", "the questions that they answer with --prompt"
        raise ColumnError(
            raw.source, must, found, f"name another column, or {texts if spec.kind == 'text' else amounts}"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "a number, flag or category"

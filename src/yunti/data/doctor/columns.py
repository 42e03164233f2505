"""Checks of one column at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from yunti.data import media
from yunti.data.doctor.sheet import Sheet
from yunti.data.kinds import named_as_id
from yunti.data.parse import HOLDS
from yunti.data.split import is_ready_split
from yunti.data.table import Categories, Images, Numbers, Texts
from yunti.records import Finding
from yunti.specs import ColumnSpec
from yunti.words import say

_ENOUGH_ROWS = 20  # fewer rows prove nothing about a counter
_GROUP_NAME = re.compile(
    r"(user|customer|client|patient|subject|speaker|person|author|student|session|device|household|machine)s?"
    r"([ _]?(id|no|nr|key|code|number|name))?$|用户|客户|患者|病人|说话人|学生",
    re.IGNORECASE,
)


def check_columns(sheet: Sheet) -> Iterator[Finding]:
    """Look at every column by itself."""
    for column in sheet.columns:
        facts = sheet.facts[column.name]
        if "nested" in column.parsing:
            yield _left_out("nested", column, "doctor.nested", nested=column.parsing["nested"])
        elif facts.present == 0:
            yield _left_out("empty", column, "doctor.empty")
        elif column.kind == "id":
            yield _left_out("id", column, "doctor.id", evidence=column.evidence)
        elif (
            (found := _constant(sheet, column)) or (found := _index(sheet, column)) or (found := _split(sheet, column))
        ):
            yield found
        else:
            yield from _notes(sheet, column)
    yield from _missing(sheet)


def _notes(sheet: Sheet, column: ColumnSpec) -> Iterator[Finding]:
    yield from _mixed(sheet, column)
    yield from _paths(sheet, column)
    yield from _levels(sheet, column)
    yield from _time(sheet, column)
    yield from _group(sheet, column)


def _left_out(code: str, column: ColumnSpec, key: str, **values: Any) -> Finding:
    return Finding(code, "left out", say(key, column=column.name, **values), column.name)


def _constant(sheet: Sheet, column: ColumnSpec) -> Finding | None:
    if column.kind not in ("number", "flag", "time", "category", "text", "image"):
        return None
    missing = len(sheet.raw) - sheet.facts[column.name].present
    if missing:  # that a value is there at all can tell something
        return None
    match sheet.table[column.name]:
        case Numbers(values):
            first = values[0]
            same = bool((values == first).all())
            shown = f"{first:g}"
        case Categories(_, names):
            same, shown = len(names) == 1, names[0]
        case Texts(values):
            same = bool(pc.all(pc.equal(values, values[0])).as_py())
            shown = values[0].as_py()
        case Images(pixels, _):
            same = len(pixels) > 1 and all(np.array_equal(pixels[0], picture) for picture in pixels[1:50])
            same = same and bool((pixels == pixels[0]).all())
            shown = ""
        case _:
            return None
    if not same or len(sheet.raw) < 2:
        return None
    if column.kind == "image":
        return _left_out("constant", column, "doctor.same picture")
    return _left_out("constant", column, "doctor.constant", value=shown)


def _index(sheet: Sheet, column: ColumnSpec) -> Finding | None:
    """Find counters of the rows, and whole numbers that are all distinct under the name of a key."""
    if column.kind != "number" or sheet.facts[column.name].unreadable:
        return None
    column_values = sheet.table[column.name]
    assert isinstance(column_values, Numbers)
    files = sheet.raw.file_of  # each file may count anew
    values = column_values.values if files is None else column_values.values[files == files[0]]
    if len(values) < _ENOUGH_ROWS or np.isnan(values).any() or (values != np.round(values)).any():
        return None
    low, high = float(values.min()), float(values.max())
    if high - low + 1 > 1.05 * len(values) + 1 and not named_as_id(column.name):
        return None
    if len(np.unique(values)) < len(values):
        return None
    if high - low + 1 <= 1.05 * len(values) + 1:
        return _left_out("index", column, "doctor.index", low=low, high=high)
    return _left_out("id", column, "doctor.key")


def _split(sheet: Sheet, column: ColumnSpec) -> Finding | None:
    """Find a column that holds a ready split."""
    if column.kind == "flag":
        names = [str(column.parsing["no"]), str(column.parsing["yes"])]
        values = sheet.table[column.name]
        assert isinstance(values, Numbers)
        counts = [int((values.values == each).sum()) for each in (0, 1)]
    elif column.kind == "category" and isinstance(levels := sheet.table[column.name], Categories):
        names = list(levels.names)
        counts = np.bincount(levels.codes[levels.codes >= 0], minlength=len(names)).tolist()
    else:
        return None
    if not is_ready_split(names):
        return None
    shown = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    return _left_out("split_column", column, "doctor.split column", parts=shown)


def _missing(sheet: Sheet) -> Iterator[Finding]:
    rows, few = len(sheet.raw), []
    for column in sheet.columns:
        present = sheet.facts[column.name].present
        share = 1 - present / max(1, rows)
        if share >= 0.2 and present:
            message = say("doctor.missing", column=column.name, count=rows - present, rows=rows, share=share)
            yield Finding("missing", "warning" if share >= 0.5 else "note", message, column.name, count=rows - present)
        elif present < rows and present:
            few.append((rows - present, column.name))
    few.sort(reverse=True)
    if few:
        shown = [say("doctor.missing column", column=name, count=count) for count, name in few[:4]]
        key = "doctor.missing in many" if len(few) > 4 else "doctor.missing in few"
        message = say(key, columns=shown, more=len(few) - 4, rows=rows)
        yield Finding("missing", "note", message, few[0][1] if len(few) == 1 else None, count=few[0][0])


def _mixed(sheet: Sheet, column: ColumnSpec) -> Iterator[Finding]:
    facts = sheet.facts[column.name]
    if not facts.unreadable or column.kind in ("image", "audio"):  # files that cannot be read break their rows
        return
    row = min(facts.wrong)
    file, number = sheet.raw.place(row)
    kinds = {"number": "many.number", "time": "holds.time", "flag": "mixed.flag"}
    kind = say(kinds.get(column.kind, "mixed.other"))
    values = {"column": column.name, "count": facts.unreadable, "kind": kind}
    message = say("doctor.mixed", **values, file=file, row=number, reason=facts.wrong[row])
    yield Finding("mixed", "warning", message, column.name, file, number, facts.unreadable)


def _paths(sheet: Sheet, column: ColumnSpec) -> Iterator[Finding]:
    values = sheet.table[column.name] if column.kind in ("category", "text") else None
    if isinstance(values, Categories):
        some = pa.array(values.names[:1000], pa.large_string())
    elif isinstance(values, Texts):
        some = values.values.slice(0, 1000)
    else:
        return
    if kind := media.endings_kind(some):
        example, folder = some[0].as_py(), sheet.raw.folder
        message = say("doctor.paths", column=column.name, kind=HOLDS[kind], folder=folder, example=example)
        yield Finding("paths", "warning", message, column.name)


def _levels(sheet: Sheet, column: ColumnSpec) -> Iterator[Finding]:
    if column.kind != "category":
        return
    values = sheet.table[column.name]
    assert isinstance(values, Categories)
    levels, rows = len(values.names), sheet.facts[column.name].present
    if levels >= 100 and levels * 20 > rows:
        message = say("doctor.many levels", column=column.name, levels=levels, rows=rows)
        yield Finding("many_levels", "note", message, column.name, count=levels)


def _time(sheet: Sheet, column: ColumnSpec) -> Iterator[Finding]:
    if column.kind != "time":
        return
    values = sheet.table[column.name]
    assert isinstance(values, Numbers)
    days = len(np.unique(np.floor(values.values[:: max(1, len(values) // 100_000)] / 86_400)))
    if days >= 30:
        yield Finding("time", "note", say("doctor.time", column=column.name), column.name)


def _group(sheet: Sheet, column: ColumnSpec) -> Iterator[Finding]:
    """Note columns whose equal values mark rows that belong together, by their name and their counts."""
    if column.kind not in ("category", "number") or not _GROUP_NAME.search(column.name):
        return
    if column.kind == "number" and not named_as_id(column.name):
        return
    values = sheet.values(column.name, slice(None))
    counts = np.unique(values[~np.isnan(values)], return_counts=True)[1]
    if len(counts) >= 3 and len(counts) * 1.5 < counts.sum():
        message = say("doctor.group", column=column.name, count=len(counts), most=counts.max())
        yield Finding("group", "note", message, column.name, count=len(counts))

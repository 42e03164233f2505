"""The kind of every column, found from its values, with what is needed to read them the same way again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data import media, numbers, sequences, times
from yunti.data.raw import Raw
from yunti.data.strings import MISSING_AMONG_NUMBERS, Levels, is_string, levels_of, plain, shortened
from yunti.errors import ColumnError, OptionError, nearest
from yunti.specs import KINDS, ColumnSpec, Kind

_SAMPLE = 200_000  # values that a kind is found from; the rest is verified when the column is read
_BLOCK = 1_000
_YES = frozenset(["yes", "y", "true", "t", "on", "1", "是", "有", "真", "对"])
_NO = frozenset(["no", "n", "false", "f", "off", "0", "否", "无", "没有", "假", "错"])
_ID_NAME = re.compile(
    r"(?i:(^|[_\W])(id|uuid|guid|key|idx|index|rownames|row_?names|rowid|serial|sku|no|nr)$)|[a-z](Id|ID)$"
    r"|^Unnamed: \d+$|^$|编号$|序号$|主键$"
)
_CODE = r"^(?:[A-Za-z0-9_.:#/-]*\d[A-Za-z0-9_.:#/-]*|[^@\s]+@[^@\s]+\.\w+)$"
_CJK = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
_TEXT_LEVELS = 1_000

Guess = tuple[Kind, dict[str, Any]]


def find_kinds(raw: Raw, kinds: Mapping[str, Kind]) -> tuple[ColumnSpec, ...]:
    """Find the kind of every column, in the order of `raw.names`.

    Args:
        raw: rows as they stand in the source.
        kinds: kinds that the user sets.

    Raises:
        ColumnError: a kind is set for a column that does not exist, or that cannot be of that kind.
        OptionError: a kind that is set does not exist.
    """
    for name, kind in kinds.items():
        if name not in raw.names:
            raise ColumnError(
                raw.source,
                f"--kind {name}={kind} must name a column",
                f"there is no {name!r}",
                nearest(name, raw.names),
            )
        if kind not in KINDS:
            raise OptionError(
                f"--kind {name}={kind}", "the kind must be known", f"{kind!r} is not", nearest(kind, KINDS)
            )
    specs = []
    for name in raw.names:
        asked = kinds.get(name) or raw.hints.get(name)
        kind, parsing = _array_kind(raw, name) if name in raw.arrays else _arrow_kind(raw, name, asked)
        if name in raw.arrays and asked not in (None, kind):
            raise ColumnError(
                raw.source,
                f"column {name!r} cannot be of kind {asked}",
                f"it holds arrays of kind {kind}",
                f"use --kind {name}={kind}, or none",
            )
        specs.append(ColumnSpec(name, kind, parsing=parsing))
    return tuple(specs)


def named_as_id(name: str) -> bool:
    """Say whether a column's name is that of a key or a counter."""
    return bool(_ID_NAME.search(name))


def flag_words(names: list[str]) -> dict[str, Any] | None:
    """Give the `parsing` of a flag whose distinct values are these, or None if they are not two.

    Args:
        names: distinct strings, trimmed.

    Example:
        >>> flag_words(["Yes", "no"]), flag_words(["male", "female"]), flag_words(["1", "2"])
        ({'no': 'no', 'yes': 'Yes'}, {'no': 'female', 'yes': 'male'}, None)
    """
    folded = {re.sub(r"^([01])\.0+$", r"\1", name).casefold(): name for name in reversed(names)}
    if len(folded) != 2:
        return None
    yes, no = [each for each in folded if each in _YES], [each for each in folded if each in _NO]
    if yes and no:
        return {"no": folded[no[0]], "yes": folded[yes[0]]}
    first, second = sorted(folded.values())
    if all(re.fullmatch(r"[-+]?[\d.,]+", each) for each in (first, second)):
        return None
    return {"no": first, "yes": second}


def flag_values(parsing: Mapping[str, Any]) -> dict[str, float]:
    """Give the value of every word of a flag, case folded; synonyms of yes and no are known too."""
    words = {str(parsing["no"]).casefold(): 0.0, str(parsing["yes"]).casefold(): 1.0}
    plain_words = {re.sub(r"^([01])\.0+$", r"\1", word) for word in words}
    if plain_words & _YES and plain_words & _NO:
        words = {**dict.fromkeys(_NO, 0.0), **dict.fromkeys(_YES, 1.0), "0.0": 0.0, "1.0": 1.0, **words}
    return words


def sample_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take blocks of rows from all over a long column; a short one is returned whole."""
    if len(column) <= _SAMPLE:
        return column
    starts = np.linspace(0, len(column) - _BLOCK, _SAMPLE // _BLOCK).astype(int)
    chunks = [chunk for start in starts for chunk in column.slice(int(start), _BLOCK).chunks]
    return pa.chunked_array(chunks, type=column.type)


def _array_kind(raw: Raw, name: str) -> Guess:
    values = raw.arrays[name]
    return ("image", {}) if values.dtype == np.uint8 and values.ndim in (3, 4) else ("sequence", {})


def _arrow_kind(raw: Raw, name: str, asked: Kind | None) -> Guess:
    stored = raw.arrow.column(name).type
    column = sample_of(plain(raw.arrow.column(name)))
    if asked is None and pa.types.is_dictionary(stored):  # the source calls it a category
        kind, parsing = _string_kind(name, levels_of(column), raw.folder)
        return (kind, parsing) if kind in ("flag", "image", "audio") else ("category", {})
    if asked is not None:
        return asked, _parsing_for(raw, name, asked, column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time", {}
    if pa.types.is_boolean(kind):
        return "flag", {"no": "false", "yes": "true"}
    if sequences.is_list(kind):
        return ("text", {}) if is_string(sequences.innermost(kind)) else ("sequence", {})
    if media.is_packed(kind):
        return media.packed_kind(column), {}
    if pa.types.is_nested(kind):
        return "text", {"nested": str(kind)}
    if is_string(kind):
        return _string_kind(name, levels_of(column), raw.folder)
    if pa.types.is_null(kind):
        return "category", {}
    return _number_kind(name, column)


def _number_kind(name: str, column: pa.ChunkedArray) -> Guess:
    values = np.concatenate([numbers.typed_numbers(chunk)[0] for chunk in column.chunks] or [np.zeros(0)])
    known = values[~np.isnan(values)]
    if len(known) and np.array_equal(np.unique(known[:_BLOCK]), [0, 1]) and np.array_equal(np.unique(known), [0, 1]):
        return "flag", {"no": "0", "yes": "1"}
    if pa.types.is_integer(column.type):
        levels = levels_of(column)
        if parsing := times.find_format(levels.names, levels.counts, name):
            return "time", parsing
    elif unit := times.epoch_of(known, name):
        return "time", {"epoch": unit}
    return "number", {}


def _string_kind(name: str, levels: Levels, folder: Path) -> Guess:
    names, counts = levels.names, levels.counts
    if len(names) == 0:
        return "category", {}
    known = _without(names, counts)
    if len(known[0]) == 0:
        return "category", {}
    if numbers.share_of_numbers(*known) >= numbers.ENOUGH:
        return _plain_number_kind(name, names, known)
    if found := media.kind_of_paths(names, folder):
        return found, {}
    if sequences.are_lists(names):
        return "sequence", {}
    words = flag_words(names.to_pylist()) if len(names) <= 4 else None
    if words and str(words["yes"]).casefold() in {*_YES, "1.0"}:
        return "flag", words
    if (parsing := times.find_format(*known, name)) is not None:
        return "time", parsing
    if (parsing := numbers.find_format(*known)) is not None:
        return "number", parsing
    return ("flag", words) if words else (_word_kind(name, names, counts), {})


def _plain_number_kind(
    name: str, names: pa.LargeStringArray, known: tuple[pa.LargeStringArray, NDArray[np.int64]]
) -> Guess:
    """Tell flags, times and codes from the amounts among plainly written numbers."""
    if len(names) <= 4 and (words := flag_words(names.to_pylist())):
        return "flag", words
    if (parsing := times.whole_number_format(*known, name)) is not None:
        return "time", parsing
    return (_word_kind(name, *known), {}) if numbers.are_codes(known[0]) else ("number", {})


def _without(names: pa.LargeStringArray, counts: NDArray[np.int64]) -> tuple[pa.LargeStringArray, NDArray[np.int64]]:
    """Drop the words that mean "no value" among numbers."""
    words = pa.array(sorted(MISSING_AMONG_NUMBERS), pa.large_string())
    stay = pc.invert(pc.is_in(names, words))
    return names.filter(stay), counts[stay.to_numpy(zero_copy_only=False)]


def _word_kind(name: str, names: pa.LargeStringArray, counts: NDArray[np.int64]) -> Kind:
    """Tell category, text and id apart by how many strings are distinct and what they look like."""
    distinct, rows = len(names), int(counts.sum())
    share = distinct / rows
    some = names.take(pa.array(np.linspace(0, distinct - 1, min(distinct, 2_000)).astype(int)))
    words = _mean(pc.add(pc.count_substring_regex(some, r"\S\s+\S"), 1))
    letters = _mean(pc.utf8_length(some))
    foreign = _mean(pc.match_substring_regex(some, _CJK)) > 0.5
    wordy = words >= 4 or (words >= 2 and letters >= 40) or (foreign and letters >= 10)
    if wordy and (share > 0.2 or distinct > _TEXT_LEVELS):
        return "text"
    if share <= 0.5 or distinct < 20:
        return "text" if distinct > _TEXT_LEVELS and (words >= 1.5 or foreign) else "category"
    codes = _mean(pc.match_substring_regex(some, _CODE)) >= 0.9 and letters <= 64
    if share > 0.95 and (codes or (words < 1.5 and named_as_id(name) and not foreign)):
        return "id"
    if codes:
        return "category"
    if words >= 1.5 or foreign or (share > 0.9 and distinct >= 100):
        return "text"
    return "category"


def _mean(values: Any) -> float:
    return float(pc.mean(values.cast(pa.float64())).as_py() or 0.0)


def _parsing_for(raw: Raw, name: str, asked: Kind, column: pa.ChunkedArray) -> dict[str, Any]:
    """Find how a column is read as the kind that the user asks for.

    Raises:
        ColumnError: its values cannot be read so.
    """
    kind = column.type
    nested = pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    strings = is_string(kind)
    if asked in ("image", "audio"):
        fits = strings or media.is_packed(kind)
    elif asked == "sequence":
        fits = sequences.is_list(kind) or strings
    elif asked in ("category", "text", "id"):
        fits = not nested or sequences.is_list(kind)
    else:
        fits = not nested and not (asked == "number" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)))
    if not fits:
        raise _other_kind(raw, name, asked, f"it holds values of type {kind}")
    if asked in ("category", "text", "id", "image", "audio", "sequence"):
        return {}
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if asked == "time":
            return {}
        raise _other_kind(raw, name, asked, f"it holds values of type {kind}")
    levels = levels_of(column, MISSING_AMONG_NUMBERS)
    parsing = _scalar_parsing(asked, levels, name, strings)
    if parsing is None:
        raise _unreadable(raw, name, asked, levels)
    return parsing


def _scalar_parsing(asked: Kind, levels: Levels, name: str, strings: bool) -> dict[str, Any] | None:
    if asked == "flag":
        names = levels.names.to_pylist() if len(levels.names) <= 4 else []
        pair = sorted(names) if len(names) == 2 else ["", ""]
        return flag_words(names) or ({"no": pair[0], "yes": pair[1]} if pair[1] else None)
    if asked == "number":
        if not strings:
            return {}
        found = numbers.find_format(levels.names, levels.counts)
        return {} if found is None and numbers.share_of_numbers(levels.names, levels.counts) >= 0.5 else found
    return times.find_format(levels.names, levels.counts, name) or times.find_format(
        levels.names, levels.counts, "time"
    )


def _unreadable(raw: Raw, name: str, asked: Kind, levels: Levels) -> ColumnError:
    """Point to the first row of the sample whose value is not of the kind that the user asks for."""
    if len(levels.names) == 0:
        return _other_kind(raw, name, asked, "it has no values")
    unread = (
        numbers.to_numbers(levels.names, {})[1] if asked == "number" else np.ones(len(levels.names), dtype=np.bool_)
    )
    row = int(np.flatnonzero(np.append(unread, False)[levels.codes])[0])
    value = levels.names[int(levels.codes[row])].as_py()
    if len(levels) < len(raw):
        return _other_kind(raw, name, asked, f"it holds values such as {shortened(value)!r}")
    file, number = raw.place(row)
    return _other_kind(raw, name, asked, f"it is {shortened(value)!r}", f"{file}, row {number}")


def _other_kind(raw: Raw, name: str, asked: Kind, found: str, where: str = "") -> ColumnError:
    must = f"column {name!r} must be readable as {asked}"
    return ColumnError(where or raw.source, must, found, f"leave out --kind {name}={asked}")

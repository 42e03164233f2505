"""Class labels as strings: trimmed, whole numbers without ".0", in an order that people expect."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from yunti.data.strings import Levels, levels_of

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WHOLE = re.compile(r"([-+]?\d+)\.0+")


def labels_of(column: pa.ChunkedArray) -> Levels:
    """Read a column as class labels.

    Example:
        >>> labels_of(pa.chunked_array([[" a", "b ", None]])).names.to_pylist()
        ['a', 'b']
    """
    levels = levels_of(column)
    names = levels.names.to_pylist()
    if not any(name.endswith("0") and _WHOLE.fullmatch(name) for name in names):
        return levels
    if not all(_NUMBER.fullmatch(name) for name in names):
        return levels
    short = [match.group(1) if (match := _WHOLE.fullmatch(name)) else name for name in names]
    distinct = list(dict.fromkeys(short))
    place = {name: index for index, name in enumerate(distinct)}
    codes = np.array([place[name] for name in short] + [-1], dtype=np.int32)[levels.codes]
    return Levels(codes, pa.array(distinct, pa.large_string()))


def ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Sort labels: by value where all are numbers, else by the alphabet.

    Example:
        >>> ordered(["10", "9"]), ordered(["no", "a"])
        (('9', '10'), ('a', 'no'))
    """
    if all(_NUMBER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))


def lookup(classes: Sequence[str]) -> dict[str, int]:
    """Give the code of each label; true and false are known in any case."""
    known = {name: code for code, name in enumerate(classes)}
    if {name.casefold() for name in classes} <= {"true", "false"}:
        folded = {name.casefold(): code for name, code in known.items()}
        known = {
            **{form: code for name, code in folded.items() for form in (name, name.title(), name.upper())},
            **known,
        }
    return known

"""Columns that repeat another column: the same values, the same values under other names, or on another scale."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from yunti.data.doctor.sheet import Sheet
from yunti.records import Finding
from yunti.words import say

_LEAST = 20  # rows below which equal columns may be chance
_RARE = 5  # rows in which a column must differ from its most common value, for the same reason


def check_copies(sheet: Sheet, passed_over: frozenset[str]) -> Iterator[Finding]:
    """Find columns that are one-to-one copies of another; the later of the two is left out.

    Args:
        sheet: the data.
        passed_over: columns that are left out already.
    """
    rows = sheet.drawn("copies")
    if len(rows) < _LEAST:
        return
    alike: dict[str, list[str]] = defaultdict(list)
    for column in sheet.of_kind("number", "flag", "time", "category"):
        if column.name not in passed_over:
            key = _signature(sheet.values(column.name, rows))
            if key:
                alike[key].append(column.name)
    everything = np.flatnonzero(sheet.usable)
    for names in alike.values():
        kept = [names[0]]
        for name in names[1:]:
            original = next((each for each in kept if _is_copy(sheet, each, name, everything)), None)
            if original is None:
                kept.append(name)
                continue
            if original.startswith(name):
                kept[kept.index(original)] = name
                original, name = name, original  # noqa: PLW2901  ("date_number" is the copy of "date")
            yield Finding("copy", "left out", say("doctor.copy", column=name, original=original), name)


def one_to_one(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Say whether every value of one column goes with one value of the other; a missing value is a value too."""
    left, right = _codes(first), _codes(second)
    return bool(np.array_equal(_by_first_row(left), _by_first_row(right)))


def _signature(values: NDArray[np.float64]) -> str | None:
    """Give a key that one-to-one copies share: the pattern of equal rows, or the ranks where most rows differ."""
    codes = _codes(values)
    counts = np.bincount(codes)
    if len(values) - counts.max() < _RARE:
        return None
    if len(counts) * 2 <= len(values):
        return "equal " + _digest(_by_first_row(codes))
    missing = np.isnan(values)
    known = len(counts) - bool(missing.any())
    ranks = np.where(missing, -1, codes)
    turned = np.where(missing, -1, known - 1 - codes)
    return "ranks " + min(_digest(ranks), _digest(turned))


def _is_copy(sheet: Sheet, first: str, second: str, rows: NDArray[np.int64]) -> bool:
    left, right = sheet.values(first, rows), sheet.values(second, rows)
    if not one_to_one(left, right):
        return False
    kinds = {column.name: column.kind for column in sheet.columns}
    if "category" in (kinds[first], kinds[second]) or len(np.unique(left[~np.isnan(left)])) <= 2:
        return True
    known = ~np.isnan(left)
    return abs(float(np.corrcoef(left[known], right[known])[0, 1])) > 0.9999  # a curve of it is worth having


def _codes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1]


def _by_first_row(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number codes anew by the order in which they first appear."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[inverse]


def _digest(codes: NDArray[np.int64]) -> str:
    return hashlib.blake2b(codes.astype(np.int64).tobytes(), digest_size=16).hexdigest()

"""Numbers that are written as strings: plain, with thousands set apart, a decimal comma, a unit or a currency."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.strings import MISSING_AMONG_NUMBERS, trimmed

ENOUGH = 0.95  # the share of values that must be numbers (or times) before a column is read as such

_PLAIN = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_SPACE = "[ \u00a0\u2009\u202f]"
# (parsing, pattern) in the order of preference; a leading zero before a separator marks a decimal comma ("0,125")
_FORMATS: tuple[tuple[dict[str, str], str], ...] = (
    ({}, _PLAIN),
    ({"thousands": ","}, r"^[-+]?([1-9]\d{0,2}(,\d{3})+|\d+)(\.\d+)?$"),
    ({"decimal": ",", "thousands": "."}, r"^[-+]?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)?$"),
    ({"thousands": " "}, rf"^[-+]?([1-9]\d{{0,2}}({_SPACE}\d{{3}})+|\d+)(\.\d+)?$"),
    ({"decimal": ",", "thousands": " "}, rf"^[-+]?([1-9]\d{{0,2}}({_SPACE}\d{{3}})+|\d+)(,\d+)?$"),
    ({"thousands": "'"}, r"^[-+]?([1-9]\d{0,2}(['’]\d{3})+|\d+)(\.\d+)?$"),
)
_SEPARATORS = {",": ",", ".": r"\.", " ": _SPACE, "'": "['’]"}
_UNITS = ("%", "$", "€", "£", "¥", "￥", "₹", "元", "USD", "EUR", "GBP", "CNY", "RMB")


def find_format(texts: pa.LargeStringArray, counts: NDArray[np.int64]) -> dict[str, str] | None:
    """Find how these distinct strings are written as numbers, or None if too few of them are numbers.

    Args:
        texts: distinct strings, trimmed.
        counts: how many rows hold each, shape (texts,).

    Returns:
        The `parsing` of a number column: any of "thousands", "decimal" and "unit"; empty for plain numbers.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    if _share(texts, counts, _PLAIN) >= ENOUGH:
        return {}
    unit = next((unit for unit in _UNITS if _share(texts, counts, _unit_pattern(unit)) >= ENOUGH), None)
    bare = _without_unit(texts, unit) if unit else texts
    for parsing, pattern in _FORMATS:
        if _share(bare, counts, pattern) >= ENOUGH:
            return {**parsing, "unit": unit} if unit else dict(parsing)
    return None


def share_of_numbers(texts: pa.LargeStringArray, counts: NDArray[np.int64]) -> float:
    """Give the share of rows that hold a plainly written number."""
    return _share(texts, counts, _PLAIN)


def are_codes(texts: pa.LargeStringArray) -> bool:
    """Say whether whole numbers are codes rather than amounts: some begin with a zero, as postcodes do."""
    whole = pc.match_substring_regex(texts, r"^\d+$")
    zero = pc.match_substring_regex(texts, r"^0\d+$")
    return bool(len(texts) and pc.all(whole).as_py() and pc.mean(pc.cast(zero, pa.float64())).as_py() >= 0.01)


def to_numbers(texts: Any, parsing: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read strings as numbers.

    Args:
        texts: large_string array of one chunk.
        parsing: as `find_format` returned it.

    Returns:
        Values, NaN where missing; and where there is a value that is not a (finite) number. Both of shape (rows,).
    """
    if not parsing:
        try:
            return _finite(texts.cast(pa.float64()))
        except pa.ArrowInvalid:
            pass
    bare = trimmed(texts)
    missing = pc.is_in(bare, pa.array(sorted(MISSING_AMONG_NUMBERS), pa.large_string()), skip_nulls=False)
    if unit := parsing.get("unit"):
        bare = _without_unit(bare, unit)
    if thousands := parsing.get("thousands"):
        bare = pc.replace_substring_regex(bare, _SEPARATORS[thousands], "")
    if parsing.get("decimal") == ",":
        bare = pc.replace_substring(bare, ",", ".")
    good = pc.fill_null(pc.match_substring_regex(bare, _PLAIN), False)
    values, infinite = _finite(pc.if_else(good, bare, pa.scalar(None, pa.large_string())).cast(pa.float64()))
    known = pc.or_(good, pc.or_(pc.fill_null(missing, False), pc.is_null(texts)))
    return values, infinite | ~known.to_numpy(zero_copy_only=False)


def typed_numbers(values: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read an Arrow array of integers, floats, decimals, booleans or durations as numbers; see `to_numbers`."""
    if pa.types.is_duration(values.type) or pa.types.is_time(values.type):
        seconds = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[values.type.unit]
        whole = values.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(values.type) else values.cast(pa.int64())
        numbers, bad = _finite(whole.cast(pa.float64(), safe=False))
        return numbers * seconds, bad
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    return _finite(values.cast(pa.float64(), safe=False))


def compact(values: NDArray[np.float64]) -> NDArray[Any]:
    """Give the values as float32, or unchanged where float32 would merge values that differ.

    Whole numbers must stay exact; of others at most 1 % of the distinct values of a sample may merge.
    """
    small = values.astype(np.float32)
    sample = values[:: max(1, len(values) // 100_000)]
    sample = sample[~np.isnan(sample)]
    if len(sample) == 0:
        return small
    if np.array_equal(sample, np.round(sample)):
        exact = np.isnan(values) | (small == values)
        return small if bool(exact.all()) else values
    distinct = len(np.unique(sample))
    return small if len(np.unique(sample.astype(np.float32))) >= 0.99 * distinct else values


def _finite(values: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    infinite = np.isinf(numbers)
    if infinite.any():
        numbers[infinite] = np.nan
    return numbers, infinite


def _share(texts: Any, counts: NDArray[np.int64], pattern: str) -> float:
    matched = pc.fill_null(pc.match_substring_regex(texts, pattern), False).to_numpy(zero_copy_only=False)
    return float(counts[matched].sum() / max(1, counts.sum()))


def _unit_pattern(unit: str) -> str:
    mark = re.escape(unit)
    return rf"^[-+]?{mark}\s*[-+]?[\d.]|^[-+]?[\d.,' \u00a0]*\d\s*{mark}$".replace("\\u00a0", "\u00a0")


def _without_unit(texts: Any, unit: str) -> Any:
    mark = re.escape(unit)
    return pc.replace_substring_regex(texts, rf"\s*{mark}\s*", "")

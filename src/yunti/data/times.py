"""Dates and times that are written as strings or whole numbers, as seconds since 1970 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.numbers import ENOUGH
from yunti.data.strings import MISSING_AMONG_NUMBERS, trimmed

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR, _MONTH, _DAY, _NAME = r"(?P<Y>[12]\d{3})", r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})", r"(?P<b>[A-Za-z]{3,9})\.?"
_ZONE = r"\s*(?P<p>[AaPp][Mm])?\s*(?P<z>Z|UTC|[-+]\d{2}:?\d{2})?"
_CLOCK = rf"(?:[T ]+(?P<H>\d{{1,2}}):(?P<M>\d{{2}})(?::(?P<S>\d{{2}}(?:\.\d+)?))?{_ZONE})?"
# where day and month cannot be told apart by the values, month first (the American way) comes first: it is said aloud
FORMATS: Mapping[str, str] = {
    "year-month-day": rf"^{_YEAR}-{_MONTH}-{_DAY}{_CLOCK}$",
    "year/month/day": rf"^{_YEAR}/{_MONTH}/{_DAY}{_CLOCK}$",
    "year.month.day": rf"^{_YEAR}\.{_MONTH}\.{_DAY}{_CLOCK}$",
    "month/day/year": rf"^{_MONTH}/{_DAY}/{_YEAR}{_CLOCK}$",
    "day/month/year": rf"^{_DAY}/{_MONTH}/{_YEAR}{_CLOCK}$",
    "day.month.year": rf"^{_DAY}\.{_MONTH}\.{_YEAR}{_CLOCK}$",
    "month-day-year": rf"^{_MONTH}-{_DAY}-{_YEAR}{_CLOCK}$",
    "day-month-year": rf"^{_DAY}-{_MONTH}-{_YEAR}{_CLOCK}$",
    "day name year": rf"^(?:[A-Za-z]{{3,9}},?\s+)?{_DAY}[-\s]{_NAME},?[-\s]{_YEAR}{_CLOCK}$",
    "name day year": rf"^(?:[A-Za-z]{{3,9}},?\s+)?{_NAME}\s+{_DAY},?\s+{_YEAR}{_CLOCK}$",
    "name-year": rf"^{_NAME}[-\s/]{_YEAR}$",
    "year-name": rf"^{_YEAR}[-\s/]{_NAME}$",
    "year-month": rf"^{_YEAR}[-/]{_MONTH}$",
    "month/year": rf"^{_MONTH}/{_YEAR}$",
    "年月日": rf"^{_YEAR}\s*年\s*{_MONTH}\s*月(?:\s*{_DAY}\s*[日号])?{_CLOCK}$",
    "yearmonthday": r"^(?P<Y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})$",
}
_EPOCHS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TIME_NAMES = ("time", "date", "epoch", "timestamp", "created", "updated", "日期", "时间")


def find_format(texts: pa.LargeStringArray, counts: NDArray[np.int64], name: str) -> dict[str, str] | None:
    """Find how these distinct strings are written as dates or times, or None if too few of them are.

    Args:
        texts: distinct strings, trimmed.
        counts: how many rows hold each, shape (texts,).
        name: the column's name; whole numbers are times only if it says so.

    Returns:
        The `parsing` of a time column: "format" as in `FORMATS`, or "epoch" with the unit.
    """
    first = texts.slice(0, 1000)
    if pc.all(pc.match_substring_regex(first, r"^\d+$")).as_py():
        return whole_number_format(texts, counts, name)
    for label, pattern in FORMATS.items():
        if pc.mean(pc.match_substring_regex(first, pattern).cast(pa.float64())).as_py() < 0.5:
            continue
        _, unread = to_times(texts, {"format": label})
        if counts[~unread].sum() >= ENOUGH * counts.sum():
            return {"format": label}
    return None


def epoch_of(values: NDArray[np.float64], name: str) -> str | None:
    """Name the unit of numbers that are seconds (ms, us, ns) since 1970: only if the column's name says time."""
    if not _named_as_time(name) or len(values) == 0 or np.isnan(values).all():
        return None
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    for unit, seconds in _EPOCHS.items():
        if low * seconds > 3.1e8 and high * seconds < 4.2e9:  # 1980 to 2103
            return unit
    return None


def to_times(texts: Any, parsing: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read strings as times.

    Args:
        texts: large_string array of one chunk.
        parsing: as `find_format` returned it.

    Returns:
        Seconds since 1970, NaN where missing; and where there is a value that is not such a time.
    """
    encoded = pc.dictionary_encode(texts)
    written = trimmed(encoded.dictionary)
    missing = pc.is_in(written, pa.array(sorted(MISSING_AMONG_NUMBERS), pa.large_string()))
    if "epoch" in parsing:
        seconds = _epoch_seconds(written, _EPOCHS[parsing["epoch"]])
    else:
        fields = pc.extract_regex(written, FORMATS[parsing["format"]])
        seconds = _seconds(fields)
    unread = np.isnan(seconds) & ~missing.to_numpy(zero_copy_only=False)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.append(seconds, np.nan)[codes], np.append(unread, False)[codes]


def typed_times(values: Any) -> NDArray[np.float64]:
    """Read an Arrow array of timestamps or dates as seconds since 1970, NaN where missing."""
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    unit = _EPOCHS[values.type.unit]
    numbers = values.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(numbers * unit, dtype=np.float64)


def moment(seconds: float) -> str:
    """Write seconds since 1970 as an ISO date, with the time of day if there is one."""
    stamp = str(np.datetime64(round(seconds), "s"))
    return stamp.removesuffix("T00:00:00").replace("T", " ")


def whole_number_format(texts: Any, counts: NDArray[np.int64], name: str) -> dict[str, str] | None:
    """Find how whole numbers are times, by the column's name and their sizes; see `find_format`."""
    if not _named_as_time(name):
        return None
    _, unread = to_times(texts, {"format": "yearmonthday"})
    if counts[~unread].sum() >= ENOUGH * counts.sum():
        return {"format": "yearmonthday"}
    numbers = pc.if_else(pc.match_substring_regex(texts, r"^\d{1,19}$"), texts, pa.scalar(None, pa.large_string()))
    unit = epoch_of(numbers.cast(pa.float64()).to_numpy(zero_copy_only=False), name)
    return {"epoch": unit} if unit else None


def _named_as_time(name: str) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in _TIME_NAMES) or lowered.endswith(("_at", "_ts", "_dt")) or lowered == "ts"


def _epoch_seconds(texts: Any, unit: float) -> NDArray[np.float64]:
    digits = pc.match_substring_regex(texts, r"^-?\d{1,19}(\.\d+)?$")
    numbers = pc.if_else(digits, texts, pa.scalar(None, pa.large_string())).cast(pa.float64())
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64) * unit


def _seconds(fields: pa.StructArray) -> NDArray[np.float64]:
    """Turn the named parts of a pattern into seconds; NaN where the pattern did not match or no such day exists."""
    present = pc.is_valid(fields).to_numpy(zero_copy_only=False)
    names = {fields.type.field(place).name for place in range(fields.type.num_fields)}

    def part(name: str, default: float) -> NDArray[np.float64]:
        if name not in names:
            return np.full(len(fields), default)
        texts = pc.struct_field(fields, name)
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
        return np.asarray(pc.fill_null(texts.cast(pa.float64()), default).to_numpy(zero_copy_only=False))

    year = part("Y", np.nan)
    month = _month_by_name(pc.struct_field(fields, "b")) if "b" in names else part("m", 1)
    day, hour = part("d", 1), part("H", 0)
    if "p" in names:
        half = pc.utf8_lower(pc.fill_null(pc.struct_field(fields, "p"), "")).to_numpy(zero_copy_only=False)
        hour = np.where(half == "pm", hour % 12 + 12, np.where(half == "am", hour % 12, hour))
    valid = present & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 24) & (part("M", 0) < 60)
    safe_year, safe_month = np.where(valid, year, 1970).astype(np.int64), np.where(valid, month, 1).astype(np.int64)
    months = (safe_year - 1970) * 12 + safe_month - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    valid &= day <= following - first
    seconds = (first + day - 1) * 86400.0 + hour * 3600 + part("M", 0) * 60 + part("S", 0)
    if "z" in names:
        seconds = seconds - _offset_seconds(pc.struct_field(fields, "z"))
    return np.where(valid, seconds, np.nan)


def _month_by_name(names: Any) -> NDArray[np.float64]:
    short = pc.utf8_lower(pc.utf8_slice_codeunits(names, 0, 3))
    place = pc.index_in(short, pa.array(_MONTHS, short.type))
    return np.asarray(pc.fill_null(place.cast(pa.float64()), -1).to_numpy(zero_copy_only=False)) + 1


def _offset_seconds(zones: Any) -> NDArray[np.float64]:
    """Seconds east of Greenwich: 0 for none, Z and UTC."""
    digits = pc.replace_substring(pc.fill_null(zones, ""), ":", "")
    shifted = pc.match_substring_regex(digits, r"^[-+]\d{4}$")
    number = pc.if_else(shifted, digits, pa.scalar("0", digits.type)).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(np.sign(number) * (np.abs(number) // 100 * 3600 + np.abs(number) % 100 * 60))

"""Why a column was given its kind: one clause that names counts, so that a reader can nod or object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from yunti.data.parse import Reading
from yunti.data.strings import shortened
from yunti.data.table import Categories, Images, Numbers, Ragged, Texts
from yunti.data.times import moment
from yunti.specs import ColumnSpec

_SHOWN = 4


def evidence_of(spec: ColumnSpec, reading: Reading, chosen: bool) -> str:
    """Say why a column has its kind.

    Args:
        spec: the column.
        reading: its values as they were read.
        chosen: whether the user set the kind.
    """
    said = _clause(spec, reading)
    return f"set by the user; {said}" if chosen else said


def count_text(count: int, word: str) -> str:
    """Write a count with its noun: "1 value", "1,200 values".

    Example:
        >>> count_text(1, "row"), count_text(2000, "class")
        ('1 row', '2,000 classes')
    """
    plural = word + ("es" if word.endswith("s") else "s")
    return f"{count:,} {word if count == 1 else plural}"


def _clause(spec: ColumnSpec, reading: Reading) -> str:
    if reading.present == 0:
        return "it has no values"
    match reading.column:
        case Numbers() as numbers:
            return _numbers(spec, reading, numbers)
        case Categories(codes, names):
            counts = np.bincount(codes[codes >= 0], minlength=len(names))
            return _distinct(names, counts)
        case Texts() as texts:
            return _texts(texts, reading.present)
        case Images(pixels, _):
            height, width, channels = pixels.shape[1:]
            colour = "grey" if channels == 1 else "coloured" if channels == 3 else f"{channels} channels"
            return f"{_readable(reading, 'picture')}, {width}×{height} pixels, {colour}"
        case Ragged() as ragged:
            return _ragged(spec, reading, ragged)


def _numbers(spec: ColumnSpec, reading: Reading, numbers: Numbers) -> str:
    values = numbers.values
    known = values[~np.isnan(values)]
    if spec.kind == "flag":
        yes = int((known == 1).sum())
        no = len(known) - yes
        rest = (
            f"; {count_text(reading.unreadable, 'value')} of {reading.present:,} are neither"
            if reading.unreadable
            else ""
        )
        return f"two values: {spec.parsing['no']} ({no:,}) and {spec.parsing['yes']} ({yes:,}){rest}"
    if spec.kind == "time":
        said = _readable(reading, "date" if not (known % 86_400).any() else "time")
        if not len(known):
            return said
        how = spec.parsing.get("format") or (f"{spec.parsing['epoch']} since 1970" if "epoch" in spec.parsing else "")
        span = f"{moment(float(known.min()))} to {moment(float(known.max()))}"
        return f"{said}, {span}" + (f", read as {how}" if how else "")
    return _readable(reading, "number") + _writing(spec.parsing) + (_range(known) if len(known) else "")


def _range(known: Any) -> str:
    low, high = float(known.min()), float(known.max())
    if low == high:
        return f", each of them {amount(low)}"
    whole = bool((known == np.round(known)).all())
    return f", {'whole, ' if whole else ''}{amount(low)} to {amount(high)}"


def amount(value: float) -> str:
    """Write a number as people do.

    Example:
        >>> [amount(each) for each in (0.00632, 12.5, 2015, 41630.44, 3e20)]
        ['0.00632', '12.5', '2015', '41,630', '3e+20']
    """
    if 1_000 <= abs(value) < 1e15:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.6g}"
    return f"{value:.4g}"


def _writing(parsing: Mapping[str, Any]) -> str:
    marks = []
    if unit := parsing.get("unit"):
        marks.append(f"in {unit}")
    if parsing.get("decimal"):
        marks.append("with a decimal comma")
    if thousands := parsing.get("thousands"):
        sign = "blanks" if thousands == " " else f"{thousands!r}"
        marks.append(f"thousands set apart by {sign}")
    return "".join(f", {mark}" for mark in marks)


def _readable(reading: Reading, word: str) -> str:
    good = reading.present - reading.unreadable
    if reading.unreadable == 0:
        return f"all {reading.present:,} values are {word}s" if reading.present > 1 else f"the only value is a {word}"
    rest = "1 is not" if reading.unreadable == 1 else f"{reading.unreadable:,} are not"
    return f"{good:,} of {reading.present:,} values are {word}s; {rest}"


def _distinct(names: tuple[str, ...], counts: Any) -> str:
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    shown = ", ".join(shortened(names[place], 24) for place in order)
    more = ", …" if len(names) > _SHOWN else ""
    return f"{count_text(len(names), 'distinct value')} among {int(counts.sum()):,}: {shown}{more}"


def _texts(texts: Texts, present: int) -> str:
    some = texts.values.slice(0, 100_000)
    distinct = pc.count_distinct(some).as_py()
    words = pc.mean(pc.add(pc.count_substring_regex(pc.utf8_trim_whitespace(some), r"\s+"), 1)).as_py() or 0.0
    letters = pc.mean(pc.utf8_length(some)).as_py() or 0.0
    blanks = words >= 4 and letters < 12 * words  # Chinese has few: its length is told in characters
    size = f"{words:.0f} words" if blanks else f"{letters:.0f} characters"
    among = f"{len(some) - some.null_count:,}" + (f" of {present:,}" if len(texts) > len(some) else "")
    return f"{distinct:,} distinct among {among} values, {size} each on average"


def _ragged(spec: ColumnSpec, reading: Reading, ragged: Ragged) -> str:
    lengths = ragged.lengths[ragged.lengths > 0]
    if spec.kind == "audio":
        seconds = float(np.median(lengths)) / (spec.rate or 1) if len(lengths) else 0.0
        return f"{_readable(reading, 'sound')}, {seconds:.2g} s typically, {spec.rate:,} samples a second"
    channels = ragged.values.shape[1]
    steps = (
        f"{lengths.min():,}"
        if len(lengths) and lengths.min() == lengths.max()
        else (f"{lengths.min():,} to {lengths.max():,}" if len(lengths) else "0")
    )
    return f"{_readable(reading, 'sequence')} of {steps} steps, {count_text(channels, 'channel')}"

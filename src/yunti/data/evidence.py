"""Why a column was given its kind: one clause that names counts, so that a reader can nod or object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from yunti.data.parse import Reading
from yunti.data.strings import shortened
from yunti.data.table import Categories, Images, Numbers, Ragged, Texts
from yunti.data.times import moment
from yunti.specs import ColumnSpec
from yunti.words import say

_SHOWN = 4


def evidence_of(spec: ColumnSpec, reading: Reading, chosen: bool) -> str:
    """Say why a column has its kind.

    Args:
        spec: the column.
        reading: its values as they were read.
        chosen: whether the user set the kind.
    """
    said = _clause(spec, reading)
    return say("evidence.chosen", evidence=said) if chosen else said


def _clause(spec: ColumnSpec, reading: Reading) -> str:
    if reading.present == 0:
        return say("evidence.none")
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
            key = {1: "evidence.grey", 3: "evidence.coloured"}.get(channels, "evidence.channels")
            size = say("evidence.pixels", width=width, height=height)
            return _with_more(_readable(reading, "picture"), [size, say(key, count=channels)])
        case Ragged() as ragged:
            return _ragged(spec, reading, ragged)


def _numbers(spec: ColumnSpec, reading: Reading, numbers: Numbers) -> str:
    values = numbers.values
    known = values[~np.isnan(values)]
    if spec.kind == "flag":
        yes = int((known == 1).sum())
        words = {"no": spec.parsing["no"], "yes": spec.parsing["yes"]}
        said = say("evidence.flag", **words, no_count=len(known) - yes, yes_count=yes)
        count, present = reading.unreadable, reading.present
        return say("evidence.neither", values=said, count=count, present=present) if count else said
    if spec.kind == "time":
        said = _readable(reading, "date" if not (known % 86_400).any() else "time")
        if not len(known):
            return said
        span = say("evidence.range", low=moment(float(known.min())), high=moment(float(known.max())))
        return _with_more(said, [span, *_reading_of(spec.parsing)])
    return _with_more(_readable(reading, "number"), [*_writing(spec.parsing), *_range(known)])


def _with_more(said: str, more: Sequence[str]) -> str:
    return say("evidence.more", values=said, more=more) if more else said


def _reading_of(parsing: Mapping[str, Any]) -> Iterator[str]:
    if how := parsing.get("format"):
        yield say("evidence.format", format=how)
    elif unit := parsing.get("epoch"):
        yield say("evidence.epoch", unit=unit)


def _range(known: Any) -> Iterator[str]:
    if not len(known):
        return
    low, high = float(known.min()), float(known.max())
    if low == high:
        yield say("evidence.same", amount=amount(low))
        return
    if bool((known == np.round(known)).all()):
        yield say("evidence.whole")
    yield say("evidence.range", low=amount(low), high=amount(high))


def amount(value: float) -> str:
    """Write a number as people do.

    Example:
        >>> [amount(each) for each in (0.00632, 12.5, 2015, 41630.44, 3e20)]
        ['0.00632', '12.5', '2015', '41,630', '3e+20']
    """
    if 1_000 <= abs(value) < 1e15:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.6g}"
    return f"{value:.4g}"


def _writing(parsing: Mapping[str, Any]) -> Iterator[str]:
    if unit := parsing.get("unit"):
        yield say("evidence.unit", unit=unit)
    if parsing.get("decimal"):
        yield say("evidence.comma")
    if sign := parsing.get("thousands"):
        yield say("evidence.blanks") if sign == " " else say("evidence.thousands", sign=sign)


def _readable(reading: Reading, word: str) -> str:
    good = reading.present - reading.unreadable
    if reading.unreadable == 0 and reading.present == 1:
        return say(f"only.{word}")
    what = say(f"many.{word}")
    if reading.unreadable == 0:
        return say("evidence.all", count=reading.present, what=what)
    return say("evidence.some", good=good, present=reading.present, what=what, wrong=reading.unreadable)


def _distinct(names: tuple[str, ...], counts: Any) -> str:
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    shown = ", ".join(shortened(names[place], 24) for place in order)
    more = ", …" if len(names) > _SHOWN else ""
    return say("evidence.distinct", count=len(names), rows=int(counts.sum()), names=shown + more)


def _texts(texts: Texts, present: int) -> str:
    some = texts.values.slice(0, 100_000)
    distinct = pc.count_distinct(some).as_py()
    words = pc.mean(pc.add(pc.count_substring_regex(pc.utf8_trim_whitespace(some), r"\s+"), 1)).as_py() or 0.0
    letters = pc.mean(pc.utf8_length(some)).as_py() or 0.0
    blanks = words >= 4 and letters < 12 * words  # Chinese has few: its length is told in characters
    size = say("evidence.words", count=words) if blanks else say("evidence.characters", count=letters)
    key = "evidence.rows of" if len(texts) > len(some) else "evidence.rows"
    among = say(key, count=len(some) - some.null_count, rows=present)
    return say("evidence.texts", distinct=distinct, rows=among, size=size)


def _ragged(spec: ColumnSpec, reading: Reading, ragged: Ragged) -> str:
    lengths = ragged.lengths[ragged.lengths > 0]
    if spec.kind == "audio":
        seconds = float(np.median(lengths)) / (spec.rate or 1) if len(lengths) else 0.0
        typical, rate = say("evidence.seconds", seconds=seconds), say("evidence.rate", rate=spec.rate)
        return _with_more(_readable(reading, "sound"), [typical, rate])
    low, high = (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 0)
    values = {"values": _readable(reading, "sequence"), "channels": ragged.values.shape[1]}
    if low == high:
        return say("evidence.steps", **values, steps=low)
    return say("evidence.step range", **values, low=low, high=high)

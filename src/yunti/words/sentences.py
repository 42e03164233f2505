"""Sentences made from templates, and found again in a text that was made from one.

Besides the formats of Python, a template may ask for

- `{rows:row|rows}`: the first word where the number is 1, the second where it is any other;
- `{reason:said}`: a value that is a sentence itself, and is told in the reader's language too;
- `{parts:each}`: several such sentences, set apart by commas;
- `{low:number}`: a number or a moment that is written already.

A template of another language names the same values, without their formats: a value stands there as it was written in
English.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from yunti.words.chinese import CHINESE
from yunti.words.english import ENGLISH, RECORDED
from yunti.words.language import language

_SAID, _EACH, _NUMBER = "said", "each", "number"
_DIGITS: Final = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?%?|\d{4}-\d\d-\d\d[\d:T .]*|nan%?|[+-]?inf%?"
_QUOTED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_COMMA: Final = ", "
_DEEPEST: Final = 5  # sentences in sentences in sentences: a text of another origin may look like any number of them
_ENOUGH_WORDS: Final = 3  # a template that says as many is believed even where a sentence in it is of unknown origin


def say(key: str, **values: Any) -> str:
    """Write a sentence in English, as it stands in records and files.

    Args:
        key: of the sentence.
        values: what stands in it.

    Example:
        >>> say("split.by group", column="part")
        'by group (part)'
    """
    return _WRITER.vformat(ENGLISH[key], (), values)


def spoken(key: str, **values: Any) -> str:
    """Write a sentence in the language of the reader, for the screen alone.

    Example:
        >>> from yunti.words import speaking
        >>> with speaking("zh"):
        ...     spoken("kind.number")
        '数值'
    """
    if language() == "en":
        return say(key, **values)
    return _translated(key, {slot: _written(slot, spec, values) for slot, spec in slots(ENGLISH[key]).items()})


def told(text: str) -> str:
    """Return what `say` wrote, in the language of the reader; any other text as it is.

    Example:
        >>> from yunti.words import speaking
        >>> with speaking("zh"):
        ...     told("by group (part)"), told("any other")
        ('按分组列 part 划分', 'any other')
    """
    return text if language() == "en" else _in_chinese(text)


def find(text: str) -> tuple[str, Mapping[str, str]] | None:
    """Return the key of the template that a text was made from, and its values as text; None if there is none."""
    found = _read(text)
    return None if found is None else (found.key, found.texts)


def slots(template: str) -> dict[str, str]:
    """Return the values that a template holds, each with its format; words chosen by a number are none.

    Example:
        >>> slots("{count:,} {count:row|rows} of {name!r}")
        {'count': ',', 'name!r': ''}
    """
    found: dict[str, str] = {}
    for _, slot, spec in _pieces(template):
        if slot and "|" not in spec:
            found.setdefault(slot, spec)
    return found


@final
class _Writer(string.Formatter):
    """Formats as usual, and knows the formats of this module."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write a value."""
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        if format_spec == _EACH:
            return _COMMA.join(value)
        return str(value) if format_spec in (_SAID, _NUMBER) else super().format_field(value, format_spec)


@final
@dataclass(frozen=True)
class _Reading:
    """A way to read a text: as made from this template, with these values; `free` letters may be anything."""

    key: str
    texts: Mapping[str, str]
    free: int


_WRITER: Final = _Writer()


def _pieces(template: str) -> Iterator[tuple[str, str, str]]:
    """Take a template apart: some letters, the value after them (such as "name" or "name!r") and its format."""
    for literal, name, spec, conversion in string.Formatter().parse(template):
        yield literal, f"{name}!{conversion}" if conversion else name or "", spec or ""


def _written(slot: str, spec: str, values: Mapping[str, Any]) -> str:
    return _WRITER.vformat(f"{{{slot}:{spec}}}", (), values)


@functools.lru_cache(maxsize=4096)
def _in_chinese(text: str) -> str:
    found = _read(text)
    return text if found is None else _translated(found.key, found.texts)


def _translated(key: str, texts: Mapping[str, str]) -> str:
    specs = slots(ENGLISH[key])
    told = {slot: _value(text, specs[slot]) for slot, text in texts.items()}
    return "".join(literal + told.get(slot, "") for literal, slot, _ in _pieces(CHINESE[key]))


def _value(text: str, spec: str) -> str:
    if spec == _EACH:
        return "，".join(map(_in_chinese, text.split(_COMMA)))
    return _in_chinese(text) if spec == _SAID else text


@functools.lru_cache(maxsize=4096)
def _read(text: str, depth: int = 0) -> _Reading | None:
    """Read a text as made from the template that leaves the fewest of its letters to values that may be anything.

    Args:
        text: what `say` may have written.
        depth: how many sentences it stands in.
    """
    if depth > _DEEPEST:
        return None
    matches = ((key, pattern.fullmatch(text)) for key, pattern in _patterns())
    readings = (_reading(key, match.groups(), depth + 1) for key, match in matches if match)
    return min(filter(None, readings), key=lambda reading: reading.free, default=None)


def _reading(key: str, groups: tuple[str, ...], depth: int) -> _Reading | None:
    specs = slots(ENGLISH[key])
    free = 0
    for (slot, spec), text in zip(specs.items(), groups, strict=True):
        parts = text.split(_COMMA) if spec == _EACH else [text] if spec == _SAID else []
        for part in parts:
            inner = _read(part, depth)
            if inner is None and (spec == _EACH or _words(key) < _ENOUGH_WORDS):
                return None
            free += len(part) if inner is None else inner.free
        if not spec and not slot.endswith("!r"):
            free += len(text)
    return _Reading(key, dict(zip(specs, groups, strict=True)), free)


@functools.cache
def _words(key: str) -> int:
    """Count the words that a template says itself: `{first:said} and {second:said}` alone fits almost any text."""
    return sum(len(re.findall(r"\w+", literal)) for literal, *_ in _pieces(ENGLISH[key]))


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return a pattern for each template of a sentence that is recorded, those with the most letters first."""

    def letters(key: str) -> int:
        return sum(len(literal) for literal, *_ in _pieces(RECORDED[key]))

    return tuple((key, re.compile(_pattern(RECORDED[key]), re.DOTALL)) for key in sorted(RECORDED, key=letters)[::-1])


def _pattern(template: str) -> str:
    seen: dict[str, int] = {}
    pieces = []
    for literal, slot, spec in _pieces(template):
        pieces.append(re.escape(literal))
        if not slot:
            continue
        if "|" in spec:
            pieces.append("(?:" + "|".join(re.escape(word) for word in spec.split("|")) + ")")
        elif slot in seen:
            pieces.append(rf"(?:\{seen[slot]})")
        else:
            seen[slot] = len(seen) + 1
            pieces.append(f"({_values(slot, spec)})")
    return "".join(pieces)


def _values(slot: str, spec: str) -> str:
    if slot.endswith("!r"):
        return _QUOTED
    return _DIGITS if spec and spec not in (_SAID, _EACH) else ".+?"

"""Sentences made from templates, and found again in a text that was made from one."""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Mapping
from typing import Any, Final, final

from yunti.words.chinese import CHINESE
from yunti.words.english import ENGLISH
from yunti.words.language import language

SAID: Final = "said"
_NUMBER: Final = r"-?[\d,.]+(?:e[+-]?\d+)?|nan|inf|-inf"


@final
class _Writer(string.Formatter):
    """Formats as usual, and chooses by a number: `{rows:row|rows}` is "row" for 1 and "rows" for any other."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write a value."""
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return one if value == 1 else many
        return str(value) if format_spec == SAID else super().format_field(value, format_spec)


_WRITER: Final = _Writer()


def say(key: str, **values: Any) -> str:
    """Write a sentence in English.

    Args:
        key: of the sentence.
        values: what stands in it. A template may hold `{rows:,}` as in any format; `{rows:row|rows}`, a word that
            depends on a number; and `{reason:said}`, a value that is a sentence itself.

    Example:
        >>> say("split.by column", column="part")
        "by column 'part'"
    """
    return _WRITER.vformat(ENGLISH[key], (), values)


def told(text: str) -> str:
    """Return what `say` wrote, in the language of the reader; any other text as it is.

    Example:
        >>> from yunti.words import speaking
        >>> with speaking("zh"):
        ...     told("by column 'part'"), told("as it is")
        ('按列 'part' 划分', 'as it is')
    """
    return text if language() == "en" else _in_chinese(text)


@functools.lru_cache(maxsize=4096)
def _in_chinese(text: str) -> str:
    found = find(text)
    if found is None:
        return text
    key, values = found
    said = {name for _, name, spec, _ in string.Formatter().parse(ENGLISH[key]) if name and spec == SAID}
    values = {name: _in_chinese(value) if name in said else value for name, value in values.items()}
    return CHINESE[key].format(**values)


def find(text: str) -> tuple[str, Mapping[str, str]] | None:
    """Return the key of the template that a text was made from, and its values as text; None if there is none.

    Of several that it could have been made from, the one with the most letters of its own.
    """
    for key, pattern in _patterns():
        if match := pattern.fullmatch(text):
            return key, match.groupdict()
    return None


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    def letters(key: str) -> int:
        return sum(len(literal) for literal, *_ in string.Formatter().parse(ENGLISH[key]))

    return tuple((key, re.compile(_pattern(ENGLISH[key]), re.DOTALL)) for key in sorted(ENGLISH, key=letters)[::-1])


def _pattern(template: str) -> str:
    seen: set[str] = set()
    pieces = []
    for literal, name, spec, _ in string.Formatter().parse(template):
        pieces.append(re.escape(literal))
        if name is None:
            continue
        if spec and "|" in spec:
            pieces.append("(?:" + "|".join(re.escape(word) for word in spec.split("|")) + ")")
        elif name in seen:
            pieces.append(f"(?P={name})")
        else:
            seen.add(name)
            pieces.append(f"(?P<{name}>{_NUMBER if spec and spec != SAID else '.+?'})")
    return "".join(pieces)

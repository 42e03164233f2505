"""How long texts are: bytes, characters and words, and of which characters and scripts they are made."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.store import text_blocks

SCRIPTS: Final = {
    "CJK": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    **{
        name.upper(): name
        for name in ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Thai", "Hangul")
    },
}
OTHER: Final = "other"
_ALONE = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CHARACTERS = re.compile(f"[{_ALONE}]")  # each is a word: Han and kana are written without blanks
_SIGNS = "\u3001-\u303f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # that stand between them
_BETWEEN = re.compile(f"[{_ALONE}{_SIGNS}]+")
_AT_ONCE = 1 << 16  # bytes that are counted at once: the counts of so few stay in the processor's cache
_CODES = 0x110000
LETTER, BLANK, ALONE = range(3)


def lengths_of(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    """Count the bytes of UTF-8, the characters (code points) and the words of texts; a missing one has none.

    Words stand between blanks; a Chinese character or a kana is a word by itself, their punctuation is none.

    Args:
        texts: large strings, perhaps memory-mapped; they are read block by block.

    Returns:
        Shape (texts, 3), int64.

    Example:
        >>> lengths_of(pa.array(["To be, or not", "你好，world", None], pa.large_string())).tolist()
        [[13, 13, 4], [14, 8, 3], [0, 0, 0]]
    """
    counted = [_counted(block) for block in text_blocks(texts, None)]
    return np.concatenate(counted) if counted else np.zeros((0, 3), dtype=np.int64)


def _counted(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    octets = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    characters = pc.fill_null(pc.utf8_length(texts), 0).to_numpy(zero_copy_only=False)
    words = [words_in(text) if text else 0 for text in texts.to_pylist()]
    return np.column_stack([octets, characters, np.array(words, dtype=np.int64)]).astype(np.int64)


def words_in(text: str) -> int:
    """Count words as `lengths_of` does."""
    if text.isascii():
        return len(text.split())
    return len(_CHARACTERS.findall(text)) + len(_BETWEEN.sub(" ", text).split())


@functools.cache
def word_classes() -> NDArray[np.uint8]:
    """Say of every code point what it is to a word as `lengths_of` counts them.

    Returns:
        Shape (1114112,): `LETTER` stands in words, `BLANK` between them, `ALONE` is a word by itself.
    """
    found = np.full(_CODES, LETTER, dtype=np.uint8)
    for signs, kind in ((_SIGNS, BLANK), (_ALONE, ALONE)):
        for first, last in re.findall("(.)-(.)|.", signs):
            if first:
                found[ord(first) : ord(last) + 1] = kind
        for sign in re.sub("(.)-(.)", "", signs):
            found[ord(sign)] = kind
    found[[code for code in range(0x3001) if chr(code).isspace()]] = BLANK
    return found


def characters_of(texts: Iterable[pa.LargeStringArray]) -> NDArray[np.int64]:
    """Count how often every character stands in texts.

    Args:
        texts: blocks of large strings; missing ones count nothing.

    Returns:
        Shape (1114112,), int64: by code point.
    """
    counts = np.zeros(_CODES, dtype=np.int64)
    for block in texts:
        letters = _bytes_of(block)
        if not len(letters):
            continue
        if letters.max() < 0x80:
            for start in range(0, len(letters), _AT_ONCE):
                counts[:0x80] += np.bincount(letters[start : start + _AT_ONCE], minlength=0x80)
            continue
        codes = np.frombuffer(letters.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)
        found = np.bincount(codes)
        counts[: len(found)] += found
    return counts


def _bytes_of(block: pa.LargeStringArray) -> NDArray[np.uint8]:
    """View the bytes of texts, one after the other, without copying them."""
    if len(block) == 0 or block.buffers()[2] is None:
        return np.zeros(0, dtype=np.uint8)
    ends = np.frombuffer(block.buffers()[1], dtype=np.int64)[block.offset : block.offset + len(block) + 1]
    return np.frombuffer(block.buffers()[2], dtype=np.uint8)[ends[0] : ends[-1]]


def script_shares(counts: NDArray[np.int64]) -> dict[str, float]:
    """Say which share of the letters is of which script, the most common first.

    A letter's script is the first word of its Unicode name; scripts that have no name here are `other`.

    Args:
        counts: as of `characters_of`.

    Example:
        >>> counts = np.zeros(1114112, dtype=np.int64)
        >>> counts[[ord("a"), ord("好"), ord(".")]] = 3, 1, 9
        >>> script_shares(counts)
        {'Latin': 0.75, 'Han': 0.25}
    """
    found: dict[str, int] = {}
    for code in np.flatnonzero(counts).tolist():
        letter = chr(code)
        if unicodedata.category(letter)[0] in "LM":
            script = script_of(letter)
            found[script] = found.get(script, 0) + int(counts[code])
    total = max(1, sum(found.values()))
    return {name: count / total for name, count in sorted(found.items(), key=lambda each: -each[1])}


def script_of(letter: str) -> str:
    """Name the script of a letter.

    Example:
        >>> [script_of(each) for each in "aж你あ한Ａ"]
        ['Latin', 'Cyrillic', 'Han', 'Kana', 'Hangul', 'Latin']
    """
    words: list[Any] = unicodedata.name(letter, "").replace("FULLWIDTH ", "").replace("HALFWIDTH ", "").split()
    return SCRIPTS.get(words[0], OTHER) if words else OTHER

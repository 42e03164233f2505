"""Words and characters of many texts at once, as hashed n-grams: NumPy on one long string instead of Python per text.

A text is lower-cased, freed of HTML and brought to Unicode's compatibility form. A word is a run of letters and digits;
every Chinese character and every kana is a word of its own, so that word bigrams there are character bigrams. Character
n-grams stay within a run without spaces, padded by one space on each side.

An n-gram's hash is the polynomial Σ m(c_j)·B^j mod 2^64 over its characters, with m a mixing of the code point and B
odd, so that all n-grams of a length come from two prefix sums (Karp and Rabin, 1987). It is folded into 2^22 buckets,
the hashing trick (Weinberger et al., 2009, Feature hashing for large scale multitask learning), with document
frequencies counted per bucket, so that rare n-grams can be dropped and the common ones keep a name.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

BITS = 22
BUCKETS = 1 << BITS
SPACE = 32
END = 0  # stands between two texts
CHARACTER_LENGTHS = (3, 4)

_TAG = re.compile(r"<[a-zA-Z/!?][^<>\0]{0,300}>")
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)
_OTHER, _BLANK, _WORD, _ALONE = range(4)
# Scripts without spaces whose characters carry meaning one by one: kana, Han and its extensions.
_ALONE_RANGES = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))

Unit = Literal["words", "characters"]


@final
@dataclass(frozen=True)
class Grams:
    """All n-grams of some texts, in no particular order.

    Args:
        buckets: shape (n-grams,), int32, 0 to BUCKETS - 1.
        texts: shape (n-grams,), int32; the text each stands in.
        starts: shape (n-grams,), int32; where each begins in `stream`.
        lengths: shape (n-grams,), int32; characters of each.
        stream: the cleaned texts as code points, END between two.
    """

    buckets: NDArray[np.int32]
    texts: NDArray[np.int32]
    starts: NDArray[np.int32]
    lengths: NDArray[np.int32]
    stream: NDArray[np.uint32]


def spell(codes: NDArray[np.uint32]) -> str:
    """Write a stretch of a stream as a string.

    Example:
        >>> spell(np.array([END, 97, 98], dtype=np.uint32))
        ' ab'
    """
    return codes.astype("<u4").tobytes().decode("utf-32-le").replace("\0", " ")


def clean(texts: Sequence[str]) -> str:
    """Join texts by END and bring them to one form: no HTML, compatibility characters composed, lower case.

    Example:
        >>> clean(["Good<br />TEA &amp; more", "ＡＢ"]).split(chr(END))
        ['good tea & more', 'ab']
    """
    joined = "\0".join(texts)
    if joined.count("\0") != len(texts) - 1:
        joined = "\0".join(text.replace("\0", " ") for text in texts)
    if "<" in joined:
        joined = _TAG.sub(" ", joined)
    if "&" in joined:
        joined = html.unescape(joined)
    if not joined.isascii():
        joined = unicodedata.normalize("NFKC", joined)
    return joined.lower()


def grams(texts: Sequence[str], unit: Unit) -> Grams:
    """Return the n-grams of texts: words and pairs of words, or 3 to 4 characters.

    Args:
        texts: any number of strings; call it with some million characters at most, it holds about 100 bytes for each.
        unit: "words" or "characters".
    """
    stream, kinds = _stream(clean(texts))
    text_of = np.cumsum(stream == END, dtype=np.int32)
    hasher = _Hasher(stream)
    found = _words(kinds, text_of, hasher) if unit == "words" else _characters(kinds, text_of, hasher)
    buckets, owners, starts, lengths = (
        np.concatenate([group[which].astype(np.int32) for group in found]) for which in range(4)
    )
    return Grams(buckets, owners, starts, lengths, stream)


# The n-grams of one length: buckets, texts, starts in the stream, numbers of characters.
_Found = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def _stream(text: str) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Turn a string into code points with runs of blanks made one, and the kind of each."""
    codes = np.frombuffer(f"\0{text}\0".encode("utf-32-le"), dtype=np.uint32)
    kinds = _kinds()[np.minimum(codes, 0x3FFFF)]
    blank = kinds == _BLANK
    keep = ~blank
    keep[1:] |= ~blank[:-1]  # the first blank of a run stays
    keep |= codes == END
    return np.where(blank & (codes != END), np.uint32(SPACE), codes)[keep], kinds[keep]


@functools.cache
def _kinds() -> NDArray[np.uint8]:
    table = np.full(0x40000, _OTHER, dtype=np.uint8)
    for code in range(0x20000):
        character = chr(code)
        if character.isalnum():
            table[code] = _WORD
        elif character.isspace() or code == END:
            table[code] = _BLANK
    for first, last in _ALONE_RANGES:
        table[first : last + 1] = _ALONE
    return table


class _Hasher:
    """Hashes of substrings of one stream by prefix sums modulo 2^64."""

    def __init__(self, stream: NDArray[np.uint32]) -> None:
        size = len(stream) + 1
        powers = np.full(size, _BASE, dtype=np.uint64)
        powers[0] = 1
        np.cumprod(powers, out=powers)
        inverses = np.full(size, _INVERSE, dtype=np.uint64)
        inverses[0] = 1
        self._inverses = np.cumprod(inverses, out=inverses)
        values = _mix(np.where(stream == END, np.uint32(SPACE), stream).astype(np.uint64))
        values *= powers[:-1]
        self._sums = np.zeros(size, dtype=np.uint64)
        np.cumsum(values, out=self._sums[1:])

    def __call__(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
        hashes = self._sums[ends]
        hashes -= self._sums[starts]
        hashes *= self._inverses[starts]
        return _mix(hashes)

    def windows(self, length: int) -> NDArray[np.uint64]:
        """Hash every substring of one length."""
        hashes = self._sums[length:] - self._sums[:-length]
        hashes *= self._inverses[: len(hashes)]
        return _mix(hashes)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits so that any of them can serve as a bucket (the finaliser of SplitMix64, Steele et al., 2014)."""
    values = values + np.uint64(_BASE)
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _fold(hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
    return (hashes >> np.uint64(64 - BITS)).astype(np.int32)


def _words(kinds: NDArray[np.uint8], text_of: NDArray[np.int32], hasher: _Hasher) -> list[_Found]:
    inside, alone = kinds == _WORD, kinds == _ALONE
    before = np.concatenate([[False], inside[:-1]])
    after = np.concatenate([inside[1:], [False]])
    starts = np.flatnonzero((inside & ~before) | alone)
    ends = np.flatnonzero((inside & ~after) | alone) + 1
    hashes, owners = hasher(starts, ends), text_of[starts] - 1
    pair = np.flatnonzero(owners[:-1] == owners[1:])
    pairs = _mix(hashes[pair] * np.uint64(3) + hashes[pair + 1])
    return [
        (_fold(hashes), owners, starts, ends - starts),
        (_fold(pairs), owners[pair], starts[pair], ends[pair + 1] - starts[pair]),
    ]


def _characters(kinds: NDArray[np.uint8], text_of: NDArray[np.int32], hasher: _Hasher) -> list[_Found]:
    blanks = np.zeros(len(kinds) + 1, dtype=np.int32)
    np.cumsum(kinds == _BLANK, out=blanks[1:])
    found = []
    for length in CHARACTER_LENGTHS:
        size = max(0, len(kinds) - length + 1)
        inner = blanks[length - 1 : length - 1 + size] == blanks[1 : 1 + size]
        filled = blanks[length : length + size] - blanks[:size] < length
        starts = np.flatnonzero(inner & filled)
        buckets = _fold(hasher.windows(length)[starts])
        found.append((buckets, text_of[starts] - 1, starts, np.full(len(starts), length)))
    return found

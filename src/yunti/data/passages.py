"""A long text as passages of about the same size: cut at the ends of paragraphs, lines or sentences, nothing lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, final

import numpy as np
import pyarrow as pa

PASSAGE_BYTES: Final = 4_000
_LEAST_BYTES: Final = 500  # of a passage, where a text is so short that it would give few
_ENOUGH: Final = 100  # documents that are enough to be divided as they are, and passages that there should be
_DOMINANT: Final = 0.1  # of the bytes: a longer document would be most of a part by itself
_LONGEST_BYTES: Final = 16 << 20  # of a document that is one row
# the end of a sentence, with what closes it: in English before a blank, in Chinese anywhere
_SENTENCE = re.compile(
    rb"[.!?][\"')\]]*[ \t]+|(?:\xe3\x80\x82|\xef\xbc\x81|\xef\xbc\x9f|\xe2\x80\xa6)"
    rb"(?:\xe2\x80\x9d|\xe2\x80\x99|\xe3\x80\x8d|\xe3\x80\x8f|\xef\xbc\x89)*"
)


def passage_bytes(sizes: Sequence[int]) -> int | None:
    """Say how long the passages of documents are to be, or None where documents stay whole.

    They are cut where there are fewer than 100, where one has more than a tenth of all bytes, and where one has more
    than 16 MiB, since a row must fit into memory.

    Args:
        sizes: bytes of every document.

    Example:
        >>> passage_bytes([1_000_000]), passage_bytes([20_000]), passage_bytes([900] * 2_000)
        (4000, 500, None)
    """
    if not divides_by_place(sizes) and max(sizes) <= _LONGEST_BYTES:
        return None
    return min(PASSAGE_BYTES, max(_LEAST_BYTES, sum(sizes) // _ENOUGH))


def divides_by_place(sizes: Sequence[int]) -> bool:
    """Say whether documents are too few, or one of them too large, to be divided at random."""
    return len(sizes) < _ENOUGH or max(sizes) > _DOMINANT * sum(sizes)


@final
class Cutter:
    """Cuts one text, given in pieces, into passages; joined they are the text again, byte for byte.

    A passage ends after the last blank line in the second half of what it may hold, else after the last line, else
    after the last sentence, else after the last blank, else between two characters. The last one may be half as long
    again.

    Args:
        size: bytes that a passage may have.

    Example:
        >>> cutter = Cutter(8)
        >>> [*cutter.feed(b"one two\\nthree four\\nfive"), *cutter.finish()]
        [b'one two\\n', b'three ', b'four\\nfive']
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take the next bytes of UTF-8, and give the passages that are complete."""
        data, start = self._rest + piece, 0
        while len(data) - start > self._size + self._size // 2:
            end = _end(data, start + self._size // 2, start + self._size)
            yield data[start:end]
            start = end
        self._rest = data[start:]

    def finish(self) -> Iterator[bytes]:
        """Give what is left, if anything is."""
        if self._rest:
            yield self._rest
        self._rest = b""


def _end(data: bytes, low: int, high: int) -> int:
    """Find where a passage ends: after `low`, and at the latest at `high`."""
    blank = max(data.rfind(b"\n\n", low, high) + 2, data.rfind(b"\n\r\n", low, high) + 3)
    if blank > low:
        return blank
    line = data.rfind(b"\n", low, high) + 1
    if line > low:
        return line
    line = data.rfind(b"\r", low, high) + 1
    if line > low and data[line : line + 1] != b"\n":
        return line
    for found in reversed(list(_SENTENCE.finditer(data, low, high))):
        return found.end()
    space = max(data.rfind(b" ", low, high), data.rfind(b"\t", low, high)) + 1
    if space > low:
        return space
    while data[high] & 0xC0 == 0x80:  # within a character
        high -= 1
    return high


def as_texts(pieces: Sequence[bytes]) -> pa.LargeStringArray:
    """Put pieces of UTF-8 into one array of large strings."""
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(pieces), pa.py_buffer(ends), pa.py_buffer(b"".join(pieces)))

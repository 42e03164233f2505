"""Texts in blocks of about a mebibyte, whatever their number and length, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Union, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.table import Texts

# a block and what is made of it stay in the processor's cache: four times the speed of blocks of 8 MiB
BLOCK_BYTES: Final = 1 << 20

REOPENED_BYTES: Final = 16 << 20


@final
@dataclass(frozen=True)
class Reopened:
    """Texts of a mapped file that is opened anew every so often, so that pages that were read are given back.

    Args:
        open: opens the whole of it.
    """

    open: Callable[[], pa.LargeStringArray]

    def __iter__(self) -> Iterator[pa.LargeStringArray]:
        """Give the texts in parts of some mebibytes; each part needs memory as long as it is in use."""
        whole = self.open()
        ends = offsets_of(whole)
        start, total = 0, len(whole)
        while start < total:
            stop = int(np.searchsorted(ends, ends[start] + REOPENED_BYTES, side="right")) - 1
            stop = min(total, max(start + 1, stop))
            yield whole.slice(start, stop - start)
            start = stop
            whole = self.open()
            ends = offsets_of(whole)


AnyTexts = Union[Texts, Reopened, pa.Array, pa.ChunkedArray, Sequence[Any]]  # noqa: UP007  (a runtime alias beartype can read)


@final
@dataclass(frozen=True, eq=False)
class Block:
    """Some texts one after the other, or a piece of one that is too long.

    Args:
        texts: without nulls.
        ends: shape (texts,), bool; whether the document ends with this text. False where more pieces of it follow.
        done: share of all bytes that has been given once this block is dealt with, 0 to 1.
    """

    texts: pa.LargeStringArray
    ends: NDArray[np.bool_]
    done: float


def as_texts(texts: AnyTexts) -> Iterable[pa.LargeStringArray]:
    """Give texts as arrays of large_string; a surrogate that stands alone, which is no character, becomes "?".

    Args:
        texts: a column, an Arrow array (in chunks or not), or strings; None is an empty text.
    """
    if isinstance(texts, Texts):
        return [texts.values]
    if isinstance(texts, Reopened):
        return texts
    if isinstance(texts, pa.ChunkedArray):
        return [array for chunk in texts.chunks for array in as_texts(chunk)]
    if isinstance(texts, pa.Array):
        return [texts if pa.types.is_large_string(texts.type) else texts.cast(pa.large_string())]
    try:
        return [pa.array(texts, pa.large_string())]
    except UnicodeEncodeError:
        whole = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
        return [pa.array(whole, pa.large_string())]


def blocks(texts: AnyTexts, cut: bool = True) -> Iterator[Block]:
    """Give texts in order, in blocks of at most `BLOCK_BYTES`.

    A text that is longer is cut: after a line's end in the second half of the block, else before a space there, else
    between two characters. Where it is cut depends on nothing but the text.

    Args:
        texts: any.
        cut: whether a text that is longer is cut; else it is a block by itself.

    Example:
        >>> [(block.texts.to_pylist(), block.ends.tolist()) for block in blocks(["a", None, "b"])]
        [(['a', '', 'b'], [True, True, True])]
    """
    arrays = as_texts(texts)
    total = max(1, sum(text_bytes(array) for array in arrays))
    done = 0
    for array in arrays:
        ends = offsets_of(array)
        start = 0
        while start < len(array):
            stop = int(np.searchsorted(ends, ends[start] + BLOCK_BYTES, side="right")) - 1
            stop = min(len(array), max(start + 1, stop))
            done += int(ends[stop] - ends[start])
            some = _filled(array.slice(start, stop - start))
            start = stop
            if cut and len(some) == 1 and text_bytes(some) > BLOCK_BYTES:
                yield from _pieces(some, done, total)
            else:
                yield Block(some, np.ones(len(some), dtype=np.bool_), done / total)


def text_bytes(array: pa.LargeStringArray) -> int:
    """Return the bytes of some texts in UTF-8."""
    ends = offsets_of(array)
    return int(ends[-1] - ends[0])


def offsets_of(array: pa.LargeStringArray) -> NDArray[np.int64]:
    """Return where each text begins in the bytes, and where the last ends; shape (texts + 1,)."""
    if len(array) == 0:
        return np.zeros(1, dtype=np.int64)
    return np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + len(array) + 1]


def bytes_of(array: pa.LargeStringArray) -> NDArray[np.uint8]:
    """Return the bytes of some texts, one after the other, without a copy."""
    ends = offsets_of(array)
    return np.frombuffer(array.buffers()[2] or b"", dtype=np.uint8)[ends[0] : ends[-1]]


def code_points(data: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the characters of UTF-8 bytes as numbers.

    Example:
        >>> code_points(np.frombuffer("aé云".encode(), dtype=np.uint8))
        array([   97,   233, 20113], dtype=uint32)
    """
    if not len(data) or data.max() < 0x80:
        return data.astype(np.uint32)
    return np.frombuffer(data.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)


def utf8_lengths(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return how many bytes each character takes in UTF-8."""
    return 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)


def running(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Return where rows of these lengths begin, and where the last ends; shape (rows + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _filled(array: pa.LargeStringArray) -> pa.LargeStringArray:
    return array.fill_null("") if array.null_count else array


def _pieces(text: pa.LargeStringArray, done: int, total: int) -> Iterator[Block]:
    data = bytes_of(text)
    start = 0
    while start < len(data):
        stop = _cut(data, start)
        offsets = pa.py_buffer(np.array([start, stop], dtype=np.int64))
        piece = pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data))
        yield Block(piece, np.array([stop == len(data)]), (done - len(data) + stop) / total)
        start = stop


def _cut(data: NDArray[np.uint8], start: int) -> int:
    if len(data) - start <= BLOCK_BYTES:
        return len(data)
    half, stop = start + BLOCK_BYTES // 2, start + BLOCK_BYTES
    window = data[half:stop].tobytes()
    if (line := window.rfind(b"\n")) >= 0:
        return half + line + 1
    if (space := window.rfind(b" ")) >= 0:
        return half + space
    while data[stop] & 0xC0 == 0x80:
        stop -= 1
    return stop

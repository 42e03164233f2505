"""Where texts may be cut into words before pairs are joined: vectorised, by the class of each character.

The rules are those of GPT-2's pattern (Radford et al., 2019), simplified until no look-ahead is left: a word is a run
of letters with the one space before it, of marks likewise, of at most two digits, of ideographs, of spaces, or of line
ends; an apostrophe between letters begins the word after it ("don", "'t"). Where we differ: two digits instead of any
number, which suits vocabularies of at most 32,768 tokens (karpathy/nanochat, nanochat/tokenizer.py); ideographs
apart from other letters (DeepSeek-V3's pattern does so); and no run is longer than 32 characters, so that text
without spaces stays quick. They need no regular expression, which would take most of the time of encoding.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.tokenisers.blocks import bytes_of, code_points, running, utf8_lengths
from yunti.data.tokens import IDEOGRAPHS

SPACE, LINE, MARK, DIGIT, LETTER, IDEOGRAPH = range(6)
LONGEST_RUN: Final = 32
_LONGEST: Final = np.array([LONGEST_RUN, LONGEST_RUN, LONGEST_RUN, 2, LONGEST_RUN, LONGEST_RUN])
_SPACES: Final = [9, 11, 12, 28, 29, 30, 31, 0x85]  # what `str.isspace` says beyond the separators of Unicode


@final
@dataclass(frozen=True, eq=False)
class Words:
    """Texts cut into words.

    Args:
        words: all words, one after the other; together they are the texts.
        offsets: shape (texts + 1,), int64; which words are those of each text.
    """

    words: pa.LargeStringArray
    offsets: NDArray[np.int64]


def words_in(texts: pa.LargeStringArray) -> Words:
    """Cut texts into words; nothing is lost.

    Args:
        texts: without nulls.

    Example:
        >>> words_in(pa.array(["I don't  know 云梯 123!"], pa.large_string())).words.to_pylist()
        ['I', ' don', "'t", ' ', ' know', ' ', '云梯', ' ', '12', '3', '!']
    """
    data = bytes_of(texts)
    codes = code_points(data)
    rows = running(pc.utf8_length(texts).to_numpy(zero_copy_only=False))
    begins = _begins(codes, rows[:-1][rows[:-1] < len(codes)])
    places = running(utf8_lengths(codes)) if len(codes) < len(data) else np.arange(len(data) + 1)
    ends = np.append(places[begins], len(data))
    words = pa.LargeStringArray.from_buffers(len(begins), pa.py_buffer(ends), pa.py_buffer(data))
    return Words(words, np.searchsorted(begins, rows).astype(np.int64))


def _begins(codes: NDArray[np.uint32], texts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where words begin, in characters; `texts` are the places where a text begins."""
    classes = classes_of_characters()[codes]
    begin = np.zeros(len(codes) + 1, dtype=np.bool_)  # one more, so that a word may be looked up behind the last
    np.not_equal(classes[1:], classes[:-1], out=begin[1:-1])
    begin[texts] = True
    opens = np.zeros(len(codes), dtype=np.bool_)
    opens[texts] = True
    runs = np.flatnonzero(begin[:-1])
    lengths = np.diff(np.append(runs, len(codes)))
    inside = ~opens[runs]  # runs that something of the same text precedes
    kinds, before = classes[runs], classes[runs - 1]
    takes = inside & (before == SPACE) & ((kinds == LETTER) | (kinds == MARK))
    signs = codes[runs]
    apostrophe = inside & (lengths == 1) & (before == LETTER) & ((signs == 0x27) | (signs == 0x2019))  # ' and ’
    follows = np.append(inside[1:] & (kinds[1:] == LETTER), False)
    begin[runs[takes]] = False
    begin[runs[takes] - 1] = True
    begin[runs[apostrophe & follows] + 1] = False
    most = _LONGEST[kinds]
    more = (lengths - 1) // most  # cuts within a run
    long = np.flatnonzero(more)
    first = running(more[long])
    number = np.arange(first[-1]) - np.repeat(first[:-1], more[long]) + 1
    begin[np.repeat(runs[long], more[long]) + number * np.repeat(most[long], more[long])] = True
    return np.flatnonzero(begin[:-1])


@functools.cache
def classes_of_characters() -> NDArray[np.uint8]:
    """The class of each code point."""
    categories = "".join(unicodedata.category(chr(code))[0] for code in range(0x110000))
    first = np.frombuffer(categories.encode(), dtype=np.uint8)
    classes = np.full(0x110000, MARK, dtype=np.uint8)
    for letter, kind in (("Z", SPACE), ("N", DIGIT), ("L", LETTER), ("M", LETTER)):
        classes[first == ord(letter)] = kind
    for low, high in re.findall("(.)-(.)", IDEOGRAPHS):
        if not (0xAC00 <= ord(low) <= 0xD7AF):  # Korean is written with spaces
            classes[ord(low) : ord(high) + 1] = IDEOGRAPH
    classes[_SPACES] = SPACE
    classes[[10, 13]] = LINE
    return classes

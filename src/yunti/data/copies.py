"""What of some texts stands letter by letter in other, perhaps much longer ones, which are read once.

Memory depends on the texts that are looked for and on a block of the others, never on all of the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.lengths import ALONE, LETTER, word_classes
from yunti.data.rolling import Hashes, Marks, Rolling, mixed
from yunti.data.store import text_blocks
from yunti.data.tokenisers.blocks import bytes_of, code_points

WORDS: Final = 20  # of a run, as `yunti.data.lengths` counts words
CHARACTERS: Final = 50  # of a span

_CODES: Final = 0x110000
_OWN_END, _THEIR_END = _CODES, _CODES + 1  # behind a text: numbers of no character, which never meet
_AT_ONCE: Final = 1 << 20  # characters that are hashed at once
_TRIED: Final = 16  # places at which a longer span is followed to its ends

Codes = NDArray[np.uint32]


@final
@dataclass(frozen=True)
class Shares:
    """How much of some texts stands elsewhere too.

    Args:
        runs: of 20 words that there are, at every word one.
        copied_runs: of them, those that stand elsewhere.
        spans: of 50 characters that there are, at every character one.
        copied_spans: of them, those that stand elsewhere.
    """

    runs: int
    copied_runs: int
    spans: int
    copied_spans: int


@final
@dataclass(frozen=True)
class Copies:
    """What was found.

    Args:
        shares: of each group of texts.
        longest: the longest span of the first group's texts that stands elsewhere; the first of them.
        searched: share of the characters of the other texts that were read.
    """

    shares: tuple[Shares, ...]
    longest: str
    searched: float


def find_copies(
    groups: Sequence[Sequence[str]], texts: pa.LargeStringArray, *, joined: bool = False, until: float = math.inf
) -> Copies:
    """Look for runs of words, spans of characters and the longest span of texts in other texts.

    Words are the same if their characters are; what stands between them may differ. Runs and spans are compared by
    hashes of 64 bits, the longest span letter by letter.

    Args:
        groups: of texts that are looked for.
        texts: where; perhaps memory-mapped.
        joined: whether each of these goes on in the next, as passages of one document do.
        until: `time.monotonic()` at which the search ends where it is.

    Example:
        >>> where = pa.array(["the cat sat on the mat"], pa.large_string())
        >>> find_copies([["a cat sat on a mat"]], where).longest
        ' cat sat on '
    """
    sought = [_Sought([_codes_of(text) for text in texts_]) for texts_ in groups]
    spans = Marks(np.concatenate([each.spans for each in sought]))
    runs = Marks(np.concatenate([each.runs for each in sought]))
    longest = _Longest(sought[0].row)
    reach = max([CHARACTERS, *(len(text) for text in groups[0])])
    words, before, read = _Words(), np.zeros(0, dtype=np.uint32), 0
    for codes in _pieces(texts, joined):
        if time.monotonic() > until:
            break
        known = np.concatenate([before, codes])
        rolling = Rolling(mixed(known))
        spans.meet(rolling.runs(CHARACTERS))
        longest.seek(known, rolling)
        runs.meet(words.push(codes))
        before, read = known[-reach:], read + len(codes)
    else:
        runs.meet(words.push(np.array([_THEIR_END], dtype=np.uint32)))
        read = -1
    shares = [Shares(len(each.runs), runs.met(each.runs), len(each.spans), spans.met(each.spans)) for each in sought]
    return Copies(tuple(shares), longest.text, 1.0 if read < 0 else read / max(1, _length(texts, joined)))


def _length(texts: pa.LargeStringArray, joined: bool) -> int:
    return sum(len(each) for each in _pieces(texts, joined))


@final
class _Sought:
    """The runs and spans of some texts.

    Args:
        texts: code points of each.
    """

    def __init__(self, texts: Sequence[Codes]) -> None:
        end = np.array([_OWN_END], dtype=np.uint32)
        self.row: Codes = np.concatenate([end, *(part for text in texts for part in (text, end))])
        inside = [Rolling(mixed(text)).runs(CHARACTERS) for text in texts]
        self.spans: Hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *inside])
        words = [Rolling(_words_of(text)[0]).runs(WORDS) for text in texts]
        self.runs: Hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *words])


@final
class _Words:
    """The runs of words of a text that comes in pieces, cut anywhere."""

    def __init__(self) -> None:
        self._open = np.zeros(0, dtype=np.uint32)  # a word that may go on
        self._last = np.zeros(0, dtype=np.uint64)

    def push(self, codes: Codes) -> Hashes:
        """Return the hashes of the runs that end in this piece."""
        known = np.concatenate([self._open, codes])
        words, whole = _words_of(known, whole=False)
        self._open = known[whole:]
        words = np.concatenate([self._last, words])
        self._last = words[max(0, len(words) - WORDS + 1) :]
        return Rolling(words).runs(WORDS)


def _words_of(codes: Codes, *, whole: bool = True) -> tuple[Hashes, int]:
    """Return a number for each word, and where the last word begins that may go on.

    Args:
        codes: shape (characters,).
        whole: whether the text ends here, and with it its last word.
    """
    kinds = np.full(len(codes), ALONE, dtype=np.uint8)  # an end is a word by itself, so that no run goes over it
    real = codes < _CODES
    kinds[real] = word_classes()[codes[real]]
    inside = kinds == LETTER
    before = np.append(False, inside[:-1]) if len(codes) else inside
    after = np.append(inside[1:], not whole) if len(codes) else inside
    alone = kinds == ALONE
    starts, lasts = np.flatnonzero(inside & ~before | alone), np.flatnonzero(inside & ~after | alone)
    goes_on = len(starts) > len(lasts)
    rest = int(starts[-1]) if goes_on else len(codes)
    starts = starts[: len(lasts)]
    return mixed(Rolling(mixed(codes)).pieces(starts, lasts + 1)), rest


@final
class _Longest:
    """The longest span of a row that was met.

    Args:
        row: code points, with an end before, between and behind its texts.
    """

    def __init__(self, row: Codes) -> None:
        self._row, self._rolling = row, Rolling(mixed(row))
        self._place = self._length = 0

    @property
    def text(self) -> str:
        """The span."""
        return self._row[self._place : self._place + self._length].astype("<u4").tobytes().decode("utf-32-le")

    def seek(self, codes: Codes, rolling: Rolling) -> None:
        """Look for longer ones; each that is found is followed to its ends, so few lengths are tried."""
        while self._longer(codes, rolling):
            pass

    def _longer(self, codes: Codes, rolling: Rolling) -> bool:
        length, before = self._length + 1, self._length
        own, theirs = self._rolling.runs(length), rolling.runs(length)
        places = Marks(own).places(theirs) if len(own) else np.zeros(0, dtype=np.int64)
        order = np.argsort(own, kind="stable")
        for there in places[:: max(1, len(places) // _TRIED)].tolist():
            here = int(order[np.searchsorted(own, theirs[there], sorter=order)])
            if np.array_equal(self._row[here : here + length], codes[there : there + length]):
                self._follow(codes, here, there)
        return self._length > before

    def _follow(self, codes: Codes, here: int, there: int) -> None:
        ahead = _alike(self._row[here:], codes[there:])
        back = _alike(self._row[:here][::-1], codes[:there][::-1])
        if back + ahead > self._length:
            self._place, self._length = here - back, back + ahead


def _alike(one: Codes, other: Codes) -> int:
    """Count the characters with which both begin."""
    least = min(len(one), len(other))
    unlike = np.flatnonzero(one[:least] != other[:least])
    return int(unlike[0]) if len(unlike) else least


def _pieces(texts: pa.LargeStringArray, joined: bool) -> Iterator[Codes]:
    """Give the code points of texts, one after the other, with an end behind each that does not go on."""
    for block in text_blocks(texts, None):
        codes = code_points(bytes_of(block))
        if not joined:
            lengths = np.array([len(text or "") for text in block.to_pylist()], dtype=np.int64)
            codes = np.insert(codes, np.cumsum(lengths), np.uint32(_THEIR_END))
        for start in range(0, len(codes), _AT_ONCE):
            yield codes[start : start + _AT_ONCE]


def _codes_of(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint32)

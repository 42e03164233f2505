"""Text as numbers: words that are frequent in the training rows stay whole, rare words fall apart into known pieces.

Words are runs of letters and digits in lower case; marks stand alone; every Chinese, Japanese or Korean character is a
word of its own, so text without spaces needs nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Ragged

PADDING = 0
UNKNOWN = 1
LONGEST_PIECE = 6
_LONGEST_WORD = (
    40  # longer runs are hashes, links or text without spaces: cut, so that one word cannot take a whole row
)

IDEOGRAPHS = (
    "\u3040-\u30ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\uac00-\ud7af"  # hangul
    "\U00020000-\U0003ffff"  # rare Chinese characters
)
_WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W_{IDEOGRAPHS}]{{1,{_LONGEST_WORD}}}|[^\w\s]|_")


def words_of(text: str) -> list[str]:
    """Cut a text into lower-case words, marks and single ideographs.

    Example:
        >>> words_of("Don't 学习AI!")
        ['don', "'", 't', '学', '习', 'ai', '!']
    """
    return _WORD.findall(text.lower())


@final
class Tokeniser:
    """Words and pieces of words, each with a number; 0 is padding, 1 what is not known at all.

    A word outside the list is read from left to right as the longest known pieces, as WordPiece does (Wu et al., 2016,
    arXiv 1609.08144); the pieces are the most frequent character n-grams of the training rows instead of merges, which
    need no search.

    Args:
        words: words that stay whole, the most frequent first.
        pieces: parts of words, single characters among them.
    """

    def __init__(self, words: Sequence[str], pieces: Sequence[str]) -> None:
        self.words = tuple(words)
        self.pieces = tuple(pieces)
        first = UNKNOWN + 1
        self._pieces = {piece: first + place for place, piece in enumerate(self.pieces)}
        first += len(self.pieces)
        self._known: dict[str, tuple[int, ...]] = {word: (first + place,) for place, word in enumerate(self.words)}

    @classmethod
    def fit(cls, texts: Iterable[str], size: int) -> Tokeniser:
        """Learn words and pieces.

        Args:
            texts: the training rows.
            size: most entries that the list may have; a fifth is kept for pieces.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(words_of(text))
        room = max(1, size - size // 5 - UNKNOWN - 1)
        words = [word for word, count in _ordered(counts)[:room] if count > 1]
        return cls(words, _frequent_pieces(counts, set(words), size // 5))

    @property
    def size(self) -> int:
        """Number of distinct tokens, padding and unknown included."""
        return UNKNOWN + 1 + len(self.pieces) + len(self.words)

    def tokens(self, text: str, longest: int) -> list[int]:
        """Return the tokens of a text, cut after `longest`: from the beginning three quarters, from the end the rest.

        The end of a long text often holds its conclusion (Sun et al., 2019, How to fine-tune BERT, arXiv 1905.05583).
        """
        known = self._known
        found: list[int] = []
        for word in words_of(text):
            found += known.get(word) or self._split(word)
        if len(found) > longest:
            tail = longest // 4
            found = found[: longest - tail] + found[len(found) - tail :]
        return found

    def encode(self, texts: Iterable[str], longest: int) -> Ragged:
        """Return the tokens of every text, as int32 in one run; an empty text has length 0."""
        flat: list[int] = []
        offsets = [0]
        for text in texts:
            flat += self.tokens(text, longest)
            offsets.append(len(flat))
        return Ragged(np.array(flat, dtype=np.int32), np.array(offsets, dtype=np.int64))

    def _split(self, word: str) -> tuple[int, ...]:
        found: list[int] = []
        place = 0
        while place < len(word):
            for stop in range(min(len(word), place + LONGEST_PIECE), place, -1):
                token = self._pieces.get(word[place:stop])
                if token is not None:
                    break
            found.append(UNKNOWN if token is None else token)
            place = stop
        return tuple(found)


def lengths_percentile(tokens: Ragged, percent: float) -> int:
    """Return the length that this percentage of the rows do not pass, at least 1."""
    lengths: NDArray[np.int64] = tokens.lengths
    return max(1, int(np.percentile(lengths, percent))) if len(lengths) else 1


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _frequent_pieces(counts: Counter[str], whole: set[str], room: int) -> list[str]:
    """Single characters first, so that hardly anything is unknown; then the n-grams of most letters covered."""
    letters: Counter[str] = Counter()
    grams: Counter[str] = Counter()
    for word, count in counts.items():
        for letter in word:
            letters[letter] += count
        if word in whole:
            continue  # it is never split
        for length in range(2, LONGEST_PIECE + 1):
            for start in range(len(word) - length + 1):
                grams[word[start : start + length]] += count * (length - 1)
    singles = [letter for letter, count in _ordered(letters)[: room // 2] if count > 1]
    return singles + [
        gram for gram, weight in _ordered(grams)[: max(0, room - len(singles))] if weight > 2 * (len(gram) - 1)
    ]

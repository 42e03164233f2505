"""n-grams in sorted arrays: a context and the token after it, with their counts.

An n-gram's context, n - 1 tokens, is one 64-bit number in base V, the size of the vocabulary: sorted numbers are sorted
contexts. The begin symbol fills what a document's first contexts lack, so that all n-grams are of one length while they
are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.models.ngrams.stream import Stream

_KEYS = 1 << 64  # how many different numbers of 64 bits there are


@final
@dataclass(frozen=True, slots=True)
class Grams:
    """Different n-grams of one order, sorted by context, then token.

    Args:
        context: (n-grams,) uint64, the n - 1 tokens before the last, in base V.
        token: (n-grams,) uint32, the last.
        count: (n-grams,) uint32, how often it occurs.
        left: (n-grams,) uint32, how many different tokens stand before it; 0 where it was not asked.
    """

    context: NDArray[np.uint64]
    token: NDArray[np.uint32]
    count: NDArray[np.uint32]
    left: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.context)

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """The arrays in the order of the fields."""
        return self.context, self.token, self.count, self.left

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(each.nbytes for each in self.columns)

    def at(self, places: slice | NDArray[np.bool_]) -> Grams:
        """Return those at some places."""
        return Grams(self.context[places], self.token[places], self.count[places], self.left[places])


def linked(parts: Sequence[Grams]) -> Grams:
    """Put n-grams one after the other."""
    if len(parts) == 1:
        return parts[0]
    context, token, count, left = (np.concatenate(each) for each in zip(*(each.columns for each in parts), strict=True))
    return Grams(context, token, count, left)


def greatest_order(vocabulary: int) -> int:
    """Return the longest n-grams whose contexts fit into 64 bits.

    Example:
        >>> greatest_order(100), greatest_order(8_000), greatest_order(1 << 16)
        (10, 5, 5)
    """
    order = 1
    while order < 64 and vocabulary**order <= _KEYS:
        order += 1
    return order


def grams_of(block: Stream, vocabulary: int, order: int) -> Grams:
    """Count the n-grams that end at the counted tokens of a block."""
    at = np.flatnonzero(block.counted)
    depth = block.depth[at]
    context = np.zeros(len(at), dtype=np.uint64)
    for back in range(order - 1, 0, -1):
        before = np.where(depth >= back, block.tokens[np.maximum(at - back, 0)], 0)
        context = context * np.uint64(vocabulary) + before.astype(np.uint64)
    key, contexts = _packed(context, block.tokens[at].astype(np.uint32), vocabulary, order)
    key.sort()
    first = first_places(key)
    count = np.diff(first, append=len(key)).astype(np.uint32)
    return Grams(*_unpacked(key[first], contexts, vocabulary), count, np.zeros_like(count))


def joined(parts: Sequence[Grams], vocabulary: int, order: int) -> Grams:
    """Put n-grams together; the counts of the same n-gram are added."""
    grams = linked(parts)
    key, contexts = _packed(grams.context, grams.token, vocabulary, order)
    index = np.argsort(key)
    key = key[index]
    first = first_places(key)
    count, left = (
        np.add.reduceat(each[index], first, dtype=np.int64).astype(np.uint32) for each in (grams.count, grams.left)
    )
    return Grams(*_unpacked(key[first], contexts, vocabulary), count, left)


def shortened(grams: Grams, vocabulary: int, order: int) -> Grams:
    """Take the first token away: the n-grams of the next lower order, each once for every token before it."""
    context = grams.context % np.uint64(vocabulary ** (order - 2))
    return joined([Grams(context, grams.token, grams.count, np.ones_like(grams.count))], vocabulary, order - 1)


def is_filled(grams: Grams, vocabulary: int, order: int) -> NDArray[np.bool_]:
    """Say of which n-grams the context was filled up: they are longer than their document's beginning."""
    return grams.context < np.uint64(vocabulary ** (order - 3)) if order > 2 else np.zeros(len(grams), bool)


def adjusted(grams: Grams, vocabulary: int, order: int) -> NDArray[np.int64]:
    """Return the counts that lower orders learn from: how many tokens stand before; how often, where none can."""
    begins = grams.context < np.uint64(vocabulary ** (order - 2)) if order > 1 else np.zeros(len(grams), bool)
    return np.where(begins, grams.count, grams.left).astype(np.int64)


def _packed(
    context: NDArray[np.uint64], token: NDArray[np.uint32], vocabulary: int, order: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64] | None]:
    """Make one number of each n-gram; where 64 bits do not hold it, of its context's rank and its token."""
    contexts = None
    if vocabulary**order > _KEYS:
        contexts, rank = np.unique(context, return_inverse=True)
        context = rank.astype(np.uint64)
    return context * np.uint64(vocabulary) + token, contexts


def _unpacked(key: NDArray[np.uint64], contexts: NDArray[np.uint64] | None, vocabulary: int) -> tuple[Any, Any]:
    context = key // np.uint64(vocabulary)
    token = (key - context * np.uint64(vocabulary)).astype(np.uint32)
    return (context if contexts is None else contexts[context.astype(np.int64)]), token


def first_places(key: NDArray[Any]) -> NDArray[np.int64]:
    """Return the places where a sorted array's values change, the first included."""
    changes = np.empty(len(key), dtype=bool)
    changes[:1] = True
    np.not_equal(key[1:], key[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def tokens_of(context: NDArray[np.uint64], vocabulary: int, length: int) -> list[NDArray[np.int64]]:
    """Return the tokens of contexts, the first first.

    Example:
        >>> [each.tolist() for each in tokens_of(np.array([105], np.uint64), 10, 3)]
        [[1], [0], [5]]
    """
    powers = [np.uint64(vocabulary**place) for place in range(length - 1, -1, -1)]
    return [(context // power % np.uint64(vocabulary)).astype(np.int64) for power in powers]

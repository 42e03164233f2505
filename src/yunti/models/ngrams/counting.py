"""Counting: from tokens to the sorted n-grams of every order, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from yunti.models.ngrams.grams import Grams, adjusted, grams_of, is_filled, shortened
from yunti.models.ngrams.runs import Run, Store, few, merged
from yunti.models.ngrams.stream import blocks, stream

MOST: Final = 256  # counts from here on are told together in the tables of how many n-grams have which count
_WORK_BYTES: Final = 200  # that each n-gram of a block takes while it is sorted and merged
_CACHED: Final = 1 << 19  # tokens that are sorted at once at most: larger blocks take twice as long, out of the caches
Tick = Callable[[float], None]


@final
@dataclass(frozen=True)
class Counts:
    """The counted n-grams of every order.

    Args:
        vocabulary: number of different tokens.
        tokens: how many tokens were counted.
        tables: of each order from 1 on the n-grams, sorted; contexts that are filled up are among them.
        frequencies: of each order how many n-grams occur 0, 1, 2, … times, filled ones left out: (orders, 257) int64,
            the last being all that are more frequent.
        continuations: likewise by the adjusted counts.
    """

    vocabulary: int
    tokens: int
    tables: tuple[Run, ...]
    frequencies: NDArray[np.int64]
    continuations: NDArray[np.int64]

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return len(self.tables)


def block_size(memory_bytes: int) -> int:
    """Return how many n-grams are sorted at once: a fifth of the memory holds their work."""
    return max(1 << 12, memory_bytes // 5 // _WORK_BYTES)


def count_ngrams(
    tokens: NDArray[Any],
    offsets: NDArray[Any],
    shape: tuple[int, int],
    store: Store,
    size: int,
    tick: Tick,
) -> Counts:
    """Count all n-grams up to an order.

    The longest are sorted block by block and the sorted blocks merged; a lower order's are those of the order above
    without their first token, sorted and merged likewise.

    Args:
        tokens: all tokens, integers; mapped into memory or not.
        offsets: (documents + 1,) the places where documents begin, and the end of the last.
        shape: number of different tokens, and the order.
        store: where sorted n-grams are kept.
        size: n-grams that are sorted at once.
        tick: called with the fraction done between blocks; it may raise to break off.
    """
    vocabulary, order = shape
    runs: list[Run] = []
    start, stop = int(offsets[0]), int(offsets[-1])
    for begin, end in blocks(start, stop, min(size, _CACHED)):
        block = stream(tokens, offsets, (begin, end), order - 1, vocabulary)
        runs.append([store.keep(grams_of(block, vocabulary, order))])
        tick((end - start) / (stop - start) / (order + 1))
    tables: list[Run] = []
    frequencies, continuations = np.zeros((2, order, MOST + 1), dtype=np.int64)
    for each in range(order, 0, -1):
        runs = few(store, runs, size, vocabulary, each)
        lower: list[Run] = []
        table: Run = []
        total = sum(piece.length for run in runs for piece in run)
        for block_grams in merged(runs, size, vocabulary, each):
            table.append(store.keep(block_grams))
            real = ~is_filled(block_grams, vocabulary, each)
            frequencies[each - 1] += _histogram(block_grams.count[real])
            continuations[each - 1] += _histogram(adjusted(block_grams, vocabulary, each)[real])
            if each > 1:
                lower.append([store.keep(shortened(block_grams, vocabulary, each))])
            done = sum(piece.length for piece in table) / total
            tick((order - each + 1 + min(1.0, done)) / (order + 1))
        store.drop(runs)
        tables.insert(0, table)
        runs = lower
    return Counts(vocabulary, stop - start, tuple(tables), frequencies, continuations)


def _histogram(counts: NDArray[Any]) -> NDArray[np.int64]:
    return np.bincount(np.minimum(counts, MOST).astype(np.int64), minlength=MOST + 1)


def table_blocks(counts: Counts, order: int) -> Iterator[Grams]:
    """Give the n-grams of an order in sorted blocks, without the filled ones."""
    for piece in counts.tables[order - 1]:
        grams = piece.read(0, piece.length)
        yield grams.at(~is_filled(grams, counts.vocabulary, order))

"""From counts to the arrays of a model: probabilities that were discounted, and what is left for the order below."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yunti.models.ngrams.counting import MOST, Counts, Tick, table_blocks
from yunti.models.ngrams.discounts import discounts
from yunti.models.ngrams.grams import Grams, adjusted, first_places, tokens_of
from yunti.models.ngrams.search import descend, key_type

Arrays = dict[str, NDArray[Any]]
EVERYTHING: Final = MOST - 1  # the threshold that leaves no n-gram of an order


def kept(counts: Counts, thresholds: Sequence[int]) -> list[int]:
    """Return how many n-grams of each order are left when those that occur at most so often are dropped."""
    sizes = [counts.vocabulary]
    for order in range(2, len(thresholds) + 1):
        above = counts.frequencies[order - 1, thresholds[order - 1] + 1 :].sum()
        sizes.append(0 if thresholds[order - 1] >= EVERYTHING else int(above))
    return sizes


def bytes_of(counts: Counts, thresholds: Sequence[int]) -> int:
    """Return the bytes of a model's arrays."""
    sizes = kept(counts, thresholds)
    total = 8 * sizes[0]
    for below, size in itertools.pairwise(sizes):
        total += (key_type(below, counts.vocabulary).itemsize + 4) * size + 4 * below
    return total


def thresholds_for(counts: Counts, order: int, most_bytes: float) -> list[int]:
    """Choose how often n-grams must occur to be kept, so that a model has a size at most.

    Those that occur once are dropped first, the longest before the shorter ones, then those that occur twice. An
    n-gram occurs no more often than its beginning, so that what is kept is found from its first token on.

    Returns:
        Of each order the count up to which n-grams are dropped; never falling, 0 for order 1.
    """
    thresholds = [0] * order
    for count in range(1, EVERYTHING + 1):
        for place in range(order - 1, 0, -1):
            if bytes_of(counts, thresholds) <= most_bytes:
                return thresholds
            thresholds[place] = count
    return thresholds


def estimate(
    counts: Counts, thresholds: Sequence[int], tick: Tick = lambda _fraction: None
) -> tuple[Arrays, NDArray[np.float64]]:
    """Estimate an interpolated modified Kneser–Ney model.

    For order n with adjusted counts a and context h, p(w | h) = (a(h w) − D(a)) / Σ_x a(h x) + b(h) p(w | h'), where h'
    is h without its first token. The weight b(h) = (Σ_k D_k |{x: a(h x) = k}| + Σ of dropped counts) / Σ_x a(h x) makes
    each distribution sum to 1; order 1 is interpolated with 1 / V. What is stored is the first term, not p: then no
    n-gram's suffix has to be looked up here, and scoring finds the terms of all orders anyway.

    Args:
        counts: the counted n-grams.
        thresholds: of each order of the model, which may be lower than that of the counts, the count up to which
            n-grams are dropped.
        tick: called with the fraction done.

    Returns:
        The arrays `unigram` (V,) float64 and, of each order n from 2 on, `keys.n` (n-grams,) unsigned, `weights.n`
        (n-grams,) float32 and `backoff.n` (n-grams of the order below,) float32; and the discounts, (orders, 3).

    Source:
        Chen and Goodman 1998, section 3; pruning as in KenLM (Heafield et al., Scalable Modified Kneser-Ney Language
        Model Estimation, 2013).
    """
    order, vocabulary = len(thresholds), counts.vocabulary
    sizes = kept(counts, thresholds)
    taken = np.array([discounts(_of_counts(counts, each, order)) for each in range(1, order + 1)])
    arrays: Arrays = {"unigram": _unigram(counts, order, taken[0])}
    done, total = 0, sum(piece.length for table in counts.tables[:order] for piece in table)
    for each in range(2, order + 1):
        below = sizes[each - 2]
        keys = np.empty(sizes[each - 1], dtype=key_type(below, vocabulary))
        weights = np.empty(len(keys), dtype=np.float32)
        backoff = np.ones(below, dtype=np.float32)
        lower = [arrays[f"keys.{n}"] for n in range(2, each)]
        place = 0
        for grams in table_blocks(counts, each):
            done += len(grams)
            tick(done / total)
            if not len(grams):
                continue
            first = first_places(grams.context)
            contexts = descend(lower, tokens_of(grams.context[first], vocabulary, each - 1), vocabulary)
            stays = grams.count > thresholds[each - 1] if thresholds[each - 1] < EVERYTHING else grams.count < 0
            heights = _heights(grams, vocabulary, (each, order))
            weight, rest = discounted(heights, first, stays, taken[each - 1])
            backoff[contexts[contexts >= 0]] = rest[contexts >= 0]
            of = np.repeat(contexts, np.diff(first, append=len(heights)))[stays]
            end = place + len(of)
            keys[place:end] = of * vocabulary + grams.token[stays]
            weights[place:end] = weight[stays]
            place = end
        arrays |= {f"keys.{each}": keys, f"weights.{each}": weights, f"backoff.{each}": backoff}
    return arrays, taken


def discounted(
    heights: NDArray[np.int64], first: NDArray[np.int64], stays: NDArray[np.bool_], taken: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Discount counts.

    Args:
        heights: (n-grams,) adjusted counts, those of one context side by side.
        first: (contexts,) where each context's begin.
        stays: (n-grams,) which are not dropped.
        taken: the three discounts.

    Returns:
        The discounted probability of each n-gram, and of each context what is left for the order below.
    """
    discount = taken[np.minimum(heights, 3) - 1]
    totals = np.add.reduceat(heights, first)
    rest = np.add.reduceat(np.where(stays, discount, heights), first) / totals
    return (heights - discount) / np.repeat(totals, np.diff(first, append=len(heights))), rest


def _heights(grams: Grams, vocabulary: int, orders: tuple[int, int]) -> NDArray[np.int64]:
    each, top = orders
    return grams.count.astype(np.int64) if each == top else adjusted(grams, vocabulary, each)


def _of_counts(counts: Counts, each: int, top: int) -> NDArray[np.int64]:
    return (counts.frequencies if each == top else counts.continuations)[each - 1]


def _unigram(counts: Counts, order: int, taken: NDArray[np.float64]) -> NDArray[np.float64]:
    (grams,) = table_blocks(counts, 1)
    heights = _heights(grams, counts.vocabulary, (1, order))
    weight, rest = discounted(heights, np.zeros(1, np.int64), np.ones(len(heights), bool), taken)
    unigram = np.full(counts.vocabulary, rest[0] / counts.vocabulary)
    unigram[grams.token] += weight
    return unigram

"""Near-duplicate texts: MinHash over character 5-grams and banded locality-sensitive hashing.

Source: Broder (1997), On the resemblance and containment of documents; Leskovec, Rajaraman, Ullman, Mining of Massive
Datasets, chapter 3. Characters rather than words, so that Chinese works as well as English.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.devices import cores

GRAM = 5
ALIKE = 0.8  # Jaccard similarity of the sets of 5-grams
_BANDS, _ROWS = 12, 5  # a pair at 0.8 meets in some band with probability 0.99, one at 0.5 with 0.32
_LETTERS = 100_000  # of a text are read: what many texts begin with, such as a licence, is seldom longer
_GRAMS = 2_000  # of a longer text stand for it: those with the smallest hashes, wherever they are
_BLOCK, _BLOCK_LETTERS = 2_000, 2_000_000  # texts, and letters, that a thread takes at a time
_PAIRS = 200_000  # pairs that are compared exactly, and pairs whose signatures are compared at a time
_DOUBT = 0.13  # two and a half standard errors of a similarity that is estimated from 60 hashes


def normalised(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Lower the case and join every run of blanks; a missing text is empty."""
    lower = pc.utf8_lower(pc.utf8_slice_codeunits(texts, 0, _LETTERS))
    return pc.fill_null(pc.utf8_trim_whitespace(pc.replace_substring_regex(lower, r"\s+", " ")), "")


def near_pairs(texts: pa.LargeStringArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find pairs of texts whose sets of character 5-grams have a Jaccard similarity of at least 0.8.

    Args:
        texts: normalised, distinct texts.

    Returns:
        The places of both texts of every pair, each of shape (pairs,). Of many alike texts not every pair is given,
        but a chain of pairs that links them.
    """
    if len(texts) < 2:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    random = np.random.default_rng(20_240_229)  # of the method, not of the climb: the same texts always meet
    factors = random.integers(1, 2**32, _BANDS * _ROWS, dtype=np.uint32) | np.uint32(1)
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        signatures = np.concatenate(list(pool.map(lambda part: _signatures(part, factors), _blocks(texts))))
    first, second = _candidates(signatures)
    agree = np.zeros(len(first))
    for start in range(0, len(first), _PAIRS):
        part = slice(start, start + _PAIRS)
        agree[part] = (signatures[first[part]] == signatures[second[part]]).mean(axis=1)
    alike = agree >= ALIKE + _DOUBT
    unsure = np.flatnonzero((agree >= ALIKE - _DOUBT) & ~alike)
    if len(unsure) <= _PAIRS:
        alike[unsure] = _similarities(texts, first[unsure], second[unsure]) >= ALIKE
    else:
        alike |= agree >= ALIKE
    return first[alike], second[alike]


def _similarities(
    texts: pa.LargeStringArray, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Jaccard similarity of pairs of texts, by the hashes of their 5-grams."""
    used, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    sets: list[NDArray[np.uint32]] = []
    for part in _blocks(texts.take(pa.array(used))):
        hashes, starts = _gram_hashes(part)
        sets += [np.unique(grams) for grams in np.split(hashes, starts[1:])]
    similar = np.empty(len(first))
    for pair, (one, two) in enumerate(zip(place[: len(first)], place[len(first) :], strict=True)):
        few, many = sorted((sets[one], sets[two]), key=len)
        found = np.searchsorted(many, few)
        shared = int(np.count_nonzero(many[np.minimum(found, len(many) - 1)] == few))
        similar[pair] = shared / (len(few) + len(many) - shared)
    return similar


def _signatures(texts: pa.LargeStringArray, factors: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Give the smallest of each hash over the 5-grams of every text, shape (texts, hashes)."""
    hashes, starts = _gram_hashes(texts)
    signature = np.empty((len(texts), len(factors)), dtype=np.uint32)
    for place, factor in enumerate(factors):  # a product with an odd number permutes hashes that are mixed already
        signature[:, place] = np.minimum.reduceat(hashes * factor, starts)
    return signature


def _blocks(texts: pa.LargeStringArray) -> list[pa.LargeStringArray]:
    """Cut texts into blocks of bounded numbers of texts and letters."""
    ends = np.cumsum(pc.utf8_length(texts).to_numpy().astype(np.int64))
    cuts = [0]
    while cuts[-1] < len(texts):
        begin = cuts[-1]
        before = int(ends[begin - 1]) if begin else 0
        fits = int(np.searchsorted(ends, before + _BLOCK_LETTERS, side="right"))
        cuts.append(min(max(fits, begin + 1), begin + _BLOCK, len(texts)))
    return [texts.slice(start, stop - start) for start, stop in pairwise(cuts)]


def _gram_hashes(texts: pa.LargeStringArray) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Hash the 5-grams of all texts, one text after the other, and say where each begins.

    Of a long text about 2,000 are kept, by the size of their hashes: like texts of about one length keep the same ones.
    """
    padded = [text.ljust(GRAM, "\0") for text in texts.to_pylist()]
    letters = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32)
    ends = np.cumsum([len(text) for text in padded])
    hashes = np.zeros(len(letters) - GRAM + 1, dtype=np.uint32)
    for place in range(GRAM):
        hashes = (hashes * np.uint32(0x9E3779B1)) ^ letters[place : place + len(hashes)]
    inside = np.ones(len(hashes), dtype=np.bool_)
    for place in range(1, GRAM):  # grams that would reach into the next text
        inside[ends[:-1] - place] = False
    starts = np.concatenate([[0], ends[:-1]]) - (GRAM - 1) * np.arange(len(padded))
    made = _mixed(hashes)[inside]
    counts = np.diff(np.append(starts, len(made)))
    if counts.max() <= _GRAMS:
        return made, starts
    bounds = np.minimum(1.0, _GRAMS / counts) * 2.0**32
    kept = made < np.repeat(bounds, counts)
    kept[starts] = True  # none is left without any
    return made[kept], np.concatenate([[0], np.cumsum(np.add.reduceat(kept, starts))[:-1]])


def _mixed(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    values = values ^ (values >> np.uint32(15))
    values = values * np.uint32(0x2C1B3C6D)
    return values ^ (values >> np.uint32(13))


def _candidates(signatures: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair texts that share a band: each with the first of its bucket, and with the one before it."""
    pairs: list[NDArray[np.int64]] = []
    for band in _bands(signatures):
        order = np.argsort(band, kind="stable")
        same = band[order][1:] == band[order][:-1]
        starts = np.flatnonzero(np.concatenate([[True], ~same]))
        heads = order[np.repeat(starts, np.diff(np.append(starts, len(order))))]
        inner = np.flatnonzero(same) + 1
        pairs.append(np.stack([heads[inner], order[inner]], axis=1))
        pairs.append(np.stack([order[inner - 1], order[inner]], axis=1))
    both = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
    return both[:, 0], both[:, 1]


def _bands(signatures: NDArray[np.uint32]) -> Iterator[NDArray[np.uint64]]:
    for start in range(0, _BANDS * _ROWS, _ROWS):
        key = np.zeros(len(signatures), dtype=np.uint64)
        for column in range(start, start + _ROWS):
            key = key * np.uint64(0x9E3779B97F4A7C15) + signatures[:, column]
        yield key

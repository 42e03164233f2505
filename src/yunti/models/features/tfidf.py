"""Weighted counts of the n-grams of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Texts
from yunti.models.contract import Parts
from yunti.models.features.grams import BUCKETS, Grams, Unit, grams, spell
from yunti.seeds import generator

CHUNK_CHARACTERS = 1_000_000
VOCABULARY_CHARACTERS = 10_000_000


@final
class TfIdf:
    """Counts of n-grams, weighted by how rare they are, every text brought to length 1.

    weight(g, t) = (1 + ln count(g, t)) · (1 + ln((1 + N) / (1 + N_g))), then divided by the text's Euclidean norm
    (Salton and Buckley, 1988; the smoothing and the sublinear count are scikit-learn's TfidfVectorizer's).

    Args:
        unit: "words" (and pairs of words) or "characters" (3 to 4).
        cap: most n-grams to keep: those in the most texts.
    """

    def __init__(self, unit: Unit, cap: int) -> None:
        self.unit: Unit = unit
        self.cap = cap
        self.buckets = np.zeros(0, dtype=np.int32)
        self.weights = np.zeros(0, dtype=np.float32)
        self.names: tuple[str, ...] = ()

    def fit(self, texts: Texts, seed: int) -> None:
        """Choose the n-grams and weigh them; of very many texts a sample is read."""
        texts = _sample(texts, seed)
        census = _Census()
        for _, _, found in _chunks(texts, self.unit):
            census.add(found)
        least = 1 if len(texts) < 100 else 2
        chosen = np.flatnonzero(census.frequency >= least)
        # Common ones first: products with the matrix then mostly touch weights that are in the cache.
        chosen = chosen[np.argsort(-census.frequency[chosen], kind="stable")[: self.cap]]
        self.buckets = chosen.astype(np.int32)
        self.weights = (1 + np.log((1 + len(texts)) / (1 + census.frequency[chosen]))).astype(np.float32)
        self.names = census.names(chosen)

    def transform(self, texts: Texts) -> Any:
        """Return the weights, a CSR matrix of shape (rows, n-grams), float32."""
        from scipy import sparse

        column_of = self._columns()
        width = max(1, len(self.buckets))
        pieces = [sparse.csr_matrix((0, len(self.buckets)), dtype=np.float32)]
        for start, stop, found in _chunks(texts, self.unit):
            columns = column_of[found.buckets]
            known = columns >= 0
            keys, counts = _runs(found.texts[known].astype(np.int64) * width + columns[known])
            columns = (keys % width).astype(np.int32)
            values = (1 + np.log(counts.astype(np.float32))) * self.weights[columns]
            ends = np.searchsorted(keys, np.arange(stop - start + 1, dtype=np.int64) * width)
            lengths = np.sqrt(_sums(values * values, ends))
            values /= np.repeat(np.maximum(lengths, 1e-12), np.diff(ends))
            shape = (stop - start, len(self.buckets))
            pieces.append(sparse.csr_matrix((values, columns, ends.astype(np.int32)), shape=shape))
        return sparse.vstack(pieces, format="csr", dtype=np.float32)

    def parts(self) -> Parts:
        """Return the buckets, their weights and their names."""
        return Parts({"buckets": self.buckets, "weights": self.weights}, {"names": list(self.names)})

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        self.buckets, self.weights = parts.arrays["buckets"], parts.arrays["weights"]
        self.names = tuple(parts.facts["names"])

    def _columns(self) -> NDArray[np.int32]:
        column_of = np.full(BUCKETS, -1, dtype=np.int32)
        column_of[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        return column_of


@final
class _Census:
    """How many texts hold each bucket, and where its first n-gram stands."""

    def __init__(self) -> None:
        self.frequency = np.zeros(BUCKETS, dtype=np.int64)
        self._first = np.full(BUCKETS, -1, dtype=np.int64)
        self._length = np.zeros(BUCKETS, dtype=np.int32)
        self._streams: list[NDArray[np.uint32]] = []
        self._read = 0

    def add(self, found: Grams) -> None:
        keys = found.texts.astype(np.int64)
        keys *= BUCKETS
        keys += found.buckets
        keys, _ = _runs(keys)
        self.frequency += np.bincount(keys % BUCKETS, minlength=BUCKETS)
        new = np.flatnonzero(self._first[found.buckets] < 0)[::-1]  # backwards: the first one is written last and stays
        self._first[found.buckets[new]] = found.starts[new].astype(np.int64) + self._read
        self._length[found.buckets[new]] = found.lengths[new]
        self._streams.append(found.stream)
        self._read += len(found.stream)

    def names(self, buckets: NDArray[np.int64]) -> tuple[str, ...]:
        stream = np.concatenate([*self._streams, np.zeros(0, dtype=np.uint32)])
        places = zip(self._first[buckets].tolist(), self._length[buckets].tolist(), strict=True)
        return tuple(spell(stream[start : start + length]) for start, length in places)


def _chunks(texts: Texts, unit: Unit) -> Iterator[tuple[int, int, Grams]]:
    """Give the n-grams of consecutive rows, some million characters at a time."""
    group = np.cumsum(_lengths(texts) + 1) // CHUNK_CHARACTERS
    starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])) if len(group) else group
    for start, stop in zip(starts, [*starts[1:], len(texts)], strict=True):
        yield int(start), int(stop), grams(texts.take(slice(start, stop)).strings(), unit)


def _runs(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort in place; return the distinct keys and their counts (np.unique hashes first, which is slower here)."""
    keys.sort()
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    return keys[first], np.diff(first, append=len(keys))


def _sample(texts: Texts, seed: int) -> Texts:
    """Take rows at random until they hold enough characters to count n-grams."""
    order = generator(seed, "vocabulary").permutation(len(texts))
    lengths = _lengths(texts)
    enough = int(np.searchsorted(np.cumsum(lengths[order]), VOCABULARY_CHARACTERS)) + 1
    return texts if enough >= len(texts) else texts.take(np.sort(order[:enough]))


def _lengths(texts: Texts) -> NDArray[np.int64]:
    """Characters of each text."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.utf8_length(texts.values), 0), dtype=np.int64)


def _sums(values: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum consecutive stretches of an array; `ends` begins with 0."""
    totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return totals[ends[1:]] - totals[ends[:-1]]

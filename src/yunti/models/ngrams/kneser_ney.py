"""Interpolated modified Kneser–Ney n-grams: the best smoothing that counts alone give."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from yunti.models.ngrams.model import NgramModel
from yunti.models.ngrams.search import find
from yunti.models.ngrams.stream import END, blocks, check_corpus, check_tokens, stream

Table = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]


@final
class KneserNey(NgramModel):
    """An interpolated modified Kneser–Ney model; `fit_kneser_ney` makes one.

    p(w | h) = (a(h w) − D(a(h w))) / Σ_x a(h x) + b(h) p(w | h'), where h' is the context h without its first token.
    The adjusted count a is how often h w occurs where its length is the order, or where h begins a document; else how
    many different tokens stand before it. D is one of three discounts of each order (see `discounts`), and b(h) makes
    the sum 1. The lowest order is interpolated with 1 / V, so that each token has a probability.

    Args:
        arrays: the whole state, as `estimate` returns it; it may be mapped into memory.
        plan: what was derived and why.

    Source:
        Chen and Goodman 1998; the formulas are those of KenLM (Heafield et al. 2013), except that the begin and the
        end symbol are one token and that there is no unknown word.

    Example:
        >>> from yunti.models.ngrams import fit_kneser_ney
        >>> model = fit_kneser_ney(np.array([1, 2, 1, 2, 0, 1, 2, 0]), np.array([0, 5, 8]), vocabulary=4, order=3)
        >>> model.next_probabilities(np.array([1])).round(3).tolist()
        [0.006, 0.013, 0.978, 0.003]
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], plan: dict[str, Any] | None = None) -> None:
        self._arrays, self._plan = arrays, plan or {}
        self._unigram = np.asarray(arrays["unigram"])
        self._order = 1 + sum(name.startswith("keys.") for name in arrays)
        self._tables: list[Table] = [
            (arrays[f"keys.{each}"], arrays[f"weights.{each}"], arrays[f"backoff.{each}"])
            for each in range(2, self._order + 1)
        ]

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Make the model that gave these arrays; nothing is copied."""
        return cls(arrays)

    @property
    def vocabulary(self) -> int:
        """Number of different tokens, V."""
        return len(self._unigram)

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return self._order

    @property
    def plan(self) -> dict[str, Any]:
        """What was derived and why: plain JSON values for people to read."""
        return self._plan

    @property
    def parameters(self) -> int:
        """Number of learned numbers: probabilities and weights, not keys."""
        return sum(len(array) for name, array in self._arrays.items() if not name.startswith("keys."))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the whole state: see `estimate`."""
        return self._arrays

    def surprise(self, tokens: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.float64]:
        """Return how surprising each token is, in nats: see `NgramModel`."""
        start, stop = check_corpus(tokens, offsets, self.vocabulary)
        surprises = np.empty(stop - start)
        for begin, end in blocks(start, stop):
            block = stream(tokens, offsets, (begin, end), self._order - 1, self.vocabulary)
            probabilities = self._probabilities(block.tokens, block.depth > 0)[block.counted]
            surprises[begin - start : end - start] = -np.log(probabilities)
        return surprises

    def _probabilities(self, tokens: NDArray[np.int64], follows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return p of each token after those before it; of the first and of begin symbols it means nothing.

        Order by order the terms are added to what the order below gave. `places` are those of the n-grams that end at
        each token; the n-gram that ends at the token before is the context.
        """
        probabilities = self._unigram[tokens]
        places = tokens
        for keys, weights, backoff in self._tables:
            at = 1 + np.flatnonzero((places[:-1] >= 0) & follows[1:])
            contexts = places[at - 1]
            found = find(keys, contexts * self.vocabulary + tokens[at])
            there = found >= 0
            terms = probabilities[at] * backoff[contexts]
            terms[there] += weights[found[there]]
            probabilities[at] = terms
            places = np.full(len(tokens), -1)
            places[at] = found
        return probabilities

    def next_probabilities(self, context: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each token to be the next: see `NgramModel`."""
        before = np.asarray(context)
        check_tokens(before, 0, self.vocabulary)
        recent = before[max(0, len(before) - self._order + 1) :].tolist()
        if END in recent or len(before) < self._order - 1:
            begin = len(recent) - recent[::-1].index(END) if END in recent else 0
            recent = [END, *recent[begin:]]
        probabilities = self._unigram.copy()
        for place, (keys, weights, backoff) in zip(self._contexts(recent), self._tables, strict=False):
            if place < 0:
                break  # longer contexts were not seen either
            first, last = (self._search(keys, (place + more) * self.vocabulary) for more in (0, 1))
            tokens = np.asarray(keys[first:last]).astype(np.int64) - place * self.vocabulary
            probabilities *= float(backoff[place])
            probabilities[tokens] += weights[first:last]
        return probabilities / probabilities.sum()

    def _contexts(self, recent: list[int]) -> list[int]:
        """Return the places of the contexts of 1, 2, … tokens that end where these end, or -1."""
        places: list[int] = []
        for token in recent:
            longer = [self._place(keys, place, token) for place, (keys, *_) in zip(places, self._tables, strict=False)]
            places = [token, *longer]
        return places

    def _place(self, keys: NDArray[Any], context: int, token: int) -> int:
        if context < 0:
            return -1
        key = context * self.vocabulary + token
        place = self._search(keys, key)
        return place if place < len(keys) and int(keys[place]) == key else -1

    @staticmethod
    def _search(keys: NDArray[Any], key: int) -> int:
        """Return how many keys are lower."""
        if key > np.iinfo(keys.dtype).max:
            return len(keys)
        return int(keys.searchsorted(keys.dtype.type(key)))

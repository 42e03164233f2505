"""The unigram model: how frequent each token is, whatever stands before it."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from yunti.models.ngrams.model import NO_LIMITS, Limits, NgramModel, shortening
from yunti.models.ngrams.stream import blocks, check_corpus, check_tokens
from yunti.words import say

_SIZE = 1 << 22  # tokens that are counted at once


@final
class Unigram(NgramModel):
    """Relative frequencies with one half added to each count.

    p(w) = (c(w) + 1/2) / (N + V/2), where c(w) of the N tokens are w. This is the estimator of Krichevsky and
    Trofimov, the standard of data compression: whatever the text, its code is at most about (V - 1)/2 · ln N nats
    longer than that of the frequencies themselves, which no other estimator betters. It needs no counts of counts,
    which a few dozen characters do not give.

    Args:
        counts: (V,) int64, how often each token occurs.
        plan: more values of the plan.

    Source:
        Krichevsky and Trofimov, The performance of universal encoding, 1981.

    Example:
        >>> model = Unigram(np.array([1, 2, 1]))
        >>> model.next_probabilities(np.array([1])).round(3).tolist()
        [0.273, 0.455, 0.273]
    """

    def __init__(self, counts: NDArray[np.int64], plan: dict[str, Any] | None = None) -> None:
        self._counts, self._plan = counts, plan or {}
        self._probabilities = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Make the model that gave these arrays."""
        return cls(np.asarray(arrays["counts"]))

    @property
    def vocabulary(self) -> int:
        """Number of different tokens, V."""
        return len(self._counts)

    @property
    def plan(self) -> dict[str, Any]:
        """The tokens that were counted, and why one half is added."""
        why = {"added": say("unigram.added")}
        return {"tokens": int(self._counts.sum()), "added": 0.5, "reasons": why} | self._plan

    @property
    def parameters(self) -> int:
        """Number of learned numbers."""
        return len(self._counts) - 1

    def surprise(self, tokens: NDArray[Any], offsets: NDArray[Any]) -> NDArray[np.float64]:
        """Return how surprising each token is, in nats: see `NgramModel`."""
        start, stop = check_corpus(tokens, offsets, self.vocabulary)
        there = np.asarray(tokens[start:stop])
        check_tokens(there, start, self.vocabulary)
        return -np.log(self._probabilities)[there]

    def next_probabilities(self, context: NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each token, the same after every context: see `NgramModel`."""
        check_tokens(np.asarray(context), 0, self.vocabulary)
        return self._probabilities / self._probabilities.sum()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return `counts`, (V,) int64."""
        return {"counts": self._counts}


def fit_unigram(tokens: NDArray[Any], offsets: NDArray[Any], vocabulary: int, limits: Limits = NO_LIMITS) -> Unigram:
    """Count the tokens of all documents; past the deadline, of those that were reached.

    Args:
        tokens: (length,) integers from 0 to V - 1, mapped into memory or not.
        offsets: (documents + 1,) the places where documents begin, and the end of the last.
        vocabulary: number of different tokens, V.
        limits: what the fit may use.

    Raises:
        OptionError: a token is not of the vocabulary, or the offsets do not fit.

    Example:
        >>> fit_unigram(np.array([1, 1, 2, 0]), np.array([0, 4]), 3).arrays()["counts"].tolist()
        [1, 2, 1]
    """
    start, stop = check_corpus(tokens, offsets, vocabulary)
    counts, end = np.zeros(vocabulary, dtype=np.int64), start
    for begin, end in blocks(start, stop, _SIZE):
        part = np.asarray(tokens[begin:end])
        check_tokens(part, begin, vocabulary)
        counts += np.bincount(part, minlength=vocabulary)
        limits.watch.tell((end - start) / (stop - start))
        if not limits.watch.left:
            break
    return Unigram(counts, shortening(end - start, stop - start))

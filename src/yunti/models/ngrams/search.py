"""Finding n-grams in sorted keys: an n-gram's key is its context's place in the order below, then its last token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def key_type(contexts: int, vocabulary: int) -> np.dtype[Any]:
    """Return the smallest type that holds the keys of n-grams after so many contexts.

    Example:
        >>> key_type(1_000, 100), key_type(10_000_000, 8_000)
        (dtype('uint32'), dtype('uint64'))
    """
    return np.dtype(np.uint32 if contexts * vocabulary <= 1 << 32 else np.uint64)


def find(keys: NDArray[Any], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each wanted key, or -1.

    They are looked for in ascending order: neighbours in a large table then share what the processor has fetched, which
    is ten times as fast as looking them up as they come.

    Args:
        keys: (n-grams,) sorted.
        wanted: (queries,) in any order.

    Example:
        >>> find(np.array([3, 5, 9], np.uint32), np.array([9, 4, 3])).tolist()
        [2, -1, 0]
    """
    if not len(keys):
        return np.full(len(wanted), -1)
    index = np.argsort(wanted)
    ascending = wanted[index].astype(keys.dtype)
    places = keys.searchsorted(ascending)
    there = keys.take(places, mode="clip") == ascending
    found = np.empty(len(wanted), dtype=np.int64)
    found[index] = np.where(there, places, -1)
    return found


def descend(keys: Sequence[NDArray[Any]], tokens: Sequence[NDArray[np.int64]], vocabulary: int) -> NDArray[np.int64]:
    """Return the places of n-grams in the table of their order, or -1.

    Args:
        keys: those of order 2, 3, …
        tokens: (n-grams,) the first tokens, the second ones, …
        vocabulary: number of different tokens.
    """
    place = tokens[0]
    for table, token in zip(keys, tokens[1:], strict=False):
        wanted = np.where(place >= 0, place * vocabulary + token, 0)
        place = np.where(place >= 0, find(table, wanted), -1)
    return place

"""Runs of numbers as 64-bit hashes: all runs of one length in a long row, a few vector operations each."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_BASE = 0x9E3779B97F4A7C15  # odd, so that it can be divided by
_INVERSE = pow(_BASE, -1, 1 << 64)
_TABLE_BITS = 20


def mixed(values: NDArray[Any]) -> Hashes:
    """Spread whole numbers over 64 bits, different ones to different ones (Steele et al., 2014, SplitMix64)."""
    found = values.astype(np.uint64) + np.uint64(_BASE)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_: Hashes = found ^ (found >> np.uint64(31))
    return mixed_


@final
class Rolling:
    """Hashes of runs in a row of numbers: h = Σ vₖ · Bᵏ modulo 2⁶⁴ over the run, whose first number has k = 0.

    The sums up to each place are made once; a run is the difference of two, divided by a power of the odd B. Source:
    Karp and Rabin, 1987, Efficient randomized pattern-matching algorithms.

    Args:
        values: shape (numbers,), spread by `mixed`.

    Example:
        >>> rolling = Rolling(mixed(np.array([1, 2, 3, 1, 2])))
        >>> hashes = rolling.runs(2)
        >>> len(hashes), bool(hashes[0] == hashes[3]), bool(hashes[0] == hashes[1])
        (4, True, False)
    """

    def __init__(self, values: Hashes) -> None:
        self._powers = _powers(_BASE, len(values))
        self._inverse = _powers(_INVERSE, len(values))
        self._sums = np.append(np.uint64(0), np.cumsum(values * self._powers, dtype=np.uint64))

    def runs(self, length: int) -> Hashes:
        """Return the hashes of all runs of a length, shape (numbers − length + 1,); none where it is shorter."""
        if length > len(self._powers):
            return np.zeros(0, dtype=np.uint64)
        found: Hashes = (self._sums[length:] - self._sums[:-length]) * self._inverse[: len(self._powers) - length + 1]
        return found

    def pieces(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Hashes:
        """Return the hashes of pieces of any lengths, at least 1, shape (pieces,)."""
        found: Hashes = (self._sums[stops] - self._sums[starts]) * self._inverse[starts]
        return found


def _powers(base: int, count: int) -> Hashes:
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.cumprod(factors, dtype=np.uint64)


@final
class Marks:
    """Which of some hashes were met.

    Args:
        hashes: shape (hashes,), perhaps some of them often.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._keys = np.unique(hashes)
        self._met = np.zeros(len(self._keys), dtype=np.bool_)
        self._table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)  # most others are told apart by their first bits
        self._table[self._keys >> np.uint64(64 - _TABLE_BITS)] = True

    def places(self, hashes: Hashes) -> NDArray[np.int64]:
        """Return where hashes of the set stand in others, shape (found,), ascending."""
        likely = np.flatnonzero(self._table[hashes >> np.uint64(64 - _TABLE_BITS)])
        if not len(self._keys):
            return likely[:0]
        nearest = np.minimum(np.searchsorted(self._keys, hashes[likely]), len(self._keys) - 1)
        found: NDArray[np.int64] = likely[self._keys[nearest] == hashes[likely]]
        return found

    def meet(self, hashes: Hashes) -> None:
        """Note those of the set that stand in others."""
        self._met[np.searchsorted(self._keys, hashes[self.places(hashes)])] = True

    def met(self, hashes: Hashes) -> int:
        """Count those of some hashes of the set, each as often as it stands there, that were met."""
        return int(self._met[np.searchsorted(self._keys, hashes)].sum())

"""One seed gives every part of a climb its own named, independent stream of random numbers."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(seed: int, *names: str) -> int:
    """Derive a 63-bit seed for the part of the work that is called by `names`.

    Streams of different names are independent, so adding a draw in one place changes no other place.

    Example:
        >>> seed_for(0, "split") == seed_for(0, "split"), seed_for(0, "split") == seed_for(0, "batches")
        (True, False)
    """
    text = "/".join((str(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str) -> np.random.Generator:
    """Give the NumPy generator of the part of the work that is called by `names`."""
    return np.random.default_rng(seed_for(seed, *names))

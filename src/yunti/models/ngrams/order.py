"""How long n-grams should be."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from yunti.models.ngrams.grams import greatest_order
from yunti.words import say

_CHARACTERS: Final = 1024  # vocabularies up to this size are characters or bytes
_INFORMATION: Final = (0.4, 0.3)  # of ln V: what a character, or a piece of a word, tells beyond its context in English
_LEAST, _MOST_WORDS, _MOST_CHARACTERS = 3, 5, 10


class Order(NamedTuple):
    """An order and why it is that."""

    order: int
    why: str


def usual_order(vocabulary: int, tokens: int) -> Order:
    """Derive the order from the sizes of vocabulary and data.

    n characters carry about n · 0.4 ln V nats, and n pieces of words 0.3: of those that are likely there are about
    V^(0.4 n). n-grams longer than ln T / (0.4 ln V) therefore hardly occur twice in T tokens and are left to shorter
    ones anyway. It is at least 3, and at most 10 for characters and 5 for pieces of words.

    Args:
        vocabulary: number of different tokens, V.
        tokens: number of tokens to learn from, T.

    Example:
        >>> usual_order(66, 1_000_000).order, usual_order(8_000, 100_000_000).order
        (8, 5)
    """
    few = vocabulary <= _CHARACTERS
    most = min(_MOST_CHARACTERS if few else _MOST_WORDS, greatest_order(vocabulary))
    seen = round(math.log(max(tokens, 2)) / (_INFORMATION[0 if few else 1] * math.log(max(vocabulary, 2))))
    order = min(most, max(_LEAST, seen))
    return Order(order, say("ngrams.order", tokens=tokens, vocabulary=vocabulary))


def best_order(bits: dict[int, float]) -> Order:
    """Choose the order with the fewest bits a token on validation text, the lower one of equals.

    Example:
        >>> best_order({2: 2.5, 3: 2.1, 4: 2.2}).order
        3
    """
    order = min(bits, key=lambda each: (bits[each], each))
    listed = ", ".join(f"{each}: {value:.3f}" for each, value in sorted(bits.items()))
    return Order(order, say("ngrams.order best", listed=listed))

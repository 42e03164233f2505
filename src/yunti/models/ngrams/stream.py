"""Documents as one stream of tokens in which none runs into the next."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yunti.errors import OptionError

END = 0  # the token that ends a document; as the first token of a context it is the begin symbol
_BLOCK = 1 << 18  # tokens, so that a block's arrays stay in the processor's cache


class Stream(NamedTuple):
    """Some tokens of a corpus, with the begin symbol before every document.

    Args:
        tokens: (length,) int64, begin symbols and the context to the left included.
        counted: (length,) bool, whether it is a token of the block: no begin symbol, not only context.
        depth: (length,) int64, how many tokens before it belong to its context, the begin symbol included.
    """

    tokens: NDArray[np.int64]
    counted: NDArray[np.bool_]
    depth: NDArray[np.int64]


def blocks(start: int, stop: int, size: int = _BLOCK) -> list[tuple[int, int]]:
    """Divide the places from start to stop into blocks of a size.

    Example:
        >>> blocks(0, 5, 2)
        [(0, 2), (2, 4), (4, 5)]
    """
    return [(each, min(each + size, stop)) for each in range(start, stop, size)]


def check_corpus(tokens: NDArray[Any], offsets: NDArray[Any], vocabulary: int) -> tuple[int, int]:
    """Check that there is a vocabulary, and that offsets divide tokens into documents.

    Returns:
        The places of the first token and after the last.

    Raises:
        OptionError: the vocabulary is empty, or the offsets do not rise or reach beyond the tokens.
    """
    if vocabulary < 1:
        raise OptionError("vocabulary", "it must hold at least the end token", f"it is {vocabulary}", "give its size")
    if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(tokens) or np.any(offsets[1:] < offsets[:-1]):
        got = f"they run from {offsets[0]} to {offsets[-1]}" if len(offsets) else "there is none"
        must = f"they must rise from 0 or more to at most the number of tokens, {len(tokens):,}"
        raise OptionError("offsets", must, got, "give the place of each document's first token, and the end")
    return int(offsets[0]), int(offsets[-1])


def stream(tokens: NDArray[Any], offsets: NDArray[Any], part: tuple[int, int], reach: int, vocabulary: int) -> Stream:
    """Read the tokens of a block and as many before them as their contexts need.

    A document begins at each offset and after each end token. Before it stands the begin symbol, which is the end
    token again, as in the streams that Transformers learn from: it is known that a text begins here, which a shorter
    context would not tell, and no further identifier is needed.

    Args:
        tokens: all tokens, integers from 0 to vocabulary - 1; mapped into memory or not.
        offsets: (documents + 1,) the places where documents begin, and the end of the last.
        part: the places where the block starts and stops.
        reach: how many tokens a context has at most.
        vocabulary: number of different tokens.

    Raises:
        OptionError: a token is not of the vocabulary.

    Example:
        >>> block = stream(np.array([5, 6, 0, 7]), np.array([0, 4]), (1, 4), 2, 9)
        >>> block.tokens.tolist(), block.depth.tolist()
        ([0, 5, 6, 0, 0, 7], [0, 1, 2, 2, 0, 1])
    """
    start, stop = part
    left = max(int(offsets[0]), start - reach)
    there = np.asarray(tokens[left:stop]).astype(np.int64)
    check_tokens(there, left, vocabulary)
    begins = np.zeros(len(there), dtype=bool)
    first, last = np.searchsorted(offsets, [left, stop])
    begins[np.asarray(offsets[first:last]).astype(np.int64) - left] = True
    begins[1:] |= there[:-1] == END
    places = np.arange(len(there)) + np.cumsum(begins)
    length = len(there) + int(begins.sum())
    laid = np.full(length, END, dtype=np.int64)
    laid[places] = there
    index = np.arange(length)
    begun = np.full(length, -1 - reach)  # where no begin is in sight, contexts have their whole length
    begun[places[begins] - 1] = places[begins] - 1
    depth = np.minimum(index - np.maximum.accumulate(begun), reach)
    counted = np.zeros(length, dtype=bool)
    counted[places[start - left :]] = True
    return Stream(laid, counted, depth)


def check_tokens(there: NDArray[Any], left: int, vocabulary: int) -> None:
    """Check that tokens are of a vocabulary.

    Args:
        there: some tokens.
        left: the place of the first of them.
        vocabulary: number of different tokens.

    Raises:
        OptionError: one is not.
    """
    if not len(there) or (there.min() >= 0 and there.max() < vocabulary):
        return
    wrong = np.flatnonzero((there < 0) | (there >= vocabulary))
    raise OptionError(
        f"tokens, place {left + int(wrong[0]):,}",
        f"each must be an integer from 0 to {vocabulary - 1:,}",
        f"there is {there[wrong[0]]}",
        "give the vocabulary that the tokens were made with",
    )

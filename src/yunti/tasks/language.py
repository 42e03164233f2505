"""Scores of language: what the next tokens of a text cost, whatever its tokens are.

`prediction` holds five numbers a row (a document, or a passage of one), shape (rows, 5), float64, in the order of
`COLUMNS`: the nats of its text, −Σ ln p(token | what stands before it), and how many bytes of UTF-8, characters,
tokens and words it has (see `yunti.data.lengths` for all but the tokens). Every score is a ratio of sums over rows, so
that long rows count as much as their text is long; `target` is not looked at, since the text is its own answer.

In the formulas the sums run over rows.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from yunti.tasks.pieces import Floats, Pieces

COLUMNS: Final = ("nats", "bytes", "characters", "tokens", "words")
NATS, BYTES, CHARACTERS, TOKENS, WORDS = range(len(COLUMNS))
MOST_NATS: Final = 700.0  # a token or word: e to more is no number; so bad a perplexity says nothing by its size


def decode(prediction: NDArray[np.floating[Any]]) -> Floats:
    """Return the bits per byte of each row, shape (rows,): how unexpected its text is; NaN where it has none."""
    sums = np.asarray(prediction, dtype=np.float64)
    bits: Floats = np.full(len(sums), np.nan)
    np.divide(sums[:, NATS] / np.log(2), sums[:, BYTES], out=bits, where=sums[:, BYTES] > 0)
    return bits


def bits_per_byte(target: Floats, prediction: Floats) -> float:
    """Bits that the text takes per byte of its UTF-8: Σ nats / (ln 2 · Σ bytes).

    The bytes of a text do not depend on the model's tokens, so models of characters, bytes and words compare. Plain
    UTF-8 takes 8, a good packer of English about 2.

    Args:
        target: shape (rows,); not looked at.
        prediction: shape (rows, 5), as described above.

    Example:
        >>> row = [[16 * np.log(2), 8.0, 8.0, 4.0, 2.0]]
        >>> bits_per_byte(np.zeros(1), np.array(row))
        2.0

    Source: Gao et al. (2020), "The Pile", 3.1; Shannon (1951), "Prediction and entropy of printed English".
    """
    return bits_per_byte_pieces(target, prediction).score()


def bits_per_byte_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return bits per byte as a function of Σ nats and Σ bytes."""
    return _bits(prediction, BYTES)


def bits_per_character(target: Floats, prediction: Floats) -> float:
    """Bits that the text takes per character (code point): Σ nats / (ln 2 · Σ characters).

    In ASCII it is bits per byte; a Chinese character has three bytes, so there it is three times as much.

    Source: Graves (2013), "Generating sequences with recurrent neural networks", 3.1.
    """
    return bits_per_character_pieces(target, prediction).score()


def bits_per_character_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return bits per character as a function of Σ nats and Σ characters."""
    return _bits(prediction, CHARACTERS)


def perplexity_per_token(target: Floats, prediction: Floats) -> float:
    """Among how many equally likely tokens the model is torn: exp(Σ nats / Σ tokens).

    It compares models of the same tokens only: with longer tokens it rises without the model being worse.

    Source: Jelinek, Mercer, Bahl and Baker (1977), "Perplexity — a measure of the difficulty of speech recognition".
    """
    return perplexity_per_token_pieces(target, prediction).score()


def perplexity_per_token_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return perplexity per token as a function of Σ nats and Σ tokens."""
    return _perplexity(prediction, TOKENS)


def perplexity_per_word(target: Floats, prediction: Floats) -> float:
    """Among how many equally likely words the model is torn, whatever its tokens are: exp(Σ nats / Σ words).

    Words are counted as in `yunti.data.lengths`: between blanks, and every Chinese character is one.

    Source: Merity et al. (2017), "Pointer sentinel mixture models"; Mielke (2019), "Can you compare perplexity
    across different segmentations?", for tokens that are not words.
    """
    return perplexity_per_word_pieces(target, prediction).score()


def perplexity_per_word_pieces(target: Floats, prediction: Floats) -> Pieces:
    """Return perplexity per word as a function of Σ nats and Σ words."""
    return _perplexity(prediction, WORDS)


def _bits(prediction: Floats, unit: int) -> Pieces:
    return _per(prediction, unit, lambda nats: nats / np.log(2))


def _perplexity(prediction: Floats, unit: int) -> Pieces:
    return _per(prediction, unit, lambda nats: np.exp(np.minimum(nats, MOST_NATS)))


def _per(prediction: Floats, unit: int, then: Any) -> Pieces:
    """Return a function of Σ nats / Σ units; a text without any unit counts as one."""

    def combine(sums: Floats) -> Floats:
        score: Floats = then(sums[..., 0] / np.maximum(sums[..., 1], 1.0))
        return score

    values = np.asarray(prediction, dtype=np.float64)[:, [NATS, unit]]
    return Pieces(np.array([[0, 1]]), values, 2, combine)

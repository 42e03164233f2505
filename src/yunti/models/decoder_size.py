"""The sizes of a decoder: what it is made with, what follows from its depth, and what a token costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from yunti.errors import OptionError
from yunti.words import say

_WIDTH_OF_A_BLOCK = 64
_SHARED_FROM = 8  # heads from which two of queries share one of keys and values
_LARGE = 12  # blocks from which heads are 128 wide and logits are capped
_SHORTEST, _LONGEST = 64, 2048  # tokens of a context


@final
@dataclass(frozen=True)
class DecoderShape:
    """All that a decoder is made with.

    Args:
        vocabulary: number of tokens there are.
        width: numbers of a token.
        depth: number of blocks.
        heads: of queries; the width is divided among them, an even number each.
        key_value_heads: of keys and values; a divisor of `heads`.
        context: most tokens that are looked at together.
        tied: whether the embedding is the head as well.
        dropout: share of numbers hidden while training.
        cap: c, where the logits z are c · tanh(z / c); 0 for none.
    """

    vocabulary: int
    width: int
    depth: int
    heads: int
    key_value_heads: int
    context: int
    tied: bool = True
    dropout: float = 0.0
    cap: float = 0.0

    def __post_init__(self) -> None:
        for name, whole, part in (("width", self.width, 2 * self.heads), ("heads", self.heads, self.key_value_heads)):
            if whole % part:
                raise OptionError(
                    f"model.{name}", f"it must be a multiple of {part}", f"it is {whole}",
                    f"choose {-(-whole // part) * part}",
                )  # fmt: skip

    @property
    def head_width(self) -> int:
        """Numbers of a head."""
        return self.width // self.heads

    @property
    def hidden_parameters(self) -> int:
        """Learned numbers of the blocks: attention and two layers of four times the width."""
        attention = (self.heads + 2 * self.key_value_heads) * self.head_width * self.width + self.width**2
        return self.depth * (attention + 8 * self.width**2)

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        return self.hidden_parameters + (1 if self.tied else 2) * self.vocabulary * self.width

    @property
    def train_flops_per_token(self) -> float:
        """Operations of forward and backward passes for a token of a full context.

        6 · N + 6 · depth · width · (context + 1): two operations for each of the N numbers that a token is multiplied
        with (blocks and head; looking up is none), and 2 · width for each of the (context + 1) / 2 tokens that it looks
        at on average, once for their keys and once for their values; three times that with the way back. Source:
        Kaplan et al., 2020, arXiv 2001.08361; Chowdhery et al., 2022, PaLM, appendix B, who count all tokens of the
        context.
        """
        multiplied = self.hidden_parameters + self.vocabulary * self.width
        return 6.0 * multiplied + 6.0 * self.depth * self.width * (self.context + 1)


@final
@dataclass(frozen=True)
class Derived:
    """A shape, and why it is so.

    Args:
        shape: what a decoder is made with.
        reasons: a clause for each name that needs one.
    """

    shape: DecoderShape
    reasons: Mapping[str, str]


def derive(depth: int, vocabulary: int, tokens: int) -> Derived:
    """Derive all sizes of a decoder from its depth, the one dial.

    Width and head width are those of nanochat (Karpathy, 2025), the smaller heads and the dropout those of nanoGPT's
    recipes for a few million characters.

    Args:
        depth: number of blocks, from 1 on.
        vocabulary: number of tokens there are.
        tokens: to train on, each counted once.

    Example:
        >>> derived = derive(depth=6, vocabulary=65, tokens=1_000_000)
        >>> shape = derived.shape
        >>> shape.width, shape.heads, shape.context, shape.tied, shape.dropout
        (384, 6, 256, False, 0.2)
        >>> derived.reasons["dropout"]
        'there are 11 parameters for every token of the training texts'
    """
    width = _WIDTH_OF_A_BLOCK * max(1, depth)
    wide = 32 if width <= 256 else 128 if depth >= _LARGE and depth % 2 == 0 else 64
    heads = width // wide
    shared = heads >= _SHARED_FROM and heads % 2 == 0
    context = _SHORTEST
    while context < min(32 * depth, _LONGEST) and 64 * context < tokens:
        context *= 2
    blocks = DecoderShape(vocabulary, width, depth, heads, heads // 2 if shared else heads, context)
    tied = vocabulary * width > 0.1 * blocks.hidden_parameters
    per_token = blocks.parameters / max(1, tokens)
    shape = DecoderShape(
        vocabulary, width, depth, heads, blocks.key_value_heads, context, tied,
        dropout=0.2 if per_token > 1 else 0.0, cap=15.0 if depth >= _LARGE else 0.0,
    )  # fmt: skip
    reasons = {
        "width": say("decoder.width", block=_WIDTH_OF_A_BLOCK),
        "heads": say("decoder.heads", width=wide),
        "context": say("decoder.context"),
        "tied": say("decoder.tied", share=vocabulary * width / blocks.hidden_parameters),
        "dropout": say("decoder.dropout", per_token=per_token),
    }
    if shared:
        reasons["key_value_heads"] = say("decoder.shared")
    if shape.cap:
        reasons["cap"] = say("decoder.cap", depth=_LARGE)
    return Derived(shape, reasons)

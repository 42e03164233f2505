"""What the networks of the ladder share: texts packed into windows of tokens, and the surprise at every next one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from yunti.models.contract import Model, Size
from yunti.specs import Spec

if TYPE_CHECKING:
    from torch import nn

    from yunti.data.tokenisers import TextCoder
    from yunti.models.blueprint import Design, Reader
    from yunti.models.token_module import TokenModule

_CONTEXT, _OF_CHATS = 128, 512  # tokens of a window; not by the size, so that windows stay while the dial is turned
_BATCH_TOKENS: Final = 32 * 128  # of a step
_SEEN, _MOST_EPOCHS = 1e7, 12.0  # tokens after which a small network gains little; times that a text is read at most

Derive = Callable[[Spec, "Reader", Size], "Design"]
Assemble = Callable[[Mapping[str, Any], "Reader", int], "nn.Module"]


def packed_network(name: str, design: Derive, assemble: Assemble, spec: Spec, size: Size) -> Model:
    """Make an untrained network that learns from windows over all texts.

    Args:
        name: of the rung.
        design: derives sizes and the recipe; its shape must hold `context`.
        assemble: makes the module, see `surprised`.
        spec: one column of texts.
        size: the dial.
    """
    from yunti.models.blueprint import Blueprint
    from yunti.models.language import Documents, NextToken, TextReader
    from yunti.models.network import Network

    return Network(spec, Blueprint(name, TextReader, design, assemble, objective=NextToken, packing=Documents()), size)


def coder_of(reader: Reader) -> TextCoder:
    """Return the tokeniser that a reader has learned."""
    from yunti.models.language import TextReader

    return cast(TextReader, reader).coder


def tokens_of(spec: Spec) -> int:
    """Return about how many tokens the training texts have."""
    return spec.rows * (spec.of_kind("text")[0].length or 1)


def context_for(spec: Spec) -> int:
    """Return how many tokens a window has; of conversations so many that most of them are read whole, up to 512."""
    from yunti.models.costs import are_chats

    length = spec.of_kind("text")[0].length or 1
    return min(_OF_CHATS, max(_CONTEXT, 1 << (length - 1).bit_length())) if are_chats(spec) else _CONTEXT


def batch_for(context: int) -> int:
    """Return how many windows a step has: their tokens together are always as many."""
    return max(1, _BATCH_TOKENS // context)


def epochs_for(tokens: int) -> float:
    """Return how often texts of so many tokens should be read."""
    return float(np.clip(_SEEN / max(1, tokens), 1, _MOST_EPOCHS))


def surprised(language: TokenModule, reader: Reader) -> nn.Module:
    """Put the loss around a network of tokens."""
    from yunti.models.language import Surprise

    coder = coder_of(reader)
    lengths = np.array([len(piece) for piece in coder.pieces], dtype=np.int64)
    return Surprise(language, lengths, coder.end)

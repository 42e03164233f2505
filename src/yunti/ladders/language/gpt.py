"""A decoder-only Transformer: attention to all that stands before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from yunti.ladders.language.counted import too_few_texts
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.network import Design, Reader

_DEPTH, _CONTEXT, _CONTEXT_OF_CHATS = 4, 128, 512


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    from yunti.models.language import Documents, NextToken, TextReader
    from yunti.models.network import Blueprint, Network

    return Network(spec, Blueprint("gpt", TextReader, design, assemble, objective=NextToken, packing=Documents()), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive everything from the depth, the one dial."""
    from dataclasses import asdict

    from yunti.models.decoder_size import derive
    from yunti.models.language import TextReader
    from yunti.models.network import Design

    coder = cast(TextReader, reader).coder
    length = spec.of_kind("text")[0].length or 1
    tokens = spec.rows * length
    derived = derive(max(1, round(_DEPTH * size.dial)), coder.size, tokens)
    context = _context(spec, length)
    chosen = {"context": context, "dropout": 0.0}  # here and not by the depth: windows stay while the dial is turned
    shape = asdict(derived.shape) | chosen
    reasons = {name: why for name, why in derived.reasons.items() if name not in chosen}
    recipe = Recipe(
        batch=32 * _CONTEXT // context,
        epochs=float(np.clip(1e7 / max(1, tokens), 1, 12)),
        learning_rate=6e-3,
        weight_decay=0.05,
        optimiser="muon",
        schedule="wsd",
        warmup=0.02,
        decay=0.5,
    )
    return Design(shape, recipe, reasons)


def _context(spec: Spec, length: int) -> int:
    """Return tokens that are read at once; of conversations so many that most of them are read whole, up to 512."""
    from yunti.models.costs import are_chats

    if not are_chats(spec):
        return _CONTEXT
    return int(min(_CONTEXT_OF_CHATS, max(_CONTEXT, 1 << (length - 1).bit_length())))


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.decoder import Decoder
    from yunti.models.decoder_size import DecoderShape
    from yunti.models.language import Surprise, TextReader

    coder = cast(TextReader, reader).coder
    lengths = np.array([len(piece) for piece in coder.pieces], dtype=np.int64)
    return Surprise(Decoder(DecoderShape(**shape)), lengths, coder.end)


RUNG = Rung(
    name="gpt",
    era="large",
    idea=say("rung.gpt"),
    source="Vaswani et al., 2017, arXiv 1706.03762; Radford et al., 2019; Karpathy, 2025, nanochat",
    unfit_for=too_few_texts,
    build=build,
    share=lambda _spec: 6.0,
    needs_torch=True,
)

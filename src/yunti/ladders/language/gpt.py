"""A decoder-only Transformer: attention to all that stands before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yunti.ladders.language.counted import too_few_texts
from yunti.ladders.language.reading import (
    batch_for,
    coder_of,
    context_for,
    epochs_for,
    packed_network,
    surprised,
    tokens_of,
)
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.blueprint import Design, Reader

_DEPTH = 4


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    return packed_network("gpt", design, assemble, spec, size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive everything from the depth, the one dial."""
    from dataclasses import asdict

    from yunti.models.blueprint import Design
    from yunti.models.decoder_size import derive

    tokens, context = tokens_of(spec), context_for(spec)
    derived = derive(max(1, round(_DEPTH * size.dial)), coder_of(reader).size, tokens)
    chosen = {"context": context, "dropout": 0.0}
    shape = asdict(derived.shape) | chosen
    reasons = {name: why for name, why in derived.reasons.items() if name not in chosen}
    recipe = Recipe(
        batch=batch_for(context),
        epochs=epochs_for(tokens),
        learning_rate=6e-3,
        weight_decay=0.05,
        optimiser="muon",
        schedule="wsd",
        warmup=0.02,
        decay=0.5,
    )
    return Design(shape, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.decoder import Decoder
    from yunti.models.decoder_size import DecoderShape

    return surprised(Decoder(DecoderShape(**shape)), reader)


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

"""A Transformer over everything in a row: columns, words, patches of pictures, stretches of sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yunti.ladders.prediction.fit import (
    MUON_ROWS,
    REASONS,
    augment_for,
    batch_for,
    epochs_for,
    rounded,
    smoothing_for,
    too_few_rows,
)
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.data.encode import Stream
    from yunti.models.blueprint import Design, Reader

_TOKENS = 64  # about as many tokens are made of a picture, a sound or a sequence
_HEAD = 32  # width of an attention head


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_few_rows(spec)


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    from yunti.data.encode import Encoder, Reading
    from yunti.models.blueprint import Blueprint
    from yunti.models.network import Network

    def reader(spec: Spec) -> Encoder:
        return Encoder(spec.columns, Reading(tokens=160))

    return Network(spec, Blueprint("transformer", reader, design, assemble), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive widths and recipe from rows, columns and the dial."""
    from yunti.models.blueprint import Design

    table_only = not reader.streams
    muon = spec.rows >= MUON_ROWS and not table_only
    recipe = Recipe(
        batch=256 if table_only and spec.rows > 10_000 else batch_for(spec.rows),
        epochs=epochs_for(spec.rows, 80 if table_only else 30 if spec.of_kind("text") else 60, 40),
        learning_rate=2e-3 if muon else 1e-3,
        weight_decay=0.05,
        optimiser="muon" if muon else "adamw",
        schedule="wsd",
        warmup=0.08,
        smoothing=0.0 if table_only else smoothing_for(spec),
        augment=augment_for(spec),
    )
    shape = {
        "width": rounded(size.dial * (64 if table_only or spec.rows < 2000 else 96), _HEAD),
        "depth": 2 if spec.of_kind("text") else 3 if table_only else 4,
        "dropout": 0.1 if spec.rows > 5000 else 0.2,
        "folds": {stream.key: _fold(stream) for stream in reader.streams},
    }
    reasons = {
        **REASONS,
        "width": say("transformer.width", dial=size.dial, head=_HEAD),
        "depth": say("transformer.depth"),
        "optimiser": say("transformer.optimiser", rows=MUON_ROWS),
        "folds": say("transformer.folds", tokens=_TOKENS),
    }
    return Design(shape, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.attention import Attention, ColumnTokens, PatchTokens, StepTokens
    from yunti.models.layers import Fused, Head

    width = shape["width"]
    sources: list[nn.Module] = []
    if reader.number_width or reader.cardinalities:
        sources.append(ColumnTokens(reader, width))
    for stream in reader.streams:
        kind = PatchTokens if stream.kind == "image" else StepTokens
        sources.append(kind(stream, width, shape["folds"][stream.key]))
    attention = Attention(sources, width, shape["depth"], width // _HEAD, shape["dropout"])
    return Fused([attention], Head(attention.width, 0, outputs, shape["dropout"]))


def _fold(stream: Stream) -> int:
    """Side of a patch of a picture, or steps to a token."""
    if stream.kind == "text":
        return 1
    if stream.kind == "image":
        return max(2, round((stream.length * stream.breadth / _TOKENS) ** 0.5))
    return max(1, -(-stream.length // _TOKENS))


RUNG = Rung(
    name="transformer",
    era="large",
    idea=say("rung.transformer"),
    source="Vaswani et al., 2017, arXiv 1706.03762; Gorishniy et al., 2021, arXiv 2106.11959; "
    "Dosovitskiy et al., 2021, arXiv 2010.11929",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(3.0, audio=2.0, sequence=2.0),
    needs_torch=True,
)

"""Deeper networks whose layers each add a little to what came in."""

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
    stem_for,
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


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_few_rows(spec)


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    from yunti.data.encode import Encoder, Reading
    from yunti.models.blueprint import Blueprint
    from yunti.models.network import Network

    def reader(spec: Spec) -> Encoder:
        return Encoder(spec.columns, Reading(tokens=200))

    return Network(spec, Blueprint("resnet", reader, design, assemble), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive widths and recipe from rows, columns and the dial."""
    from yunti.models.blueprint import Design

    table_only = not reader.streams
    has_text = bool(spec.of_kind("text"))
    muon = spec.rows >= MUON_ROWS and not table_only
    recipe = Recipe(
        batch=256 if table_only and spec.rows > 10_000 else batch_for(spec.rows),
        epochs=epochs_for(spec.rows, 80 if table_only else 25 if has_text else 60, 40),
        learning_rate=1e-3 if table_only else 6e-3 if muon else 3e-3,
        weight_decay=0.02,
        optimiser="muon" if muon else "adamw",
        schedule="wsd" if table_only else "linear",
        warmup=0.05 if table_only else 0.15,
        smoothing=0.0 if table_only else smoothing_for(spec),
        rates=(("tokens", 0.3),),
        augment=augment_for(spec),
    )
    base = size.dial * (24 if spec.rows < 20_000 else 32)
    shape = {
        "widths": [rounded(base), rounded(2 * base), rounded(4 * base)],
        "blocks": 2,
        "stems": {stream.key: _stem(stream) for stream in reader.streams},
        "front": rounded(size.dial * 96),
        "number_width": 12,
        "table_width": rounded(size.dial * 192),
        "table_blocks": 3,
        "dropout": 0.3 if has_text else 0.15,
    }
    reasons = {
        **REASONS,
        "widths": say("resnet.widths", dial=size.dial),
        "blocks": say("resnet.blocks"),
        "stems": say("why.stems"),
        "optimiser": say("why.muon", rows=MUON_ROWS),
    }
    return Design(shape, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.layers import Fused, Head, Part
    from yunti.models.residual import ResidualTable
    from yunti.models.vision import Filters

    parts: list[Part] = []
    if reader.number_width or reader.cardinalities:
        width, blocks = shape["table_width"], shape["table_blocks"]
        parts.append(ResidualTable(reader, shape["number_width"], width, blocks, shape["dropout"]))
    parts.extend(
        Filters(stream, shape["widths"], shape["blocks"], shape["stems"][stream.key], shape["front"])
        for stream in reader.streams
    )
    hidden = 128 if len(parts) > 1 else 0
    return Fused(parts, Head(sum(part.width for part in parts), hidden, outputs, shape["dropout"]))


def _stem(stream: Stream) -> int:
    if stream.kind == "image":
        return stem_for(stream.length * stream.breadth)
    return 2 if stream.kind == "audio" else 1


RUNG = Rung(
    name="resnet",
    era="deep",
    idea=say("rung.resnet"),
    source="He et al., 2016, arXiv 1512.03385; Gorishniy et al., 2021, arXiv 2106.11959",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(2.0, image=6.0, audio=3.0),
    needs_torch=True,
)

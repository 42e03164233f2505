"""Convolutions: small filters that slide over pictures, tokens, spectrograms and sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yunti.ladders.prediction.fit import (
    MUON_ROWS,
    REASONS,
    augment_for,
    batch_for,
    epochs_for,
    needs_kind,
    rounded,
    smoothing_for,
    stem_for,
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
    return needs_kind(spec, "text", "image", "audio", "sequence")


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    from yunti.data.encode import Encoder, Reading
    from yunti.models.blueprint import Blueprint
    from yunti.models.network import Network

    def reader(spec: Spec) -> Encoder:
        return Encoder(spec.columns, Reading())

    return Network(spec, Blueprint("convnet", reader, design, assemble), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive widths and recipe from rows, columns and the dial."""
    from yunti.models.blueprint import Design

    has_text = bool(spec.of_kind("text"))
    muon = spec.rows >= MUON_ROWS and not has_text
    recipe = Recipe(
        batch=batch_for(spec.rows),
        epochs=epochs_for(spec.rows, 25 if has_text else 50, 40),
        learning_rate=6e-3 if muon else 2e-3 if has_text else 4e-3,
        weight_decay=0.02,
        optimiser="muon" if muon else "adamw",
        schedule="linear",
        warmup=0.15,
        smoothing=smoothing_for(spec),
        clip=5.0,
        rates=(("head", 0.5),) if muon else (),
        augment=augment_for(spec),
    )
    shape = {
        "widths": {stream.key: _widths(stream.kind, size.dial) for stream in reader.streams},
        "stems": {stream.key: _stem(stream) for stream in reader.streams},
        "front": rounded(size.dial * 96),
        "number_width": 8,
        "dropout": 0.4 if has_text else 0.15,
    }
    reasons = {
        **REASONS,
        "widths": say("convnet.widths", dial=size.dial),
        "stems": say("why.stems"),
        "optimiser": say("why.muon", rows=MUON_ROWS),
    }
    return Design(shape, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.inputs import table_parts
    from yunti.models.layers import Fused, Head
    from yunti.models.vision import Filters

    parts = table_parts(reader, shape["number_width"])
    hidden = 128 if parts or len(reader.streams) > 1 else 0
    for stream in reader.streams:
        parts.append(Filters(stream, shape["widths"][stream.key], 0, shape["stems"][stream.key], shape["front"]))
    return Fused(parts, Head(sum(part.width for part in parts), hidden, outputs, shape["dropout"]))


def _widths(kind: str, dial: float) -> list[int]:
    widths = {"text": (96,), "image": (16, 32, 64, 128), "audio": (24, 48, 96), "sequence": (64, 128)}[kind]
    return [rounded(dial * width) for width in widths]


def _stem(stream: Stream) -> int:
    if stream.kind == "image":
        return stem_for(stream.length * stream.breadth)
    return 2 if stream.kind == "audio" else 1


RUNG = Rung(
    name="convnet",
    era="deep",
    idea=say("rung.convnet"),
    source="LeCun et al., 1998; Kim, 2014, arXiv 1408.5882; Ioffe and Szegedy, 2015, arXiv 1502.03167",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(3.0, image=6.0, audio=4.0),
    needs_torch=True,
)

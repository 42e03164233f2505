"""LSTM layers that read texts, sounds and sequences step by step, and pictures line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yunti.ladders.prediction.fit import (
    REASONS,
    augment_for,
    batch_for,
    epochs_for,
    needs_kind,
    rounded,
    smoothing_for,
)
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.blueprint import Design, Reader

_STEPS = 128  # a layer takes its steps one after the other: longer rows are folded or cut


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return needs_kind(spec, "text", "image", "audio", "sequence")


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    from yunti.data.encode import Encoder, Reading
    from yunti.models.blueprint import Blueprint
    from yunti.models.network import Network

    def reader(spec: Spec) -> Encoder:
        return Encoder(spec.columns, Reading(tokens=_STEPS, side=48))

    return Network(spec, Blueprint("recurrent", reader, design, assemble), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive widths and recipe from rows, columns and the dial."""
    from yunti.models.blueprint import Design

    has_text = bool(spec.of_kind("text"))
    recipe = Recipe(
        batch=batch_for(spec.rows),
        epochs=epochs_for(spec.rows, 30 if has_text else 50, 40),
        learning_rate=3e-3,
        weight_decay=0.02,
        schedule="linear",
        warmup=0.1,
        smoothing=smoothing_for(spec),
        augment=augment_for(spec),
    )
    shape = {
        "width": rounded(size.dial * (64 if spec.rows < 5000 else 96)),
        "layers": 1 if has_text else 2,
        "front": rounded(size.dial * 96),
        "number_width": 8,
        "dropout": 0.3 if has_text else 0.2,
        "folds": {stream.key: _fold(stream.length) for stream in reader.streams if stream.kind != "text"},
    }
    reasons = {
        **REASONS,
        "width": say("recurrent.width", dial=size.dial),
        "layers": say("recurrent.layers"),
        "folds": say("recurrent.folds", steps=_STEPS),
    }
    return Design(shape, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.inputs import table_parts
    from yunti.models.layers import Fused, Head
    from yunti.models.recurrent import Memory

    parts = table_parts(reader, shape["number_width"])
    hidden = 128 if parts or len(reader.streams) > 1 else 0
    for stream in reader.streams:
        fold = shape["folds"].get(stream.key, 1)
        parts.append(Memory(stream, shape["front"], shape["width"], shape["layers"], shape["dropout"], fold))
    return Fused(parts, Head(sum(part.width for part in parts), hidden, outputs, shape["dropout"]))


def _fold(length: int) -> int:
    return max(1, -(-length // _STEPS))


RUNG = Rung(
    name="recurrent",
    era="deep",
    idea=say("rung.recurrent"),
    source="Hochreiter and Schmidhuber, 1997, Long short-term memory; Graves and Schmidhuber, 2005",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(3.0, image=1.0),
    needs_torch=True,
)

"""Layers of neurons on embedded columns: an ensemble of networks that share nearly all their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yunti.ladders.prediction.fit import rounded, too_few_rows
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.models.recipe import Augment, Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

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
        return Encoder(spec.columns, Reading(side=32, tokens=200))

    return Network(spec, Blueprint("mlp", reader, design, assemble), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive widths and recipe from rows, columns and the dial."""
    from yunti.models.blueprint import Design

    table_only = not reader.streams
    width = rounded(size.dial * (192 if spec.rows < 20_000 else 256))
    members = (16 if spec.rows < 10_000 else 8) if table_only else 4
    batch = 256 if spec.rows >= 10_000 else 128 if spec.rows >= 2000 else 32 if spec.rows >= 200 else 16
    steps = min(8000, max(800, 60 * (spec.rows / batch) ** 0.75)) if table_only else 2500
    epochs = max(3.0, round(steps * batch / max(1, spec.rows)))
    recipe = Recipe(
        batch=batch,
        epochs=epochs,
        learning_rate=2e-3,
        weight_decay=0.02,
        smoothing=0.0 if table_only or spec.task.metric == "log_loss" else 0.05,
        rates=(("tokens", 2.0),),
        augment=Augment(shift=0.06, noise=0.1, drop=0.1),
    )
    shape = {
        "width": width,
        "depth": 2 if table_only else 1,
        "members": members,
        "number_width": 12,
        "stream_width": rounded(size.dial * 256),
        "token_width": 96,
        "dropout": 0.1 if table_only else 0.25,
    }
    reasons = {
        "width": say("mlp.width", dial=size.dial),
        "members": say("mlp.members"),
        "batch": say("mlp.batch", rows=spec.rows),
        "epochs": say("mlp.epochs", steps=steps),
        "learning_rate": say("mlp.learning rate"),
        "dropout": say("mlp.dropout"),
    }
    return Design(shape, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module."""
    from yunti.models.inputs import plain_part, table_parts
    from yunti.models.layers import Fused, Members

    parts = table_parts(reader, shape["number_width"])
    widths = {"text": shape["token_width"]}
    parts.extend(plain_part(stream, widths.get(stream.kind, shape["stream_width"])) for stream in reader.streams)
    width = sum(part.width for part in parts)
    hidden = [shape["width"]] * shape["depth"]
    return Fused(parts, Members(width, hidden, shape["members"], outputs, shape["dropout"]))


RUNG = Rung(
    name="mlp",
    era="deep",
    idea=say("rung.mlp"),
    source="Gorishniy et al., 2025, TabM, arXiv 2410.24210; Holzmüller et al., 2024, RealMLP, arXiv 2407.04491",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(4.0, image=1.5, audio=1.5, text=2.0, sequence=2.0),
    needs_torch=True,
)

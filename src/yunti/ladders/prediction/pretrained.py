"""What a pretrained model makes of texts, pictures or sounds, frozen, with a small network on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from yunti.ladders.prediction.base import unfit_for, usual_reasons
from yunti.ladders.prediction.fit import augment_on, batch_for, epochs_for, rounded
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.blueprint import Design, Reader


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network; the pretrained model is loaded when training or restoring begins."""
    from yunti.data.encode import Reading
    from yunti.models.blueprint import Blueprint
    from yunti.models.network import Network
    from yunti.models.pretrained.frozen import PretrainedReader

    def reader(spec: Spec) -> PretrainedReader:
        return PretrainedReader(spec.columns, Reading(side=32, tokens=200), spec.pretrained or "", spec.device)

    def read_flops(reader: Reader) -> float:
        assert isinstance(reader, PretrainedReader)
        return reader.flops

    return Network(spec, Blueprint("pretrained", reader, design, assemble, read_flops=read_flops), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive the width of the head and the recipe."""
    from yunti.models.blueprint import Design
    from yunti.models.pretrained.frozen import PretrainedReader

    assert isinstance(reader, PretrainedReader)
    recipe = Recipe(
        batch=batch_for(spec.rows),
        epochs=epochs_for(spec.rows, 80, 80),
        learning_rate=1e-3,
        weight_decay=0.05,
        augment=augment_on(spec, reader.streams),
    )
    shape = {
        "width": rounded(size.dial * 256),
        "members": 8,
        "number_width": 12,
        "stream_width": 128,
        "token_width": 96,
        "dropout": 0.3,
    }
    reasons = {
        **usual_reasons(recipe),
        "width": say("pretrained.width", dial=size.dial),
        "members": say("pretrained.members"),
    }
    base = reader.base
    told = {"base": base.place, "base_parameters": base.parameters, "base_sha256": base.weights_sha256}
    return Design(shape, recipe, reasons, told)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module that stands on the frozen vectors."""
    from yunti.models.inputs import plain_part, table_parts
    from yunti.models.layers import Fused, Members

    parts = table_parts(reader, shape["number_width"])
    widths = {"text": shape["token_width"]}
    parts.extend(plain_part(stream, widths.get(stream.kind, shape["stream_width"])) for stream in reader.streams)
    width = sum(part.width for part in parts)
    return Fused(parts, Members(width, [shape["width"]], shape["members"], outputs, shape["dropout"]))


RUNG = Rung(
    name="pretrained",
    era="large",
    idea=say("rung.pretrained"),
    source="Kornblith et al., 2019, Do better ImageNet models transfer better?; Wolf et al., 2020, Transformers",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(4.0),
    needs_torch=True,
    pilots=False,
)

"""What a pretrained model makes of texts or pictures, frozen, with a small network on top."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yunti.ladders.prediction.fit import REASONS, augment_for, batch_for, epochs_for, rounded, too_few_rows
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.network import Design, Reader


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None; looks at the folder's files, never at weights."""
    if spec.pretrained is None:
        return say("unfit.no model")
    if importlib.util.find_spec("transformers") is None:
        return say("unfit.no transformers")
    if reason := too_few_rows(spec):
        return reason
    folder = Path(spec.pretrained)
    if not folder.is_dir():
        is_name = spec.pretrained.count("/") <= 1 and not spec.pretrained.startswith((".", "/", "~"))
        return None if is_name else say("unfit.no folder", folder=spec.pretrained)
    return _unfit_folder(folder, spec)


def _unfit_folder(folder: Path, spec: Spec) -> str | None:
    if not (folder / "config.json").is_file():
        return say("unfit.no config", folder=folder)
    if not any(folder.glob("*.safetensors")):
        return say("unfit.no weights", folder=folder)
    try:
        config = json.loads((folder / "config.json").read_text())
    except ValueError:
        return say("unfit.not JSON", folder=folder)
    kind = "text" if "vocab_size" in config else "image"
    if not any(column.kind == kind for column in spec.columns):
        return say("unfit.texts" if kind == "text" else "unfit.images")
    return None


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network; the pretrained model is loaded when training or restoring begins."""
    from yunti.data.encode import Reading
    from yunti.models.network import Blueprint, Network
    from yunti.models.pretrained.frozen import PretrainedReader

    def reader(spec: Spec) -> PretrainedReader:
        return PretrainedReader(spec.columns, Reading(side=32, tokens=200), spec.pretrained or "")

    return Network(spec, Blueprint("pretrained", reader, design, assemble), size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive the width of the head and the recipe."""
    from yunti.models.network import Design

    recipe = Recipe(
        batch=batch_for(spec.rows),
        epochs=epochs_for(spec.rows, 80, 80),
        learning_rate=1e-3,
        weight_decay=0.05,
        augment=augment_for(spec),
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
        **REASONS,
        "width": say("pretrained.width", dial=size.dial),
        "members": say("pretrained.members"),
    }
    return Design(shape, recipe, reasons)


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
)

"""A pretrained model that learns through low-rank adapters beside all its linear layers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from yunti.ladders.prediction import base
from yunti.ladders.prediction.base import (
    LEAST_STEPS_ADAPTED,
    build_on,
    is_short,
    passes,
    reasons_for,
    recipe_for,
    shape_for,
    told_of,
    whole_rate,
)
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from yunti.models.blueprint import Design, Reader

RANKS = (16, 32, 64)
_BITS_A_PARAMETER = 2.0  # what a weight can hold (Allen-Zhu and Li, 2024, arXiv 2404.05405)
_BITS_A_VALUE = 16.0  # of an answer that is a number
_FASTER, _FASTER_IF_SHORT = 10.0, 15.0  # times the rate at which all weights would learn


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None; of weights only the shapes are looked at."""
    if (reason := base.unfit_for(spec)) or not Path(spec.pretrained or "").is_dir():
        return reason
    from yunti.models.hub import has_matrices

    return None if has_matrices(Path(spec.pretrained or "")) else say("unfit.no linear", folder=spec.pretrained)


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network; the pretrained model is loaded when training or restoring begins."""
    return build_on("lora", spec, size, design, rank=True)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive rank, head and recipe."""
    from yunti.models.blueprint import Design
    from yunti.models.lora import linear_sizes
    from yunti.models.pretrained.tuned import TunedReader

    assert isinstance(reader, TunedReader)
    model, recipe = reader.base, recipe_for(spec, reader, 1.0)
    faster = _FASTER_IF_SHORT if is_short(recipe, spec.rows) else _FASTER
    rank = rank_for(label_bits(spec), sum(linear_sizes(model.skeleton)))
    reasons = {
        **reasons_for(size, recipe),
        "rank": say("lora.rank"),
        "learning_rate": say("lora.learning rate", times=faster, usual=whole_rate(model.width)),
    }
    recipe = recipe_for(spec, reader, faster * whole_rate(model.width))
    return Design({"rank": rank, **shape_for(size)}, replace(recipe, weight_decay=0.0), reasons, told_of(reader))


def label_bits(spec: Spec) -> float:
    """Return how much there is to learn at most, in bits: that of all answers."""
    each = math.log2(max(2, spec.outputs)) if spec.task.name == "classification" else _BITS_A_VALUE
    return spec.rows * each


def rank_for(bits: float, width: int) -> int:
    """Return the least rank whose adapters can hold all answers, from 16 to 64.

    Source: Schulman et al., 2025, LoRA without regret: adapters learn as whole models do while they can hold the data.

    Args:
        bits: of all answers.
        width: inputs and outputs of all adapted layers added up: what one rank has in weights.

    Example:
        >>> rank_for(1e5, 41_472), rank_for(3e6, 41_472), rank_for(1e9, 41_472)
        (16, 64, 64)
    """
    return next((rank for rank in RANKS if _BITS_A_PARAMETER * rank * width > bits), RANKS[-1])


RUNG = Rung(
    name="lora",
    era="large",
    idea=say("rung.lora"),
    source="Hu et al., 2022, LoRA, arXiv 2106.09685; Schulman et al., 2025, LoRA without regret",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(4.0),
    needs_torch=True,
    pilots=False,
    stands_on="pretrained",
    passes=lambda spec: passes(spec, LEAST_STEPS_ADAPTED),
)

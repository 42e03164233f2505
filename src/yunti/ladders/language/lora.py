"""A pretrained language model that learns through low-rank adapters beside its linear layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yunti.ladders.language.base import (
    base_of,
    batch_for,
    build_on,
    tokens_in,
    told_of,
    tuned_epochs,
    unfit_for,
    whole_rate,
)
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from yunti.models.blueprint import Design, Reader

_FASTER = 10.0  # times the rate at which all weights would learn
_SMALL, _LARGE, _MANY = 16, 64, 2e6


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network; the pretrained model is loaded when training or restoring begins."""
    return build_on("lora", spec, size, design, "adapters")


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive the rank and the recipe."""
    from yunti.models.blueprint import Design
    from yunti.models.causal_texts import LONGEST_WINDOW

    context, tokens = base_of(reader).context, tokens_in(spec)
    recipe = Recipe(
        batch=batch_for(context),
        epochs=tuned_epochs(tokens),
        learning_rate=_FASTER * whole_rate(reader),
        weight_decay=0.0,
        schedule="wsd",
        warmup=0.05,
        decay=0.5,
    )
    reasons = {
        "rank": say("writer.rank", many=_MANY),
        "learning_rate": say("writer.adapters rate", times=_FASTER),
        "epochs": say("writer.epochs"),
        "context": say("writer.context", most=LONGEST_WINDOW),
    }
    return Design({"context": context, "rank": _SMALL if tokens < _MANY else _LARGE}, recipe, reasons, told_of(reader))


RUNG = Rung(
    name="lora",
    era="large",
    idea=say("rung.adapted writer"),
    source="Hu et al., 2022, LoRA, arXiv 2106.09685; Schulman et al., 2025, LoRA without regret",
    unfit_for=unfit_for,
    build=build,
    share=lambda _spec: 6.0,
    needs_torch=True,
    pilots=False,
)

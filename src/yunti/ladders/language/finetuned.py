"""A pretrained language model all of whose weights learn on."""

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


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network; the pretrained model is loaded when training begins, and never again after it."""
    return build_on("finetuned", spec, size, design, "all")


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive the recipe."""
    from yunti.models.blueprint import Design
    from yunti.models.causal_texts import LONGEST_WINDOW

    context = base_of(reader).context
    recipe = Recipe(
        batch=batch_for(context),
        epochs=tuned_epochs(tokens_in(spec)),
        learning_rate=whole_rate(reader),
        weight_decay=0.01,
        schedule="wsd",
        warmup=0.1,
        decay=0.5,
    )
    reasons = {
        "learning_rate": say("writer.whole rate"),
        "epochs": say("writer.epochs"),
        "context": say("writer.context", most=LONGEST_WINDOW),
    }
    return Design({"context": context}, recipe, reasons, told_of(reader))


RUNG = Rung(
    name="finetuned",
    era="large",
    idea=say("rung.tuned writer"),
    source="Howard and Ruder, 2018, arXiv 1801.06146; Radford et al., 2018, Improving language understanding",
    unfit_for=unfit_for,
    build=build,
    share=lambda _spec: 6.0,
    needs_torch=True,
    pilots=False,
)

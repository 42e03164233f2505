"""A pretrained model all of whose weights learn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yunti.ladders.prediction.base import (
    LEAST_STEPS_WHOLE,
    build_on,
    passes,
    reasons_for,
    recipe_for,
    shape_for,
    told_of,
    unfit_for,
    whole_rate,
)
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Size
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from yunti.models.blueprint import Design, Reader


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network; the pretrained model is loaded when training or restoring begins."""
    return build_on("finetuned", spec, size, design, rank=False)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive the head and the recipe."""
    from yunti.models.blueprint import Design
    from yunti.models.pretrained.tuned import TunedReader

    assert isinstance(reader, TunedReader)
    recipe = recipe_for(spec, reader, whole_rate(reader.base.width))
    reasons = {**reasons_for(size, recipe), "learning_rate": say("finetuned.learning rate", width=reader.base.width)}
    return Design(shape_for(size), recipe, reasons, told_of(reader))


RUNG = Rung(
    name="finetuned",
    era="large",
    idea=say("rung.finetuned"),
    source="Howard and Ruder, 2018, arXiv 1801.06146; Devlin et al., 2019, BERT, arXiv 1810.04805",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(4.0),
    needs_torch=True,
    pilots=False,
    stands_on="pretrained",
    passes=lambda spec: passes(spec, LEAST_STEPS_WHOLE),
)

"""A pretrained language model as it is: nothing is learned, its texts are only scored."""

from __future__ import annotations

from yunti.ladders.language.base import unfit_for
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.specs import Spec
from yunti.words import say


def build(spec: Spec, size: Size) -> Model:
    """Make the model; the pretrained one is loaded when it is trained or restored."""
    from yunti.models.causal_texts import ZeroShot

    return ZeroShot(spec, size)


RUNG = Rung(
    name="pretrained",
    era="large",
    idea=say("rung.pretrained writer"),
    source="Radford et al., 2019, Language models are unsupervised multitask learners; Wolf et al., 2020, Transformers",
    unfit_for=unfit_for,
    build=build,
    share=lambda _spec: 2.0,
    needs_torch=True,
    pilots=False,
)

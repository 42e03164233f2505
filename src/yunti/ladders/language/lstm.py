"""A recurrent network: all that stands before, in a state of fixed size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from yunti.ladders.language.counted import too_few_texts
from yunti.ladders.language.reading import (
    batch_for,
    coder_of,
    context_for,
    epochs_for,
    packed_network,
    surprised,
    tokens_of,
)
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.recipe import Recipe
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.blueprint import Design, Reader

_LAYERS = 2
_USUAL = (1e6, 256)  # tokens, and units that suit them
_NARROWEST, _WIDEST = 64, 1024
_MANY, _DROPOUT = 2.0, 0.2  # weights for a token, from which on a share of numbers and of recurrent weights is hidden


def build(spec: Spec, size: Size) -> Model:
    """Make the untrained network."""
    return packed_network("lstm", design, assemble, spec, size)


def design(spec: Spec, reader: Reader, size: Size) -> Design:
    """Derive the units from the tokens there are: four times the weights for sixteen times the text."""
    from yunti.models.blueprint import Design
    from yunti.models.lstm_language import LstmShape

    tokens, vocabulary, context = tokens_of(spec), coder_of(reader).size, context_for(spec)
    suited = np.clip(_USUAL[1] * (tokens / _USUAL[0]) ** 0.25, _NARROWEST, _WIDEST)
    width = 16 * max(1, round(size.dial * float(suited) / 16))
    per_token = (vocabulary * width + 8 * _LAYERS * width**2) / max(1, tokens)
    dropout = _DROPOUT if per_token > _MANY else 0.0
    shape = LstmShape(vocabulary, width, width, _LAYERS, dropout, dropout)
    reasons = {"width": say("lstm.width"), "dropout": say("decoder.dropout", per_token=per_token)}
    recipe = Recipe(
        batch=batch_for(context),
        epochs=epochs_for(tokens),
        learning_rate=5e-3,
        weight_decay=0.01,
        schedule="wsd",
        warmup=0.02,
        decay=0.5,
        clip=1.0,
    )
    return Design(asdict(shape) | {"context": context}, recipe, reasons)


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module; its state has no end, the context is only that of the windows it learns from."""
    from yunti.models.lstm_language import LstmLanguage, LstmShape

    sizes = {name: value for name, value in shape.items() if name != "context"}
    return surprised(LstmLanguage(LstmShape(**sizes)), reader)


RUNG = Rung(
    name="lstm",
    era="deep",
    idea=say("rung.lstm"),
    source="Hochreiter and Schmidhuber, 1997; Merity, Keskar and Socher, 2018, AWD-LSTM, arXiv 1708.02182",
    unfit_for=too_few_texts,
    build=build,
    share=lambda _spec: 4.0,
    needs_torch=True,
)

"""Decoders and recurrent language models as parts of the product: sizes, gradients, learning, files, and refusals."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace

import pytest
import torch

from yunti.errors import OptionError, SourceError
from yunti.models.decoder import Decoder
from yunti.models.decoder_size import DecoderShape, derive
from yunti.models.exchange import configuration, read_transformers, write_transformers
from yunti.models.lstm_language import LstmLanguage, LstmShape
from yunti.models.recipe import Recipe
from yunti.models.token_module import TokenModule
from yunti.training.optimisers import advance, optimisers_for

SHAPE = DecoderShape(vocabulary=20, width=32, depth=2, heads=4, key_value_heads=2, context=32)
SHAPES = [
    SHAPE,
    replace(SHAPE, tied=False, cap=15.0, dropout=0.1),
    LstmShape(vocabulary=20, width=16, hidden=24, layers=2),
    LstmShape(vocabulary=20, width=16, hidden=24, layers=3, dropout=0.2, weight_dropout=0.3),
]


def made(shape) -> TokenModule:
    torch.manual_seed(0)
    return LstmLanguage(shape) if isinstance(shape, LstmShape) else Decoder(shape)


def sentences(rows=16, steps=25):
    """Every token is two more than the one before it."""
    return (torch.randint(20, (rows, 1)) + 2 * torch.arange(steps)) % 20


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_language_model_learns_and_every_weight_takes_part(shape, optimiser):
    module = made(shape)
    optimisers = optimisers_for(module, Recipe(16, 1, 0.01, optimiser=optimiser))
    moved = {name: 0.0 for name, _ in module.named_parameters()}
    losses = []
    for _ in range(60):
        loss = module.loss(sentences())
        loss.backward()
        for name, parameter in module.named_parameters():
            moved[name] += float(parameter.grad.abs().sum())
        advance(optimisers)
        losses.append(loss.item())
    assert min(moved.values()) > 0
    assert losses[0] == pytest.approx(3.0, abs=0.25)  # ln 20
    assert losses[-1] < losses[0] - 0.4


@pytest.mark.parametrize("shape", SHAPES)
def test_the_state_leaves_and_comes_back(shape):
    one, two = made(shape).eval(), LstmLanguage(shape) if isinstance(shape, LstmShape) else Decoder(shape)
    two.load_state_dict(one.state_dict())
    tokens = sentences()
    assert torch.equal(two.eval()({"tokens": tokens}), one({"tokens": tokens}))


def test_dropout_of_an_lstm_is_the_same_at_all_steps_of_a_row():
    module = made(LstmShape(vocabulary=20, width=64, hidden=24, layers=1, dropout=0.5))
    states = module.states(sentences())
    hidden = (states == 0).all(dim=1)
    assert torch.equal(hidden, (states == 0).any(dim=1))
    assert 0.3 < hidden.float().mean() < 0.7


def test_a_step_costs_what_it_costs_however_long_the_text_is():
    decoder = Decoder(replace(derive(4, 65, 10**6).shape, context=1024)).eval()
    tokens = torch.randint(65, (1, 600))

    def seconds(run, times=7):
        took = []
        for _ in range(times):
            began = time.thread_time()
            run()
            took.append(time.thread_time() - began)
        return statistics.median(took)

    early, late = decoder.begin(tokens[:, :32]), decoder.begin(tokens[:, :512])
    cached = seconds(lambda: late.step(tokens[:, 0]))
    with torch.no_grad():
        anew = seconds(lambda: decoder({"tokens": tokens[:, :512]}), 3)
    assert anew > 5 * cached
    assert cached < 2 * seconds(lambda: early.step(tokens[:, 0]))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6, 8, 12, 13, 20, 32])
@pytest.mark.parametrize("tokens", [1000, 1_000_000, 10**10])
def test_every_depth_has_sizes_that_fit_each_other(depth, tokens):
    derived = derive(depth, 32_768, tokens)
    shape = derived.shape
    assert shape.width == 64 * depth
    assert shape.head_width in (32, 64, 128)
    assert 64 <= shape.context <= 2048
    assert set(derived.reasons) <= set(vars(shape))
    assert shape.dropout == (0.2 if shape.parameters > tokens else 0)


def test_a_larger_depth_is_a_larger_model():
    sizes = [derive(depth, 65, 10**6).shape for depth in range(1, 13)]
    assert [each.parameters for each in sizes] == sorted(each.parameters for each in sizes)
    assert [each.context for each in sizes] == sorted(each.context for each in sizes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"width": 36}, "model.width: it must be a multiple of 8, but it is 36; choose 40."),
        ({"key_value_heads": 3}, "model.heads: it must be a multiple of 3, but it is 4; choose 6."),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, told):
    with pytest.raises(OptionError, match=told):
        replace(SHAPE, **change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "llama"}, "model_type must be 'nanochat', but it is 'llama'"),
        ({"hidden_act": "silu"}, "hidden_act must be 'relu2', but it is 'silu'"),
        ({"intermediate_size": 100}, "intermediate_size must be 128, but it is 100"),
        ({"num_hidden_layers": 3}, "its weights must be those that config.json tells of"),
    ],
)
def test_another_architecture_is_refused(change, told, tmp_path):
    write_transformers(made(SHAPE), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(configuration(SHAPE) | change))
    with pytest.raises(SourceError, match=told):
        read_transformers(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"it must hold config\.json"):
        read_transformers(tmp_path)

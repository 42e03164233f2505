"""Losses other than the task's own: two networks that play against each other, and alignments of sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from small import RECIPE, number_network, number_rows, settings
from yunti.models.blueprint import Turn
from yunti.models.contract import Watch
from yunti.training import train
from yunti.training.group import ALONE
from yunti.training.laying import lay_out
from yunti.training.loop import Descent

FP32 = settings()
EACH_STEP = settings(engine__checkpoint_seconds=0.0)
VALID = number_rows(60, 1)
NONE = VALID.take(slice(0, 0))  # nothing to judge a game by: the last weights are kept


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YUNTI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class Game(nn.Module):
    """A generator of numbers, and a discriminator that tells them from real ones."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(1, 1)
        self.discriminator = nn.Sequential(nn.Linear(1, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def made(self, rows):
        return self.generator(torch.randn(rows, 1))

    def forward(self, batch):
        return self.discriminator(batch["numbers"][:, :1]).expand(-1, 3)[:, None] * torch.tensor([0.0, 1.0, 2.0])


def judged(module, numbers, real):
    logits = module.discriminator(numbers)
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def telling_apart(module, batch, _target):
    real = batch["numbers"][:, :1]
    return judged(module, real, True) + judged(module, module.made(len(real)).detach(), False)


def deceiving(module, batch, _target):
    return judged(module, module.made(len(batch["numbers"])), True)


TURNS = (Turn(telling_apart, "discriminator"), Turn(deceiving, "generator"))


def playing(turns=TURNS, **recipe):
    return number_network(replace(RECIPE, **recipe), turns=turns, assemble=lambda *_: Game())


def start(network, rows):
    """Return the loop before its first step, with the generator far from the data."""
    network.settings = FP32
    network.prepare(rows)
    material = lay_out(network, rows, NONE, Watch(), ALONE)
    with torch.no_grad():
        network.module.generator.bias.fill_(3.0)
    return Descent(network, material, Watch(), None)


def copied(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def changed(module, before):
    return {name.partition(".")[0] for name, value in module.named_parameters() if not torch.equal(value, before[name])}


@pytest.mark.parametrize(("turn", "part"), [(TURNS[0], "discriminator"), (TURNS[1], "generator")])
def test_a_turn_changes_its_own_parameters_only(turn, part):
    descent = start(playing((turn,)), number_rows(128))
    before = copied(descent.network.module)
    descent.run()
    assert changed(descent.network.module, before) == {part}


def mean_made(network):
    return network.module.made(4000).mean().item()


def test_made_numbers_move_to_the_mean_of_the_data():
    network = playing(epochs=60, learning_rate=0.02, schedule="linear", weight_decay=0.0)
    descent = start(network, number_rows(256))
    assert mean_made(network) == pytest.approx(3.0, abs=0.3)
    descent.run()
    assert mean_made(network) == pytest.approx(0.0, abs=0.5)


def test_an_alignment_is_lowered_as_any_loss():
    """CTC (Graves et al., 2006) of rows whose three numbers are read as a sequence of three steps."""
    wanted = torch.tensor([[1, 2]])

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 4 * 5)

        def forward(self, batch):
            return self.layer(batch["numbers"])[:, None, :3]

    def alignment(module, batch, _target):
        steps = module.layer(batch["numbers"]).unflatten(1, (5, 4)).transpose(0, 1).log_softmax(dim=2)
        count = steps.shape[1]
        lengths = torch.full((count,), 5), torch.full((count,), 2)
        return F.ctc_loss(steps, wanted.expand(count, -1), *lengths)

    network = number_network(
        replace(RECIPE, epochs=10, learning_rate=0.1), turns=(Turn(alignment),), assemble=lambda *_: Reader()
    )
    train(network, number_rows(256), NONE, Watch(), FP32)
    losses = [line["loss"] for line in network.history]
    assert losses[-1] < 0.5 * losses[0]
    values = network.batch(network.encode(VALID.table), np.arange(60))
    with torch.no_grad():
        best = network.module.layer(values["numbers"]).unflatten(1, (5, 4)).argmax(dim=2)
    read = [[int(each) for each in torch.unique_consecutive(row) if each] for row in best]
    assert read.count([1, 2]) > 50

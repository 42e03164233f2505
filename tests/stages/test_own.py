"""A module of one's own: what it is given, what it may answer, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import yunti
from yunti.errors import OptionError, RungError
from yunti.models.rearrange import rearranged

SHORT = {"training.epochs": 2}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path / "cache"))


def seen_by(shapes: list[tuple[int, ...]]) -> nn.Module:
    class Looking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(10))

        def forward(self, rows):
            shapes.append(tuple(rows.shape[1:]))
            return self.bias.expand(len(rows), -1)

    return Looking()


def test_the_module_itself_is_trained_and_learns():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    before = net[1].weight.detach().clone()
    run = yunti.fit(net, "sample:digits", settings={"training.epochs": 15})
    assert run.valid > 0.85
    assert run.test is not None and run.low < run.test < run.high
    assert run.scores["accuracy"] == run.test
    assert not torch.equal(net[1].weight, before)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def test_pictures_come_with_their_channels_first():
    shapes: list[tuple[int, ...]] = []
    yunti.fit(seen_by(shapes), "sample:digits", settings=SHORT)
    assert set(shapes) == {(1, 8, 8)}


def test_a_function_is_given_the_shape_of_a_row_and_the_outputs(tmp_path):
    asked = []

    def make(inputs, outputs):
        asked.append((inputs, outputs))
        return nn.Linear(*inputs, 1)

    table = tmp_path / "t.csv"
    random = np.random.default_rng(0)
    numbers, letters = random.normal(size=200), random.integers(0, 3, 200)
    answers = numbers + random.normal(scale=0.5, size=200) > 0  # a column that gives all answers away is left out
    known = zip(numbers, letters, answers, strict=True)
    rows = [f"{a:.3f},{'xyz'[b]},{'yes' if c else 'no'}" for a, b, c in known]
    table.write_text("\n".join(["a,b,c", *rows]))
    run = yunti.fit(make, table, target="c", settings={"training.epochs": 40, "training.learning_rate": 0.05})
    assert set(asked) == {((1 + 4,), 2)}  # a number, and three categories with one more for what is unknown
    assert run.valid > 0.7


def test_columns_of_several_sorts_are_refused_where_a_shape_is_needed(tmp_path):
    table = tmp_path / "t.csv"
    words = ["a long sentence about apples", "some words on rivers and boats", "stones are heavy and grey"]
    rows = [f"{words[n % 3]} number {n},{n * 7 % 31},{'no' if n % 2 else 'yes'}" for n in range(120)]
    table.write_text("\n".join(["text,size,c", *rows]))
    with pytest.raises(RungError, match="columns of one sort"):
        yunti.fit(lambda inputs, outputs: nn.Linear(1, outputs), table, target="c", settings=SHORT)


def test_an_answer_of_another_width_is_refused():
    with pytest.raises(RungError, match="10 numbers"):
        yunti.fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), "sample:digits", settings=SHORT)


def test_a_folder_of_other_data_is_refused_and_its_own_goes_on(tmp_path: Path):
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    first = yunti.fit(net(), "sample:digits", settings=SHORT, out=tmp_path / "run")
    again = yunti.fit(net(), "sample:digits", settings=SHORT, out=tmp_path / "run")
    assert again.history == first.history
    with pytest.raises(OptionError, match="name a new folder"):
        yunti.fit(net(), "sample:penguins", settings=SHORT, out=tmp_path / "run")


def test_another_order_computes_the_same_and_gives_the_same_gradients():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5), nn.ReLU())
    pictures = torch.randn(6, 1, 8, 8)
    wanted = plain(pictures)
    wanted.square().sum().backward()
    gradients = [parameter.grad.clone() for parameter in plain.parameters()]
    plain.zero_grad()
    faster = rearranged(plain)
    assert [type(layer).__name__ for layer in faster][1:3] == ["MaxPool2d", "ReLU"]
    made = faster(pictures)
    made.square().sum().backward()
    assert torch.allclose(made, wanted, atol=1e-6)
    for parameter, gradient in zip(plain.parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-5)

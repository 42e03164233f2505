"""What must hold for every network on every kind of column it accepts; a new network adds its name to one line."""

from __future__ import annotations

import importlib
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from contract.rows import KINDS, make_rows, make_spec
from yunti.data.table import Examples, Table
from yunti.models.contract import Size, Watch
from yunti.models.network import Network
from yunti.models.settings import settings_from
from yunti.specs import ColumnSpec, Spec
from yunti.training import laying
from yunti.training.augment import augmented
from yunti.training.group import ALONE
from yunti.training.laying import lay_out
from yunti.training.loop import Descent
from yunti.training.optimisers import advance, optimisers_for
from yunti.training.pace import Pace

NETWORKS = ("mlp", "convnet", "recurrent", "resnet", "transformer")
MIXED = ("number", "category", "text", "image", "sequence")
SMALL = Size(0.25)
ROWS = 60


def rung(name):
    return importlib.import_module(f"yunti.ladders.prediction.{name}").RUNG


def spec_of(kinds, task="classification", seed=0) -> Spec:
    specs = [make_spec(kind, task, ROWS, seed) for kind in kinds]
    return replace(specs[0], columns=tuple(column for each in specs for column in each.columns))


def rows_of(kinds, task="classification", rows=ROWS, seed=0) -> Examples:
    made = [make_rows(kind, task, rows, seed) for kind in kinds]
    table = Table({name: column for each in made for name, column in each.table.columns.items()})
    return replace(made[0], table=table)


def prepared(name, kinds, task="classification", seed=0) -> tuple[Network, Examples]:
    spec = spec_of(kinds, task, seed)
    if reason := rung(name).unfit_for(spec):
        pytest.skip(f"{name} is unfit: {reason}")
    network = rung(name).build(spec, SMALL)
    rows = rows_of(kinds, task)
    network.prepare(rows)
    return network, rows


CASES = [(name, (kind,)) for name in NETWORKS for kind in KINDS] + [(name, MIXED) for name in NETWORKS]


def ids(value):
    return "+".join(value) if isinstance(value, tuple) else value


def loss_of(network, encoded, target, rows):
    return network.loss(network.batch(encoded, rows), torch.from_numpy(target[rows]))


@pytest.fixture(autouse=True)
def one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.mark.parametrize(("name", "kinds"), CASES, ids=ids)
def test_a_gradient_reaches_every_parameter(name, kinds):
    network, rows = prepared(name, kinds)
    encoded, target = network.encode(rows.table), network.objective.encode(rows.target)
    optimisers = optimisers_for(network.module, network.recipe)
    batch = np.arange(ROWS)
    network.module.train()
    for _ in range(3):  # branches begin as nothing: what lies behind them learns from the second step on
        loss_of(network, encoded, target, batch).backward()
        advance(optimisers)
    loss_of(network, encoded, target, batch).backward()
    silent = [
        name
        for name, parameter in network.module.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert not silent
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.module.parameters())


@pytest.mark.parametrize(("name", "kinds"), CASES, ids=ids)
def test_eight_rows_are_learned_by_heart(name, kinds):
    network, rows = prepared(name, kinds)
    few = rows.take(np.array([3, 7, 9, 14, 20, 25, 31, 40]))
    encoded, target = network.encode(few.table), network.objective.encode(few.target)
    optimisers = optimisers_for(network.module, network.recipe)
    network.module.train()
    for _ in range(60):
        loss_of(network, encoded, target, np.arange(8)).backward()
        advance(optimisers)
    assert (network.predict(few.table).argmax(axis=1) == few.target).mean() >= 7 / 8


@pytest.mark.parametrize(("name", "kinds"), CASES, ids=ids)
def test_a_row_is_predicted_alike_alone_and_among_others_and_after_coming_back(name, kinds):
    network, rows = prepared(name, kinds)
    network.module.train()
    loss_of(network, network.encode(rows.table), network.objective.encode(rows.target), np.arange(ROWS))  # norms move
    whole = network.predict(rows.table)
    order = np.random.default_rng(0).permutation(ROWS)
    np.testing.assert_allclose(network.predict(rows.table.take(order)), whole[order], atol=1e-5)
    for row in (0, 5, 17):
        np.testing.assert_allclose(network.predict(rows.table.take(slice(row, row + 1)))[0], whole[row], atol=1e-5)

    parts = network.parts()
    parts.facts = json.loads(json.dumps(parts.facts))
    copy = rung(name).build(network.spec, SMALL)
    copy.restore(parts)
    np.testing.assert_array_equal(copy.predict(rows.table), whole)
    assert copy.parameters == network.parameters
    assert network.predict(rows.table.take(slice(0, 0))).shape == (0, 3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_same_seed_gives_the_same_losses(name, task):
    def losses(seed):
        network, rows = prepared(name, MIXED, task, seed)
        encoded, target = network.encode(rows.table), network.objective.encode(rows.target)
        random = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        found = []
        optimisers = optimisers_for(network.module, network.recipe)
        for _ in range(2):
            network.module.train()
            batch = augmented(
                network.batch(encoded, np.arange(16)), network.reader.streams, network.recipe.augment, random
            )
            loss = network.loss(batch, torch.from_numpy(target[:16]))
            loss.backward()
            advance(optimisers)
            found.append(float(loss.detach()))
        return found

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_whole_engine_trains_it_and_says_what_was_derived(name):
    network, rows = prepared(name, ("image",), "regression")
    told = []
    material = lay_out(network, rows, rows_of(("image",), "regression", 30, seed=1), Watch(), ALONE)
    steps = replace(material.layout.steps, total=12, every=4)
    short = replace(material, layout=replace(material.layout, steps=steps))
    watch = Watch(report=lambda fraction, numbers: told.append(numbers))
    notes = Descent(network, short, watch, None).run()
    assert notes["steps_taken"] == 12
    assert material.judge.has_best
    assert sum("valid" in numbers for numbers in told) == 3
    assert network.train_flops > 1e6
    assert network.parameters > 100
    json.dumps(network.plan)
    for derived in ("batch", "epochs", "learning_rate"):
        assert network.plan[derived]["value"] > 0
        assert len(network.plan[derived]["reason"]) > 10


@pytest.mark.parametrize("name", NETWORKS)
def test_the_dial_makes_it_wider(name):
    spec = spec_of(("image",))
    counts = []
    for dial in (0.5, 1.0, 2.0):
        network = rung(name).build(spec, Size(dial))
        network.prepare(rows_of(("image",)))
        counts.append(network.parameters)
    assert counts[0] < counts[1] < counts[2]


@pytest.mark.parametrize("name", NETWORKS)
def test_adams_rate_is_divided_by_the_dial(name):
    rates = {}
    for dial in (0.25, 1.0):
        network = rung(name).build(spec_of(["image"]), Size(dial))
        network.prepare(rows_of(["image"]))
        rates[dial] = network.recipe.learning_rate
        assert ("divided by the dial" in str(network.plan["learning_rate"])) == (dial != 1)
    assert rates[0.25] == pytest.approx(4 * rates[1.0])
    network.settings = settings_from([("training.learning_rate", 0.005)])
    network.resize(Size(0.5))
    assert network.recipe.learning_rate == 0.005


def test_a_few_rows_or_no_columns_are_refused_with_a_reason():
    for name in NETWORKS:
        few = replace(spec_of(("image",)), rows=20)
        assert "too few" in rung(name).unfit_for(few)
        only_ids = replace(spec_of(("image",)), columns=(ColumnSpec("k", "id"),))
        assert rung(name).unfit_for(only_ids)
        assert rung(name).unfit_for(spec_of(("image",))) is None


def test_convolutions_and_recurrence_refuse_plain_tables():
    for name in ("convnet", "recurrent"):
        assert "there is none" in rung(name).unfit_for(spec_of(("number", "category")))
        assert rung(name).unfit_for(spec_of(("number", "text"))) is None


@pytest.mark.parametrize(("seconds", "dial"), [(1e6, 1.0), (40.0, 0.25)])
def test_a_network_that_would_see_too_little_of_its_recipe_becomes_smaller(monkeypatch, tmp_path, seconds, dial):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path))
    monkeypatch.setattr(laying, "pace_of", lambda bench, _micro: Pace(bench.network.parameters * 1e-5, 1e-9, 1e-9))
    monkeypatch.setattr(laying, "worth_compiling", lambda *_: (False, "not tried here"))
    network = rung("resnet").build(spec_of(("image",)), Size())
    rows = rows_of(("image",))
    network.prepare(rows)
    full = network.parameters
    material = lay_out(network, rows, rows.take(slice(0, 20)), Watch(time.monotonic() + seconds), ALONE)
    assert network.size.dial == dial
    assert network.parameters == full if dial == 1 else network.parameters < full / 5
    assert material.layout.steps.total * network.parameters * 1e-5 <= seconds
    assert ("of its width" in network.plan.get("shortened", "")) == (dial < 1)
    # what was stored is built again as small as it was
    again = rung("resnet").build(network.spec, network.size)
    again.restore(network.parts())
    assert again.parameters == network.parameters

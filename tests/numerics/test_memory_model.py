"""What a step is expected to need of memory, against what torch's allocator was asked for."""

from __future__ import annotations

import gc
import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from contract.rows import make_rows, make_spec
from small import RECIPE, number_network, number_rows
from yunti.devices import Place
from yunti.models.contract import Size, Watch
from yunti.models.settings import Engine
from yunti.training import measuring
from yunti.training.group import ALONE, Team
from yunti.training.measuring import micro_batch, sample_of, step_bytes
from yunti.training.optimisers import advance, optimisers_for, pack
from yunti.training.precision import Precision

NETWORKS = [("mlp", "number"), ("convnet", "image"), ("transformer", "image"), ("transformer", "text")]
ROWS = 192


@pytest.fixture(autouse=True)
def one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("YUNTI_CACHE", str(tmp_path))
    torch.set_num_threads(1)


def prepared(name, kind, optimiser="adamw"):
    rung = importlib.import_module(f"yunti.ladders.prediction.{name}").RUNG
    network, rows = (
        rung.build(make_spec(kind, "classification", ROWS), Size(0.5)),
        make_rows(kind, "classification", ROWS),
    )
    network.prepare(rows)
    return network, rows


def measured_bytes(network, rows):
    """Return the most that a step held at once, beside the weights and with what the optimiser keeps."""
    encoded = network.encode(rows.table)
    target = torch.from_numpy(network.objective.encode(rows.target))
    optimisers = optimisers_for(network.module, network.recipe)
    network.module.train()

    def step():
        torch.autograd.backward(network.loss(network.batch(encoded, np.arange(len(rows))), target))
        advance(optimisers)

    step()  # the optimiser's state is there from the first step on
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as traced:
        step()
    return most_at_once(traced) + sum(value.nbytes for value in pack(optimisers).values())


def most_at_once(traced):
    found = [event for event in traced.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(found, key=lambda event: event.start_ns())]
    assert len(sizes) > 50
    return int(np.cumsum(sizes).max())


@pytest.mark.parametrize(("name", "kind"), NETWORKS)
def test_the_bytes_of_a_step_are_foreseen_within_a_third(name, kind):
    network, rows = prepared(name, kind)
    fixed, each = step_bytes(network, sample_of(network, rows, Watch()))
    for count in (32, ROWS):
        needed = measured_bytes(network, rows.take(slice(0, count)))
        assert fixed + each * count == pytest.approx(needed, rel=0.35)


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd", "muon"])
def test_what_does_not_grow_with_the_rows_is_gradients_and_the_optimisers_state(optimiser):
    network = number_network(replace(RECIPE, optimiser=optimiser))
    rows = number_rows(64)
    network.prepare(rows)
    fixed, _ = step_bytes(network, sample_of(network, rows, Watch()))
    optimisers = optimisers_for(network.module, network.recipe)
    network.loss(
        network.batch(network.encode(rows.table), np.arange(64)), torch.from_numpy(rows.target).long()
    ).backward()
    gradients = sum(each.grad.nbytes for each in network.module.parameters())
    advance(optimisers)
    state = sum(value.nbytes for value in pack(optimisers).values() if value.ndim)
    assert gradients + state <= fixed + 64
    assert fixed <= 1.6 * (gradients + state) + 1024


def test_rows_at_once_are_halved_until_they_fit(monkeypatch):
    network, rows = prepared("mlp", "number")
    sample = sample_of(network, rows, Watch())
    fixed, each = step_bytes(network, sample)
    batch = network.recipe.batch
    for parts in (1, 2, 4, 8):
        enough = (fixed + each * batch / parts) / 0.7 + 1
        monkeypatch.setattr(measuring, "available_bytes", lambda enough=enough: int(enough))
        micro, reason = micro_batch(network, sample)
        assert micro == batch // parts
        assert f"{enough / 2**20:,.0f} free" in reason
        assert ("the whole batch" if parts == 1 else f"{micro} rows at once") in reason
    monkeypatch.setattr(measuring, "available_bytes", lambda: 1)
    assert micro_batch(network, sample)[0] == 1
    for asked, got in ((5, 5), (10**6, batch)):
        network.settings = replace(network.settings, engine=Engine(micro_batch=asked))
        assert micro_batch(network, sample) == (got, "set by hand")


def test_processes_on_one_machine_share_its_memory(monkeypatch):
    network, rows = prepared("mlp", "number")
    sample = sample_of(network, rows, Watch())
    fixed, each = step_bytes(network, sample)
    batch = network.recipe.batch
    monkeypatch.setattr(measuring, "available_bytes", lambda: int(2 * (fixed + each * batch / 4) / 0.7 + 2))
    assert micro_batch(network, sample, Place(0, 8, 0, beside=2))[0] == batch // 4
    assert micro_batch(network, sample)[0] > batch // 4


def test_what_is_spread_over_processes_counts_for_its_part():
    network, rows = prepared("transformer", "number")
    sample = sample_of(network, rows, Watch())
    (whole, each), (part, same) = step_bytes(network, sample), step_bytes(network, sample, 4)
    weights = sum(parameter.numel() for parameter in network.module.parameters())
    assert whole - part == pytest.approx(12 * weights * 3 / 4)
    assert each == same


@pytest.mark.parametrize(("name", "kind"), [("transformer", "image"), ("resnet", "image")])
def test_blocks_that_are_computed_again_keep_what_comes_into_them(name, kind):
    network, rows = prepared(name, kind)
    usual = step_bytes(network, sample_of(network, rows, Watch()))
    network.settings = replace(network.settings, engine=Engine(recompute=True))
    fixed, each = step_bytes(network, sample_of(network, rows, Watch()))
    assert each < 0.8 * usual[1]
    Team(network.module, ALONE, Precision("fp32", "", "cpu"), recompute=True)
    needed = measured_bytes(network, rows.take(slice(0, ROWS)))
    assert fixed + each * ROWS == pytest.approx(needed, rel=0.35)

"""The loop of the engine: rescues, memory, rows at once, averages, optimisers, schedules, numbers, rates."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from small import RECIPE, number_network, number_rows, picture_network, picture_rows, settings, weights
from yunti.errors import RungError
from yunti.models.contract import Watch
from yunti.training import measuring, train

ROWS, VALID = number_rows(256), number_rows(100, 1)
NONE = VALID.take(slice(0, 0))  # the last weights are kept
FP32 = settings()
LONGER = replace(RECIPE, epochs=5)
CHANCE = math.log(3)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YUNTI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def spoil(network, change):
    """Let the losses of the loop, counted from 1, be changed."""
    loss, taken = network.loss, [0]

    def changed(batch, target, forward=None):
        value = loss(batch, target, forward)
        if forward is None or "steps" not in network.plan:
            return value
        taken[0] += 1
        return change(taken[0], value, target)

    network.loss = changed
    return network


def losses(network):
    return [line["loss"] for line in network.history]


def log_loss(network, rows=VALID):
    predicted = network.predict(rows.table)
    return float(-np.log(predicted[np.arange(len(rows)), rows.target]).mean())


def trained(network, given=FP32, rows=ROWS, valid=VALID, say=lambda _sentence: None):
    train(network, rows, valid, Watch(say=say), given)
    return network


@pytest.mark.parametrize(("factor", "what"), [(math.nan, "was no number"), (math.inf, "was no number"), (1e4, "ten")])
def test_a_loss_that_breaks_once_is_rescued_once_and_said_once(factor, what):
    def change(call, value, _target):
        return value * factor if call == 24 else value

    said = []
    network = trained(spoil(number_network(LONGER), change), say=said.append)
    rescues = [sentence for sentence in said if "rate was halved" in sentence]
    assert len(rescues) == 1
    assert what in rescues[0]
    assert "step 24" in rescues[0]
    assert network.plan["rescued"] == rescues[0]
    rates = {line["step"]: line["learning_rate"] for line in network.history}
    usual = {line["step"]: line["learning_rate"] for line in trained(number_network(LONGER)).history}
    assert rates[23] == usual[23]
    assert all(rates[step] == pytest.approx(usual[step] / 2) for step in range(25, 41))
    assert log_loss(network) < 0.7


def test_a_loss_that_is_never_a_number_is_an_error():
    with pytest.raises(RungError, match="diverged"):
        trained(spoil(number_network(), lambda _call, value, _target: value * math.nan))


def test_weights_that_were_spoilt_are_not_kept():
    network = number_network(LONGER)

    def change(call, value, _target):
        if call == 25:
            with torch.no_grad():
                next(network.module.parameters()).fill_(math.nan)
        return value

    trained(spoil(network, change))
    assert all(np.isfinite(values).all() for name, values in weights(network).items() if "weight" in name)
    assert log_loss(network) < 0.9


def memory_of(most, error):
    def change(_call, value, target):
        if len(target) > most:
            raise error
        return value

    return change


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_where_memory_runs_out_fewer_rows_go_through_at_once(error):
    said = []
    network = trained(spoil(number_network(LONGER), memory_of(9, error)), say=said.append)
    assert said == [f"memory ran out at step 1: {rows} rows at once from there on" for rows in (16, 8)]
    assert network.plan["memory"] == said[-1]
    plain = trained(number_network(LONGER))
    np.testing.assert_allclose(losses(network), losses(plain), rtol=1e-4)


def test_other_errors_and_memory_too_small_for_one_row_are_not_hidden():
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        trained(spoil(number_network(), memory_of(0, RuntimeError("sizes of tensors must match"))))
    with pytest.raises(torch.OutOfMemoryError):
        trained(spoil(number_network(), memory_of(0, torch.OutOfMemoryError("out of memory"))))


def test_what_was_lowered_for_memory_stays_lowered_after_a_stop(tmp_path):
    short = memory_of(9, torch.OutOfMemoryError("out of memory"))

    def change(call, value, target):
        if call > 30:
            raise KeyboardInterrupt
        return short(call, value, target)

    given = settings(engine__checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        train(spoil(number_network(), change), ROWS, VALID, Watch(), given, tmp_path / "kept")
    said = []
    again = spoil(number_network(), short)
    train(again, ROWS, VALID, Watch(say=said.append), given, tmp_path / "kept")
    assert len(said) == 1
    assert "goes on" in said[0]
    assert "8 rows at once" in again.plan["memory"]


@pytest.mark.parametrize("micro", [1, 8, 13])
def test_parts_of_a_batch_add_up_to_the_whole_batch(micro):
    whole = trained(number_network())
    parts = trained(number_network(), settings(engine__micro_batch=micro))
    assert parts.plan["micro_batch"] == {"value": micro, "reason": "set by hand"}
    np.testing.assert_allclose(losses(parts), losses(whole), atol=1e-5)
    norms = [[line["gradient_norm"] for line in each.history] for each in (parts, whole)]
    np.testing.assert_allclose(*norms, rtol=1e-3)


def test_the_average_of_the_weights_is_what_is_judged_and_kept():
    plain, average = (trained(number_network(replace(LONGER, average=decay))) for decay in (0.0, 0.95))
    np.testing.assert_allclose(losses(average), losses(plain), rtol=1e-6)
    last = (weights(plain)["head.head.weight"], weights(average)["head.head.weight"])
    assert 1e-4 < np.abs(last[0] - last[1]).max() < 0.2
    assert log_loss(average) < 0.8


def test_l1_draws_many_weights_to_zero():
    recipe = replace(RECIPE, epochs=20, weight_decay=0.0, schedule="linear")
    near = {}
    for factor in (0.0, 0.02):
        network = trained(number_network(recipe), settings(training__l1=factor), valid=NONE)
        flat = np.concatenate([each.ravel() for each in weights(network).values() if each.ndim == 2])
        near[factor] = float((np.abs(flat) < 0.01).mean())
    assert near[0.0] < 0.2
    assert near[0.02] > near[0.0] + 0.25


@pytest.mark.parametrize(("name", "rate"), [("adamw", 0.01), ("adam", 0.01), ("sgd", 0.03), ("muon", 0.01)])
@pytest.mark.parametrize("schedule", ["wsd", "linear", "cosine", "constant"])
def test_every_optimiser_lowers_the_loss_on_every_schedule(name, rate, schedule):
    given = settings(training__optimiser=name, training__schedule=schedule, training__learning_rate=rate)
    network = trained(number_network(LONGER), given)
    assert log_loss(network) < 0.75 < CHANCE
    assert network.recipe.optimiser == name
    rates = [line["learning_rate"] for line in network.history]
    assert max(rates) <= rate * (1 + 1e-9)
    assert rates[-1] == pytest.approx(rate) if schedule == "constant" else rates[-1] < 0.1 * rate


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_fewer_bits_reach_about_the_same_loss_on_weights_of_32_bits(name):
    exact = trained(number_network(LONGER))
    network = trained(number_network(LONGER), settings(engine__precision=name))
    assert network.plan["precision"]["value"] == name
    assert log_loss(network) == pytest.approx(log_loss(exact), abs=0.03)
    assert {tensor.dtype for tensor in network.module.parameters()} == {torch.float32}
    assert losses(network) != losses(exact)


def test_fewer_bits_train_convolutions_with_muon():
    recipe = replace(RECIPE, optimiser="muon", epochs=4)
    rows, valid = picture_rows(128), picture_rows(60, 1)
    network = trained(picture_network(recipe), settings(engine__precision="fp16"), rows, valid)
    assert log_loss(network, valid) < 0.3


def test_gradients_that_overflow_leave_their_step_out_and_nothing_else():
    network = number_network(LONGER)
    said = []
    trained(spoil(network, lambda call, value, _target: value * (1e30 if call == 24 else 1)), say=said.append)
    assert any("halved" in sentence for sentence in said)  # fp32 cannot leave it out
    said.clear()
    small = spoil(number_network(LONGER), lambda call, value, _target: _inflated(value) if call == 24 else value)
    trained(small, settings(engine__precision="fp16"), say=said.append)
    assert said == []
    assert log_loss(small) < 0.8


def _inflated(value):
    """The same loss with a gradient that no number holds."""
    return value.detach() + (value - value.detach()) * 1e37


def test_the_best_of_three_rates_is_taken_and_the_reason_noted():
    network = trained(number_network(replace(LONGER, learning_rate=1e-4)), settings(engine__rate_check=True))
    noted = network.plan["learning_rate"]
    assert noted["value"] == network.recipe.learning_rate == pytest.approx(2e-4)
    for rate in ("5e-05", "0.0001", "0.0002"):
        assert f"{rate}: " in noted["reason"]
    peak = max(line["learning_rate"] for line in network.history)
    assert peak == pytest.approx(2e-4, rel=0.01)


def test_a_rate_that_breaks_the_loss_is_not_taken(monkeypatch):
    practise = measuring.practise

    def breaking(bench, micro, forward, steps, factor=1e-3):
        done = practise(bench, micro, forward, 1, factor)
        return replace(done, loss=math.nan if factor == 2.0 else 1 / (1 + factor))

    monkeypatch.setattr(measuring, "practise", breaking)
    network = trained(number_network(), settings(engine__rate_check=True))
    assert network.recipe.learning_rate == pytest.approx(RECIPE.learning_rate)
    assert "nan" in network.plan["learning_rate"]["reason"]


def test_activations_computed_again_give_the_same_losses():
    for build, rows, valid in ((number_network, ROWS, VALID), (picture_network, picture_rows(96), picture_rows(45, 1))):
        plain = trained(build(LONGER), FP32, rows, valid)
        again = trained(build(LONGER), settings(engine__recompute=True), rows, valid)
        np.testing.assert_allclose(losses(again), losses(plain), rtol=1e-5)


@pytest.mark.slow  # the compiler takes some ten seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports to compile
def test_a_compiled_network_gives_the_same_losses():
    plain = trained(number_network())
    compiled = trained(number_network(), settings(engine__compile="always"))
    assert compiled.plan["compiled"] == {"value": True, "reason": "asked for"}
    np.testing.assert_allclose(losses(compiled), losses(plain), atol=1e-4)


def test_training_in_the_memory_there_is(monkeypatch):
    monkeypatch.setattr(measuring, "available_bytes", lambda: 40_000)
    network = trained(number_network())
    micro = network.plan["micro_batch"]
    assert micro["value"] < RECIPE.batch
    assert f"{micro['value']} rows at once" in micro["reason"]
    assert log_loss(network) < CHANCE


def test_threads_stay_within_what_was_asked_for():
    trained(number_network())
    assert torch.get_num_threads() <= int(os.environ.get("OMP_NUM_THREADS", "64"))

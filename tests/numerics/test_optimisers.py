"""Optimisers, averages and mixtures against torch's own and closed forms."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from small import RECIPE, number_network, number_rows, picture_network, picture_rows
from yunti.models.objective import Answers, Mixed
from yunti.models.recipe import Augment
from yunti.specs import TaskSpec
from yunti.training.average import Average
from yunti.training.checkpoint import Snapshot, checkpoint_bytes, open_checkpoint
from yunti.training.feed import Feed
from yunti.training.group import ALONE
from yunti.training.optimisers import Muon, advance, clipped, optimisers_for, pack, penalise, set_rate, unpack

MADE = replace(RECIPE, learning_rate=0.01, weight_decay=0.1, momentum=0.9)
STEPS = 6


def module(seed=0):
    torch.manual_seed(seed)
    filters = nn.Conv2d(3, 4, 3)
    filters.weight.data = filters.weight.data.contiguous(memory_format=torch.channels_last)
    return nn.ModuleDict(
        {"filters": filters, "hidden": nn.Linear(5, 7), "norm": nn.LayerNorm(7), "head": nn.Linear(7, 2)}
    )


def give_gradients(parameters, step):
    random = torch.Generator().manual_seed(100 + step)
    for parameter in parameters:
        parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=random))


def theirs(name, groups):
    """Return torch's optimiser as the papers define it, not fused, one tensor after the other."""
    match name:
        case "adamw":
            return torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), foreach=False)
        case "adam":
            return torch.optim.Adam(groups, lr=0.01, betas=(0.9, 0.999), foreach=False)
        case _:
            return torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True, foreach=False)


def assert_close(one, other, **tolerance):
    for (name, left), right in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(left, right, msg=lambda said, name=name: f"{name}: {said}", **tolerance)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimisers_step_as_torchs_own(name):
    ours, other = module(), module()
    optimisers = optimisers_for(ours, replace(MADE, optimiser=name))
    assert len(optimisers) == 1
    matrices = [each for each in other.parameters() if each.ndim >= 2]
    rest = [each for each in other.parameters() if each.ndim < 2]
    reference = theirs(name, [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}])
    for step in range(STEPS):
        factor = (step + 1) / STEPS
        give_gradients(ours.parameters(), step)
        give_gradients(other.parameters(), step)
        set_rate(optimisers, factor)
        for group in reference.param_groups:
            group["lr"] = 0.01 * factor
        advance(optimisers)
        reference.step()
    assert_close(ours, other, rtol=1e-5, atol=1e-7)
    assert not torch.equal(ours["hidden"].weight, module()["hidden"].weight)
    assert all(each.grad is None for each in ours.parameters())


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (16, 16)])
def test_muon_goes_the_way_of_torchs_muon(shape):
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    ours, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    one = Muon([{"params": [ours], "lr": 0.01, "weight_decay": 0.1}], momentum=0.9)
    two = torch.optim.Muon([other], lr=0.01, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    for step in range(STEPS):
        before = ours.detach().clone(), other.detach().clone()
        give_gradients([ours, other], step)
        other.grad = ours.grad.clone()
        one.step()
        two.step()
        moved = ours.detach() - before[0], other.detach() - before[1]
        assert F.cosine_similarity(moved[0].flatten(), moved[1].flatten(), dim=0) > 0.99
        assert moved[0].norm() / moved[1].norm() == pytest.approx(1, abs=0.03)
    assert (ours - other).norm() < 0.05 * (ours - start).norm()  # torch multiplies in bfloat16


def test_muon_takes_filters_as_a_matrix():
    filters = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    four, two = nn.Parameter(filters.clone()), nn.Parameter(filters.flatten(1).clone())
    optimiser = Muon([{"params": [four, two], "lr": 0.01, "weight_decay": 0.1}])
    for step in range(3):
        give_gradients([four], step)
        two.grad = four.grad.flatten(1).clone()
        optimiser.step()
    torch.testing.assert_close(four.detach().flatten(1), two.detach())


def test_muon_gets_hidden_matrices_and_adamw_the_rest():
    ours = module()
    usual, muon = optimisers_for(ours, replace(MADE, optimiser="muon"))
    hidden = {id(each) for group in muon.param_groups for each in group["params"]}
    assert hidden == {id(ours["filters"].weight), id(ours["hidden"].weight)}
    assert sum(len(group["params"]) for group in usual.param_groups) == len(list(ours.parameters())) - 2
    assert muon.param_groups[0]["momentum"] == 0.9


def test_rates_by_name_and_turns_by_prefix():
    ours = module()
    (optimiser,) = optimisers_for(ours, replace(MADE, rates=(("head", 0.5), ("weight", 0.1))), learns="h")
    peaks = {id(each): group["peak"] for group in optimiser.param_groups for each in group["params"]}
    assert peaks == {
        id(ours["hidden"].weight): pytest.approx(0.001),
        id(ours["hidden"].bias): pytest.approx(0.01),
        id(ours["head"].weight): pytest.approx(0.005),
        id(ours["head"].bias): pytest.approx(0.005),
    }


def through_disk(tensors, folder):
    snapshot = Snapshot()
    snapshot.put("optimiser", tensors)
    (folder / "one").write_bytes(checkpoint_bytes(snapshot))
    return open_checkpoint(folder / "one").tensors_of("optimiser")


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "muon"])
@pytest.mark.parametrize("taken", [0, 1, 4])
def test_a_packed_optimiser_goes_on_bit_by_bit(name, taken, tmp_path):
    recipe = replace(MADE, optimiser=name)
    first = module()
    optimisers = optimisers_for(first, recipe)
    for step in range(taken):
        give_gradients(first.parameters(), step)
        advance(optimisers)
    second = copy.deepcopy(first)
    others = optimisers_for(second, recipe)
    unpack(others, through_disk(pack(optimisers), tmp_path))
    for step in range(taken, taken + 3):
        for each, made in ((first, optimisers), (second, others)):
            give_gradients(each.parameters(), step)
            advance(made)
    for (label, one), two in zip(first.named_parameters(), second.parameters(), strict=True):
        assert one.detach().numpy().tobytes() == two.detach().numpy().tobytes(), label
        assert one.stride() == two.stride()


def test_an_unpacked_optimiser_has_its_state_laid_out_as_the_weights(tmp_path):
    first, second = module(), module()
    optimisers, others = (optimisers_for(each, MADE) for each in (first, second))
    give_gradients(first.parameters(), 0)
    advance(optimisers)
    unpack(others, through_disk(pack(optimisers), tmp_path))
    state = others[0].state[second["filters"].weight]
    assert state["exp_avg"].stride() == second["filters"].weight.stride()
    assert state["exp_avg"].data_ptr() != optimisers[0].state[first["filters"].weight]["exp_avg"].data_ptr()


def zip_parts(made, flat):
    parameters = list(made.parameters())
    return zip(parameters, flat.split([each.numel() for each in parameters]), strict=True)


def test_the_norm_is_that_of_all_gradients_and_is_cut_to_the_most():
    ours = module()
    give_gradients(ours.parameters(), 0)
    flat = torch.cat([each.grad.flatten() for each in ours.parameters()])
    norm = clipped(list(ours.parameters()), 0.5, asked=False)
    assert float(norm) == pytest.approx(float(flat.norm()), rel=1e-5)
    cut = torch.cat([each.grad.flatten() for each in ours.parameters()])
    torch.testing.assert_close(cut, flat * 0.5 / flat.norm(), rtol=1e-4, atol=1e-7)
    assert clipped(list(ours.parameters()), 100.0, asked=False) == pytest.approx(0.5, rel=1e-4)
    assert clipped(list(ours.parameters()), 0, asked=True) == pytest.approx(0.5, rel=1e-4)
    assert all(torch.equal(each.grad.flatten(), part) for each, part in zip_parts(ours, cut))


def test_the_penalty_is_the_gradient_of_the_sum_of_absolute_weights():
    ours, other = module(), module()
    for each in (ours, other):
        give_gradients(each.parameters(), 0)
    penalise(ours, 0.03)
    torch.autograd.backward(0.03 * sum(each.abs().sum() for each in other.parameters() if each.ndim >= 2))
    for one, two in zip(ours.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_the_average_follows_its_formula(decay):
    weight = nn.Linear(1, 1, bias=False)
    seen = np.random.default_rng(0).normal(size=50)
    begun = float(weight.weight.detach())
    average = Average(weight, decay)
    for value in seen:
        weight.weight.data.fill_(value)
        average.update()
    keeps = [min(decay, (1 + step) / (10 + step)) for step in range(1, 51)]
    shares = [(1 - keep) * np.prod(keeps[place + 1 :]) for place, keep in enumerate(keeps)]
    wanted = begun * np.prod(keeps) + float(np.dot(shares, seen))
    with average.in_place():
        assert float(weight.weight.detach()) == pytest.approx(wanted, rel=1e-5)
    assert float(weight.weight.detach()) == pytest.approx(seen[-1])
    assert average.steps == 50
    average.forget()
    assert average.steps == 0
    with average.in_place():
        assert float(weight.weight.detach()) == pytest.approx(seen[-1])


def test_the_average_comes_back_and_leaves_buffers_alone():
    plain = nn.BatchNorm1d(3)
    average, other = Average(plain, 0.9), Average(plain, 0.9)
    plain.weight.data.fill_(5.0)
    plain.running_mean.fill_(7.0)
    average.update()
    other.restore({name: value.clone() for name, value in average.tensors().items()}, average.steps)
    for each in (average, other):
        with each.in_place():
            assert float(plain.running_mean[0]) == 7.0
            assert 1.0 < float(plain.weight[0].detach()) < 5.0
    torch.testing.assert_close(other.tensors()["weight"], average.tensors()["weight"])
    assert average.tensors().keys() == {"weight", "bias"}
    off = Average(plain, 0.0)
    off.update()
    with off.in_place():
        assert float(plain.weight[0].detach()) == 5.0
    assert off.tensors() == {}


def feed_of(network, rows, micro=1000, **augment):
    network.prepare(rows)
    target = network.objective.encode(rows.target)
    return Feed(network, network.encode(rows.table), target, Augment(**augment), micro, ALONE)


def test_mixed_rows_keep_their_mean_and_are_mixed_with_the_rows_of_their_answers():
    rows = number_rows(64)
    plain = feed_of(number_network(), rows)
    mixed = feed_of(number_network(), rows, mixup=0.5)
    shares = []
    for step in range(40):
        (before,), (after,) = list(plain.at(step)), list(mixed.at(step))
        answers, share = after.target, after.target.share
        assert torch.equal(answers.first, before.target)
        torch.testing.assert_close(after.batch["numbers"].mean(dim=0), before.batch["numbers"].mean(dim=0))
        other = (after.batch["numbers"] - share * before.batch["numbers"]) / (1 - share) if share < 0.99 else None
        if other is not None:
            distance = torch.cdist(other, before.batch["numbers"])
            nearest = distance.argmin(dim=1)
            assert torch.equal(answers.second, before.target[nearest])
            assert distance.min(dim=1).values.max() < 1e-2
        shares.append(share)
    assert 0.5 <= min(shares) < 0.7
    assert 0.8 < max(shares) <= 1


def test_mixed_pictures_are_sums_of_two():
    rows = picture_rows(32)
    plain, mixed = feed_of(picture_network(), rows), feed_of(picture_network(), rows, mixup=1.0)
    (before,), (after,) = list(plain.at(0)), list(mixed.at(0))
    ((name, pictures),) = after.batch.items()
    whole = before.batch[name].float()
    assert pictures.dtype == torch.float32
    torch.testing.assert_close(pictures.mean(dim=0), whole.mean(dim=0))
    assert float(pictures.std()) < float(whole.std())


def test_parts_of_a_batch_hold_its_rows_once_and_their_shares_add_up():
    rows = number_rows(64)
    (whole,) = list(feed_of(number_network(), rows).at(1))
    parts = list(feed_of(number_network(), rows, micro=7).at(1))
    assert [len(part.target) for part in parts] == [7, 7, 6, 6, 6]
    assert [part.is_last for part in parts] == [False] * 4 + [True]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert torch.equal(torch.cat([part.batch["numbers"] for part in parts]), whole.batch["numbers"])


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_loss_of_mixed_answers_is_the_mixture_of_their_losses(task, share):
    classes = ("a", "b", "c") if task == "classification" else ()
    metric = "accuracy" if task == "classification" else "rmse"
    objective = Answers(TaskSpec(task, "y", metric, "higher", classes))
    objective.smoothing = 0.1 if classes else 0.0
    outputs = torch.randn(8, 2, 3 if classes else 1, generator=torch.Generator().manual_seed(0))
    first, second = (torch.arange(8) % 3, torch.arange(8) % 2) if classes else (torch.randn(8), torch.randn(8))
    found = objective.loss(outputs, Mixed(first, second, share))
    wanted = share * objective.loss(outputs, first) + (1 - share) * objective.loss(outputs, second)
    torch.testing.assert_close(found, wanted)
    if classes:  # cross-entropy is linear in the answer: one soft answer says the same
        soft = share * F.one_hot(first, 3) + (1 - share) * F.one_hot(second, 3)
        each = [F.cross_entropy(outputs[:, member], soft, label_smoothing=0.1) for member in range(2)]
        torch.testing.assert_close(found, sum(each) / 2)

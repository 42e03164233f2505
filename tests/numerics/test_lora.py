"""Adapters: they begin as nothing, only they learn, and merged they compute the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yunti.errors import RungError
from yunti.models.lora import Adapted, adapter_state, add_adapters, load_adapters, merge_adapters


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 3)))


def trained(module, rows):
    parameters = [each for each in module.parameters() if each.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    for _ in range(3):
        module(rows).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    return module


def test_adapters_begin_as_nothing_and_are_all_that_learns():
    plain, rows = network(), torch.randn(5, 6)
    module = network()
    assert add_adapters(module, rank=2, leave=("2.1",)) == 2
    assert torch.equal(module(rows), plain(rows))
    names = [name for name, each in module.named_parameters() if each.requires_grad]
    assert sorted(names) == ["0.down", "0.up", "2.0.down", "2.0.up"]
    trained(module, rows)
    assert torch.equal(module[0].base.weight, plain[0].weight)
    assert torch.equal(module[2][1].weight, plain[2][1].weight)
    assert not torch.equal(module(rows), plain(rows))


@pytest.mark.parametrize("rank", [1, 4, 100])
def test_merged_layers_compute_the_same_and_can_learn_again(rank):
    rows, module = torch.randn(5, 6), network()
    add_adapters(module, rank, alpha=2.0)
    trained(module, rows)
    expected = module(rows)
    merge_adapters(module)
    assert not any(isinstance(layer, Adapted) for layer in module.modules())
    assert (module(rows) - expected).abs().max() < 1e-5
    assert all(each.requires_grad for each in module[0].parameters())


def test_the_update_is_that_of_the_paper():
    layer = nn.Linear(4, 3)
    adapted = Adapted(layer, rank=2, alpha=6.0)
    with torch.no_grad():
        adapted.up.copy_(torch.arange(6.0).reshape(3, 2))
    rows = torch.randn(2, 4)
    expected = rows @ (layer.weight + 3.0 * adapted.up @ adapted.down).T + layer.bias
    assert (adapted(rows) - expected).abs().max() < 1e-5
    assert Adapted(nn.Linear(100, 100), rank=64, alpha=16.0).scale == 2.0


def test_what_adapters_learned_leaves_and_comes_back():
    rows, module, other = torch.randn(5, 6), network(), network()
    add_adapters(module, 2)
    trained(module, rows)
    add_adapters(other, 2)
    load_adapters(other, adapter_state(module))
    assert torch.equal(other(rows), module(rows))
    with pytest.raises(RungError, match="the adapters must be those of this network"):
        load_adapters(other, {"0.up": torch.zeros(8, 2)})
    with pytest.raises(RungError, match="must have linear layers"):
        add_adapters(nn.ReLU(), 2)


def test_the_matrix_of_an_adapted_layer_is_what_it_computes_with_and_learns():
    adapted, rows = Adapted(nn.Linear(8, 4), rank=2, alpha=4.0), torch.randn(5, 8)
    nn.init.normal_(adapted.up)
    names = set(adapted.state_dict())
    torch.testing.assert_close(nn.functional.linear(rows, adapted.weight, adapted.bias), adapted(rows))
    adapted.weight.sum().backward()
    assert adapted.up.grad is not None
    assert adapted.down.grad is not None
    before = adapted.weight.detach().clone()
    adapted.fold()
    torch.testing.assert_close(adapted.weight, before)
    assert names == set(adapted.state_dict()) == {"down", "up", "base.weight", "base.bias"}
    assert Adapted(nn.Linear(8, 4, bias=False), rank=2, alpha=4.0).bias is None

"""The same function in an order that a processor computes faster."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

_KEEPS_NO_OUTPUT = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def rearranged(module: nn.Module) -> nn.Module:
    """Return a module that computes the same with the same parameters, faster where it is a sequence of layers.

    max(relu(x)) = relu(max(x)), and there is a quarter as much to clip after a pool of 2 × 2; a ReLU may write into its
    input where the layer before does not need it on the way back; and convolutions run faster with the channels of a
    pixel side by side in memory. A module that is no `nn.Sequential`, or has hooks, keeps its order.

    Args:
        module: any; its convolutions' weights are laid out anew in place.
    """
    for each in module.modules():
        if isinstance(each, nn.Conv2d):
            each.weight.data = each.weight.data.contiguous(memory_format=torch.channels_last)
    if any(getattr(each, name) for each in module.modules() for name in _HOOKS):
        return module  # a hook shall see what it would see without this
    return _in_order(module)


def _in_order(module: nn.Module) -> nn.Module:
    if type(module) is not nn.Sequential:
        return module
    layers = [_in_order(each) for each in module]
    for place, (layer, following) in enumerate(pairwise([*layers])):
        if type(layer) is nn.ReLU and type(following) in _POOLS and not following.return_indices:
            layers[place], layers[place + 1] = following, layer
    for place, (before, layer) in enumerate(pairwise([*layers])):
        if type(layer) is nn.ReLU and type(before) in _KEEPS_NO_OUTPUT:
            layers[place + 1] = nn.ReLU(inplace=True)
    return nn.Sequential(*layers)

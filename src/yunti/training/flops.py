"""Counted floating-point operations of a step."""

from __future__ import annotations

import torch
from torch import Tensor

from yunti.models.flops import counting
from yunti.models.layers import Batch
from yunti.models.network import Network


def flops_per_row(network: Network, batch: Batch, target: Tensor) -> float:
    """Count the operations of one forward and backward pass, by row."""
    network.module.train()
    with counting() as counter:
        torch.autograd.backward(network.loss(batch, target))
    network.module.zero_grad(set_to_none=True)
    return float(counter.get_total_flops()) / max(1, len(target))

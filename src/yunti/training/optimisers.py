"""Optimisers, and which of a network's parameters go to which with what rate and decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from yunti.models.recipe import Recipe

# not hidden matrices in Muon's sense: their rows are looked up, or their columns are the answer
_OUTER = ("tokens", "tables", "head", "scaling", "numbers", "front", "place")
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def optimisers_for(module: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """Return the optimisers of a network's parameters; every group holds its peak rate as `peak`.

    Matrices and convolutions decay; biases, norms and scalings do not.

    Args:
        module: the network.
        recipe: optimiser, learning rate, decay and rates by name.
    """
    groups: dict[tuple[bool, float, bool], list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        factor = next((factor for part, factor in recipe.rates if part in name), 1.0)
        matrix = parameter.ndim >= 2 and "scaling" not in name
        hidden = recipe.optimiser == "muon" and matrix and not any(part in name for part in _OUTER)
        groups.setdefault((hidden, factor, matrix), []).append(parameter)

    def settings(hidden: bool) -> list[dict[str, Any]]:
        return [
            {
                "params": parameters,
                "lr": recipe.learning_rate * factor,
                "peak": recipe.learning_rate * factor,
                "weight_decay": recipe.weight_decay if matrix else 0.0,
            }
            for (goes_to_muon, factor, matrix), parameters in groups.items()
            if goes_to_muon == hidden
        ]

    adamw, muon = settings(hidden=False), settings(hidden=True)
    made: list[Optimizer] = [AdamW(adamw, betas=(0.9, 0.95), fused=True)] if adamw else []
    return [*made, Muon(muon)] if muon else made


def update(optimisers: Iterable[Optimizer], module: nn.Module, clip: float) -> None:
    """Clip the gradient's norm, let every optimiser take a step, and clear the gradients."""
    nn.utils.clip_grad_norm_(module.parameters(), clip)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def set_rate(optimisers: Iterable[Optimizer], factor: float) -> None:
    """Set every group's learning rate to this factor of its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor


@final
class Muon(Optimizer):
    """Momentum whose update is made orthogonal: W ← W − η · 0.2 · √max(a, b) · NS₅(βm + g), for W of shape (a, b).

    NS₅ brings all singular values near 1 by five Newton–Schulz steps; 0.2 · √max(a, b) gives the update the size of
    AdamW's, so that its learning rates and decay hold. Convolutions count as matrices (filters, all else). Source:
    Jordan et al., 2024, Muon; Liu et al., 2025, Muon is scalable for LLM training, arXiv 2502.16982. Unlike
    `torch.optim.Muon` it takes convolutions and computes in float32, which processors without bfloat16 units need.

    Args:
        groups: parameter groups with `params`, `lr` and `weight_decay`.
        momentum: β.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], momentum: float = 0.95) -> None:
        super().__init__(list(groups), {"momentum": momentum, "weight_decay": 0.0, "lr": 1e-3})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = parameter.grad.lerp(state["momentum"], group["momentum"]).reshape(len(parameter), -1)
                size = 0.2 * max(direction.shape) ** 0.5
                update = orthogonal(direction).reshape(parameter.shape)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Return the matrix with its singular values brought near 1 (between about 0.7 and 1.2), shape kept.

    Args:
        matrix: shape (a, b).
        steps: Newton–Schulz steps with the quintic of Jordan et al., 2024.
    """
    first, second, third = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    result = matrix.T if tall else matrix
    result = result / (result.norm() + 1e-7)
    for _ in range(steps):
        gram = result @ result.T
        result = first * result + (second * gram + third * gram @ gram) @ result
    return result.T if tall else result

"""Optimisers, and which of a network's parameters go to which with what rate and decay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from yunti.models.recipe import Recipe
from yunti.training.group import like, whole

# not hidden matrices in Muon's sense: their rows are looked up, or their columns are the answer
_OUTER = ("tokens", "tables", "head", "scaling", "numbers", "front", "place")
_BETAS = (0.9, 0.95)
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_WIDE = 2  # times as wide as high: from there on fewer products are those of small matrices


def optimisers_for(
    module: nn.Module, recipe: Recipe, learns: str = "", products: torch.dtype = torch.float32
) -> list[Optimizer]:
    """Return the optimisers of a network's parameters; every group holds its peak rate as `peak`.

    Matrices and convolutions decay; biases, norms and scalings do not. Sources: Loshchilov and Hutter, 2019, Decoupled
    weight decay regularization, arXiv 1711.05101; Kingma and Ba, 2015, Adam, arXiv 1412.6980; Sutskever et al., 2013,
    On the importance of initialization and momentum in deep learning.

    Args:
        module: the network.
        recipe: optimiser, learning rate, decay and rates by name.
        learns: start of the names of the parameters that are meant; all if not given.
        products: the numbers in which Muon multiplies.
    """
    groups: dict[tuple[bool, float, bool], list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad or not name.startswith(learns):
            continue
        factor = next((factor for part, factor in recipe.rates if part in name), 1.0)
        matrix = parameter.ndim >= 2 and "scaling" not in name
        hidden = recipe.optimiser == "muon" and matrix and not any(part in name for part in _OUTER)
        groups.setdefault((hidden, factor, matrix and recipe.weight_decay > 0), []).append(parameter)

    def settings(hidden: bool) -> list[dict[str, Any]]:
        return [
            {
                "params": parameters,
                "lr": recipe.learning_rate * factor,
                "peak": recipe.learning_rate * factor,
                "weight_decay": recipe.weight_decay if decays else 0.0,
            }
            for (goes_to_muon, factor, decays), parameters in groups.items()
            if goes_to_muon == hidden
        ]

    usual, muon = settings(hidden=False), settings(hidden=True)
    made = [_usual(recipe, usual)] if usual else []
    return [*made, Muon(muon, recipe.momentum, products)] if muon else made


def _usual(recipe: Recipe, groups: list[dict[str, Any]]) -> Optimizer:
    match recipe.optimiser:
        case "adamw" | "muon":
            return AdamW(groups)
        case "adam":
            return Adam(groups, betas=(0.9, 0.999), fused=True)
        case "sgd":
            return SGD(groups, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)


def penalise(module: nn.Module, factor: float) -> None:
    """Add the gradient of factor · Σ|w| over weight matrices (Tibshirani, 1996) to the gradients."""
    for parameter in module.parameters():
        if parameter.ndim >= 2 and parameter.grad is not None:
            parameter.grad.add_(parameter.detach().sign(), alpha=factor)


def clipped(parameters: Sequence[Tensor], most: float, asked: bool) -> Tensor | float:
    """Scale all gradients down together where their norm is over the most it may be; return the norm before.

    Source: Pascanu, Mikolov and Bengio, 2013, On the difficulty of training recurrent neural networks.

    Args:
        parameters: whose gradients.
        most: 0 leaves them as they are.
        asked: whether the norm is wanted although nothing is to be scaled; else NaN stands for it.
    """
    if not most and not asked:
        return math.nan
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not all(type(gradient) is Tensor and gradient.device.type == "cpu" for gradient in gradients):
        norm = nn.utils.clip_grad_norm_(parameters, most or math.inf)
        return whole({"norm": norm})["norm"]
    norms = torch._foreach_norm(gradients)
    length = float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0
    if most and length > most:
        torch._foreach_mul_(gradients, most / (length + 1e-6))
    return length


def advance(optimisers: Iterable[Optimizer]) -> None:
    """Let every optimiser take a step, and clear the gradients."""
    for optimiser in optimisers:
        if isinstance(optimiser, AdamW):
            optimiser.update()
        else:
            optimiser.step()
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


def pack(optimisers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """Return what the optimisers keep of each parameter, by optimiser, place and name."""
    return {
        f"{number}.{place}.{name}": value
        for number, optimiser in enumerate(optimisers)
        for place, parameter in enumerate(_parameters(optimiser))
        for name, value in optimiser.state[parameter].items()
        if isinstance(value, Tensor)
    }


def unpack(optimisers: Iterable[Optimizer], kept: dict[str, Tensor]) -> None:
    """Give the optimisers back what `pack` returned."""
    for number, optimiser in enumerate(optimisers):
        for place, parameter in enumerate(_parameters(optimiser)):
            start = f"{number}.{place}."
            state = {name.removeprefix(start): value for name, value in kept.items() if name.startswith(start)}
            for name, value in state.items():
                optimiser.state[parameter][name] = _laid_as(parameter, value, optimiser)


def _laid_as(parameter: Tensor, value: Tensor, optimiser: Optimizer) -> Tensor:
    """Lay a value out in memory as its parameter is: fused optimisers go through both from end to end."""
    if value.shape == parameter.shape and value.ndim:
        return torch.empty_like(parameter).copy_(like(value, parameter))
    beside = bool(optimiser.defaults.get("fused"))  # a fused optimiser keeps its count of steps beside the weights
    return value.to(parameter.device if beside else "cpu", copy=True)


def _parameters(optimiser: Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def set_rate(optimisers: Iterable[Optimizer], factor: float) -> None:
    """Set every group's learning rate to this factor of its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor


@final
class AdamW(Optimizer):
    """AdamW (Loshchilov and Hutter, 2019) by PyTorch's fused kernel, all parameters of a group in one call.

    The numbers are those of `torch.optim.AdamW(fused=True)`, which looks at every parameter anew in every step: for a
    small network that takes as long as the update itself.

    Args:
        groups: parameter groups with `params`, `lr` and `weight_decay`.
        betas: decays of the means of the gradient and of its square.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], betas: tuple[float, float] = _BETAS) -> None:
        super().__init__(list(groups), {"lr": 1e-3, "weight_decay": 0.0, "betas": betas, "fused": True})

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        self.update()

    @torch.no_grad()
    def update(self) -> None:
        """Do what `step` does, without the hooks and the profiler's marks that PyTorch wraps around it."""
        for group in self.param_groups:
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self._state_of(parameter) for parameter in learning]
            counts = [state["step"] for state in states]
            if not learning:
                continue
            torch._foreach_add_(counts, 1)
            torch._fused_adamw_(
                learning,
                [parameter.grad for parameter in learning],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                counts,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


@final
class Muon(Optimizer):
    """Momentum whose update is made orthogonal: W ← W − η · 0.2 · √max(a, b) · NS₅(βm + g), for W of shape (a, b).

    NS₅ brings all singular values near 1 by five Newton–Schulz steps; 0.2 · √max(a, b) gives the update the size of
    AdamW's, so that its learning rates and decay hold. Convolutions count as matrices (filters, all else). Source:
    Jordan et al., 2024, Muon; Liu et al., 2025, Muon is scalable for LLM training, arXiv 2502.16982. Unlike
    `torch.optim.Muon` it takes convolutions, and computes in float32 where that is asked for: processors without
    bfloat16 units need it.

    Args:
        groups: parameter groups with `params`, `lr` and `weight_decay`.
        momentum: β.
        products: the numbers in which updates are made orthogonal; float16 counts as float32, it is too narrow.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], momentum: float = 0.95, products: torch.dtype = torch.float32
    ) -> None:
        super().__init__(list(groups), {"momentum": momentum, "weight_decay": 0.0, "lr": 1e-3})
        self._products = torch.bfloat16 if products == torch.bfloat16 else torch.float32

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
                update = orthogonal(direction.to(self._products)).reshape(parameter.shape)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Return the matrix with its singular values brought near 1 (between about 0.7 and 1.2), shape and numbers kept.

    A step is X ← P X with P = a I + b G + c G², G = X Xᵀ. All P are polynomials of the first G and commute, so that
    G ← P G P, and X need only be multiplied once, by the product of all P: for a matrix four times as wide as it is
    high this takes half the time, with the same result. Not in bf16: what G loses there, X would not have lost.

    Args:
        matrix: shape (a, b), float32 or bfloat16.
        steps: Newton–Schulz steps with the quintic of Jordan et al., 2024.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    wide = wide / (wide.norm() + 1e-7)
    rows, columns = wide.shape
    through = _by_products if columns >= _WIDE * rows and wide.dtype != torch.bfloat16 else _by_steps
    result = through(wide, steps)
    return result.T if tall else result


def _by_steps(wide: Tensor, steps: int) -> Tensor:
    first, second, third = _COEFFICIENTS
    for _ in range(steps):
        gram = wide @ wide.T
        inner = torch.addmm(gram, gram, gram, beta=second, alpha=third)  # P without a I
        wide = torch.addmm(wide, inner, wide, beta=first)
    return wide


def _by_products(wide: Tensor, steps: int) -> Tensor:
    first, second, third = _COEFFICIENTS
    gram = wide @ wide.T
    share, product = 1.0, torch.zeros_like(gram)  # of all P so far: share · I + product
    for step in range(steps):
        inner = torch.addmm(gram, gram, gram, beta=second, alpha=third)
        product = torch.addmm(first * product + share * inner, inner, product) if step else inner
        share *= first
        if step < steps - 1:
            half = torch.addmm(gram, inner, gram, beta=first)
            gram = torch.addmm(half, half, inner, beta=first)
    return torch.addmm(wide, product, wide, beta=share)

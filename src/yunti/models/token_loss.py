"""The loss of language models: −ln p of the next token, a few rows of logits at a time."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

IGNORED = -1  # a target that does not count, such as the question where only answers are learned

_ROOM = {"cpu": 1 << 18, "cuda": 1 << 26}  # logits at once: what a processor's second cache holds; a launch's worth


def token_loss(states: Tensor, weight: Tensor, targets: Tensor, cap: float = 0.0) -> Tensor:
    """Return the mean of −ln p(target) over all targets that count; 0 where none does.

    p = softmax(z), z = c · tanh(W h / c) with the soft-cap c (Gemma 2, 2024, arXiv 2408.00118), z = W h without. Only
    some rows of z are there at any time, and their gradient is taken while they are: nothing is computed twice, and
    the memory does not grow with tokens · vocabulary. Source: Hsu et al., 2024, Liger Kernel, arXiv 2410.10989.

    Args:
        states: h, shape (tokens, width).
        weight: W, shape (vocabulary, width).
        targets: shape (tokens,), a token's number or -1.
        cap: c; 0 for none.

    Example:
        >>> token_loss(torch.zeros(2, 4), torch.ones(8, 4), torch.tensor([3, -1])).exp()
        tensor(8.0000)
    """
    loss: Tensor = _TokenLoss.apply(states, weight, targets, cap)
    return loss


@torch.no_grad()
def token_losses(states: Tensor, weight: Tensor, targets: Tensor, cap: float = 0.0) -> Tensor:
    """Return −ln p(target) of every token, shape (tokens,); 0 where the target does not count.

    Arguments are those of `token_loss`.
    """
    losses = torch.zeros(len(targets), device=states.device)
    for part in _parts(states, weight):
        losses[part] = _surprise(capped(_product(states[part], weight), cap), targets[part])[0]
    return losses


def capped(logits: Tensor, cap: float) -> Tensor:
    """Return c · tanh(logits / c), or the logits themselves where the cap c is 0."""
    return cap * torch.tanh(logits / cap) if cap else logits


@final
class _TokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, weight: Tensor, targets: Tensor, cap: float) -> Tensor:
        count = (targets != IGNORED).sum().clamp(min=1)
        learns = any(ctx.needs_input_grad[:2])  # type: ignore[attr-defined]
        states_slope = torch.empty_like(states) if learns else None
        weight_slope = torch.zeros_like(weight) if learns else None
        loss = torch.zeros((), device=states.device)
        for part in _parts(states, weight):
            logits = capped(_product(states[part], weight), cap)
            losses, total = _surprise(logits, targets[part])
            loss += losses.sum()
            if states_slope is not None and weight_slope is not None:
                slope = _slope(logits, total, targets[part], cap).div_(count).to(states.dtype)
                states_slope[part] = slope @ weight.to(slope.dtype)
                if weight.dtype == slope.dtype:
                    weight_slope.addmm_(slope.T, states[part])
                else:
                    weight_slope += slope.T @ states[part]
        ctx.save_for_backward(*(each for each in (states_slope, weight_slope) if each is not None))
        return loss / count

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor, Tensor, None, None]:
        states_slope, weight_slope = ctx.saved_tensors
        return states_slope * factor, weight_slope * factor, None, None


def _parts(states: Tensor, weight: Tensor) -> list[slice]:
    room = _ROOM.get(states.device.type, _ROOM["cuda"])
    size = max(16, room // len(weight))
    return [slice(start, start + size) for start in range(0, len(states), size)]


def _product(states: Tensor, weight: Tensor) -> Tensor:
    return (states @ weight.to(states.dtype).T).float()


def _surprise(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return −ln p of each target, and ln Σ exp(logits), shape (tokens, 1)."""
    total = logits.logsumexp(dim=1, keepdim=True)
    right = logits.gather(1, targets.clamp(min=0)[:, None])
    return (total - right)[:, 0].masked_fill_(targets == IGNORED, 0), total


def _slope(logits: Tensor, total: Tensor, targets: Tensor, cap: float) -> Tensor:
    """Return the gradient of the summed loss by what stood before the cap: p − 1[target]; it overwrites the logits."""
    within = 1 - (logits / cap).square() if cap else None
    slope = logits.sub_(total).exp_()
    slope.scatter_add_(1, targets.clamp(min=0)[:, None], slope.new_full((len(targets), 1), -1))
    slope.masked_fill_((targets == IGNORED)[:, None], 0)
    return slope if within is None else slope.mul_(within)

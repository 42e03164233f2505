"""The loss of language models: −ln p of the next token, a few rows of logits at a time."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -1  # a target that does not count, such as the question where only answers are learned

_ROOM, _ROOM_OF_GPU = 1 << 18, 1 << 26  # logits at once: what a processor's second cache holds; a launch's worth
_LEAST_ROWS, _MOST_ROOM = 256, 1 << 23  # of a part on a processor: each walks through all weights and their gradient


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
        >>> loss = token_loss(torch.zeros(2, 4), torch.ones(8, 4), torch.tensor([3, -1]))
        >>> round(float(loss.exp()), 4)
        8.0
    """
    counted = targets != IGNORED
    if not bool(counted.all()):
        states, targets = states[counted], targets[counted]
    loss: Tensor = _TokenLoss.apply(states, weight, targets, cap)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def token_losses(states: Tensor, weight: Tensor, targets: Tensor, cap: float = 0.0) -> Tensor:
    """Return −ln p(target) of every token, shape (tokens,); 0 where the target does not count.

    Arguments are those of `token_loss`.
    """
    losses = torch.zeros(len(targets), device=states.device)
    counted = targets != IGNORED
    if not bool(counted.all()):  # where answers alone count, most of what is read does not
        if bool(counted.any()):
            losses[counted] = token_losses(states[counted], weight, targets[counted], cap)
        return losses
    for part in _parts(states, weight):
        logs = F.log_softmax(capped(_product(states[part], weight), cap), dim=1)
        losses[part] = -logs.gather(1, targets[part][:, None])[:, 0]
    return losses


def capped(logits: Tensor, cap: float) -> Tensor:
    """Return c · tanh(logits / c), or the logits themselves where the cap c is 0."""
    return cap * torch.tanh(logits / cap) if cap else logits


@final
class _TokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, targets: Tensor, cap: float) -> Tensor:
        of_states, of_weight = ctx.needs_input_grad[:2]  # a head may stay as it is while what is below it learns
        slopes = None
        if of_states or of_weight:
            slopes = (torch.empty_like(states), torch.zeros_like(weight) if of_weight else None)
        loss = torch.zeros((), device=states.device)
        states, weight = _narrowed(states), _narrowed(weight)
        for part in _parts(states, weight):
            logits = capped(_product(states[part], weight), cap)
            logs = F.log_softmax(logits, dim=1)
            loss -= logs.gather(1, targets[part][:, None]).sum()
            if slopes is not None:
                slope = logs.exp_()  # of the summed loss by what stood before the cap: p − 1[target]
                slope.scatter_add_(1, targets[part][:, None], slope.new_full((len(slope), 1), -1))
                slope = slope.mul_(1 - (logits / cap).square()) if cap else slope
                _add_slopes(slopes, slope.to(states.dtype), states, weight, part)
        ctx.count = max(1, len(states))
        ctx.save_for_backward(*(slopes or ()))
        return loss / ctx.count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        share = factor / ctx.count
        states_slope, weight_slope = ctx.saved_tensors
        return states_slope * share, None if weight_slope is None else weight_slope * share, None, None


def _add_slopes(
    slopes: tuple[Tensor, Tensor | None], slope: Tensor, states: Tensor, weight: Tensor, part: slice
) -> None:
    of_states, of_weight = slopes
    of_states[part] = slope @ weight.to(slope.dtype)
    if of_weight is None:
        return
    if of_weight.dtype == slope.dtype:
        of_weight.addmm_(slope.T, states[part])
    else:
        of_weight += slope.T @ states[part]


def _parts(states: Tensor, weight: Tensor) -> list[slice]:
    room = _ROOM if states.device.type == "cpu" else _ROOM_OF_GPU
    size = max(16, room // len(weight), min(_LEAST_ROWS, _MOST_ROOM // len(weight)))
    return [slice(start, start + size) for start in range(0, len(states), size)]


def _narrowed(numbers: Tensor) -> Tensor:
    """Return numbers as autocast would have them in a product: once, instead of for every part."""
    kind = numbers.device.type
    return numbers.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else numbers


def _product(states: Tensor, weight: Tensor) -> Tensor:
    return (states @ weight.to(states.dtype).T).float()

"""The block of a decoder and what it is made of.

Three functions say their own gradient. What PyTorch would derive from their formulas walks over the same numbers up to
three times as often, and on a processor these walks, not products of matrices, are what a step can be relieved of.
"""

from __future__ import annotations

from typing import Any, Protocol, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from yunti.models.looking import looked

EPSILON = 1e-6


class Slot(Protocol):
    """Where a block leaves its keys and values for the tokens to come."""

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of new tokens, shape (rows, steps, heads, width), and return those of all so far."""


def normalised(tokens: Tensor) -> Tensor:
    """Return x / √(mean(x²) + 10⁻⁶) over the last dimension (Zhang and Sennrich, 2019, RMSNorm, without its weights).

    Example:
        >>> normalised(torch.tensor([[3.0, 4.0]]))
        tensor([[0.8485, 1.1314]])
    """
    made: Tensor = _Normalised.apply(tokens)  # type: ignore[no-untyped-call]
    return made


def turned(parts: Tensor, places: Tensor, key_value_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries and keys, normalised and turned by their place, and values as they are.

    Two neighbouring numbers of a vector are one complex number, and that is turned by an angle of its own for every
    place: the product of two such vectors depends on how far apart they stand, not on where. Sources: Su et al., 2021,
    RoFormer, arXiv 2104.09864; normalised queries and keys after Henry et al., 2020, Query-key normalization for
    Transformers, arXiv 2010.04245.

    Args:
        parts: queries, keys and values side by side, shape (rows, steps, heads + 2 · key_value_heads, width).
        places: what `rotations` gives for the steps.
        key_value_heads: heads of keys, and of values.

    Returns:
        Shapes (rows, steps, heads, width), and twice (rows, steps, key_value_heads, width).
    """
    made: tuple[Tensor, Tensor, Tensor] = _Turned.apply(parts, places, key_value_heads)  # type: ignore[no-untyped-call]
    return made


def squared_relu(hidden: Tensor) -> Tensor:
    """Return max(x, 0)² (So et al., 2021, Primer, arXiv 2109.08668).

    Example:
        >>> squared_relu(torch.tensor([-1.0, 3.0]))
        tensor([0., 9.])
    """
    made: Tensor = _SquaredRelu.apply(hidden)  # type: ignore[no-untyped-call]
    return made


def rotations(start: int, end: int, width: int, device: torch.device) -> Tensor:
    """Return how vectors are turned at the places from start to end, complex numbers, (end − start, 1, width / 2).

    Place p turns the i-th pair by p · 10000^(−2i / width), clockwise.
    """
    rates = 10_000.0 ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(start, end, device=device, dtype=torch.float32)[:, None, None] * -rates
    return torch.polar(torch.ones_like(angles), angles)


@final
class DecoderBlock(nn.Module):
    """Attention to earlier tokens and two layers, each added to what came in; both begin as nothing.

    Queries, keys and values are one product of matrices. Several heads of queries may share one of keys and values
    (Ainslie et al., 2023, GQA, arXiv 2305.13245).

    Args:
        width: numbers of a token.
        heads: of queries; they share the width.
        key_value_heads: of keys and values; a divisor of `heads`.
        dropout: share of numbers hidden in both branches.
    """

    def __init__(self, width: int, heads: int, key_value_heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.key_value_heads, self.head_width = heads, key_value_heads, width // heads
        self.queries_keys_values = nn.Linear(width, (heads + 2 * key_value_heads) * self.head_width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.queries_keys_values, self.up):
            nn.init.uniform_(layer.weight, -((3 / width) ** 0.5), (3 / width) ** 0.5)
        for layer in (self.out, self.down):
            nn.init.zeros_(layer.weight)

    def forward(self, tokens: Tensor, places: Tensor, mask: Tensor | None = None, slot: Slot | None = None) -> Tensor:
        """Return shape (rows, steps, width).

        Args:
            tokens: shape (rows, steps, width).
            places: what `rotations` gives for the steps.
            mask: shape (rows, 1, steps, steps), true where a step may look at another; None for all before it.
            slot: keeps keys and values, and holds those of earlier steps.
        """
        tokens = tokens + self.dropout(self.out(self._attended(normalised(tokens), places, mask, slot)))
        return tokens + self.dropout(self.down(squared_relu(self.up(normalised(tokens)))))

    def _attended(self, tokens: Tensor, places: Tensor, mask: Tensor | None, slot: Slot | None) -> Tensor:
        parts = self.queries_keys_values(tokens).unflatten(-1, (-1, self.head_width))  # (rows, steps, heads, width)
        queries, keys, values = turned(parts, places, self.key_value_heads)
        if slot is not None:
            keys, values = slot.add(keys, values)
        causal = mask is None and queries.shape[1] > 1
        found = looked(queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), mask, causal=causal)
        return found.transpose(1, 2).flatten(2).to(parts.dtype)


@final
class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor) -> Tensor:
        made, factor = _unit(tokens)
        ctx.save_for_backward(made, factor)
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        made, factor = ctx.saved_tensors
        along = (slope * made).sum(dim=-1, keepdim=True).div_(made.shape[-1])
        return torch.addcmul(slope, made, along, value=-1).mul_(factor)


@final
class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parts: Tensor, places: Tensor, key_value_heads: int) -> tuple[Tensor, Tensor, Tensor]:
        unit, factor = _unit(_exact(parts[:, :, :-key_value_heads]))
        made, values = torch.view_as_real(_pairs(unit) * places).flatten(-2), parts[:, :, -key_value_heads:]
        if parts.device.type == "cpu":  # as attention wants them there
            values = values.to(made.dtype)
        else:
            made = made.to(parts.dtype)
        ctx.save_for_backward(unit, factor, places)
        ctx.heads, ctx.kind = key_value_heads, parts.dtype
        return made[:, :, :-key_value_heads], made[:, :, -key_value_heads:], values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, None, None]:
        unit, factor, places = ctx.saved_tensors
        heads = ctx.heads
        slope = unit.new_empty(*unit.shape[:2], unit.shape[2] + heads, unit.shape[3])  # side by side, as they came in
        slope[:, :, -heads:] = values
        turning = slope[:, :, :-heads]
        for part, given in ((turning[:, :, :-heads], queries), (turning[:, :, -heads:], keys)):
            torch.mul(_pairs(_exact(given)), places.conj(), out=_pairs(part))
        along = (turning * unit).sum(dim=-1, keepdim=True).div_(unit.shape[-1])
        turning.addcmul_(unit, along, value=-1).mul_(factor)
        return slope.to(ctx.kind), None, None


@final
class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor) -> Tensor:
        ctx.save_for_backward(hidden)
        made = hidden.clamp_min(0)
        return made.mul_(made)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        (hidden,) = ctx.saved_tensors
        return hidden.clamp_min(0).mul_(slope).mul_(2)


def _exact_type(tokens: Tensor) -> torch.dtype:
    return torch.promote_types(tokens.dtype, torch.float32)


def _exact(tokens: Tensor) -> Tensor:
    return tokens.to(_exact_type(tokens))


def _pairs(vectors: Tensor) -> Tensor:
    return torch.view_as_complex(vectors.view(*vectors.shape[:-1], -1, 2))


def _unit(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return vectors u of mean square 1 and the factor they were multiplied by.

    From a gradient g by u follows (g − u · mean(g · u)) · factor by what was normalised.
    """
    square = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True, dtype=_exact_type(tokens)).square_()
    factor = square.div_(tokens.shape[-1]).add_(EPSILON).rsqrt_()
    return (tokens * factor).to(tokens.dtype), factor

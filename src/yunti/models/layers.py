"""Layers that several networks share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, Tensor]


class Part(nn.Module, ABC):
    """A part of a network that reads some of the columns.

    Args:
        width: numbers that it gives for a row.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""


@final
class NumberEmbedding(nn.Module):
    """Every number as a vector: piecewise-linear encoding on its quantiles, then a linear layer of its own.

    e_t(x) = clip((x − b_t) / (b_{t+1} − b_t), 0, 1) for the bins b_0 < … < b_T, the first open to the left and the last
    to the right. Source: Gorishniy, Rubachev and Babenko, 2022, On embeddings for numerical features in tabular deep
    learning, arXiv 2203.05556. The number itself is passed on beside its vector.

    Args:
        edges: shape (numbers, bins + 1), ascending; a repeated edge is a bin that is not there.
        width: numbers of each vector.
    """

    start: Tensor
    slope: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, edges: NDArray[np.float32], width: int) -> None:
        super().__init__()
        numbers, bins = edges.shape[0], edges.shape[1] - 1
        widths = np.diff(edges, axis=1)
        there = widths > 0
        low, high = np.zeros_like(widths), np.ones_like(widths)
        low[:, 0] = -np.inf
        last = np.maximum(there.sum(axis=1) - 1, 0)
        high[np.arange(numbers), last] = np.inf
        slopes = np.where(there, 1 / np.where(there, widths, 1), 0)
        for name, values in (("start", edges[:, :-1]), ("slope", slopes), ("low", low), ("high", high)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
        bound = bins**-0.5
        self.weight = nn.Parameter(torch.empty(numbers, bins, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(numbers, width).uniform_(-bound, bound))

    def forward(self, numbers: Tensor) -> Tensor:
        """Return shape (rows, numbers, width + 1) for numbers of shape (rows, numbers)."""
        steps = (numbers[..., None] - self.start) * self.slope
        steps = torch.maximum(torch.minimum(steps, self.high), self.low)  # (rows, numbers, bins)
        vectors = torch.bmm(steps.transpose(0, 1), self.weight).transpose(0, 1) + self.bias
        return torch.cat([numbers[..., None], vectors], dim=2)


@final
class CategoryEmbedding(nn.Module):
    """Every category as a vector, wider for more levels; code 0 (missing, rare, unknown) begins at zero.

    Args:
        cardinalities: number of codes of each column.
        widths: numbers of each column's vector.
    """

    def __init__(self, cardinalities: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        tables = [nn.Embedding(levels, width) for levels, width in zip(cardinalities, widths, strict=True)]
        for table in tables:
            nn.init.normal_(table.weight, std=table.embedding_dim**-0.5)
            nn.init.zeros_(table.weight[0])
        self.tables = nn.ModuleList(tables)

    def forward(self, codes: Tensor) -> list[Tensor]:
        """Return one (rows, width) for each column of codes, shape (rows, columns)."""
        return [table(codes[:, place]) for place, table in enumerate(self.tables)]


def category_width(cardinality: int, most: int = 64) -> int:
    """Return the width of a category's vector: 1.6 · levels^0.56, as in fastai (Howard and Gugger, 2020).

    Example:
        >>> category_width(3), category_width(100)
        (2, 21)
    """
    return max(2, min(most, int(1.6 * cardinality**0.56)))


@final
class Members(nn.Module):
    """An ensemble of networks that share all weights but the first scaling and the last layer.

    Member k reads r_k ⊙ x with a vector r_k of its own, so that each learns a different network from the same rows.
    Source: TabM-mini (Gorishniy, Kotelnikov and Babenko, 2025, arXiv 2410.24210).

    Args:
        width: numbers of a row.
        hidden: width of each hidden layer.
        members: number of networks.
        outputs: numbers that each gives.
        dropout: share of hidden numbers that is hidden while training.
    """

    def __init__(self, width: int, hidden: Sequence[int], members: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.scaling = nn.Parameter(torch.randn(members, width))
        widths = [width, *hidden]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.dropout = dropout
        bound = widths[-1] ** -0.5
        self.head = nn.Parameter(torch.empty(members, widths[-1], outputs).uniform_(-bound, bound))
        self.offset = nn.Parameter(torch.zeros(members, outputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Return shape (rows, members, outputs) for shape (rows, width)."""
        hidden = rows * self.scaling[:, None]  # (members, rows, width)
        for layer in self.layers:
            hidden = F.relu(layer(hidden), inplace=True)
            if self.training and self.dropout:
                # all members hide the same numbers: drawing them for each would cost more than the layer itself
                hidden = hidden * F.dropout(torch.ones_like(hidden[0]), self.dropout)
        return torch.baddbmm(self.offset[:, None], hidden, self.head).transpose(0, 1)


@final
class Head(nn.Module):
    """One layer from the fused parts to the answer, after dropout; two where several parts must be weighed together.

    Args:
        width: numbers of a row.
        hidden: width of the layer between, 0 for none.
        outputs: numbers that are answered.
        dropout: share of numbers that is hidden while training.
    """

    def __init__(self, width: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.between = nn.Linear(width, hidden) if hidden else nn.Identity()
        self.act = nn.GELU() if hidden else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden or width, outputs)

    def forward(self, rows: Tensor) -> Tensor:
        """Return shape (rows, 1, outputs) for shape (rows, width)."""
        return self.head(self.dropout(self.act(self.between(self.norm(rows)))))[:, None]


@final
class Fused(nn.Module):
    """Parts side by side, one head on all they give.

    Args:
        parts: what reads the columns.
        head: from (rows, sum of the parts' widths) to (rows, members, outputs).
    """

    def __init__(self, parts: Sequence[Part], head: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.head = head

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, members, outputs)."""
        return self.head(torch.cat([part(batch) for part in self.parts], dim=1))


def masked_mean(steps: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over real steps, (rows, width) of (rows, steps, width); zeros for a row without steps."""
    counts = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return (steps * mask[..., None]).sum(dim=1) / counts


def masked_max(steps: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum over real steps, (rows, width) of (rows, steps, width); zeros for a row without steps."""
    highest = steps.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)
    return torch.where(mask.any(dim=1)[:, None], highest, 0.0)

"""Residual layers for tables."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from yunti.models.blueprint import Reader
from yunti.models.inputs import TablePart
from yunti.models.layers import Batch, Part


@final
class ResidualTable(Part):
    """x + W₂ relu(W₁ norm(x)) over and over, on embedded columns.

    Source: the ResNet of Gorishniy et al., 2021, Revisiting deep learning models for tabular data, arXiv 2106.11959.

    Args:
        reader: knows edges and levels.
        number_width: numbers of each number's vector.
        width: numbers that are carried on.
        blocks: how many are stacked.
        dropout: share of numbers hidden inside a block.
    """

    def __init__(self, reader: Reader, number_width: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__(width)
        self.table = TablePart(reader, number_width)
        self.front = nn.Linear(self.table.width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.Linear(width, 2 * width),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
                nn.Linear(2 * width, width),
            )
            for _ in range(blocks)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        carried = self.front(self.table(batch))
        for block in self.blocks:
            carried = carried + block(carried)
        return torch.relu(carried)

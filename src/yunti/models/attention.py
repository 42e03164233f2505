"""Transformers: every column, word, patch or stretch of sound a token, and attention between them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.data.encode import Stream
from yunti.models.blueprint import Reader
from yunti.models.inputs import Pixels, token_table
from yunti.models.layers import Batch, NumberEmbedding, Part, masked_mean
from yunti.models.looking import looked
from yunti.models.recurrent import folded

Tokens = tuple[Tensor, Tensor]  # (rows, tokens, width), and (rows, tokens) true on real ones


@final
class Block(nn.Module):
    """Attention and two layers, each added to what came in, each after a normalisation (Xiong et al., 2020).

    Args:
        width: numbers of a token.
        heads: attention heads.
        dropout: share of numbers hidden in both branches.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.before_layers = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 3 * width)
        self.down = nn.Linear(3 * width, width)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.out, self.down):  # branches begin as nothing, so depth does no harm at the start
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Return shape (rows, tokens, width).

        Args:
            tokens: shape (rows, tokens, width).
            mask: shape (rows, 1, 1, tokens), true on tokens that may be looked at; None for all.
        """
        rows, count, width = tokens.shape
        parts = self.queries_keys_values(self.before_attention(tokens)).reshape(rows, count, 3, self.heads, -1)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        found = looked(queries, keys, values, mask).to(parts.dtype)
        tokens = tokens + self.dropout(self.out(found.transpose(1, 2).reshape(rows, count, width)))
        hidden = F.relu(self.up(self.before_layers(tokens))).square()
        return tokens + self.dropout(self.down(hidden))


@final
class ColumnTokens(nn.Module):
    """Numbers and categories as tokens (Gorishniy et al., 2021, FT-Transformer, arXiv 2106.11959).

    Args:
        reader: knows edges and levels.
        width: numbers of a token.
    """

    starts: Tensor

    def __init__(self, reader: Reader, width: int) -> None:
        super().__init__()
        self.numbers = NumberEmbedding(reader.edges, width - 1) if reader.number_width else None
        self.number_names = nn.Parameter(torch.randn(reader.number_width, width) * width**-0.5)
        starts = torch.tensor([0, *reader.cardinalities[:-1]]).cumsum(0)
        self.register_buffer("starts", starts if reader.cardinalities else torch.zeros(0, dtype=torch.long))
        levels = sum(reader.cardinalities)
        self.tables = nn.Embedding(levels, width) if levels else None
        if self.tables is not None:
            nn.init.normal_(self.tables.weight, std=width**-0.5)

    def forward(self, batch: Batch) -> Tokens:
        """Return one token a column, all real."""
        parts = []
        if self.numbers is not None:
            parts.append(self.numbers(batch["numbers"]) + self.number_names)
        if self.tables is not None:
            parts.append(self.tables(batch["categories"] + self.starts))
        tokens = torch.cat(parts, dim=1)
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


@final
class PatchTokens(nn.Module):
    """Patches of a picture as tokens, each with a place that is learned (Dosovitskiy et al., 2021, ViT).

    Args:
        stream: an image column.
        width: numbers of a token.
        side: side of a patch.
    """

    def __init__(self, stream: Stream, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.pixels = Pixels(stream)
        self.front = nn.Linear(stream.width * side**2, width)
        count = math.ceil(stream.length / side) * math.ceil(stream.breadth / side)
        self.places = nn.Parameter(torch.randn(count, width) * 0.1)

    def forward(self, batch: Batch) -> Tokens:
        """Return one token a patch, all real."""
        pictures = self.pixels(batch)
        down, right = -pictures.shape[2] % self.side, -pictures.shape[3] % self.side
        patches = F.pixel_unshuffle(F.pad(pictures, (0, right, 0, down)), self.side).flatten(2).transpose(1, 2)
        tokens = self.front(patches) + self.places
        return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)


@final
class StepTokens(nn.Module):
    """Words, or stretches of frames or steps, as tokens, each with the waves of its place.

    Args:
        stream: a text, audio, sequence or features column.
        width: numbers of a token.
        fold: frames or steps that make one token; 1 for text.
    """

    def __init__(self, stream: Stream, width: int, fold: int) -> None:
        super().__init__()
        self.key, self.fold = stream.key, fold
        is_text = stream.kind == "text"
        self.tokens = token_table(stream.width, width) if is_text else None
        self.front = None if is_text else nn.Linear(stream.width * fold, width)
        self.place_size = nn.Parameter(torch.tensor(0.3))

    def forward(self, batch: Batch) -> Tokens:
        """Return tokens and which are real."""
        steps, mask = batch[self.key], batch[f"{self.key}.mask"]
        if self.front is not None:
            steps, mask = folded(steps, mask, self.fold)
            tokens = self.front(steps)
        elif self.tokens is not None:
            tokens = self.tokens(steps)
        return tokens + self.place_size * waves(tokens.shape[1], tokens.shape[2]).to(tokens.device), mask


@final
class Attention(Part):
    """All tokens of a row and one more that gathers; given are that one and the mean of each column's tokens.

    Args:
        sources: what makes the tokens.
        width: numbers of a token.
        depth: number of blocks.
        heads: attention heads.
        dropout: share of numbers hidden.
    """

    def __init__(self, sources: Sequence[nn.Module], width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__(width * (1 + len(sources)))
        self.sources = nn.ModuleList(sources)
        self.place_of_answer = nn.Parameter(torch.randn(1, 1, width) * width**-0.5)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        made = [source(batch) for source in self.sources]
        rows = made[0][0].shape[0]
        tokens = torch.cat([self.place_of_answer.expand(rows, -1, -1), *(each for each, _ in made)], dim=1)
        there = torch.cat([torch.ones_like(made[0][1][:, :1]), *(mask for _, mask in made)], dim=1)
        mask = None if bool(there.all()) else there[:, None, None]
        for block in self.blocks:
            tokens = block(tokens, mask)
        tokens = self.norm(tokens)
        ends = torch.cumsum(torch.tensor([1, *(each.shape[1] for each, _ in made)]), 0).tolist()
        means = [masked_mean(tokens[:, i:j], there[:, i:j]) for i, j in pairwise(ends)]
        return torch.cat([tokens[:, 0], *means], dim=1)


def waves(count: int, width: int) -> Tensor:
    """Return sines and cosines of geometric wavelengths, (count, width): a place as a vector (Vaswani et al., 2017)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(count)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]

"""Convolutions over pictures, spectrograms, token vectors and sequences: one part for all, flat or square filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.data.encode import Stream
from yunti.models.inputs import Front, Pixels
from yunti.models.layers import Batch, Part

Shape = tuple[int, int]


@final
class Convolution(nn.Module):
    """Convolution, batch normalisation (Ioffe and Szegedy, 2015) and, where wanted, the positive part.

    Args:
        before: channels in.
        after: channels out.
        size: height and width of the filter, odd.
        active: whether negative numbers become 0.
    """

    def __init__(self, before: int, after: int, size: Shape, active: bool = True) -> None:
        super().__init__()
        self.filters = nn.Conv2d(before, after, size, padding=(size[0] // 2, size[1] // 2), bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.active = active

    def forward(self, pictures: Tensor, there: Tensor | None) -> Tensor:
        """Return shape (rows, after, height, width) of (rows, before, height, width).

        Args:
            pictures: what is looked at.
            there: shape (rows, 1, height, 1), 0 behind a row's end, so that padding never matters.
        """
        made = self.norm(self.filters(pictures))
        if self.active:
            made = F.relu(made, inplace=True)
        return made if there is None else made * there


@final
class Residual(nn.Module):
    """x + f(x) with two convolutions in f (He et al., 2016, arXiv 1512.03385); f begins as nothing.

    Args:
        before: channels in.
        after: channels out.
        size: height and width of the filters.
    """

    def __init__(self, before: int, after: int, size: Shape) -> None:
        super().__init__()
        self.first = Convolution(before, after, size)
        self.second = Convolution(after, after, size, active=False)
        nn.init.zeros_(self.second.norm.weight)
        self.short = None if before == after else Convolution(before, after, (1, 1), active=False)

    def forward(self, pictures: Tensor, there: Tensor | None) -> Tensor:
        """Return shape (rows, after, height, width) of (rows, before, height, width)."""
        straight = pictures if self.short is None else self.short(pictures, there)
        return F.relu(straight + self.second(self.first(pictures, there), there))


@final
class Filters(Part):
    """From pictures or steps to one vector a row: stages of convolutions, each of half the size, then mean and maximum.

    Pictures and spectrograms are looked at by square filters, tokens and sequences by flat ones along the steps.
    Rows of different length give the same vector whatever they are padded to.

    Args:
        stream: an image, audio, text or sequence column.
        widths: channels of each stage.
        blocks: residual blocks of each stage; 0 for two plain convolutions.
        stem: 2 folds 2 × 2 neighbouring pixels or frames into channels first, 1 does not.
        front: numbers of a token's or step's vector.
    """

    def __init__(self, stream: Stream, widths: Sequence[int], blocks: int, stem: int, front: int) -> None:
        flat = stream.kind in ("text", "sequence")
        super().__init__(2 * widths[-1] + (2 * front if flat else 0))
        self.key, self.stem = stream.key, stem
        self.pixels = Pixels(stream) if stream.kind == "image" else None
        self.front = Front(stream, front) if flat else None
        channels = front if flat else (stream.width if stream.kind == "image" else 1) * stem**2
        size = (3, 1) if flat else (3, 3)
        self.halving = (2, 1) if flat else (2, 2)
        stages: list[nn.ModuleList] = []
        for after in widths:
            stages.append(nn.ModuleList(_stage(channels, after, blocks, size)))
            channels = after
        self.stages = nn.ModuleList(stages)
        for parameter in self.stages.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        seen, there = self._open(batch)
        first, whole = seen, there
        seen = seen.contiguous(memory_format=torch.channels_last)
        for place, stage in enumerate(self.stages):
            if place and max(seen.shape[2:]) > 1:
                seen = F.max_pool2d(seen, self.halving, ceil_mode=True)
                there = None if there is None else F.max_pool2d(there, (2, 1), ceil_mode=True)
            for block in cast(nn.ModuleList, stage):
                seen = block(seen, there)
        pooled = _pooled(seen, there)
        return torch.cat([pooled, _pooled(first, whole)], dim=1) if self.front is not None else pooled

    def _open(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        if self.pixels is not None:
            return _folded(self.pixels(batch), self.stem), None
        there = batch[f"{self.key}.mask"][:, None, :, None].float()
        if self.front is not None:
            return self.front(batch).transpose(1, 2)[..., None] * there, there
        return (
            _folded(batch[self.key][:, None], self.stem),
            F.max_pool2d(there, (self.stem, 1), ceil_mode=True) if self.stem > 1 else there,
        )


def _stage(before: int, after: int, blocks: int, size: Shape) -> list[nn.Module]:
    if not blocks:
        return [Convolution(before, after, size), Convolution(after, after, size)]
    return [Residual(before, after, size), *(Residual(after, after, size) for _ in range(blocks - 1))]


def _folded(pictures: Tensor, stem: int) -> Tensor:
    if stem == 1:
        return pictures
    down, right = -pictures.shape[2] % stem, -pictures.shape[3] % stem
    return F.pixel_unshuffle(F.pad(pictures, (0, right, 0, down)), stem)


def _pooled(seen: Tensor, there: Tensor | None) -> Tensor:
    """Mean and maximum over all places that are there; zeros for a row without any."""
    if there is None:
        return torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1)
    count = there.sum(dim=(2, 3))
    highest = seen.masked_fill(there == 0, -torch.inf).amax(dim=(2, 3))
    mean = seen.sum(dim=(2, 3)) / (count.clamp(min=1) * seen.shape[3])
    return torch.cat([mean, torch.where(count > 0, highest, 0.0)], dim=1)

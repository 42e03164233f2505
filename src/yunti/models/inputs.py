"""The plainest part for every kind of column: one vector a row. Rungs put stronger parts where they have them."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from yunti.data.encode import Stream
from yunti.models.blueprint import Reader
from yunti.models.layers import (
    Batch,
    CategoryEmbedding,
    NumberEmbedding,
    Part,
    category_width,
    masked_max,
    masked_mean,
)


@final
class TablePart(Part):
    """Numbers and categories of a row, embedded and laid end to end.

    Args:
        reader: knows edges and levels.
        width: numbers of each number's vector.
    """

    def __init__(self, reader: Reader, width: int) -> None:
        widths = [category_width(levels) for levels in reader.cardinalities]
        super().__init__(reader.number_width * (width + 1) + sum(widths))
        self.numbers = NumberEmbedding(reader.edges, width) if reader.number_width else None
        self.categories = CategoryEmbedding(reader.cardinalities, widths) if widths else None

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        parts = []
        if self.numbers is not None:
            parts.append(self.numbers(batch["numbers"]).flatten(1))
        if self.categories is not None:
            parts += self.categories(batch["categories"])
        return torch.cat(parts, dim=1)


@final
class BagPart(Part):
    """The mean and the maximum of a text's token vectors, as in fastText (Joulin et al., 2017, arXiv 1607.01759).

    Args:
        stream: the text column.
        width: numbers of a token's vector.
    """

    def __init__(self, stream: Stream, width: int) -> None:
        super().__init__(2 * width)
        self.key = stream.key
        self.tokens = token_table(stream.width, width)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        mask = batch[f"{self.key}.mask"]
        tokens = self.tokens(batch[self.key])
        return torch.cat([masked_mean(tokens, mask) * tokens.shape[2] ** 0.5, masked_max(tokens, mask)], dim=1)


@final
class PixelPart(Part):
    """All pixels of a picture, averaged down to at most 32 a side, through one layer.

    Args:
        stream: the image column.
        width: numbers for the picture.
    """

    def __init__(self, stream: Stream, width: int, side: int = 32) -> None:
        super().__init__(width)
        self.pixels = Pixels(stream)
        scale = min(1.0, side / max(stream.length, stream.breadth))
        size = max(1, round(stream.length * scale)), max(1, round(stream.breadth * scale))
        self.pool = nn.AdaptiveAvgPool2d(size) if scale < 1 else nn.Identity()
        self.layer = nn.Linear(size[0] * size[1] * stream.width, width)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        return torch.relu(self.layer(self.pool(self.pixels(batch)).flatten(1)))


@final
class SummaryPart(Part):
    """A sound or sequence as mean, deviation and maximum of each channel, whole and in quarters, through one layer.

    Args:
        stream: the audio or sequence column.
        width: numbers for the row.
    """

    def __init__(self, stream: Stream, width: int) -> None:
        super().__init__(width)
        self.key = stream.key
        self.layer = nn.Linear(7 * stream.width, width)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        steps, mask = batch[self.key], batch[f"{self.key}.mask"]
        mean = masked_mean(steps, mask)
        deviation = (masked_mean(steps**2, mask) - mean**2).clamp(min=0).add(1e-6).sqrt()
        place = torch.arange(steps.shape[1], device=steps.device) * 4
        quarter = place // mask.sum(dim=1, keepdim=True).clamp(min=1)
        quarters = [masked_mean(steps, mask & (quarter == each)) for each in range(4)]
        return torch.relu(self.layer(torch.cat([mean, deviation, masked_max(steps, mask), *quarters], dim=1)))


@final
class VectorPart(Part):
    """A vector that a pretrained model made, brought to unit size.

    Args:
        stream: the features.
    """

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream.width)
        self.key = stream.key
        self.norm = nn.LayerNorm(stream.width)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        return self.norm(batch[self.key])


@final
class Pixels(nn.Module):
    """Pictures as (rows, channels, height, width), each channel of mean 0 and deviation 1 over the training rows.

    Args:
        stream: the image column.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.key = stream.key
        self.register_buffer("mean", torch.tensor(stream.mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.tensor(stream.deviation, dtype=torch.float32))

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, channels, height, width), channels last in memory."""
        return batch[self.key].to(torch.float32, copy=True).sub_(self.mean).div_(self.deviation).permute(0, 3, 1, 2)


@final
class Front(nn.Module):
    """Tokens, frames, steps or lines of pixels as vectors: (rows, steps, width), zeros behind a row's end.

    Args:
        stream: any stream.
        width: numbers of each vector.
    """

    def __init__(self, stream: Stream, width: int) -> None:
        super().__init__()
        self.key = stream.key
        self.pixels = Pixels(stream) if stream.kind == "image" else None
        is_text = stream.kind == "text"
        self.tokens = token_table(stream.width, width) if is_text else None
        numbers = stream.width * stream.breadth if stream.kind == "image" else stream.width
        self.layer = None if is_text else nn.Linear(numbers, width)

    def mask(self, batch: Batch) -> Tensor:
        """Return shape (rows, steps), true on real steps."""
        if self.pixels is None:
            return batch[f"{self.key}.mask"]
        return torch.ones(batch[self.key].shape[:2], dtype=torch.bool, device=batch[self.key].device)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, steps, width)."""
        if self.tokens is not None:
            return self.tokens(batch[self.key])
        assert self.layer is not None
        if self.pixels is not None:
            return self.layer(self.pixels(batch).transpose(1, 2).flatten(2))
        return self.layer(batch[self.key]) * batch[f"{self.key}.mask"][..., None]


def token_table(size: int, width: int) -> nn.Embedding:
    """Return vectors for tokens, of about unit length; padding stays zero."""
    table = nn.Embedding(size, width, padding_idx=0)
    nn.init.normal_(table.weight, std=width**-0.5)
    with torch.no_grad():
        table.weight[0].zero_()
    return table


def plain_part(stream: Stream, width: int) -> Part:
    """Return the plainest part for a stream."""
    match stream.kind:
        case "text":
            return BagPart(stream, width)
        case "image":
            return PixelPart(stream, width)
        case "audio" | "sequence":
            return SummaryPart(stream, width)
        case "features":
            return VectorPart(stream)


def table_parts(reader: Reader, width: int) -> list[Part]:
    """Return the part for numbers and categories, if there are any; `width` is of each number's vector."""
    return [TablePart(reader, width)] if reader.number_width or reader.cardinalities else []

"""Recurrent layers over tokens, frames, steps and lines of pixels."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from yunti.data.encode import Stream
from yunti.models.inputs import Front
from yunti.models.layers import Batch, Part, masked_max, masked_mean


@final
class Memory(Part):
    """LSTM layers that read a row forwards and backwards, then attention, mean and maximum over what they wrote.

    The backward reading is a forward reading of the reversed row, so that what is padded behind a row is never read
    before it. Sources: Hochreiter and Schmidhuber, 1997; Graves and Schmidhuber, 2005; attention as in Yang et al.,
    2016, Hierarchical attention networks.

    Args:
        stream: any stream.
        front: numbers of a step's vector.
        width: units of each direction.
        layers: how many are stacked.
        dropout: share of numbers hidden between layers.
        fold: neighbouring steps that are read as one.
    """

    def __init__(self, stream: Stream, front: int, width: int, layers: int, dropout: float, fold: int = 1) -> None:
        super().__init__(6 * width)
        self.front = Front(stream, front)
        self.fold = fold
        inputs = [front * fold, *([2 * width] * (layers - 1))]
        self.forwards = nn.ModuleList(nn.LSTM(size, width, batch_first=True) for size in inputs)
        self.backwards = nn.ModuleList(nn.LSTM(size, width, batch_first=True) for size in inputs)
        self.dropout = nn.Dropout(dropout)
        self.attention = nn.Linear(2 * width, 1, bias=False)
        for layer in (*self.forwards, *self.backwards):
            remember(layer)

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        steps, mask = self.front(batch), self.front.mask(batch)
        if self.fold > 1:
            steps, mask = folded(steps, mask, self.fold)
        turned = reversal(mask)[..., None]
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            steps = self.dropout(steps)
            onward = ahead(steps)[0]
            backward = back(_turn(steps, turned))[0]
            steps = torch.cat([onward, _turn(backward, turned)], dim=2) * mask[..., None]
        weights = self.attention(torch.tanh(steps)).masked_fill(~mask[..., None], -1e9).softmax(dim=1)
        attended = (weights * steps).sum(dim=1)
        return torch.cat([attended, masked_mean(steps, mask), masked_max(steps, mask)], dim=1)


def folded(steps: Tensor, mask: Tensor, fold: int) -> tuple[Tensor, Tensor]:
    """Lay `fold` neighbouring steps end to end: a shorter row of wider steps."""
    short = -steps.shape[1] % fold
    steps, mask = nn.functional.pad(steps, (0, 0, 0, short)), nn.functional.pad(mask, (0, short))
    rows, length, width = steps.shape
    return steps.reshape(rows, length // fold, width * fold), mask.reshape(rows, length // fold, fold).any(dim=2)


def reversal(mask: Tensor) -> Tensor:
    """Return for every place the place that stands there when the real steps are reversed, shape (rows, steps)."""
    lengths = mask.sum(dim=1, keepdim=True)
    place = torch.arange(mask.shape[1], device=mask.device)[None]
    return torch.where(place < lengths, lengths - 1 - place, place)


def _turn(steps: Tensor, order: Tensor) -> Tensor:
    return steps.gather(1, order.expand(-1, -1, steps.shape[2]))


def remember(layer: nn.LSTM) -> None:
    """Begin with an open forget gate (Jozefowicz et al., 2015) and orthogonal recurrence (Saxe et al., 2014)."""
    width = layer.hidden_size
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if "weight_hh" in name:
                for gate in range(4):
                    nn.init.orthogonal_(parameter[gate * width : (gate + 1) * width])
            elif "weight_ih" in name:
                nn.init.xavier_uniform_(parameter)
            else:
                parameter.zero_()
                parameter[width : 2 * width] = 0.5  # of both biases, which are added

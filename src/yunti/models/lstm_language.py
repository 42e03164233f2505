"""A recurrent network that writes: every token from a state of fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.models.recurrent import remember
from yunti.models.token_module import Reading, TokenModule

# Of an embedding that is the head as well. AWD-LSTM begins within 0.1, which suits SGD at a rate of 30; with Adam,
# logits so small leave the first hundreds of steps at the frequencies of tokens (docs/results.md)
_SCALE = 0.7

Memory = list[tuple[Tensor, Tensor]]  # of each layer: hidden and cell, each (1, rows, width)


@final
@dataclass(frozen=True)
class LstmShape:
    """All that a recurrent language model is made with.

    Args:
        vocabulary: number of tokens there are.
        width: numbers of a token's vector, and units of the last layer.
        hidden: units of the layers before it.
        layers: how many are stacked.
        dropout: share of numbers hidden before, between and after layers.
        weight_dropout: share of the recurrent weights hidden.
    """

    vocabulary: int
    width: int
    hidden: int
    layers: int
    dropout: float = 0.0
    weight_dropout: float = 0.0


@final
class LstmLanguage(TokenModule):
    """Stacked LSTM layers between an embedding and the same embedding as head.

    What is hidden of a row while training is the same at all its steps, and recurrent weights may be hidden too: after
    Merity, Keskar and Socher, 2018, AWD-LSTM, arXiv 1708.02182. The tied embedding is of Press and Wolf, 2017, arXiv
    1608.05859.

    Args:
        shape: sizes.

    Example:
        >>> language = LstmLanguage(LstmShape(vocabulary=65, width=16, hidden=32, layers=2))
        >>> tokens = torch.randint(65, (4, 9))
        >>> language({"tokens": tokens}).shape
        torch.Size([4, 9, 65])
        >>> language.begin(tokens).step(tokens[:, 0]).shape
        torch.Size([4, 65])
    """

    def __init__(self, shape: LstmShape) -> None:
        super().__init__(shape.vocabulary, shape.width)
        self.shape = shape
        widths = [shape.width, *[shape.hidden] * (shape.layers - 1), shape.width]
        self.layers = nn.ModuleList(nn.LSTM(before, after, batch_first=True) for before, after in pairwise(widths))
        for layer in self.layers:
            assert isinstance(layer, nn.LSTM)
            remember(layer)
        nn.init.normal_(self.tokens.weight, std=_SCALE)

    @property
    def head_weight(self) -> Tensor:
        """From states to logits: the embedding, shape (vocabulary, width)."""
        return self.tokens.weight

    def states(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return what the module makes of each token and those before it, shape (rows, steps, width).

        Args:
            tokens: shape (rows, steps).
            documents: shape (rows, steps), a number for each token; a token knows only of those of its own number,
                which must stand side by side.
        """
        if documents is None:
            return self.read(tokens)[0]
        alone, where = unpacked(tokens, documents)
        return self.read(alone)[0].flatten(0, 1)[where]

    def begin(self, tokens: Tensor) -> Carried:
        """Read the start of texts that are to be written on, shape (rows, steps), with at least one step."""
        return Carried(self, tokens)

    def read(self, tokens: Tensor, memory: Memory | None = None) -> tuple[Tensor, Memory]:
        """Return states, (rows, steps, width), and what is remembered at the end.

        Args:
            tokens: shape (rows, steps).
            memory: what was remembered before; nothing if not given.
        """
        steps, end = self._hidden(self.tokens(tokens)), []
        for place, layer in enumerate(self.layers):
            weights = [
                layer.get_parameter(name) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            ]
            recurrent = F.dropout(weights[1], self.shape.weight_dropout, self.training)
            zeros = steps.new_zeros(1, len(steps), weights[1].shape[1])
            before = (zeros, zeros) if memory is None else memory[place]
            # the same call as in nn.LSTM, whose own weights cannot be hidden
            steps, *after = torch.lstm(
                steps, before, [weights[0], recurrent, *weights[2:]], True, 1, 0.0, self.training, False, True
            )
            steps = self._hidden(steps)
            end.append((after[0], after[1]))
        return steps, end

    def _hidden(self, steps: Tensor) -> Tensor:
        if not self.training or not self.shape.dropout:
            return steps
        return steps * F.dropout(torch.ones_like(steps[:, :1]), self.shape.dropout)


@final
class Carried(Reading):
    """The state of every layer after the tokens so far; it does not grow, so there is no context to run over.

    Args:
        module: whose states these are.
        tokens: shape (rows, steps).
    """

    @torch.no_grad()
    def __init__(self, module: LstmLanguage, tokens: Tensor) -> None:
        self._module = module
        states, self._memory = module.read(tokens)
        super().__init__(module.logits(states[:, -1]))

    @torch.no_grad()
    def step(self, token: Tensor) -> Tensor:
        """Read one more token in every row, and return the logits of the one after it, shape (rows, vocabulary)."""
        states, self._memory = self._module.read(token[:, None], self._memory)
        self.logits = self._module.logits(states[:, -1])
        return self.logits


def unpacked(tokens: Tensor, documents: Tensor) -> tuple[Tensor, Tensor]:
    """Give every document a row of its own.

    Args:
        tokens: shape (rows, steps).
        documents: shape (rows, steps); a new number begins a new document.

    Returns:
        Shape (documents, longest), zeros behind the end of each; and where each token of `tokens` stands in it, counted
        through all rows, of the shape of `tokens`.

    Example:
        >>> alone, where = unpacked(torch.tensor([[5, 6, 7]]), torch.tensor([[0, 0, 1]]))
        >>> alone
        tensor([[5, 6],
                [7, 0]])
        >>> where
        tensor([[0, 1, 2]])
    """
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    row = begins.flatten().cumsum(0) - 1
    starts = begins.flatten().nonzero()[:, 0]
    step = torch.arange(tokens.numel(), device=tokens.device) - starts[row]
    longest = int(step.max()) + 1
    where = row * longest + step
    alone = tokens.new_zeros(len(starts) * longest)
    alone[where] = tokens.flatten()
    return alone.view(-1, longest), where.view_as(tokens)

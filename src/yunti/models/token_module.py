"""What every network that reads and writes tokens can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor, nn

from yunti.models.layers import Batch
from yunti.models.token_loss import capped, token_loss, token_losses


class Reading(ABC):
    """What a module keeps of the tokens that it has read, so that the next one costs no more than itself.

    Args:
        logits: of the token that comes next, shape (rows, vocabulary).
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    @abstractmethod
    def step(self, token: Tensor) -> Tensor:
        """Read one more token in every row, and return the logits of the one after it.

        Args:
            token: shape (rows,).

        Returns:
            Shape (rows, vocabulary); `logits` holds the same.
        """


class TokenModule(nn.Module, ABC):
    """A network that says of every token how likely each token is to follow it.

    Args:
        vocabulary: number of tokens there are.
        width: numbers of a state, from which the logits are a product.
        cap: c, where the logits z are c · tanh(z / c); 0 for none.
        context: most tokens that `begin` reads, the last ones of longer texts; 0 for all.

    Attributes:
        packs: whether `states` keeps documents apart that stand in one row.
    """

    packs = True

    def __init__(self, vocabulary: int, width: int, cap: float = 0.0, context: int = 0) -> None:
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.cap = cap

    @property
    @abstractmethod
    def head_weight(self) -> Tensor:
        """From states to logits, shape (vocabulary, width); the embedding itself where they are tied."""

    @abstractmethod
    def states(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return what the module makes of each token and those before it.

        Args:
            tokens: shape (rows, steps).
            documents: shape (rows, steps), a number for each token; a token knows only of those of its own number.
                Negative numbers stand for padding.

        Returns:
            Shape (rows, steps, width).
        """

    @abstractmethod
    def begin(self, tokens: Tensor) -> Reading:
        """Read the start of texts that are to be written on, shape (rows, steps), with at least one step."""

    def forward(self, batch: Batch) -> Tensor:
        """Return logits, shape (rows, steps, vocabulary).

        Args:
            batch: "tokens", shape (rows, steps); and "tokens.document" of the same shape where documents are packed.
        """
        return self.logits(self.states(batch["tokens"], batch.get("tokens.document")))

    @final
    def logits(self, states: Tensor) -> Tensor:
        """Return shape (..., vocabulary) for states of shape (..., width)."""
        return capped(nn.functional.linear(states, self.head_weight), self.cap)

    @final
    def loss(self, tokens: Tensor, documents: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        """Return the mean of −ln p of every next token.

        Logits are made some rows at a time: a batch needs little memory, however large the vocabulary.

        Args:
            tokens: shape (rows, steps + 1).
            documents: as for `states`, shape (rows, steps + 1); the step from one document to the next does not count.
            counts: shape (rows, steps + 1), true on tokens that are learned, such as those of answers; else all are.
        """
        states = self.states(tokens[:, :-1], None if documents is None else documents[:, :-1])
        return token_loss(states.flatten(0, 1), self.head_weight, targets(tokens, documents, counts), self.cap)

    @final
    def surprises(self, tokens: Tensor, documents: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        """Return −ln p of every next token, shape (rows, steps), 0 where it does not count; arguments as for `loss`."""
        states = self.states(tokens[:, :-1], None if documents is None else documents[:, :-1])
        found = token_losses(states.flatten(0, 1), self.head_weight, targets(tokens, documents, counts), self.cap)
        return found.view(len(tokens), -1)


def targets(tokens: Tensor, documents: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
    """Return what should follow each token but the last of a row, shape (rows · steps,); -1 where it does not count.

    Example:
        >>> import torch
        >>> targets(torch.tensor([[5, 6, 7, 8]]), torch.tensor([[0, 0, 1, 1]]))
        tensor([ 6, -1,  8])
    """
    wanted = tokens[:, 1:]
    if documents is not None:
        wanted = wanted.masked_fill((documents[:, 1:] != documents[:, :-1]) | (documents[:, 1:] < 0), -1)
    if counts is not None:
        wanted = wanted.masked_fill(~counts[:, 1:].bool(), -1)
    return wanted.flatten()

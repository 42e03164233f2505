"""A Transformer that writes: every token from those before it."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from yunti.models.decoder_layers import DecoderBlock, normalised, rotations
from yunti.models.decoder_size import DecoderShape
from yunti.models.token_module import Reading, TokenModule

_FIRST_ROOM = 64  # tokens that a new cache has room for


@final
class Decoder(TokenModule):
    """Decoder-only Transformer with normalised queries and keys that are turned by their place.

    What is given up of the first such network (Radford et al., 2019, GPT-2): biases and the weights of norms, without
    which it learns as well; learned places, which end with the context; GELU, which max(x, 0)² does better than.
    After Jordan et al., 2024, modded-nanogpt, and Karpathy, 2025, nanochat, whose `transformers` form it equals
    (`yunti.models.exchange`).

    Args:
        shape: sizes; `yunti.models.decoder_size.derive` says good ones.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> decoder = Decoder(DecoderShape(vocabulary=65, width=32, depth=2, heads=2, key_value_heads=1, context=16))
        >>> tokens = torch.randint(65, (4, 17))
        >>> decoder({"tokens": tokens}).shape
        torch.Size([4, 17, 65])
        >>> reading = decoder.begin(tokens[:, :8])
        >>> reading.step(tokens[:, 8]).shape
        torch.Size([4, 65])
    """

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__(shape.vocabulary, shape.width, shape.cap, shape.context)
        self.shape = shape
        self.blocks = nn.ModuleList(
            DecoderBlock(shape.width, shape.heads, shape.key_value_heads, shape.dropout) for _ in range(shape.depth)
        )
        self.dropout = nn.Dropout(shape.dropout)
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)
        nn.init.normal_(self.tokens.weight, std=0.02)  # the logits begin near 0, the loss near ln(vocabulary)
        if self.head is not None:
            nn.init.normal_(self.head.weight, std=0.02)

    @property
    def head_weight(self) -> Tensor:
        """From states to logits, shape (vocabulary, width)."""
        return self.tokens.weight if self.head is None else self.head.weight

    def states(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return what the module makes of each token and those before it, shape (rows, steps, width).

        Rows may have more steps than the context, but were never trained on such.

        Args:
            tokens: shape (rows, steps).
            documents: shape (rows, steps), a number for each token; a token knows only of those of its own number.
        """
        places = rotations(0, tokens.shape[1], self.shape.head_width, tokens.device)
        mask = None if documents is None else own_document(documents)
        states = self.dropout(normalised(self.tokens(tokens)))
        for block in self.blocks:
            states = block(states, places, mask)
        return normalised(states)

    def begin(self, tokens: Tensor) -> Cache:
        """Read the start of texts that are to be written on, shape (rows, steps), with at least one step."""
        return Cache(self, tokens)

    def read(self, tokens: Tensor, kept: Cache, start: int) -> Tensor:
        """Return the logits after tokens that stand behind `start` others, shape (rows, vocabulary)."""
        places = rotations(start, start + tokens.shape[1], self.shape.head_width, tokens.device)
        states = normalised(self.tokens(tokens))
        for block, room in zip(self.blocks, kept.rooms, strict=True):
            states = block(states, places, None, room)
        return self.logits(normalised(states[:, -1]))


@final
class Cache(Reading):
    """Keys and values of the tokens so far, in rooms that grow twofold up to the context.

    Once as many tokens as the context holds are in, the latter half of them is read anew, as if the text began there.
    Forgetting the oldest token alone would be cheaper, but deep keys hold what they saw of tokens that are gone, and
    a model that has lost its first tokens writes much worse (Xiao et al., 2024, arXiv 2309.17453); to refuse would end
    a text at the context. So the logits are always those of `forward` on the tokens that are held, and a step costs
    on average what two do.

    Args:
        module: whose tokens these are.
        tokens: shape (rows, steps); of more than the context, the last ones are read.
    """

    @torch.no_grad()
    def __init__(self, module: Decoder, tokens: Tensor) -> None:
        self._module = module
        self.rooms: list[Room] = []
        super().__init__(self._read_anew(tokens[:, -module.shape.context :]))

    @property
    def held(self) -> Tensor:
        """The tokens that the next one is made from, shape (rows, steps)."""
        return self._tokens[:, : self._length]

    @torch.no_grad()
    def step(self, token: Tensor) -> Tensor:
        """Read one more token in every row, and return the logits of the one after it, shape (rows, vocabulary)."""
        context = self._module.shape.context
        if self._length == context:
            behind = self.held[:, context - context // 2 :]
            self.logits = self._read_anew(torch.cat([behind, token[:, None]], dim=1))
            return self.logits
        self._tokens[:, self._length] = token
        self._length += 1
        self.logits = self._module.read(token[:, None], self, self._length - 1)
        return self.logits

    def _read_anew(self, tokens: Tensor) -> Tensor:
        context = self._module.shape.context
        self.rooms = [Room(context) for _ in self._module.blocks]
        self._length = tokens.shape[1]
        self._tokens = tokens.new_zeros(len(tokens), context)
        self._tokens[:, : self._length] = tokens
        return self._module.read(tokens, self, 0)


@final
class Room:
    """Keys and values of one block.

    Args:
        most: tokens that it may come to hold.
    """

    def __init__(self, most: int) -> None:
        self._most, self._length = most, 0
        self._kept: Tensor | None = None  # (2, rows, room, heads, width)

    def add(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of new tokens, shape (rows, steps, heads, width), and return those of all so far."""
        start, end = self._length, self._length + keys.shape[1]
        if self._kept is None or end > self._kept.shape[2]:
            room = min(self._most, max(_FIRST_ROOM, 2 * start, end))
            grown = keys.new_empty(2, keys.shape[0], room, *keys.shape[2:])
            if self._kept is not None:
                grown[:, :, :start] = self._kept[:, :, :start]
            self._kept = grown
        self._kept[0, :, start:end], self._kept[1, :, start:end] = keys, values
        self._length = end
        return self._kept[0, :, :end], self._kept[1, :, :end]


def own_document(documents: Tensor) -> Tensor:
    """Return a mask of shape (rows, 1, steps, steps), true where a step may look: back, and in its own document.

    Example:
        >>> own_document(torch.tensor([[0, 0, 1]]))[0, 0].int()
        tensor([[1, 0, 0],
                [1, 1, 0],
                [0, 0, 1]], dtype=torch.int32)
    """
    return (documents[:, None, :, None] == documents[:, None, None, :]).tril()

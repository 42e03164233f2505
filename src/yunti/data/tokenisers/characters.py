"""Every character that was seen twice is a token; all others fall apart into their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final, Self, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.table import Ragged
from yunti.data.tokenisers.blocks import (
    AnyTexts,
    blocks,
    bytes_of,
    code_points,
    running,
    utf8_lengths,
)
from yunti.data.tokenisers.bytewise import BYTES
from yunti.data.tokenisers.coder import END, CoderState, TextCoder
from yunti.words import say

LEAST_SEEN: Final = 2
_FIRST: Final = 1 + len(BYTES)


@final
class CharacterCoder(TextCoder):
    """Token 0 ends a document, 1 + b is the byte b, and the characters beyond ASCII that were seen follow.

    An ASCII character is one byte, so its byte's token is the character's: no text has two readings, and a model
    shares no probability between them.

    Args:
        characters: shape (characters,), uint32; code points above 127, each once.
        special: special tokens by name.

    Example:
        >>> coder = CharacterCoder.fit(["上云梯", "下云梯"])
        >>> coder.size, coder.encode("云a").tolist(), len(coder.encode("上"))
        (259, [257, 98], 3)
    """

    kind = "characters"

    def __init__(self, characters: NDArray[np.uint32], special: Mapping[str, int] | None = None) -> None:
        self.characters = np.asarray(characters, dtype=np.uint32)
        pieces = [chr(code).encode() for code in self.characters.tolist()]
        super().__init__((b"", *BYTES, *pieces), END, special or {})

    @classmethod
    def fit(cls, texts: AnyTexts) -> Self:
        """Learn which characters there are.

        Args:
            texts: the training texts.
        """
        counts = count_characters(texts)
        counts[:128] = 0
        return cls(np.flatnonzero(counts >= LEAST_SEEN).astype(np.uint32))

    def describe(self) -> str:
        """Say what it is."""
        return say("coder.characters", size=self.size, known=len(self.characters))

    def state(self) -> CoderState:
        """Return the characters and the special tokens."""
        return CoderState({"kind": self.kind, "special": self.special}, arrays={"characters": self.characters})

    @classmethod
    def restored(cls, state: CoderState) -> Self:
        """Make a coder of a state."""
        return cls(state.arrays["characters"], state.facts["special"])

    @cached_property
    def _tokens(self) -> NDArray[np.uint32]:
        """The token of each code point; 0 where it has none."""
        tokens = np.zeros(0x110000, dtype=np.uint32)
        tokens[:128] = np.arange(1, 129)
        tokens[self.characters] = np.arange(_FIRST, _FIRST + len(self.characters))
        return tokens

    def _encode(self, texts: pa.LargeStringArray) -> Ragged:
        codes = code_points(bytes_of(texts))
        rows = running(pc.utf8_length(texts).to_numpy(zero_copy_only=False))
        tokens = self._tokens[codes]
        unknown = np.flatnonzero(tokens == 0)
        if not len(unknown):
            return Ragged(tokens, rows)
        lengths = np.ones(len(codes), dtype=np.int64)
        lengths[unknown] = utf8_lengths(codes[unknown])
        places = running(lengths)
        values = np.empty(places[-1], dtype=np.uint32)
        values[places[:-1]] = tokens
        parts = np.frombuffer(codes[unknown].tobytes().decode("utf-32-le").encode(), dtype=np.uint8)
        inner = running(lengths[unknown])
        within = np.repeat(places[unknown] - inner[:-1], lengths[unknown]) + np.arange(inner[-1])
        values[within] = parts.astype(np.uint32) + 1
        return Ragged(values, places[rows])


def count_characters(texts: AnyTexts) -> NDArray[np.int64]:
    """Count how often each code point occurs, shape (0x110000,)."""
    counts = np.zeros(0x110000, dtype=np.int64)
    for block in blocks(texts):
        found = np.bincount(code_points(bytes_of(block.texts)))
        counts[: len(found)] += found
    return counts

"""Every byte of UTF-8 is a token: nothing to learn, nothing unknown, and the longest rows of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self, final

import numpy as np
import pyarrow as pa

from yunti.data.table import Ragged
from yunti.data.tokenisers.blocks import bytes_of, offsets_of
from yunti.data.tokenisers.coder import END, CoderState, TextCoder
from yunti.words import say

BYTES: Final = tuple(bytes([value]) for value in range(256))  # tokens 1 to 256; 0 is the end of a document


@final
class ByteCoder(TextCoder):
    """Token 1 + b is the byte b, and 0 the end of a document.

    Example:
        >>> coder = ByteCoder()
        >>> coder.size, coder.encode("云").tolist(), coder.decode([229, 187, 146])
        (257, [229, 187, 146], '云')

    Source: Xue et al., 2022, ByT5, arXiv 2105.13626.
    """

    kind = "bytes"

    def __init__(self, special: Mapping[str, int] | None = None) -> None:
        super().__init__((b"", *BYTES), END, special or {})

    def describe(self) -> str:
        """Say what it is."""
        return say("coder.bytes", size=self.size)

    def state(self) -> CoderState:
        """Return the special tokens; there is nothing else."""
        return CoderState({"kind": self.kind, "special": self.special})

    @classmethod
    def restored(cls, state: CoderState) -> Self:
        """Make a coder of a state."""
        return cls(state.facts["special"])

    def _encode(self, texts: pa.LargeStringArray) -> Ragged:
        offsets = offsets_of(texts)
        return Ragged(bytes_of(texts).astype(np.uint16) + np.uint16(1), offsets - offsets[0])

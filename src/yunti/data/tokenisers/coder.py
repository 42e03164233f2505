"""What every lossless tokeniser can do: text to tokens, tokens to text, its state out and in."""

from __future__ import annotations

import codecs
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.table import Ragged
from yunti.data.tokenisers.blocks import AnyTexts, Block, blocks, running
from yunti.errors import OptionError

END = 0


@final
@dataclass(frozen=True)
class CoderState:
    """All that a coder learned, in forms that can be stored without pickle.

    Args:
        facts: plain JSON values; `kind` says which coder it is.
        texts: name -> text.
        arrays: name -> array.
    """

    facts: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    def hash(self) -> str:
        """Return 32 hexadecimal digits that differ where a state differs."""
        digest = hashlib.blake2b(digest_size=16)
        arrays = {name: [str(each.dtype), each.shape, each.tobytes().hex()] for name, each in self.arrays.items()}
        digest.update(json.dumps([self.facts, self.texts, arrays], sort_keys=True).encode())
        return digest.hexdigest()


@final
class StreamingText:
    """Text out of tokens that come one by one, as while a model writes.

    Bytes of a character that is not yet whole are held back; bytes that can never become one turn into U+FFFD.

    Args:
        pieces: the bytes of each token.

    Example:
        >>> from yunti.data.tokenisers import ByteCoder
        >>> coder = ByteCoder()
        >>> stream = coder.stream()
        >>> [stream.push(token) for token in coder.encode("a云")], stream.finish()
        (['a', '', '', '云'], '')
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Take a token; return the characters that are whole now, mostly one piece, sometimes none."""
        return self._decoder.decode(self._pieces[token])

    def finish(self) -> str:
        """Return what was held back, and begin anew."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


class TextCoder(ABC):
    """A lossless code between texts and tokens: `decode(encode(text)) == text` for every text of Unicode characters.

    A token stands for some bytes of UTF-8, never for nothing that could be lost: no case folding, no normal forms, no
    unknown token. Special tokens (the end of a document, those of a chat) stand for no bytes, and no text is ever
    read as one, even one that spells its name.

    Args:
        pieces: the bytes of each token; empty for special ones.
        end: the token that ends every document; 0 in all coders made here, a pretrained model's own in its coder.
        special: the other special tokens by name.
    """

    kind: ClassVar[str]

    def __init__(self, pieces: Sequence[bytes], end: int, special: Mapping[str, int]) -> None:
        self.end = end
        self.special = dict(special)
        added = max(0, max(self.special.values(), default=-1) + 1 - len(pieces))
        self.pieces: tuple[bytes, ...] = (*pieces, *[b""] * added)

    @property
    def size(self) -> int:
        """Number of tokens, special ones included; tokens are 0 to size - 1."""
        return len(self.pieces)

    @property
    def first(self) -> int:
        """The token that a document begins from."""
        return self.end

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end what a model writes."""
        return (self.end,)

    def prompted(self, prompt: str) -> NDArray[Any]:
        """Return the tokens that a model reads before it goes on with a prompt."""
        return self.encode(prompt)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type that holds all tokens: uint16 up to 65,536 of them, else uint32."""
        return np.dtype(np.uint16 if self.size <= 1 << 16 else np.uint32)

    @cached_property
    def written(self) -> NDArray[np.bool_]:
        """Which tokens stand for some bytes, shape (size,): all but special ones."""
        return np.array([len(piece) > 0 for piece in self.pieces], dtype=np.bool_)

    @abstractmethod
    def describe(self) -> str:
        """Say in a clause what it is and how many tokens it has."""

    @abstractmethod
    def state(self) -> CoderState:
        """Return all that it learned."""

    @classmethod
    @abstractmethod
    def restored(cls, state: CoderState) -> Self:
        """Make a coder of the state that another gave; it then codes as that one."""

    @abstractmethod
    def _encode(self, texts: pa.LargeStringArray) -> Ragged:
        """Return the tokens of some texts, at most a block of them, without nulls."""

    def encode(self, text: str) -> NDArray[Any]:
        """Return the tokens of a text, shape (tokens,), without the end of the document.

        Example:
            >>> from yunti.data.tokenisers import ByteCoder
            >>> ByteCoder().encode("Hi").tolist()
            [73, 106]
        """
        return self.encode_all([text]).values

    def encode_all(self, texts: AnyTexts) -> Ragged:
        """Return the tokens of every text in one run, without the ends of documents.

        Args:
            texts: a column, an Arrow array, or strings; None counts as an empty text.

        Returns:
            values of shape (tokens,), uint16 or uint32 (see `dtype`), and offsets of shape (texts + 1,), int64.
        """
        return self.encode_counted(texts)[0]

    def encode_counted(self, texts: AnyTexts) -> tuple[Ragged, NDArray[np.bool_] | None]:
        """Return the tokens as `encode_all` does, and which of them count, shape (tokens,); None where all do."""
        parts = list(self.counted_blocks(texts))
        if not parts:
            return Ragged(np.zeros(0, dtype=self.dtype), np.zeros(1, dtype=np.int64)), None
        offsets = running(np.concatenate([part.lengths for part, _, _ in parts]))
        ends = np.concatenate([block.ends for _, _, block in parts])
        found = Ragged(np.concatenate([part.values for part, _, _ in parts]), offsets[np.append(True, ends)])
        counts = [counts for _, counts, _ in parts if counts is not None]
        return found, np.concatenate(counts) if counts else None

    def encode_blocks(self, texts: AnyTexts) -> Iterator[tuple[Ragged, Block]]:
        """Give the tokens block by block, so that any number of texts needs little memory (see `blocks`)."""
        for part, _, block in self.counted_blocks(texts):
            yield part, block

    def counted_blocks(self, texts: AnyTexts) -> Iterator[tuple[Ragged, NDArray[np.bool_] | None, Block]]:
        """Give the tokens block by block, and which of them a model is to write; None where that is all of them."""
        for block in blocks(texts):
            part = self._encode(block.texts)
            yield Ragged(part.values.astype(self.dtype, copy=False), part.offsets), None, block

    def decode(self, tokens: Iterable[int] | NDArray[Any]) -> str:
        """Return the text of tokens; special ones are left out, bytes that are no UTF-8 become U+FFFD.

        Args:
            tokens: each 0 to size - 1.

        Raises:
            OptionError: a token is outside that.

        Example:
            >>> from yunti.data.tokenisers import ByteCoder
            >>> ByteCoder().decode([73, 106, 0])
            'Hi'
        """
        numbers = tokens.tolist() if isinstance(tokens, np.ndarray) else list(tokens)
        wrong = next((each for each in numbers if not 0 <= each < self.size), None)
        if wrong is not None:
            mend = "decode tokens with the coder that they were made with"
            raise OptionError("tokens", f"each must be 0 to {self.size - 1}", f"{wrong} is among them", mend)
        pieces = self.pieces
        return b"".join([pieces[each] for each in numbers]).decode("utf-8", "replace")

    def stream(self) -> StreamingText:
        """Begin to turn tokens into text one by one."""
        return StreamingText(self.pieces)

    def with_special(self, names: Sequence[str]) -> Self:
        """Return this coder with special tokens behind the others, such as the marks of a chat; known ones stay.

        Example:
            >>> from yunti.data.tokenisers import ByteCoder
            >>> ByteCoder().with_special(["<user>", "<assistant>"]).special
            {'<user>': 257, '<assistant>': 258}
        """
        new = [name for name in dict.fromkeys(names) if name not in self.special]
        special = self.special | {name: self.size + place for place, name in enumerate(new)}
        state = self.state()
        return self.restored(replace(state, facts={**state.facts, "special": special}))

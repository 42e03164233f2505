"""A coder of conversations: what is said by a coder of texts, and who says it by special tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.chats.template import Template, restore_template
from yunti.data.chats.turns import Turn, turns_of
from yunti.data.table import Ragged
from yunti.data.tokenisers.blocks import AnyTexts, Block, blocks, running
from yunti.data.tokenisers.coder import CoderState, TextCoder
from yunti.words import say

_BETWEEN: Final = "<|between|>"


@final
class ChatCoder(TextCoder):
    """Reads texts that `yunti.data.chats.turns.written` wrote; all else is as in the coder that it is made of.

    Args:
        inner: the coder of what is said.
        template: how turns become pieces; its special tokens are added to the coder's.

    Example:
        >>> from yunti.data.chats.template import Marks
        >>> from yunti.data.chats.turns import Turn
        >>> from yunti.data.tokenisers import ByteCoder
        >>> coder = ChatCoder(ByteCoder(), Marks())
        >>> tokens, counts = coder.encode_turns([[Turn("user", "a"), Turn("assistant", "b")]])
        >>> tokens.values.tolist(), counts.astype(int).tolist()
        ([258, 98, 260, 259, 99, 260], [0, 0, 0, 0, 1, 1])
    """

    kind = "chat"

    def __init__(self, inner: TextCoder, template: Template) -> None:
        self.inner, self.template = inner.with_special(template.special), template
        special, end = dict(self.inner.special), self.inner.end
        if end in {special[name] for name in template.special}:  # what ends turns does not also keep documents apart
            end = special[_BETWEEN] = self.inner.size
        super().__init__(self.inner.pieces, end, special)

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end an answer."""
        return (self.end, *(self.special[name] for name in self.template.ends))

    @property
    def first(self) -> int:
        """The token that a conversation begins from: the template's, else the one that stands before a text."""
        return self.special.get(self.template.first, self.inner.first)

    def prompted(self, prompt: str) -> NDArray[Any]:
        """Return the tokens of a question, and of what an answer begins from."""
        return self.asking([Turn("user", prompt)])

    def describe(self) -> str:
        """Say what it is."""
        return say("coder.chat", coder=self.inner.describe(), marks=" ".join(self.template.special[:6]))

    def state(self) -> CoderState:
        """Return what the coder of texts learned, and the template."""
        inner = self.inner.state()
        facts = {"kind": self.kind, "template": self.template.facts(), "inner": inner.facts}
        return CoderState(facts, inner.texts, inner.arrays)

    @classmethod
    def restored(cls, state: CoderState) -> Self:
        """Make a coder of a state."""
        from yunti.data.tokenisers.choice import restore_coder  # which knows this coder too

        inner = restore_coder(CoderState(state.facts["inner"], state.texts, state.arrays))
        return cls(inner, restore_template(state.facts["template"]))

    def with_special(self, names: Sequence[str]) -> Self:
        """Return this coder with further special tokens."""
        return type(self)(self.inner.with_special(names), self.template)

    def encode_turns(
        self, conversations: Sequence[Sequence[Turn]], ask: bool = False
    ) -> tuple[Ragged, NDArray[np.bool_]]:
        """Return the tokens of conversations, and which of them count: those of answers, their ends included.

        Args:
            conversations: turns of each.
            ask: whether each ends with what the next answer begins from.
        """
        cut = [self.template.pieces(turns, ask) for turns in conversations]
        flat = [piece for pieces in cut for piece in pieces]
        marks = np.array([piece.special for piece in flat], dtype=np.bool_)
        texts = self.inner.encode_all([piece.text for piece in flat if not piece.special])
        lengths = np.ones(len(flat), dtype=np.int64)
        lengths[~marks] = texts.lengths
        places = running(lengths)
        values = np.empty(places[-1], dtype=self.dtype)
        values[places[:-1][marks]] = [self.special[piece.text] for piece in flat if piece.special]
        values[np.repeat(~marks, lengths)] = texts.values
        counts = np.repeat(np.array([piece.counts for piece in flat], dtype=np.bool_), lengths)
        return Ragged(values, places[running(np.array([len(each) for each in cut], dtype=np.int64))]), counts

    def counted_blocks(self, texts: AnyTexts) -> Iterator[tuple[Ragged, NDArray[np.bool_] | None, Block]]:
        """Give the tokens block by block, and which count; a conversation is never cut."""
        for block in blocks(texts, cut=False):
            part, counts = self.encode_turns([turns_of(text) for text in block.texts.to_pylist()])
            yield part, counts, block

    def _encode(self, texts: pa.LargeStringArray) -> Ragged:
        return self.encode_turns([turns_of(text) for text in texts.to_pylist()])[0]

    def asking(self, turns: Sequence[Turn]) -> NDArray[Any]:
        """Return the tokens after which the assistant's next answer begins, shape (tokens,)."""
        return self.encode_turns([turns], ask=True)[0].values

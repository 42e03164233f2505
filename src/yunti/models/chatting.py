"""A model trained on conversations answers: the turns so far become tokens, and its answer comes piece by piece."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from numpy.typing import NDArray

from yunti.data.chats.turns import Turn
from yunti.data.tokenisers import ChatCoder
from yunti.errors import RungError
from yunti.models.generation import Writer, continued
from yunti.models.sampling import Sampling


def answer(writer: Writer, turns: Sequence[Turn], sampling: Sampling, stream: int = 0) -> Iterator[str]:
    """Give the assistant's next answer piece by piece.

    Args:
        writer: a model that learned from conversations.
        turns: the conversation so far, the last turn mostly the user's.
        sampling: how tokens are drawn.
        stream: tells several answers with one seed apart.

    Raises:
        RungError: the model did not learn from conversations.
    """
    tokens, _, _ = remembered(writer, turns, sampling.max_tokens)
    return continued(writer, tokens, sampling, stream)


def chat_coder(writer: Writer) -> ChatCoder:
    """Return the coder of a model that learned from conversations.

    Raises:
        RungError: it did not.
    """
    if not isinstance(writer.coder, ChatCoder):
        must, got = "it must have learned from conversations to answer", "it has learned how texts go"
        raise RungError("the model", must, got, "use `yunti generate`, or climb a table with a column of messages")
    return writer.coder


def remembered(writer: Writer, turns: Sequence[Turn], most: int) -> tuple[NDArray[Any], int, bool]:
    """Return the tokens of as much of a conversation as the model can read and then still answer.

    The oldest turns go first; what the system says at the beginning stays, and so does the last turn, of which only the
    end is read where it alone is too long.

    Args:
        writer: the model.
        turns: the conversation.
        most: tokens that the answer may have; at most half of what the model reads is kept free for them.

    Returns:
        The tokens, how many turns were left out, and whether the beginning of the last one was.
    """
    coder = chat_coder(writer)
    head = turns[:1] if turns and turns[0].role == "system" else turns[:0]
    rest = turns[len(head) :]
    tokens = coder.asking(turns)
    if writer.context is None:
        return tokens, 0, False
    room = writer.context - 1 - min(most, writer.context // 2)  # one for the end that stands before all
    dropped = 0
    while len(tokens) > room and dropped < len(rest) - 1:
        dropped += 1
        if rest[dropped].role == "user" or dropped == len(rest) - 1:  # a conversation begins with a question
            tokens = coder.asking([*head, *rest[dropped:]])
    cut = len(tokens) > room
    if cut and rest:
        tokens = _shortened(coder, [*head, *rest[dropped:]], room)
    return tokens[-room:], dropped, cut


def _shortened(coder: ChatCoder, turns: Sequence[Turn], room: int) -> NDArray[Any]:
    """Return the tokens of turns of whose last one only as much of the end stands as fits the room."""
    *before, last = turns

    def asking(letters: int) -> NDArray[Any]:
        return coder.asking([*before, Turn(last.role, last.content[len(last.content) - letters :])])

    most = bisect_right(range(len(last.content) + 1), room, key=lambda letters: len(asking(letters)))
    return asking(max(0, most - 1))


@final
@dataclass
class Conversation:
    """A conversation that goes on.

    Args:
        writer: a model that learned from conversations.
        sampling: how tokens are drawn.
        system: what holds for all of it.

    Attributes:
        turns: all so far, those that the model no longer reads among them.
        dropped: turns that were left out of what the model read last.
        cut: whether it read only the end of the last question.
    """

    writer: Writer
    sampling: Sampling
    system: str = ""
    turns: list[Turn] = field(init=False)
    dropped: int = field(init=False, default=0)
    cut: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        chat_coder(self.writer)
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.turns, self.dropped = [Turn("system", self.system)] if self.system else [], 0

    def ask(self, question: str) -> Generator[str]:
        """Give the answer piece by piece; what was given of it is remembered, however it ended."""
        self.turns.append(Turn("user", question))
        said: list[str] = []
        _, self.dropped, self.cut = remembered(self.writer, self.turns, self.sampling.max_tokens)
        try:
            for piece in answer(self.writer, self.turns, self.sampling, len(self.turns)):
                said.append(piece)
                yield piece
        finally:
            self.turns.append(Turn("assistant", "".join(said)))

"""A conversation is turns; in a table it stands as one text, from which the turns come back letter by letter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.lengths import lengths_of

Role = Literal["system", "user", "assistant"]
ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant")

_MARK: Final = "\x1e"  # the record separator of ASCII: hardly ever part of a text, and doubled where it is
_LETTERS: Final[dict[str, Role]] = {role[0]: role for role in ROLES}
_PLACES: Final = re.compile(f"{_MARK}([{_MARK}{''.join(_LETTERS)}])")


@final
@dataclass(frozen=True)
class Turn:
    """What one side said.

    Args:
        role: who: the system (what holds for all that follows), the user, or the assistant, whose turns are answers.
        content: what.
    """

    role: Role
    content: str


def written(turns: Iterable[Turn]) -> str:
    r"""Write a conversation as one text.

    Example:
        >>> written([Turn("user", "1 + 1?"), Turn("assistant", "2")])
        '\x1eu1 + 1?\x1ea2'
    """
    return "".join(f"{_MARK}{turn.role[0]}{turn.content.replace(_MARK, 2 * _MARK)}" for turn in turns)


def turns_of(text: str | None) -> list[Turn]:
    """Return the turns of a conversation that `written` wrote; none of a missing one.

    Example:
        >>> turns = [Turn("user", "1 + 1?"), Turn("assistant", "2")]
        >>> turns_of(written(turns)) == turns
        True
    """
    found: list[tuple[Role, list[str]]] = []
    pieces = _PLACES.split(text or "")
    for sign, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if sign == _MARK:
            found[-1][1].append(_MARK + piece)
        else:
            found.append((_LETTERS[sign], [piece]))
    return [Turn(role, "".join(content)) for role, content in found]


def plain(texts: pa.LargeStringArray, leave: Role | None = None) -> pa.LargeStringArray:
    """Return what was said in each conversation, a line or more a turn, without who said it.

    Args:
        texts: the conversations.
        leave: whose turns are left out, if anybody's.
    """
    said = [[turn.content for turn in turns_of(text) if turn.role != leave] for text in texts.to_pylist()]
    return pa.array(["\n".join(each) for each in said], pa.large_string())


def answer_lengths(texts: pa.LargeStringArray) -> NDArray[np.int64]:
    """Count the bytes, characters and words of the assistant's turns of each conversation, shape (texts, 3)."""
    said = [[turn.content for turn in turns_of(text) if turn.role == "assistant"] for text in texts.to_pylist()]
    return _summed(said)


def _summed(said: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    lengths = lengths_of(pa.array([each for some in said for each in some], pa.large_string()))
    sums = np.zeros((len(said), 3), dtype=np.int64)
    np.add.at(sums, np.repeat(np.arange(len(said)), [len(some) for some in said]), lengths)
    return sums

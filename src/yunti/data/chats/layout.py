"""Where the conversations of a table stand: in a column of messages, or in columns of questions and of answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, final


@final
@dataclass(frozen=True)
class Layout:
    """Where the conversations of a table stand.

    Args:
        columns: the column of messages; or the questions, what they are about if that is told, and the answers.
        messages: whether it is a column of messages.
        system: a column of what the system says before a question, if there is one.
    """

    columns: tuple[str, ...]
    messages: bool
    system: str | None = None

    @property
    def name(self) -> str:
        """The column that the conversations are called after: that of messages, or of answers."""
        return self.columns[-1]

    @property
    def parsing(self) -> dict[str, Any]:
        """How the column of conversations is read, as plain JSON values."""
        return {"chat": True, "columns": [*self.columns], "messages": self.messages, "system": self.system}

    def within(self, names: Collection[str]) -> Layout | None:
        """Return where they stand in another table; None where it lacks the messages, or questions or answers."""
        if self.columns[0] not in names or self.name not in names:
            return None
        there = tuple(each for each in self.columns if each in names)
        return replace(self, columns=there, system=self.system if self.system in names else None)


def layout_of(parsing: Mapping[str, Any]) -> Layout | None:
    """Return the layout whose `parsing` this is; None where it says nothing of columns."""
    if "columns" not in parsing:
        return None
    return Layout(tuple(parsing["columns"]), parsing["messages"], parsing["system"])

"""Rows of a table as conversations: a column of messages, or a column of questions and one of answers."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from yunti.data.chats.layout import Layout
from yunti.data.chats.turns import ROLES, Role, Turn, turns_of, written
from yunti.data.raw import BrokenRow, Raw
from yunti.data.sequences import is_list
from yunti.data.spill import Spill
from yunti.data.strings import as_strings, is_string, shortened
from yunti.errors import ColumnError, OptionError, nearest
from yunti.words import say

MESSAGES: Final = ("messages", "conversations", "conversation", "chat", "dialog", "dialogue")
QUESTIONS: Final = ("prompt", "question", "instruction", "问题", "提问", "指令")
FURTHER: Final = ("input", "context", "输入", "上下文")  # what a question is about
ANSWERS: Final = ("response", "answer", "completion", "output", "回答", "答案", "回复", "输出")
SYSTEM: Final = ("system", "系统")

_WHO, _WHAT = ("role", "from"), ("content", "value")
_NAMES: Final[Mapping[str, Role]] = {
    **{role: role for role in ROLES},
    "developer": "system",
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}
_ROWS: Final = 2_000
_SAMPLE: Final = 100
_SHOWN: Final = 300


class BrokenChatError(Exception):
    """Messages that are no conversation; its text says why."""


def find_chats(raw: Raw, target: str | None, prompt: str | None = None) -> Layout | None:
    """Say where the conversations of a table stand; None where it holds none.

    Args:
        raw: the table.
        target: the column that was named: of messages or, beside `prompt`, of answers; a column of answers that was
            named alone is to be predicted, and no conversation.
        prompt: the column of questions that was named.

    Raises:
        ColumnError: one that was named beside the other does not exist, or holds no text.
        OptionError: questions were named, and no answers could be found.
    """
    names = raw.arrow.column_names
    if prompt is not None:
        return _named_pair(raw, prompt, target or _named(raw, ANSWERS))
    wanted = [target] if target is not None else [each for each in MESSAGES if each in names]
    for name in wanted:
        if name in names and _are_messages(raw.arrow.column(name)):
            return Layout((name,), messages=True)
    if target is not None or raw.target is not None:
        return None
    question, answer = _named(raw, QUESTIONS), _named(raw, ANSWERS)
    return None if question is None or answer is None else _pair(raw, question, answer)


def _named_pair(raw: Raw, question: str, answer: str | None) -> Layout:
    if answer is None:
        must, got = "the answers must stand in a column, too", "none is called as answers usually are"
        raise OptionError(f"--prompt {question}", must, got, "name it with --target")
    if question == answer:
        must, mend = "questions and answers must stand in two columns", "name the column of answers with --target"
        raise OptionError(f"--prompt {question}", must, "both are to stand in one", mend)
    for option, name in (("--prompt", question), ("--target", answer)):
        if name not in raw.names:
            must, got = f"{option} {name} must name a column", f"there is no {name!r}"
            raise ColumnError(raw.source, must, got, nearest(name, raw.names))
        kind = raw.arrow.column(name).type if name in raw.arrow.column_names else "array"
        if not isinstance(kind, pa.DataType) or pa.types.is_nested(kind):
            must, got = f"{option} {name} must name a column of text", f"it holds values of type {kind}"
            raise ColumnError(raw.source, must, got, "name a column of text")
    return _pair(raw, question, answer)


def _pair(raw: Raw, question: str, answer: str) -> Layout:
    taken = (question, answer)
    further, system = _named(raw, FURTHER, but=taken), _named(raw, SYSTEM, but=taken)
    columns = taken if further is None else (question, further, answer)
    return Layout(columns, messages=False, system=system)


def _named(raw: Raw, names: Sequence[str], but: Sequence[str] = ()) -> str | None:
    """Return the column of text that has the first of some names."""
    texts = [name for name in raw.arrow.column_names if is_string(raw.arrow.column(name).type) and name not in but]
    known = {name.lower(): name for name in texts}
    return next((known[name] for name in names if name in known), None)


def _are_messages(column: pa.ChunkedArray) -> bool:
    if not is_list(column.type) and not is_string(column.type):
        return False
    some = [each for each in column.slice(0, _SAMPLE).to_pylist() if each is not None]
    found = [messages for each in some if isinstance(messages := _parsed(each), list) and messages]
    alike = [each for each in found if any(isinstance(part, dict) and _first(part, _WHAT) is not None for part in each)]
    return len(alike) > len(some) // 2


def as_chats(raw: Raw, layout: Layout, kept: Sequence[str], workspace: Path) -> Raw:
    """Turn the rows of a table into conversations, one text each; rows that hold none are set aside with the reason.

    Args:
        raw: the table.
        layout: where the conversations stand.
        kept: columns that stay beside them, such as one with a ready split.
        workspace: a folder for the texts.

    Returns:
        A table with one column for the conversations, called as their column or the column of answers is, and those
        that are kept.
    """
    name = layout.name
    spill, good, broken = Spill(workspace, raw.source), list[int](), list[BrokenRow]()
    texts: list[str] = []
    for row, found in enumerate(_rows(raw, layout)):
        if isinstance(found, BrokenChatError):
            broken.append(BrokenRow(*raw.place(row), str(found), _shown(raw, layout, row)))
            continue
        good.append(row)
        texts.append(written(found))
        if len(texts) == _ROWS:
            texts = _append(spill, name, texts)
    _append(spill, name, texts)
    table = spill.table() if good else pa.table({name: pa.array([], pa.large_string())})
    for other in kept:
        if other not in table.column_names:
            table = table.append_column(other, raw.arrow.column(other).take(pa.array(good, pa.int64())))
    rows = np.array(good, dtype=np.int64)
    key = "reading.chats" if layout.messages else "reading.questions"
    note = say(key, column=name, columns=", ".join(map(repr, layout.columns)))
    return replace(
        raw,
        arrow=table,
        arrays={},
        hints={},
        target=None,
        parts=None if raw.parts is None else raw.parts[rows],
        file_of=None if raw.file_of is None else raw.file_of[rows],
        row_of=(np.arange(1, len(raw) + 1) if raw.row_of is None else raw.row_of)[rows],
        broken=(*raw.broken, *broken),
        notes=(*raw.notes, note),
        documents=None,
        chats=layout,
    )


def _append(spill: Spill, name: str, texts: list[str]) -> list[str]:
    if texts:
        spill.append(pa.RecordBatch.from_arrays([pa.array(texts, pa.large_string())], names=[name]))
    return []


def _rows(raw: Raw, layout: Layout) -> Iterator[list[Turn] | BrokenChatError]:
    names = [*layout.columns, *([layout.system] if layout.system else [])]
    columns = [raw.arrow.column(name) for name in names]
    if not layout.messages:
        columns = [as_strings(column) for column in columns]
    for start in range(0, len(raw), _ROWS):
        for values in zip(*(column.slice(start, _ROWS).to_pylist() for column in columns), strict=True):
            try:
                yield turns_in(_parsed(values[0])) if layout.messages else _asked(layout, values)
            except BrokenChatError as error:
                yield error


def _asked(layout: Layout, values: Sequence[str | None]) -> list[Turn]:
    *asked, answer = values[: len(layout.columns)]
    for name, value in ((layout.columns[0], asked[0]), (layout.columns[-1], answer)):
        if not (value or "").strip():
            raise BrokenChatError(say("chats.empty column", column=name))
    before = [Turn("system", values[-1])] if layout.system and values[-1] else []
    question = "\n\n".join(part for part in asked if part)
    return [*before, Turn("user", question), Turn("assistant", answer or "")]


def turns_in(messages: object) -> list[Turn]:
    """Read the messages of one conversation: mappings with `role` and `content`, or `from` and `value`.

    Raises:
        BrokenChatError: they are no conversation, or nobody answers in it.
    """
    turns = list(turns_before(messages))
    if not any(turn.role == "assistant" for turn in turns):
        raise BrokenChatError(say("chats.no answer"))
    if not any(turn.role == "user" for turn in turns):
        raise BrokenChatError(say("chats.no question"))
    return turns


def turns_before(messages: object) -> Iterator[Turn]:
    """Read messages as `turns_in` does, whether an answer is among them or not.

    Raises:
        BrokenChatError: a message has no role, an unknown one, or no content.
    """
    if not isinstance(messages, Iterable) or isinstance(messages, str | bytes | Mapping):
        raise BrokenChatError(say("chats.no list"))
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping):
            raise BrokenChatError(say("chats.no message", number=number))
        who, what = _first(message, _WHO), _first(message, _WHAT)
        if who is None:
            raise BrokenChatError(say("chats.no role", number=number))
        role = _NAMES.get(str(who).strip().lower())
        if role is None:
            raise BrokenChatError(say("chats.unknown role", number=number, role=shortened(str(who), 24)))
        if not isinstance(what, str) or not what.strip():
            raise BrokenChatError(say("chats.no content", number=number))
        yield Turn(role, what.encode("utf-8", "replace").decode())


def _first(message: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((message[key] for key in keys if message.get(key) is not None), None)


def _parsed(value: Any) -> Any:
    """Return messages that stand in a field of text, as JSON or as Python writes them."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def _shown(raw: Raw, layout: Layout, row: int) -> str:
    values = {name: raw.arrow.column(name)[row].as_py() for name in layout.columns}
    return json.dumps(values, ensure_ascii=False, default=str)[:_SHOWN]


def told(texts: Iterable[str | None]) -> str:
    """Say in a clause how many conversations there are, their turns, and who speaks in them."""
    counts, roles, letters = 0, dict.fromkeys(ROLES, 0), 0
    for text in texts:
        said = turns_of(text)
        counts += 1
        letters += sum(len(turn.content) for turn in said)
        for turn in said:
            roles[turn.role] += 1
    turns = sum(roles.values())
    return say(
        "evidence.chats",
        count=counts,
        turns=turns / max(1, counts),
        characters=letters / max(1, counts),
        answers=roles["assistant"],
        users=roles["user"],
        systems=roles["system"],
    )

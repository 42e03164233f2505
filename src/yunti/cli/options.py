"""Options that several commands share, each with its one sentence, and how their text is read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from yunti.errors import OptionError, nearest
from yunti.specs import KINDS, Kind, TaskName

TASKS: tuple[TaskName, ...] = ("classification", "regression", "language")

Target = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The column to predict; folders of classes and samples know it.")
]
Prompt = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="The column of questions, to learn to give the answers of --target."),
]
Test = Annotated[str | None, typer.Option(metavar="FILE", help="A separate source whose rows are the test rows.")]
Split = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="A column that holds a ready split: train, valid or test.")
]
Group = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="A column whose equal values stay on one side of the split.")
]
Time = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="A column to split by: train on the earlier rows, test the later."),
]
KindOption = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="NAME=KIND", help=f"Set a column's kind: {', '.join(KINDS)}; may be repeated."),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN", help="Use a column although it would be left out; may be repeated."),
]
Task = Annotated[
    str | None,
    typer.Option(metavar="TASK", help="The task, if it is unclear: classification, regression or language."),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of everything random: same seed, same scores.")]
Lang = Annotated[
    str | None,
    typer.Option(metavar="LANGUAGE", help="Language of the screen: en or zh; that of the locale if not given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]


@contextmanager
def reader_of(lang: str | None) -> Iterator[None]:
    """Speak the language that the reader asked for, else that of the locale, as long as the context lasts.

    Raises:
        OptionError: there are no sentences in that language.
    """
    from yunti.words import choose_language, speaking

    with speaking(choose_language(lang, os.environ)):
        yield


def read_kinds(given: Sequence[str] | None) -> dict[str, Kind]:
    """Read `name=kind` pairs; a name may hold "=" itself.

    Raises:
        OptionError: a pair without "=", or a kind that does not exist.
    """
    kinds: dict[str, Kind] = {}
    for pair in given or ():
        name, equals, kind = pair.rpartition("=")
        if not equals or not name:
            mend = "write for example --kind zip=category"
            raise OptionError("--kind", "it must be NAME=KIND", f"{pair!r} is not", mend)
        known = {each: each for each in KINDS}
        if kind not in known:
            raise OptionError(f"--kind {pair}", "the kind must be known", f"{kind!r} is not", nearest(kind, KINDS))
        kinds[name] = known[kind]
    return kinds


def read_task(given: str | None) -> TaskName | None:
    """Read the name of a task.

    Raises:
        OptionError: there is no such task.
    """
    if given is None:
        return None
    for task in TASKS:
        if given == task:
            return task
    raise OptionError("--task", f"it must be one of {', '.join(TASKS)}", repr(given), nearest(given, TASKS))


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

"""`yunti look`: what was understood of the data, and what is wrong with them, without training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yunti.cli.options import (
    AsJson,
    Group,
    Keep,
    KindOption,
    Lang,
    Prompt,
    Seed,
    Split,
    Target,
    Task,
    Test,
    Time,
    print_json,
    read_kinds,
    read_task,
    reader_of,
)

if TYPE_CHECKING:
    from rich.text import Text

    from yunti.data.dataset import Look

SHOWN_COLUMNS = 200
LookSource = Annotated[str, typer.Argument(metavar="SOURCE", help="A file, a folder, a quoted glob, or sample:NAME.")]


def look(
    source: LookSource,
    *,
    target: Target = None,
    prompt: Prompt = None,
    task: Task = None,
    test: Test = None,
    split: Split = None,
    group: Group = None,
    time: Time = None,
    kind: KindOption = None,
    keep: Keep = None,
    seed: Seed = 0,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    """Print what was understood, and what is wrong with the data."""
    from yunti.cli.console import console_for, show, width_of
    from yunti.cli.screen import Screen
    from yunti.climbing.events import Stage
    from yunti.data.dataset import DataOptions
    from yunti.data.dataset import look as look_at

    options = DataOptions(
        target, prompt, test, split, group, time, read_kinds(kind), read_task(task), tuple(keep or ()), seed
    )
    console = console_for(sys.stderr if as_json else sys.stdout)
    with reader_of(lang):
        with Screen(console) as screen:
            seen = look_at(source, options, lambda name, fraction: screen.tell(Stage(name, fraction)))
        if as_json:
            print_json(_document(seen))
        else:
            show(console, _lines(seen, width_of(console)))


def _document(seen: Look) -> dict[str, Any]:
    return asdict(seen.data) | {
        "target": seen.target and seen.target.name,
        "task": seen.task,
        "classes": seen.classes,
        "candidates": seen.candidates,
        "missing": dict(seen.missing),
        "examples": dict(seen.examples),
    }


def _lines(seen: Look, width: int) -> Iterator[Text]:
    from yunti.cli.layout import data_lines, hung
    from yunti.words import spoken

    yield from data_lines(seen.data, width, SHOWN_COLUMNS)
    if seen.target is None:
        key = "data.no target but" if seen.candidates else "data.no target"
        yield from hung(spoken("label.target"), spoken(key, names=", ".join(seen.candidates[:5])), width, "yellow")
        return
    sentence = spoken("task.of", task=spoken(f"task.{seen.task}"), target=seen.target.name)
    if seen.classes:
        sentence = spoken("task.into classes", task=sentence, count=len(seen.classes))
    yield from hung(spoken("label.task"), sentence, width)

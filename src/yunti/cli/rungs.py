"""`yunti rungs`: the ladders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from yunti.cli.options import AsJson, Lang, Task, print_json, read_task, reader_of
from yunti.specs import TaskName

if TYPE_CHECKING:
    from rich.text import Text

    from yunti.ladders.rung import Rung


@dataclass(frozen=True)
class Ladder:
    """The rungs that serve these tasks."""

    tasks: tuple[TaskName, ...]
    rungs: tuple[Rung, ...]


def rungs(task: Task = None, lang: Lang = None, as_json: AsJson = False) -> None:
    """List the rungs, each with its era, idea and source."""
    ladders = list(_ladders(read_task(task)))
    if as_json:
        print_json([_document(ladder) for ladder in ladders])
        return
    from yunti.cli.console import console_for, show, width_of

    console = console_for(sys.stdout)
    with reader_of(lang):
        for ladder in ladders:
            show(console, _lines(ladder, width_of(console)))


def _ladders(task: TaskName | None) -> Iterator[Ladder]:
    from yunti.ladders.find import LADDERS, ladder_for

    wanted = tuple(LADDERS) if task is None else (task,)
    for rungs_of in dict.fromkeys(ladder_for(each) for each in wanted):
        yield Ladder(tuple(each for each in wanted if ladder_for(each) == rungs_of), rungs_of)


def _document(ladder: Ladder) -> dict[str, Any]:
    told = [{"name": each.name, "era": each.era, "idea": each.idea, "source": each.source} for each in ladder.rungs]
    return {"tasks": ladder.tasks, "rungs": told}


def _lines(ladder: Ladder, width: int) -> Iterator[Text]:
    from rich.text import Text

    from yunti.cli.layout import aligned
    from yunti.words import spoken, told

    tasks = [spoken(f"task.{task}") for task in ladder.tasks]
    title = reduce(lambda first, second: spoken("rungs.tasks", first=first, second=second), tasks)
    yield Text(title, style="bold")
    rows, era = [], ""
    for rung in ladder.rungs:
        idea = spoken("rungs.idea", idea=told(rung.idea), source=rung.source)
        rows.append(("" if rung.era == era else spoken(f"era.{rung.era}"), rung.name, idea))
        era = rung.era
    yield from aligned(rows, width)

"""`yunti rungs`: the ladders."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yunti.cli.options import TASKS, AsJson, Task, print_json, read_task
from yunti.specs import TaskName

if TYPE_CHECKING:
    from rich.text import Text

    from yunti.ladders.rung import Rung


@dataclass(frozen=True)
class Ladder:
    """The rungs that serve these tasks."""

    tasks: tuple[TaskName, ...]
    rungs: tuple[Rung, ...]


def rungs(task: Task = None, as_json: AsJson = False) -> None:
    """List the rungs, each with its era, idea and source."""
    ladders = list(_ladders(read_task(task)))
    if as_json:
        print_json([_document(ladder) for ladder in ladders])
        return
    from yunti.cli.console import console_for, show, width_of

    console = console_for(sys.stdout)
    for ladder in ladders:
        show(console, _lines(ladder, width_of(console)))


def _ladders(task: TaskName | None) -> Iterator[Ladder]:
    from yunti.ladders.find import ladder_for

    wanted = TASKS if task is None else (task,)
    for rungs_of in dict.fromkeys(ladder_for(each) for each in wanted):
        yield Ladder(tuple(each for each in wanted if ladder_for(each) == rungs_of), rungs_of)


def _document(ladder: Ladder) -> dict[str, Any]:
    told = [{"name": each.name, "era": each.era, "idea": each.idea, "source": each.source} for each in ladder.rungs]
    return {"tasks": ladder.tasks, "rungs": told}


def _lines(ladder: Ladder, width: int) -> Iterator[Text]:
    from rich.text import Text

    from yunti.cli.layout import aligned

    yield Text(" and ".join(ladder.tasks), style="bold")
    rows, era = [], ""
    for rung in ladder.rungs:
        rows.append(("" if rung.era == era else rung.era, rung.name, f"{rung.idea} [{rung.source}]"))
        era = rung.era
    yield from aligned(rows, width)

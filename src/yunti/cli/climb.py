"""`yunti climb`: the main job."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable
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
    read_kinds,
    read_task,
    reader_of,
)
from yunti.errors import OptionError

if TYPE_CHECKING:
    from yunti.climbing.climb import Climb
    from yunti.climbing.events import Tell

Source = Annotated[
    str | None, typer.Argument(metavar="SOURCE", help="A file, a folder, a quoted glob, or sample:NAME.")
]
Budget = Annotated[
    str | None, typer.Option(metavar="TIME", help="Time for everything, such as 90s, 5m or 1h30m; else derived.")
]
Rungs = Annotated[str | None, typer.Option(metavar="A,B", help="Climb these rungs only; `yunti rungs` lists them.")]
Metric = Annotated[
    str | None, typer.Option(metavar="NAME", help="The metric that decides; accuracy or r2 if not given.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="Where networks run: auto, cpu, cuda or mps.")]
Pretrained = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="A local folder or hub name of a model for the rungs that stand on one."),
]
NoRefit = Annotated[
    bool,
    typer.Option("--no-refit", help="Do not train the chosen rung anew on training and validation rows together."),
]
Worth = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="What a better score is worth, such as '1 point = 30 min'."),
]
Price = Annotated[
    str | None, typer.Option(metavar="MONEY", help="What an hour costs, such as 2.5/h: then '1 point = 20' is money.")
]
Out = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="The run folder, new or empty; runs/<name>-<time> if not given.")
]
Resume = Annotated[
    str | None, typer.Option(metavar="RUN", help="Go on with the climb of this run folder, with nothing else given.")
]

OPTIONS = {"kinds": "--kind"}  # where an option is not called as its argument


def climb(
    source: Source = None,
    *,
    target: Target = None,
    prompt: Prompt = None,
    budget: Budget = None,
    rungs: Rungs = None,
    task: Task = None,
    metric: Metric = None,
    test: Test = None,
    split: Split = None,
    group: Group = None,
    time: Time = None,
    kind: KindOption = None,
    keep: Keep = None,
    seed: Seed = 0,
    device: Device = "auto",
    pretrained: Pretrained = None,
    no_refit: NoRefit = False,
    worth: Worth = None,
    price: Price = None,
    out: Out = None,
    resume: Resume = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    """Train models on your data, simplest first, and choose one."""
    began = clock.monotonic()
    options: dict[str, Any] = {
        "target": target,
        "prompt": prompt,
        "budget": budget,
        "rungs": rungs,
        "task": read_task(task),
        "metric": metric,
        "test": test,
        "split": split,
        "group": group,
        "time": time,
        "kinds": read_kinds(kind),
        "keep": tuple(keep or ()),
        "seed": seed,
        "device": device,
        "pretrained": pretrained,
        "refit": not no_refit,
        "worth": worth,
        "price": price,
        "out": out,
    }
    if resume is not None:
        check_alone(resume, source, {**options, "refit": None, "no-refit": no_refit})
    elif source is None:
        raise OptionError(
            "climb", "it needs data", "no SOURCE was given", "name a file, a folder or sample:digits, or use --resume"
        )
    from yunti.climbing import climb as climbing

    if resume is not None:
        show_climb(lambda tell: climbing.resume(resume, tell=tell, began=began), lang, as_json)
    else:
        show_climb(lambda tell: climbing.climb(source, tell=tell, began=began, **options), lang, as_json)


def check_alone(resume: str, source: str | None, options: dict[str, Any]) -> None:
    """Refuse anything beside `--resume` but what concerns the screen.

    Raises:
        OptionError: something else was given.
    """
    usual = {"device": "auto"}
    given = [repr(source)] if source is not None else []
    given += [OPTIONS.get(name, f"--{name}") for name, value in options.items() if value and value != usual.get(name)]
    if given:
        raise OptionError(
            f"--resume {resume}",
            "it goes on with what it was begun with, and nothing else is given",
            f"{', '.join(given)} was",
            "leave it out, or begin anew without --resume",
        )


def show_climb(work: Callable[[Tell | None], Climb | None], lang: str | None, as_json: bool) -> None:
    """Do some climbing and show it while it goes on and when it is done.

    Args:
        work: takes whom to tell; None comes from a process that only took part.
        lang: the language that the reader asked for.
        as_json: print the record instead.
    """
    with reader_of(lang):
        _show_climb(work, as_json)


def _show_climb(work: Callable[[Tell | None], Climb | None], as_json: bool) -> None:
    from rich.text import Text

    from yunti.cli.console import console_for, show, width_of
    from yunti.cli.screen import Screen, result_lines
    from yunti.storing import to_json

    console = console_for(sys.stderr if as_json else sys.stdout)
    with Screen(console) as screen:
        done = work(screen.tell if console.is_terminal or not as_json else None)
    if done is None:
        return
    if as_json:
        sys.stdout.write(to_json(done.record))
    else:
        show(console, [Text(), *result_lines(done.record, done.folder, width_of(console))])

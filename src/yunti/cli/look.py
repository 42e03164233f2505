"""`yunti look`: what was understood of the data, and what is wrong with them, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from yunti.cli.options import (
    AsJson,
    Group,
    Keep,
    KindOption,
    Seed,
    Split,
    Target,
    Task,
    Test,
    Time,
    read_kinds,
    read_task,
)

LookSource = Annotated[str, typer.Argument(metavar="SOURCE", help="A file, a folder, a quoted glob, or sample:NAME.")]


def look(
    source: LookSource,
    *,
    target: Target = None,
    task: Task = None,
    test: Test = None,
    split: Split = None,
    group: Group = None,
    time: Time = None,
    kind: KindOption = None,
    keep: Keep = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Print what was understood, and what is wrong with the data."""
    from yunti.data.dataset import DataOptions

    options = DataOptions(target, test, split, group, time, read_kinds(kind), read_task(task), tuple(keep or ()), seed)

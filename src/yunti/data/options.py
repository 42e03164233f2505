"""What the user may say about the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from yunti.specs import Kind, TaskName


@final
@dataclass(frozen=True)
class DataOptions:
    """What the user says about the data; all else is found.

    Args:
        target: the column to predict, or that holds the text to be learned; None takes the source's own.
        prompt: the column of questions, where the target holds answers and both are read as conversations.
        test: a separate source of test rows.
        split: a column that holds a ready split.
        group: a column whose equal values stay on one side of the split.
        time: a column by which to split: train on the earliest rows, test on the latest.
        kinds: kinds of columns, where those found are wrong.
        task: classification, regression or language, where the source and its target should not decide.
        keep: columns to use although they would be left out.
        seed: seed of the split and of the doctor's draws.
    """

    target: str | None = None
    prompt: str | None = None
    test: object | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    task: TaskName | None = None
    keep: tuple[str, ...] = ()
    seed: int = 0

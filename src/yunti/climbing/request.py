"""What the user asked for: everything that a climb needs to be repeated or resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from yunti.climbing.budget import parse_budget
from yunti.climbing.forecast.worth import Worth, parse_worth
from yunti.data.options import DataOptions
from yunti.specs import Kind, TaskName
from yunti.storing import from_json


@final
@dataclass(frozen=True)
class Request:
    """The options of a climb, as `request.json` holds them.

    Args:
        source: the source of the data as the user named it, or None for an object in memory.
        cwd: the folder in which relative names of files stand.
        target: the column to predict.
        prompt: the column of questions, where the target holds answers and both are read as conversations.
        test: a separate source of test rows.
        split: a column that holds a ready split.
        group: a column whose equal values stay on one side of the split.
        time: a column by which the split is made: train on the earliest rows, test on the latest.
        kinds: kinds of columns that the user sets.
        keep: columns to use although the doctor would leave them out.
        task: classification, regression or language, where the source and its target should not decide.
        metric: the metric that decides.
        budget_seconds: seconds for the whole climb; None derives them from the data.
        rungs: names of the rungs to climb; None takes the whole ladder.
        seed: seed of everything random.
        device: "auto", "cpu", "cuda" or "mps".
        pretrained: local folder or hub name of a pretrained model.
        refit: whether the chosen rung is trained anew on training and validation rows before the test rows are opened.
        full: whether it is one rung that is trained, at full strength: without a budget it takes as long as it takes.
        worth: what a better score is worth, such as "1 point = 30 min" (see `yunti.climbing.forecast.worth`).
        price: what an hour of this machine costs, in the user's currency.
        settings: what was set by hand for that rung, by names with dots (see `yunti.models.settings`).
    """

    source: str | None
    cwd: str = "."
    target: str | None = None
    prompt: str | None = None
    test: str | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    task: TaskName | None = None
    metric: str | None = None
    budget_seconds: float | None = None
    rungs: tuple[str, ...] | None = None
    seed: int = 0
    device: str = "auto"
    pretrained: str | None = None
    refit: bool = True
    full: bool = False
    worth: str | None = None
    price: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exchange(self) -> Worth:
        """What a better score is worth in seconds, and what they cost."""
        return parse_worth(self.worth, self.price)

    def found_source(self) -> str | None:
        """Return the source as it can be found from any folder; None for an object in memory."""
        return self._found(self.source)

    def data_options(self, test: object | None = None) -> DataOptions:
        """Return the part that concerns reading and splitting; `test` may be an object in memory."""
        return DataOptions(
            target=self.target,
            prompt=self.prompt,
            test=self._found(self.test) if test is None else test,
            split=self.split,
            group=self.group,
            time=self.time,
            kinds=dict(self.kinds),
            task=self.task,
            keep=self.keep,
            seed=self.seed,
        )

    def _found(self, name: str | None) -> str | None:
        if name is None or name.startswith("sample:") or Path(name).is_absolute() or self.cwd == str(Path.cwd()):
            return name
        return str(Path(self.cwd) / name)


def from_settings(settings: Mapping[str, Any]) -> Request:
    """Read a request back from the `settings` of `climb.json`."""
    return from_json(Request, json.dumps(dict(settings)))


def names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Read a list of names given as "a,b" or as a sequence; None stays None."""
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else list(given)
    return tuple(part.strip() for part in parts if part.strip())


def seconds_or_none(budget: str | float | None) -> float | None:
    """Read a budget, if one was given."""
    return None if budget is None else parse_budget(budget)

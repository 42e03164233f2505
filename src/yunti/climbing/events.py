"""What a climb tells while it goes on. Screens, log files and TensorBoard subscribe; the climb calls none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union

from yunti.records import BudgetRecord, ClimbRecord, DataRecord, ForecastRecord, RungRecord, TestRecord, VerdictRecord
from yunti.specs import Era, TaskSpec


@dataclass(frozen=True)
class Stage:
    """The data are being read, examined or laid out; `fraction` is how far this stage is, 0 to 1."""

    name: str
    fraction: float


@dataclass(frozen=True)
class Prepared:
    """The data stand ready: what was understood, what is asked, what may be spent."""

    data: DataRecord
    task: TaskSpec
    budget: BudgetRecord
    machine: dict[str, Any]
    folder: str


@dataclass(frozen=True)
class RungStarted:
    """A rung's process starts; it may take this many seconds."""

    name: str
    era: Era
    idea: str
    share_seconds: float


@dataclass(frozen=True)
class RungProgress:
    """How far a rung is: the fraction done, what it reports (loss, valid, step, ...), the seconds left if known."""

    name: str
    fraction: float
    numbers: dict[str, float] = field(default_factory=dict)
    seconds_left: float | None = None


@dataclass(frozen=True)
class RungSaid:
    """A rung has something to say that a person should read while it goes on."""

    name: str
    sentence: str


@dataclass(frozen=True)
class Foreseen:
    """What a rung is expected to bring, from pilots; `sentence` says it to a person."""

    name: str
    forecast: ForecastRecord
    sentence: str


@dataclass(frozen=True)
class RungEnded:
    """A rung is done, skipped, failed or stopped."""

    record: RungRecord


@dataclass(frozen=True)
class Decided:
    """The choice is made; the test is None where the test rows stay closed."""

    verdict: VerdictRecord
    test: TestRecord | None


@dataclass(frozen=True)
class Finished:
    """All is written."""

    record: ClimbRecord


Event = Union[Stage, Prepared, RungStarted, RungProgress, RungSaid, Foreseen, RungEnded, Decided, Finished]  # noqa: UP007
Tell = Callable[[Event], None]

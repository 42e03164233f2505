"""The screen of a climb: what was understood, a live line while a rung climbs, the ladder, and the choice."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from yunti.cli.ahead import ahead_lines
from yunti.cli.console import show, width_of
from yunti.cli.layout import (
    brief,
    command,
    data_lines,
    hung,
    ladder_lines,
    machine_sentence,
    metric_name,
    padded,
    task_sentence,
)
from yunti.climbing.budget import UNBOUNDED_SECONDS
from yunti.climbing.events import (
    Decided,
    Event,
    Finished,
    Foreseen,
    Prepared,
    RungEnded,
    RungProgress,
    RungSaid,
    RungStarted,
    Stage,
)
from yunti.climbing.reporting import NAME as REPORT
from yunti.climbing.state import INTERRUPTED
from yunti.records import BudgetRecord, ClimbRecord, RefitRecord, RungRecord
from yunti.words import spoken, told
from yunti.words.units import count_text, number_text, scored, seconds_text

RUNG_WIDTH = 11
SHOWN_NUMBERS = ("valid", "loss", "epoch")


@final
class Screen:
    """Tells a climb, event by event; on a terminal the rung that climbs has a live line.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = width_of(console)
        self.live: Progress | None = None
        self.line = TaskID(0)
        self.ended: RungRecord | None = None

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settle()

    def tell(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Stage(name, fraction):
                self._go(told(name), fraction)
            case Prepared(data, task, budget, machine, folder):
                self._settle()
                show(self.console, data_lines(data, self.width))
                show(self.console, hung(spoken("label.task"), task_sentence(task), self.width))
                show(self.console, hung(spoken("label.budget"), budget_sentence(budget), self.width))
                show(self.console, hung(spoken("label.machine"), machine_sentence(machine), self.width))
                show(self.console, [*hung(spoken("label.folder"), folder, self.width), Text()])
            case RungStarted(name, _, _, share_seconds):
                is_bounded = share_seconds < UNBOUNDED_SECONDS / 10
                most = spoken("line.most", seconds=seconds_text(share_seconds)) if is_bounded else ""
                self._go(_title(name), 0.0, most)
            case RungSaid(name, sentence) | Foreseen(name, _, sentence):
                self._settle()
                show(self.console, hung(_indented(_title(name)), told(sentence), self.width, "dim", "dim"))
            case RungProgress(name, fraction, numbers, seconds_left):
                left = "" if seconds_left is None else spoken("line.left", seconds=seconds_text(seconds_left))
                self._go(_title(name), fraction, left, numbers)
            case RungEnded(record):
                self._settle()
                if record.reason != INTERRUPTED:  # told once, at the end
                    show(self.console, self._ended(brief(record, self.ended)))
                self.ended = record
            case Decided() | Finished():
                self._settle()

    def _go(self, name: str, fraction: float, left: str = "", numbers: dict[str, float] | None = None) -> None:
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            return
        if self.live is None:
            self.live = _live_line(self.console)
            self.line = self.live.add_task(name, total=1.0, numbers="", left="")
            self.live.start()
        self.live.update(
            self.line,
            description=padded(name, RUNG_WIDTH),
            completed=fraction,
            numbers=_numbers(numbers or {}),
            left=left,
        )

    def _settle(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _ended(self, rung: RungRecord) -> Iterator[Text]:
        if rung.score is None:
            style = "red" if rung.status == "failed" else "dim"
            yield from hung(_indented(rung.name), _why(rung), self.width, style, style)
            return
        score = rung.score
        sentence = score_sentence(score.metric, scored(score.valid, score.low, score.high))
        if rung.cost is not None:
            sentence = spoken("line.took", told=sentence, seconds=seconds_text(rung.cost.train_seconds))
        if rung.status != "done" or rung.reason:
            sentence = spoken("line.but", told=sentence, why=_why(rung))
        yield from hung(_indented(rung.name), sentence, self.width)


def _title(name: str) -> str:
    """Name what goes on: a rung by its name, the work after the last of them in the reader's language."""
    return spoken(f"line.{name}") if name in ("copies", "refit", "test") else name


def _indented(name: str) -> str:
    return "  " + padded(name, RUNG_WIDTH)


def _why(rung: RungRecord) -> str:
    return spoken("line.why", status=spoken(f"status.{rung.status}"), reason=told(rung.reason))


def score_sentence(metric: str, score: str) -> str:
    """Say a score that is written already."""
    return spoken("line.scored", metric=metric_name(metric), score=score)


def budget_sentence(budget: BudgetRecord) -> str:
    """Say how long all may take, and why."""
    reason = told(budget.reason)
    return spoken("budget.of", seconds=seconds_text(budget.seconds), reason=reason) if bounded(budget) else reason


def _live_line(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[numbers]}"),
        _Times(""),
        console=console,
        transient=True,
        refresh_per_second=8,
    )


@final
class _Times(TextColumn):
    """How long a rung has climbed, and how long it still needs."""

    def render(self, task: Any) -> Text:
        """Write both times."""
        left = task.fields["left"]
        return Text(seconds_text(task.elapsed or 0.0) + (f", {left}" if left else ""), style="dim")


def bounded(budget: BudgetRecord) -> bool:
    """Say whether there is a budget: a single rung may take as long as it takes."""
    return budget.seconds < UNBOUNDED_SECONDS


def _numbers(numbers: dict[str, float]) -> str:
    shown = [f"{spoken(f'number.{name}')} {number_text(numbers[name])}" for name in SHOWN_NUMBERS if name in numbers]
    if "rows_per_second" in numbers:
        shown.append(spoken("line.speed", count=count_text(numbers["rows_per_second"])))
    return " ".join(shown)


def result_lines(record: ClimbRecord, folder: Path, width: int) -> Iterator[Text]:
    """Tell the ladder, the choice, its test, where everything is, and what to type next."""
    interrupted = spoken("line.interrupted")
    shown = [replace(rung, reason=interrupted) if rung.reason == INTERRUPTED else rung for rung in record.rungs]
    yield from ladder_lines(replace(record, rungs=tuple(shown)), width)
    yield Text()
    verdict, test = record.verdict, record.test
    if verdict is not None:
        yield from hung(spoken("label.chosen"), told(verdict.reason), width, "bold", "bold green")
        if verdict.refit is not None:
            yield from hung(spoken("label.refit"), _refit(verdict.refit), width)
    if test is not None:
        score = score_sentence(record.task.metric, scored(test.score, test.low, test.high))
        sentence = spoken("result.test", score=score, rows=record.data.split.test)
        yield from hung(spoken("label.test"), sentence, width, "bold")
    yield from ahead_lines(record, width)
    spent = seconds_text(record.budget.spent_seconds)
    if bounded(record.budget):
        spent = spoken("result.time", spent=spent, seconds=seconds_text(record.budget.seconds))
    yield from hung(spoken("label.time"), spent, width)
    yield from _next_lines(record, folder, width)


def _refit(refit: RefitRecord) -> str:
    if not refit.rows:
        return spoken("result.no refit", reason=told(refit.reason))
    sentence = spoken("result.refit", rows=refit.rows)
    if refit.seconds:
        sentence = spoken("result.refit in", told=sentence, seconds=seconds_text(refit.seconds))
    return spoken("result.refit of", told=sentence, members=", ".join(refit.members)) if refit.members else sentence


def _next_lines(record: ClimbRecord, folder: Path, width: int) -> Iterator[Text]:
    chosen = record.rung(record.verdict.chosen) if record.verdict else None
    if chosen is not None and chosen.bundle is not None:
        bundle = str(folder / chosen.bundle)
        yield from hung(spoken("label.bundle"), bundle, width)
        if (folder / REPORT).is_file():
            yield from hung(spoken("label.report"), str(folder / REPORT), width)
        yield command(spoken("label.next"), _use(record, shlex.quote(bundle)))
    if any(rung.reason == INTERRUPTED for rung in record.rungs) or (record.test is None and record.data.split.test):
        verb = "train" if record.settings.get("full") else "climb"
        yield command(spoken("label.go on"), f"yunti {verb} --resume {shlex.quote(str(folder))}")


def _use(record: ClimbRecord, bundle: str) -> str:
    """Return the command that most people want next."""
    if any(column.holds_chats for column in record.data.columns):
        return f"yunti chat {bundle}"
    if record.task.name == "language":
        return f'yunti generate {bundle} --prompt "…"'
    return f"yunti predict {bundle} {_new_source(record.data.source)} -o out.csv"


def _new_source(source: str) -> str:
    if source.startswith("sample:"):
        return source
    suffixes = "".join(Path(source).suffixes[-2:])
    return f"new{suffixes}" if suffixes else spoken("result.new data")

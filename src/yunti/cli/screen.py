"""The screen of a climb: what was understood, a live line while a rung climbs, the ladder, and the choice."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text

from yunti.cli.layout import column_lines, finding_lines, hung, ladder_lines, split_sentence
from yunti.cli.units import bytes_text, decimals_for, interval_text, number_text, score_text, seconds_text
from yunti.climbing.events import (
    Decided,
    Event,
    Finished,
    Prepared,
    RungEnded,
    RungProgress,
    RungStarted,
    Stage,
)
from yunti.records import ClimbRecord, DataRecord, RungRecord
from yunti.specs import TaskSpec

PIPE_WIDTH = 10_000  # lines in a pipe are for programs and grep: they are not broken
WIDEST = 120  # longer sentences are hard to read
MOST_COLUMNS = 24
SHOWN_NUMBERS = ("valid", "loss", "epoch")


def console_for(stream: TextIO | None = None) -> Console:
    """Open the console of a stream; NO_COLOR and TERM=dumb are respected, a pipe gets plain lines."""
    return Console(file=stream or sys.stdout, highlight=False, markup=False, emoji=False)


def width_of(console: Console) -> int:
    """Give the cells a line may take."""
    return min(console.width, WIDEST) if console.is_terminal else PIPE_WIDTH


def show(console: Console, lines: Iterable[Text]) -> None:
    """Print laid-out lines as they are."""
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)


def data_lines(data: DataRecord, width: int, most_columns: int = MOST_COLUMNS) -> Iterator[Text]:
    """Tell how the data were understood."""
    inputs = sum(column.role == "input" for column in data.columns)
    yield from hung("data", f"{data.source}: {data.rows:,} rows, {inputs:,} input column{'s'[: inputs != 1]}", width)
    yield Text()
    yield from column_lines(data.columns, width, most_columns)
    yield Text()
    yield from finding_lines(data.findings, width)
    yield from hung("split", split_sentence(data), width)


def task_sentence(task: TaskSpec) -> str:
    """Say what is asked and what decides."""
    what = f"{task.name} of {task.target!r}"
    if task.classes:
        names = ", ".join(task.classes[:6]) + (", …" if len(task.classes) > 6 else "")
        what += f" into {len(task.classes)} classes ({names})"
    return f"{what}; {task.metric} decides, {task.direction} is better"


def machine_sentence(machine: dict[str, Any]) -> str:
    """Say what the climb runs on."""
    parts = [str(machine["processor"])] if machine.get("processor") else []
    if cores := machine.get("cores"):
        parts.append(f"{cores} core{'s'[: cores != 1]}")
    if memory := machine.get("memory_bytes"):
        parts.append(bytes_text(memory))
    if device := machine.get("device"):
        reason = machine.get("device_reason")
        parts.append(f"networks on {device}" + (f" ({reason})" if reason else ""))
    return ", ".join(parts)


@final
class Screen:
    """Tells a climb, event by event; on a terminal the rung that climbs has a live line.

    Args:
        console: where to write.
        results: whether the ladder and the choice are shown at the end, besides the progress.
    """

    def __init__(self, console: Console, results: bool = True) -> None:
        self.console = console
        self.results = results
        self.width = width_of(console)
        self.metric = "score"
        self.live: Progress | None = None
        self.line = TaskID(0)

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
                self._go(name, fraction)
            case Prepared(data, task, budget, machine, folder):
                self._settle()
                self.metric = task.metric
                width = self.width
                show(self.console, data_lines(data, width))
                show(self.console, hung("task", task_sentence(task), width))
                show(self.console, hung("budget", f"{seconds_text(budget.seconds)} {_because(budget.reason)}", width))
                show(self.console, hung("machine", machine_sentence(machine), width))
                show(self.console, [*hung("folder", folder, width), Text()])
            case RungStarted(name, _, _, share_seconds):
                self._go(name, 0.0, f"at most {seconds_text(share_seconds)}")
            case RungProgress(name, fraction, numbers, seconds_left):
                left = "" if seconds_left is None else f"{seconds_text(seconds_left)} left"
                self._go(name, fraction, left, numbers)
            case RungEnded(record):
                self._settle()
                show(self.console, self._ended(record))
            case Decided():
                self._settle()
            case Finished(record):
                self._settle()
                if self.results:
                    show(self.console, [Text(), *result_lines(record, self.width)])

    def _go(self, name: str, fraction: float, left: str = "", numbers: dict[str, float] | None = None) -> None:
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            return
        if self.live is None:
            self.live = _live_line(self.console)
            self.line = self.live.add_task(name, total=1.0, numbers="", left="")
            self.live.start()
        self.live.update(self.line, description=name, completed=fraction, numbers=_numbers(numbers or {}), left=left)

    def _settle(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _ended(self, rung: RungRecord) -> Iterator[Text]:
        if rung.score is None:
            style = "red" if rung.status == "failed" else "dim"
            yield from hung(f"  {rung.name}", f"{rung.status}: {rung.reason}", self.width, style, style)
            return
        score = rung.score
        decimals = decimals_for([(score.low, score.high)])
        told = f"{score.metric} {score_text(score.valid, decimals)} ({interval_text(score.low, score.high, decimals)})"
        if rung.cost is not None:
            told += f" in {seconds_text(rung.cost.train_seconds)}"
        if rung.status != "done" or rung.reason:
            told += f" – {rung.status}: {rung.reason}"
        yield from hung(f"  {rung.name}", told, self.width)


def _live_line(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=16),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[numbers]}"),
        _Elapsed(),
        TextColumn("{task.fields[left]}", style="dim"),
        console=console,
        transient=True,
        refresh_per_second=8,
    )


@final
class _Elapsed(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Text:
        return Text(seconds_text(task.elapsed or 0.0))


def _numbers(numbers: dict[str, float]) -> str:
    return " ".join(f"{name} {number_text(numbers[name])}" for name in SHOWN_NUMBERS if name in numbers)


def _because(reason: str) -> str:
    return f"({reason})" if reason else ""


def result_lines(record: ClimbRecord, width: int) -> Iterator[Text]:
    """Tell the ladder, the choice, its test, where everything is, and what to type next."""
    yield from ladder_lines(record, width)
    yield Text()
    verdict, test = record.verdict, record.test
    if verdict is not None:
        yield from hung("chosen", f"{verdict.chosen}: {verdict.reason}", width, "bold", "bold green")
    if test is not None:
        decimals = decimals_for([(test.low, test.high)])
        told = f"{record.task.metric} {score_text(test.score, decimals)} ({interval_text(test.low, test.high, decimals)})"
        yield from hung("test", f"{told} on {record.data.split.test:,} rows that were opened once, at the end", width)
    spent = f"{seconds_text(record.budget.spent_seconds)} of {seconds_text(record.budget.seconds)}"
    yield from hung("time", spent, width)


def next_lines(record: ClimbRecord, folder: Path, width: int) -> Iterator[Text]:
    """Say where the chosen bundle is and which command uses it."""
    chosen = record.rung(record.verdict.chosen) if record.verdict else None
    if chosen is None or chosen.bundle is None:
        return
    bundle = folder / chosen.bundle
    yield from hung("bundle", str(bundle), width)
    yield from hung("next", f"yunti predict {shlex.quote(str(bundle))} {_new_source(record.data.source)} -o out.csv", width)


def _new_source(source: str) -> str:
    if source.startswith("sample:"):
        return source
    suffixes = "".join(Path(source).suffixes[-2:])
    return f"new{suffixes}" if suffixes else "NEW_DATA"

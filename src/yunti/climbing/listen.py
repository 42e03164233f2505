"""Subscribers of a climb that write: `log.jsonl` and TensorBoard scalars."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from yunti.climbing.events import Event, RungEnded, RungProgress, Tell
from yunti.climbing.run import RunFolder


@final
class Log:
    """Appends every event to `log.jsonl`: one JSON object a line with the time, the event's name and its fields."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def __call__(self, event: Event) -> None:
        """Append the event."""
        line = {"time": round(time.time(), 3), "event": type(event).__name__, **asdict(event)}
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@final
class Board:
    """Writes what rungs report as TensorBoard scalars: `tensorboard/<rung>/`, one step a report.

    A report with its own `step` is drawn at that step.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._steps: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Draw the event's numbers, if it has some."""
        if isinstance(event, RungProgress) and event.numbers:
            step = int(event.numbers.get("step", self._steps.get(event.name, 0) + 1))
            self._steps[event.name] = step
            self._write(event.name, {name: value for name, value in event.numbers.items() if name != "step"}, step)
        elif isinstance(event, RungEnded) and event.record.score and event.record.cost:
            cost, score = event.record.cost, event.record.score
            final_values = {
                f"climb/{score.metric}": score.valid,
                "climb/train_seconds": cost.train_seconds,
                "climb/peak_memory_bytes": float(cost.peak_memory_bytes),
                "climb/parameters": float(cost.parameters),
            }
            self._write(event.record.name, final_values, self._steps.get(event.record.name, 0) + 1)

    def close(self) -> None:
        """Flush and close all files."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, rung: str, values: dict[str, float], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as BoardEvent
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if rung not in self._writers:
            self._writers[rung] = EventFileWriter(str(self._folder / rung))
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._writers[rung].add_event(BoardEvent(wall_time=time.time(), step=step, summary=summary))


@final
class Listeners:
    """Passes every event to the log, to TensorBoard and to whoever else listens; closes the files at the end."""

    def __init__(self, run: RunFolder, tell: Tell | None) -> None:
        self._log = Log(run.path / "log.jsonl")
        self._board = Board(run.path / "tensorboard")
        self._tell = tell

    def __call__(self, event: Event) -> None:
        """Pass the event on."""
        self._log(event)
        self._board(event)
        if self._tell is not None:
            self._tell(event)

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *_error: object) -> None:
        self._log.close()
        self._board.close()

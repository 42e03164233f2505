"""Run one rung in its own process: listen to its progress, hold it to its time and memory, and say how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from yunti.climbing.interrupt import take_interrupt
from yunti.devices import available_bytes, cores, resident_bytes
from yunti.words import say

POLL_SECONDS = 0.2
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Threads that wait for each other by spinning starve beside a busy neighbour: a step of a small network took 161 ms
# instead of 17 on two cores with one of them in use. After this many turns a waiting thread goes to sleep.
THREADING = {"GOMP_SPINCOUNT": "5000"}
TOGETHER = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
MEMORY_SHARE = 0.92  # of what was free when the process began; beyond it the system itself starts to suffer

Act = Literal[
    "train", "pilot", "curve", "shorter", "smaller", "copies", "refit", "test"
]  # what a process is asked to do for its rung
Progress = Callable[[float, dict[str, float]], None]
Say = Callable[[str], None]


@final
@dataclass(frozen=True)
class Ending:
    """How a process ended: "ok", "failed", "late" (it outran its time) or "memory" (it outran its memory)."""

    how: str
    reason: str = ""


def supervise(
    job: Mapping[str, Any], folder: Path, hard_seconds: float, progress: Progress, speak: Say = lambda _sentence: None
) -> Ending:
    """Run a job in a process of its own until it ends or outruns its limits.

    The job goes to the process's standard input, which then stays open: when this process dies, even by SIGKILL, the
    input closes and the worker ends itself. What libraries print goes to `output.txt`.

    Args:
        job: plain JSON values, see `yunti.climbing.worker`.
        folder: where `output.txt` is written.
        hard_seconds: seconds after which the process is killed.
        progress: called with the fraction done and the numbers that the worker reports.
        speak: called with what the worker has to say to a person.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C, which ends the process too.
    """
    take_interrupt()
    folder.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    limit = int(MEMORY_SHARE * available_bytes())
    with (folder / "output.txt").open("wb") as output, os.fdopen(reader, "rb", buffering=0) as events:
        process = subprocess.Popen(
            [sys.executable, "-m", "yunti.climbing.worker", str(writer)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
            env=THREADING | {name: str(cores()) for name in COUNTS} | _environment(job),
            start_new_session=True,  # a Ctrl-C in the terminal reaches the climb alone, which then decides
        )
        os.close(writer)
        try:
            assert process.stdin is not None
            _send(process, json.dumps(job).encode() + b"\n")
            return _watch(process, events, time.monotonic() + hard_seconds, limit, (progress, speak), folder)
        finally:
            _kill(process)


def _environment(job: Mapping[str, Any]) -> dict[str, str]:
    """Only training is done by several processes together: whoever tests or trains anew shall not wait for others."""
    alone = job.get("act", "train") != "train"
    return {name: value for name, value in os.environ.items() if not (alone and name in TOGETHER)}


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
    except BrokenPipeError:
        return  # it died at once; how it ended is read below


def _watch(
    process: subprocess.Popen[bytes],
    events: Any,
    deadline: float,
    limit: int,
    hear: tuple[Progress, Say],
    folder: Path,
) -> Ending:
    progress, speak = hear
    buffer = b""
    error = ""
    while True:
        take_interrupt()
        ready, _, _ = select.select([events], [], [], POLL_SECONDS)
        chunk = events.read(65536) if ready else None
        if chunk:
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                error = message.get("error", error)
                if "said" in message:
                    speak(message["said"])
                if "fraction" in message:
                    progress(message["fraction"], message.get("numbers", {}))
        elif chunk == b"":
            return _ended(process, error, folder)
        if time.monotonic() > deadline:
            return Ending("late", say("ended.late"))
        held = resident_bytes(process.pid)
        if held > limit:
            return Ending("memory", say("ended.memory", held=held / 2**30, limit=limit / 2**30))


def _ended(process: subprocess.Popen[bytes], error: str, folder: Path) -> Ending:
    code = process.wait()
    if error:
        return Ending("failed", error)
    if code == 0:
        return Ending("ok")
    if code == -signal.SIGKILL:
        return Ending("failed", say("ended.killed"))
    if code < 0:
        return Ending("failed", say("ended.signal", signal=signal.Signals(-code).name))
    return Ending("failed", say("ended.code", code=code, line=_last_line(folder / "output.txt")))


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else say("ended.silent")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()

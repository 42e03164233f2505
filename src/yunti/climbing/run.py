"""The run folder: complete at every moment, so that a climb killed anywhere can go on from what is there.

request.json     what was asked         climb.json      every number
prepared/        the dataset            outcomes/RUNG/  a rung's record, its validation predictions, its output
models/RUNG/     bundles                log.jsonl       every event
report.html      everything on one page
tensorboard/     scalars a rung         quarantine.jsonl  rows that could not be read
.lock            held by the process at work here
"""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from yunti.bundle.format import give_back
from yunti.climbing.budget import Part
from yunti.climbing.request import Request
from yunti.copied import CopiedRecord
from yunti.errors import OptionError, SourceError
from yunti.records import ClimbRecord, ForecastRecord, Point, RefitRecord, RungRecord, TestRecord
from yunti.storing import from_json, to_json, write_atomic

QUARANTINE = "quarantine.jsonl"
LOCK = ".lock"
LOCK_SECONDS = 10.0  # a process that was killed may take some to be gone


@final
@dataclass(frozen=True)
class Points:
    """What `pilot.json`, `curve.json`, `shorter.json` and `smaller.json` hold: trainings beside the whole one.

    Args:
        points: of the curve.
        recipe_seconds: that networks and boosted trees take for all rows at the pace that was seen if nothing cuts them
            short; None where unknown.
        row_bytes: of memory that each further training row takes.
        complete: whether all parts were trained; a process that was killed leaves it open.
        cheap: whether the first part showed that the rung needs little of its share.
    """

    points: tuple[Point, ...] = ()
    recipe_seconds: float | None = None
    row_bytes: float = 0.0
    complete: bool = False
    cheap: bool = False


@final
@dataclass(frozen=True)
class RunFolder:
    """Paths and files of one run."""

    path: Path

    @staticmethod
    def make(out: str | Path | None, source: str | None, request: Request) -> RunFolder:
        """Create the folder of a new run and write the request.

        Args:
            out: exactly this folder; None makes `runs/<name>-<time>`.
            source: the source's name, from which the default name is made.
            request: what was asked.

        Raises:
            OptionError: the folder holds something already, or cannot be made.
        """
        path = Path(out) if out is not None else _fresh(source)
        if path.exists() and (not path.is_dir() or any(each.name != QUARANTINE for each in path.iterdir())):
            mend = "give another folder" if not (path / "request.json").exists() else f"use --resume {path} to go on"
            raise OptionError(f"--out {path}", "the run folder must be new or empty", "it holds something", mend)
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_atomic(path / "request.json", to_json(request))
        except OSError as error:
            raise OptionError(
                f"--out {path}", "the run folder must be writable", error.strerror or str(error), "give another folder"
            ) from error
        return RunFolder(path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder as long as the context lasts: two processes that write into it would spoil it.

        Raises:
            OptionError: another process holds it.
        """
        with ExitStack() as open_files:
            try:
                file = open_files.enter_context((self.path / LOCK).open("a"))
            except OSError:  # whoever only looks at what is finished need not write
                yield
                return
            until = time.monotonic() + LOCK_SECONDS
            while not _locked(file.fileno()):
                if time.monotonic() > until:
                    raise OptionError(
                        f"--resume {self.path}", "no other process may be at work there", "one is",
                        "wait until it has ended, or stop it",
                    )  # fmt: skip
                time.sleep(0.1)
            yield

    def discard(self) -> None:
        """Remove what a run has written that could not begin; rows that were set aside stay for the reader to see."""
        for each in self.path.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            elif each.name != QUARANTINE:
                each.unlink()
        if not any(self.path.iterdir()):
            self.path.rmdir()

    @staticmethod
    def open(folder: str | Path) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            OptionError: it is not a run folder.
        """
        path = Path(folder)
        if not (path / "request.json").is_file():
            what = "it holds no request.json" if path.is_dir() else "there is no such folder"
            raise OptionError(f"--resume {path}", "it must be the folder of an earlier climb", what, "check its name")
        return RunFolder(path)

    def mend(self) -> None:
        """Put back bundles that a process, killed while it replaced them, had moved aside."""
        for folder in (self.path / "models").glob(".*.old"):
            give_back(folder.with_name(folder.name.removeprefix(".").removesuffix(".old")))

    @property
    def request(self) -> Request:
        """What was asked."""
        return from_json(Request, (self.path / "request.json").read_text(), str(self.path / "request.json"))

    @property
    def prepared(self) -> Path:
        """Folder of the dataset."""
        return self.path / "prepared"

    @property
    def record(self) -> ClimbRecord | None:
        """The record as it was last saved, if there is one."""
        path = self.path / "climb.json"
        return from_json(ClimbRecord, path.read_text(), str(path)) if path.is_file() else None

    def save(self, record: ClimbRecord) -> None:
        """Write `climb.json`, whole or not at all."""
        try:
            write_atomic(self.path / "climb.json", to_json(record))
        except OSError as error:
            raise SourceError(
                str(self.path), "the run folder must stay writable", error.strerror or str(error), "free the disk"
            ) from error

    def model(self, rung: str) -> Path:
        """Folder of a rung's bundle."""
        return self.path / "models" / rung

    def outcome(self, rung: str) -> Path:
        """Folder of what a rung's process left besides its bundle."""
        return self.path / "outcomes" / rung

    def checkpoints(self, rung: str) -> Path:
        """Folder of the checkpoints of a rung's training; it is gone when the rung is done."""
        return self.outcome(rung) / "checkpoints"

    def rung_record(self, rung: str) -> RungRecord | None:
        """The record that a rung's process wrote as its last act, if it did."""
        path = self.outcome(rung) / "record.json"
        return from_json(RungRecord, path.read_text(), str(path)) if path.is_file() else None

    def points(self, rung: str, kind: Part = "pilot") -> Points:
        """The trainings of a rung on parts of the rows, before it was trained or after; over fewer steps; narrower."""
        path = self.outcome(rung) / f"{kind}.json"
        return from_json(Points, path.read_text(), str(path)) if path.is_file() else Points()

    def save_points(self, rung: str, points: Points, kind: Part = "pilot") -> None:
        """Note trainings of a rung on parts of the rows, over fewer steps, or narrower."""
        write_atomic(self.outcome(rung) / f"{kind}.json", to_json(points))

    def forecast(self, rung: str) -> ForecastRecord | None:
        """What was forecast for a rung before it was trained, if that was done."""
        path = self.outcome(rung) / "forecast.json"
        return from_json(ForecastRecord, path.read_text(), str(path)) if path.is_file() else None

    def save_forecast(self, rung: str, record: ForecastRecord) -> None:
        """Note what was forecast for a rung; a resumed climb does not pilot it again."""
        self.outcome(rung).mkdir(parents=True, exist_ok=True)
        write_atomic(self.outcome(rung) / "forecast.json", to_json(record))

    def test_record(self, rung: str) -> TestRecord | None:
        """The test score that was measured for a rung, if it was."""
        path = self.outcome(rung) / "test.json"
        return from_json(TestRecord, path.read_text(), str(path)) if path.is_file() else None

    def refit_record(self, rung: str) -> RefitRecord | None:
        """What a rung's second training, on training and validation rows, came to; if it was done."""
        path = self.outcome(rung) / "refit.json"
        return from_json(RefitRecord, path.read_text(), str(path)) if path.is_file() else None

    def save_refit(self, rung: str, record: RefitRecord) -> None:
        """Note what a rung's second training came to."""
        write_atomic(self.outcome(rung) / "refit.json", to_json(record))

    def copied_record(self, rung: str) -> CopiedRecord | None:
        """What a rung wrote that stands in its training text; if that was looked for."""
        path = self.outcome(rung) / "copied.json"
        return from_json(CopiedRecord, path.read_text(), str(path)) if path.is_file() else None

    def save_copied(self, rung: str, record: CopiedRecord) -> None:
        """Note what a rung wrote that stands in its training text."""
        write_atomic(self.outcome(rung) / "copied.json", to_json(record))

    def valid_predictions(self, rung: str) -> NDArray[np.float64]:
        """A rung's predictions for the validation rows, memory-mapped."""
        predictions: NDArray[np.float64] = np.load(self.outcome(rung) / "valid.npy", mmap_mode="r", allow_pickle=False)
        return predictions


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system that knows no locks: nobody can hold anything there
    return True


def _fresh(source: str | None) -> Path:
    stem = Path(source.removeprefix("sample:")).name.split(".")[0] if source else "frame"
    stem = re.sub(r"[^\w-]+", "-", stem).strip("-") or "climb"
    base = Path("runs") / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    return path

"""From a run folder to its report and its figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from yunti.climbing.run import RunFolder
from yunti.data.dataset import Dataset, open_dataset
from yunti.errors import OptionError, YuntiError
from yunti.records import ClimbRecord
from yunti.words import say

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from yunti.report.material import Material

NAME = "report.html"
EVENTS = ("Stage", "Prepared", "RungStarted", "RungEnded", "RungProgress", "Decided")
DAMAGE = (OSError, ValueError, LookupError, YuntiError)


def report(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of an earlier climb, finished or not, from its run folder.

    Args:
        folder: the run folder.
        path: of the HTML file; `report.html` in the run folder if not given.

    Returns:
        Where it is.

    Raises:
        OptionError: it is no run folder, nothing has been read yet, or the file cannot be written.
        SourceError: `climb.json` is damaged.
    """
    run = RunFolder(Path(folder))
    if not (run.path / "request.json").is_file() and not (run.path / "climb.json").is_file():
        got = "it holds no request.json" if run.path.is_dir() else "there is no such folder"
        mend = "name the folder that `yunti climb` printed"
        raise OptionError(str(folder), "it must be the run folder of a climb", got, mend)
    record = run.record
    if record is None:
        must, got = "its data must have been read", "there is no climb.json yet"
        raise OptionError(str(folder), must, got, f"go on with `yunti climb --resume {folder}`")
    return write(run, record, path)


def write(run: RunFolder, record: ClimbRecord, path: str | Path | None = None) -> Path:
    """Write the report of a climb.

    Raises:
        OptionError: the file cannot be written.
    """
    from yunti.report.page import write_report

    where = run.path / NAME if path is None else Path(path)
    try:
        write_report(material(run, record), where)
    except OSError as error:
        said = error.strerror or str(error)
        raise OptionError(str(where), "the report must be written there", said, "name another file") from error
    return where


def write_if_possible(run: RunFolder, record: ClimbRecord) -> str:
    """Write the report at the end of a climb, which must not be lost for it: return "", or why there is none."""
    try:
        write(run, record)
    except (Exception, KeyboardInterrupt) as error:  # a finished climb is worth more than its report
        what = str(error).rstrip(".") or type(error).__name__
        return say("climb.no report", what=what, folder=str(run.path))
    return ""


def plot(run: RunFolder, record: ClimbRecord, name: str, path: str | Path | None) -> Figure:
    """Draw one figure of a climb; as `yunti.report.gallery.plot`."""
    from yunti.report import gallery

    return gallery.plot(material(run, record), name, path)


def material(run: RunFolder, record: ClimbRecord) -> Material:
    """Gather what a report is made from; what is damaged or gone is left out."""
    from yunti.report.material import Material, shown_rung

    shown = shown_rung(record)
    dataset = _dataset(run)
    predictions = None if shown is None or dataset is None else _predictions(run, shown.name)
    return Material(record, dataset, predictions, _spans(run))


def _dataset(run: RunFolder) -> Dataset | None:
    try:
        return open_dataset(run.prepared)
    except DAMAGE:
        return None


def _predictions(run: RunFolder, rung: str) -> NDArray[np.float64] | None:
    try:
        return run.valid_predictions(rung)
    except DAMAGE:
        return None


def _spans(run: RunFolder) -> dict[str, float]:
    try:
        with (run.path / "log.jsonl").open(encoding="utf-8") as lines:
            return spans(lines)
    except DAMAGE:
        return {}


def spans(lines: Iterable[str]) -> dict[str, float]:
    """Return the seconds between the events of a log: of reading, of each rung, of the refit and of the test.

    A climb that was resumed adds up; what lies between its parts is not counted.

    Args:
        lines: of `log.jsonl`.
    """
    found: dict[str, float] = {}
    part, since = "", 0.0
    for line in lines:
        head = line[:120]  # the time and the name of an event stand first: most lines are progress and are not parsed
        event = next((each for each in EVENTS if f'"event": "{each}"' in head), "")
        if event == "RungProgress" and (part == "test" or '"name": "test"' not in head):
            continue
        if not event or (event == "Stage" and part == "reading"):
            continue
        told = json.loads(line)
        if part and event != "Stage" and (event != "Prepared" or part == "reading"):
            found[part] = found.get(part, 0.0) + float(told["time"]) - since
        names = {"Stage": "reading", "RungStarted": told.get("name", ""), "RungProgress": "test"}
        part, since = names.get(event, ""), float(told["time"])
    return found

"""The main path: read the data, climb rung after rung while the budget lasts, choose, and open the test rows once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import yunti
from yunti.climbing.ascent import Ascent
from yunti.climbing.budget import UNBOUNDED_SECONDS, Purse, derive_budget
from yunti.climbing.conclude import conclude
from yunti.climbing.events import Finished, Prepared, RungSaid, Stage, Tell
from yunti.climbing.forecast.worth import parse_price, parse_worth
from yunti.climbing.interrupt import taken_at_safe_places
from yunti.climbing.listen import Listeners
from yunti.climbing.reporting import NAME, plot, write, write_if_possible
from yunti.climbing.request import Request, from_settings, names, seconds_or_none
from yunti.climbing.run import RunFolder
from yunti.climbing.state import INTERRUPTED, State
from yunti.climbing.wording import SHARES
from yunti.data.dataset import Dataset, open_dataset, prepare
from yunti.devices import choose_device, this_machine
from yunti.errors import InputError, OptionError, PackageError, RungError
from yunti.ladders.find import choose_rungs
from yunti.records import BudgetRecord, ClimbRecord, Cost, VerdictRecord
from yunti.specs import Kind, TaskName
from yunti.tasks.task import infer_task
from yunti.words import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from yunti.bundle.bundle import Bundle


def climb(  # noqa: PLR0913  (the keywords are the options of the product's main verb)
    source: object,
    *,
    target: str | None = None,
    prompt: str | None = None,
    test: object | None = None,
    split: str | None = None,
    group: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    keep: Sequence[str] = (),
    task: TaskName | None = None,
    metric: str | None = None,
    budget: str | float | None = None,
    rungs: str | Sequence[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    pretrained: str | None = None,
    refit: bool = True,
    worth: str | None = None,
    price: str | float | None = None,
    out: str | Path | None = None,
    tell: Tell | None = None,
    began: float | None = None,
) -> Climb:
    """Train models on a data set from the simplest up, within a budget, and choose one.

    Args:
        source: a file, folder, glob or `sample:NAME`; or a pandas, polars or Arrow table.
        target: the column to predict; folders of classes and samples know their own.
        prompt: the column of questions, where the target holds answers to learn to give (see docs/chat.md).
        test: a separate source of test rows.
        split: a column that holds a ready split (train, valid, test).
        group: a column whose equal values stay on one side of the split, such as a speaker or a patient.
        time: a column by which to split: train on the earliest rows, test on the latest.
        kinds: kinds of columns, where the kinds found are wrong: `{"zip": "category"}`.
        keep: columns to use although they would be left out.
        task: "classification", "regression" or "language", where the source and its target should not decide.
        metric: the metric that decides, such as "macro_f1"; accuracy or R² if not given.
        budget: time for everything, such as "5m" or 300 (seconds); derived from the data if not given.
        rungs: names of the rungs to climb; all of the ladder if not given.
        seed: seed of everything random: the same seed on the same machine gives the same scores.
        device: "auto", "cpu", "cuda" or "mps".
        pretrained: a local folder or hub name of a pretrained model for the rungs that stand on one.
        refit: train the chosen rung anew on training and validation rows together, with all that was chosen kept,
            before the test rows are opened, if the budget holds it.
        worth: what a better score is worth, such as "1 point = 30 min", or "1 point = 20" in money where an hour has a
            price: rungs whose expected gain is less are left out. Without it those whose chance to be better is small.
        price: what an hour of this machine costs, such as "2.5/h".
        out: the run folder, new or empty; `runs/<name>-<time>` if not given.
        tell: called with every event (see `yunti.climbing.events`).
        began: `time.monotonic()` from which the budget counts; now if not given.

    Returns:
        The finished climb. Interrupted by Ctrl-C, it holds what was done until then.

    Raises:
        InputError: the data or an option cannot be used.

    Example:
        >>> import yunti
        >>> climb = yunti.climb("sample:penguins", budget="60s")  # doctest: +SKIP
        >>> climb.best.predict("new.csv")  # doctest: +SKIP
    """
    parse_worth(worth, price)  # what cannot be read is told before anything is made
    request = Request(
        source=str(source) if isinstance(source, str | Path) else None,
        cwd=str(Path.cwd()),
        target=target,
        prompt=prompt,
        test=str(test) if isinstance(test, str | Path) else None,
        split=split,
        group=group,
        time=time,
        kinds=dict(kinds or {}),
        keep=tuple(keep),
        task=task,
        metric=metric,
        budget_seconds=seconds_or_none(budget),
        rungs=names(rungs),
        seed=seed,
        device=device,
        pretrained=pretrained,
        refit=refit,
        worth=worth,
        price=parse_price(price),
    )
    return start(source, request, test, out, tell, began)


def start(
    source: object,
    request: Request,
    test: object | None,
    out: str | Path | None,
    tell: Tell | None,
    began: float | None,
) -> Climb:
    """Make the run folder, read the data, and climb.

    Args:
        source: as `climb` takes it.
        request: all that was asked.
        test: a separate source of test rows.
        out: the run folder.
        tell: called with every event.
        began: `time.monotonic()` from which the budget counts; now if not given.
    """
    began = _now() if began is None else began
    device = choose_device(request.device).name
    _must_be_found(request.pretrained)
    run = RunFolder.make(out, request.source, request)
    with run.held(), Listeners(run, tell) as tell_all:
        try:
            dataset = prepare(source, request.data_options(test), run.prepared, lambda *at: tell_all(Stage(*at)))
            record = _begin(run, replace(request, device=device), dataset)
        except InputError:
            run.discard()
            raise
        return _go(run, dataset, record, began, tell_all)


def _must_be_found(pretrained: str | None) -> None:
    """Hold that there is the pretrained model that was given; whether it serves, each rung says.

    Raises:
        OptionError: it is neither a folder nor a model of the hub.
    """
    if pretrained is None:
        return
    from yunti.models.hub import folder_of

    with suppress(PackageError):  # rungs that stand on one are left out, and say what to install
        try:
            folder_of(pretrained)
        except RungError as error:
            raise OptionError(*error.parts) from error


def resume(folder: str | Path, tell: Tell | None = None, began: float | None = None) -> Climb:
    """Go on with a climb that was killed or interrupted: finished rungs are kept, the others are trained.

    Args:
        folder: the run folder.
        tell: called with every event.
        began: `time.monotonic()` from which the rest of the budget counts; now if not given.

    Raises:
        OptionError: the folder is not a run folder, another process is at work there, or its data were an object in
            memory that was not yet laid out.
    """
    began = _now() if began is None else began
    run = RunFolder.open(folder)
    with run.held():
        return _resumed(run, tell, began)


def _resumed(run: RunFolder, tell: Tell | None, began: float) -> Climb:
    run.mend()
    request = run.request
    record = run.record
    if record is not None and record.test is not None:
        if not (run.path / NAME).is_file():  # the climb was killed while it was drawn
            write_if_possible(run, record)
        return Climb(run.path, record)
    with Listeners(run, tell) as tell_all:
        if (run.prepared / "dataset.json").is_file():
            dataset = open_dataset(run.prepared)
        elif (source := request.found_source()) is None:
            raise OptionError(
                f"--resume {run.path}",
                "its data must be there",
                "they were an object in memory",
                "start the climb anew",
            )
        else:
            options = request.data_options()
            dataset = prepare(source, options, run.prepared, lambda *at: tell_all(Stage(*at)))
        record = _begin(run, replace(request, device=choose_device(request.device).name), dataset)
        return _go(run, dataset, record, began, tell_all)


@taken_at_safe_places()
def _go(run: RunFolder, dataset: Dataset, record: ClimbRecord, began: float, tell: Tell) -> Climb:
    """Climb rung after rung, then choose; what a Ctrl-C leaves open is noted, and chosen from what is done."""
    request = from_settings(record.settings)
    purse = Purse(record.budget.seconds, began, record.budget.spent_seconds)
    rungs = choose_rungs(record.task.name, request.rungs)
    tell(Prepared(record.data, record.task, record.budget, record.machine, str(run.path)))
    state = State(run, request, dataset, record, purse, tell)
    ascent = Ascent(state)
    single, combining = ([rung for rung in rungs if rung.combines is each] for each in (False, True))
    try:
        for place, rung in enumerate(single):
            ascent.step(rung, [*single[place + 1 :], *combining])
        ascent.climb_put_off(combining)
        for rung in combining:
            ascent.step(rung, [])
        conclude(state, rungs, open_test=True)
    except KeyboardInterrupt:
        ascent.interrupt(rungs)
        if not state.trained():
            if request.full:
                tell(RungSaid(rungs[0].name, say("climb.goes on", folder=run.path)))
            raise
        conclude(state, rungs, open_test=False)
    if unfinished := write_if_possible(run, state.record):
        tell(RungSaid("report", unfinished))
    state.save()
    tell(Finished(state.record))
    return Climb(run.path, state.record)


def _begin(run: RunFolder, request: Request, dataset: Dataset) -> ClimbRecord:
    """Return the record to go on with: the saved one without what an interruption left open, or a new one.

    Raises:
        OptionError: the metric or the rungs asked for do not belong to the task.
    """
    saved = run.record
    if saved is not None:
        kept = tuple(each for each in saved.rungs if each.reason != INTERRUPTED)
        return replace(saved, rungs=kept, verdict=None)
    task = infer_task(dataset.task, dataset.target.name, dataset.classes, request.metric)
    choose_rungs(task.name, request.rungs)
    if request.exchange.in_points and task.metric not in (*SHARES, "r2"):
        mend = 'write the gain in that unit, such as --worth "0.1 = 30 min"'
        raise OptionError("--worth", "points are hundredths of a share", f"{task.metric} has a unit of its own", mend)
    if request.budget_seconds is None and request.full:
        seconds, reason = UNBOUNDED_SECONDS, say("budget.full")
    elif request.budget_seconds is None:
        seconds, reason = derive_budget(dataset.record.rows, dataset.columns)
    else:
        assert request.budget_seconds is not None
        seconds, reason = request.budget_seconds, say("device.asked for")
    record = ClimbRecord(
        data=dataset.record,
        task=task,
        machine=asdict(this_machine()) | {"device": request.device},
        budget=BudgetRecord(seconds, 0.0, reason),
        settings=asdict(request),
        yunti=yunti.__version__,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    run.save(record)
    return record


@final
class Climb:
    """A climb that has ended: its numbers, its verdict and its models."""

    def __init__(self, folder: Path, record: ClimbRecord) -> None:
        self.folder = folder
        self.record = record

    @property
    def verdict(self) -> VerdictRecord:
        """The chosen rung and why."""
        assert self.record.verdict is not None
        return self.record.verdict

    @property
    def best(self) -> Bundle:
        """The chosen rung's bundle, ready to predict."""
        return self.model(self.verdict.chosen)

    def model(self, rung: str) -> Bundle:
        """Load the bundle of any rung that was trained.

        Raises:
            OptionError: the rung was not trained.
        """
        from yunti.bundle.bundle import load_bundle

        record = self.record.rung(rung)
        if record is None or record.bundle is None:
            trained = ", ".join(each.name for each in self.record.rungs if each.bundle)
            raise OptionError(
                rung, "the rung must have been trained in this climb", "it was not", f"take one of {trained}"
            )
        return load_bundle(self.folder / record.bundle)

    def table(self) -> Any:
        """Return the ladder as an Arrow table: one row a rung with its score, interval and costs."""
        import pyarrow as pa

        rungs = self.record.rungs
        columns = {name: [getattr(rung, name) for rung in rungs] for name in ("name", "era", "status", "reason")}
        for name in ("valid", "low", "high"):
            columns[name] = [getattr(rung.score, name, None) for rung in rungs]
        for name in (each.name for each in fields(Cost)):
            columns[name] = [getattr(rung.cost, name, None) for rung in rungs]
        return pa.table(columns)

    def plot(self, name: str = "quality", path: str | Path | None = None) -> Figure:
        """Draw a figure of the report.

        Args:
            name: "quality", "curves", "budget", "confusion", "calibration", "predicted" or "residuals".
            path: where to write it too; ends in .png, .svg or .pdf.

        Returns:
            The figure, which matplotlib can change and write.

        Raises:
            OptionError: there is no such figure, the climb has no numbers for it, or the file cannot be written.
        """
        return plot(RunFolder(self.folder), self.record, name, path)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report, one HTML file, and return its path.

        Args:
            path: where to; `report.html` in the run folder if not given.

        Raises:
            OptionError: the file cannot be written.
        """
        return write(RunFolder(self.folder), self.record, path)

    def __repr__(self) -> str:
        return f"Climb({str(self.folder)!r}: {self.verdict.reason})"


def _now() -> float:
    return time.monotonic()

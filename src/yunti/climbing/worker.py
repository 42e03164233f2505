"""The process of one rung: build, train, predict the validation rows, measure, write the bundle; refit; open the test.

Run as `python -m yunti.climbing.worker FD`, with a job as one line of JSON on standard input and progress as lines of
JSON written to the file descriptor. When standard input closes, the parent is gone and this process ends itself.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.bundle.format import About, save_bundle
from yunti.climbing.budget import PILOT_START_SECONDS
from yunti.climbing.run import Part, Points, RunFolder
from yunti.climbing.supervise import Act
from yunti.data.dataset import Dataset, open_dataset
from yunti.data.table import Table
from yunti.devices import energy_wh, peak_memory_bytes, place_of, resting_memory_bytes
from yunti.errors import RungError, YuntiError
from yunti.ladders.find import find_rung
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size, Watch
from yunti.models.settings import settings_from
from yunti.records import Cost, Point, RefitRecord, RungRecord, Score, TestRecord, from_json, to_json, write_atomic
from yunti.specs import Spec, TaskSpec
from yunti.tasks.intervals import interval
from yunti.tasks.task import score, scores
from yunti.training import refit, train
from yunti.words import say

PROBE_ROWS = 8
TIMED_ROWS = 1000
REPORT_SECONDS = 0.2
FINISH_SHARE, FINISH_SECONDS = 0.06, 1.0  # of a rung's share: kept for predicting, measuring and writing the bundle
CHEAP_SHARE = 0.25  # of its share: a rung that needs no more is not tried on more parts
MOST_TO_FINISH = 0.15  # of a small share

Send = Callable[[dict[str, Any]], None]


@final
@dataclass(frozen=True)
class Job:
    """What a worker is told.

    Args:
        folder: the run folder.
        rung: the rung's name.
        task: what is asked.
        seconds: its share of the budget.
        began: `time.monotonic()` at which the process was started: imports count as its time too.
        seed: the climb's seed.
        device: where networks run.
        pretrained: the pretrained model that was given, if one.
        members: for a rung that combines others: the trained ones; or its members that are to be trained anew.
        settings: what was set by hand for the rung.
        token: tells the starts of a group of processes apart.
        act: train the rung; train it on parts of the rows, before that or after it; train the chosen one anew on
            training and validation rows; or open the test rows for it.
        parts: numbers of rows to train on, growing.
        whole_seconds: of all rows, of which every part gets its share.
    """

    folder: str
    rung: str
    task: TaskSpec
    seconds: float
    began: float
    seed: int
    device: str
    pretrained: str | None = None
    members: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    token: str = ""
    act: Act = "train"
    parts: tuple[int, ...] = ()
    whole_seconds: float = 0.0


def main() -> int:
    """Do the job that stands on standard input; return the exit code."""
    job = from_json(Job, sys.stdin.readline(), "the worker's job")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as pipe:
        send = functools.partial(_write, pipe)
        try:
            ACTS[job.act](job, send)
        except YuntiError as error:
            send({"error": str(error)})
            return 1
        except MemoryError:
            send({"error": "it needed more memory than there is"})
            return 1
    return 0


def train_rung(job: Job, send: Send) -> None:
    """Train one rung, or combine the trained ones, and leave its bundle, predictions and record in the run folder."""
    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    rung = find_rung(job.task.name, job.rung)
    spec = Spec(dataset.columns, job.task, len(dataset.train), job.seed, job.device, job.pretrained)
    watch = Watch(job.began + job.seconds - _seconds_to_finish(job), _reporter(send), _speaker(send))
    home = run.checkpoints(rung.name)
    if rung.combines:
        from yunti.climbing.combine import combine

        combined = combine(run, dataset, spec, job.members)
        if isinstance(combined, str):
            reason = say("climb.no better", rung=combined)
            write_atomic(
                run.outcome(rung.name) / "record.json", to_json(RungRecord(rung.name, rung.era, "skipped", reason))
            )
            return
        model, predictions = combined
    else:
        settings = settings_from(job.settings.items())
        model = rung.build(spec, Size(settings.dial))
        send({"fraction": 0.0})
        train(model, dataset.train, dataset.valid, watch, settings, home)
        if place_of(os.environ).rank > 0:
            return  # the first process predicts, measures and writes
    fit_seconds = time.monotonic() - job.began
    predictions = predictions if rung.combines else model.predict(dataset.valid.table)
    _check(predictions, rung)
    cost = _cost(model, fit_seconds, _predict_seconds(model, dataset.valid.table))
    if rung.combines:
        cost = with_members(cost, [run.rung_record(name) for name in model.plan["weights"]])
    stopped = str(model.plan.get("stopped", ""))
    record = RungRecord(
        name=rung.name,
        era=rung.era,
        status="stopped" if stopped else "done",
        reason=stopped or str(model.plan.get("shortened", "")),
        score=_score(job, dataset, predictions),
        cost=cost,
        bundle=f"models/{rung.name}",
        scores=scores(job.task, dataset.valid.target, predictions),
        plan=model.plan,
    )
    bytes_on_disk = _save(run, rung, model, dataset, record)
    np.save(run.outcome(rung.name) / "valid.npy", predictions)
    final_record = replace(record, cost=replace(cost, bytes=bytes_on_disk))
    write_atomic(run.outcome(rung.name) / "record.json", to_json(final_record))
    shutil.rmtree(home, ignore_errors=True)


def train_on_parts(job: Job, send: Send) -> None:
    """Train a rung on growing parts of the training rows, and leave the points of its learning curve.

    Each part gets the share of the time that its rows are of all, as the whole training would give it or gave it, and
    what it takes to begin. A part that is too small for the rung leaves no point.
    """
    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    rung = find_rung(job.task.name, job.rung)
    kind: Part = "pilot" if job.act == "pilot" else "curve"
    send({"fraction": 0.0})
    watch = Watch(job.began + job.seconds, _reporter(send), _speaker(send))
    points: list[Point] = []
    loaded = 0
    for place, rows in enumerate(job.parts):
        resting = resting_memory_bytes()
        if place == 1:
            loaded = resting  # with all libraries, without data; what later parts find left behind is not theirs
        began = time.monotonic()
        done = sum(job.parts[:place]) / sum(job.parts)
        seconds = PILOT_START_SECONDS + job.whole_seconds * rows / len(dataset.train)
        part = Beginning(watch.part(done, done + rows / sum(job.parts), seconds))
        model = rung.build(Spec(dataset.columns, job.task, rows, job.seed, job.device, job.pretrained), Size())
        try:
            train(model, dataset.train.take(slice(0, rows)), dataset.valid, part.watch, settings_from([]), None)
        except RungError as error:
            watch.say(say("climb.no pilot", rows=rows, error=error))
            continue
        predictions = model.predict(dataset.valid.table)
        _check(predictions, rung)
        scored = _score(job, dataset, predictions)
        stderr = (scored.high - scored.low) / (2 * 1.96)
        took = round(time.monotonic() - began, 3)
        peak = peak_memory_bytes() if place == 0 else loaded + peak_memory_bytes() - resting
        points.append(Point(rows, scored.valid, stderr, took, peak, round(part.seconds, 3)))
        recipe_seconds = _recipe_seconds(model, rung, job, dataset, took - part.seconds)
        run.save_points(rung.name, Points(tuple(points), recipe_seconds), kind)
        if kind == "pilot" and took * len(dataset.train) / rows < CHEAP_SHARE * job.whole_seconds:
            return  # it is so cheap that it is trained at once


def _recipe_seconds(model: Model, rung: Rung, job: Job, dataset: Dataset, learning: float) -> float | None:
    """Return the seconds that a network's whole recipe takes on all rows at the pace of a pilot; None for others.

    Networks see the rows of small data more often, so that their time does not grow with the rows; and a pilot at a
    smaller width tells nothing of the pace at full width.
    """
    if not rung.needs_torch or "steps_taken" not in model.plan or "dial" in model.plan:
        return None
    from yunti.models.network import Network
    from yunti.training.config import full_steps

    whole = rung.build(
        Spec(dataset.columns, job.task, len(dataset.train), job.seed, job.device, job.pretrained), Size()
    )
    if not isinstance(whole, Network):
        return None
    whole.prepare(dataset.train.take(slice(0, job.parts[0])))
    return full_steps(whole.recipe, len(dataset.train)) * learning / max(1, model.plan["steps_taken"])


@final
class Beginning:
    """Measures how long a training takes before it first reports that it learns: reading, the first step, compilation.

    Args:
        watch: the training's own.
    """

    def __init__(self, watch: Watch) -> None:
        self.seconds = 0.0
        began = time.monotonic()

        def report(fraction: float, numbers: dict[str, float]) -> None:
            if not self.seconds and numbers and numbers.get("step", 1) >= 1:
                self.seconds = time.monotonic() - began
            watch.report(fraction, numbers)

        self.watch = replace(watch, report=report)


def refit_rung(job: Job, send: Send) -> None:
    """Train the chosen rung anew on training and validation rows together, and put its bundle in place of the first."""
    from yunti.bundle.bundle import load_bundle

    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    bundle = load_bundle(run.model(job.rung))
    rows = dataset.both()
    watch = Watch(job.began + job.seconds - _seconds_to_finish(job), _reporter(send), _speaker(send))
    send({"fraction": 0.0})
    began = time.monotonic()
    home = run.checkpoints(f"{job.rung}-refit")
    members: tuple[str, ...] = ()
    if find_rung(job.task.name, job.rung).combines:
        from yunti.climbing.combine import refit_members

        members = refit_members(run, bundle.model, job.members, rows, watch)
    else:
        refit(bundle.model, rows, watch, settings_from(job.settings.items()), home)
    seconds = round(time.monotonic() - began, 3)
    probe = dataset.valid.table.take(slice(0, PROBE_ROWS))
    _check(bundle.model.predict(probe), find_rung(job.task.name, job.rung))
    about = replace(
        bundle.about,
        rung={**bundle.about.rung, "plan": bundle.model.plan},
        refit_rows=len(rows),
        refit_members=members,
    )
    save_bundle(run.model(job.rung), bundle.model, job.rung, bundle.size, about, probe)
    run.save_refit(job.rung, RefitRecord(len(rows), seconds, members=members))
    shutil.rmtree(home, ignore_errors=True)


def open_test(job: Job, _send: Send) -> None:
    """Predict the test rows with the chosen rung's bundle, as a user would load it, and score them."""
    from yunti.bundle.bundle import load_bundle

    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    bundle = load_bundle(run.model(job.rung))
    test = dataset.open_test()
    predictions = bundle.predict_table(test.table)
    low, high = interval(job.task, test.target, predictions, seed=job.seed, clusters=test.groups)
    every = scores(job.task, test.target, predictions)
    record = TestRecord(job.rung, score(job.task, test.target, predictions), low, high, every)
    np.save(run.outcome(job.rung) / "test.npy", predictions)
    write_atomic(run.outcome(job.rung) / "test.json", to_json(record))


def _seconds_to_finish(job: Job) -> float:
    return min(MOST_TO_FINISH * job.seconds, FINISH_SECONDS + FINISH_SHARE * job.seconds)


def _check(predictions: NDArray[Any], rung: Rung) -> None:
    if not np.isfinite(predictions).all():
        raise RungError(rung.name, "its predictions must be finite", "some are not", "the rung is set aside")


def _predict_seconds(model: Model, table: Table) -> float:
    rows = min(len(table), TIMED_ROWS)
    part = table.take(slice(0, rows))
    began = time.perf_counter()
    model.predict(part)
    return (time.perf_counter() - began) * 1000 / rows


def _score(job: Job, dataset: Dataset, predictions: NDArray[Any]) -> Score:
    target, clusters = dataset.valid.target, dataset.valid.groups
    low, high = interval(job.task, target, predictions, seed=job.seed, clusters=clusters)
    return Score(job.task.metric, score(job.task, target, predictions), low, high)


def _save(run: RunFolder, rung: Rung, model: Model, dataset: Dataset, record: RungRecord) -> int:
    assert record.score is not None
    assert record.cost is not None
    about = About(
        columns=dataset.columns,
        target=dataset.target,
        task=model.spec.task,
        data=asdict(dataset.record),
        scores=record.scores,
        rung={"name": rung.name, "era": rung.era, "idea": rung.idea, "source": rung.source, "plan": model.plan},
        intervals={record.score.metric: (record.score.low, record.score.high)},
        cost={name: value for name, value in asdict(record.cost).items() if name != "bytes"},
    )
    folder = run.model(rung.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return save_bundle(folder, model, rung.name, model.size, about, dataset.valid.table.take(slice(0, PROBE_ROWS)))


def _cost(model: Model, fit_seconds: float, per_1000: float) -> Cost:
    usage = os.times()
    cpu_seconds = usage.user + usage.system + usage.children_user + usage.children_system
    peak = peak_memory_bytes()
    return Cost(
        train_seconds=round(fit_seconds, 3),
        cpu_seconds=round(cpu_seconds, 3),
        predict_seconds_per_1000=per_1000,
        peak_memory_bytes=peak,
        parameters=model.parameters,
        bytes=0,  # known when the bundle is written
        train_flops=model.train_flops,
        energy_wh=energy_wh(cpu_seconds, fit_seconds, peak),
    )


def with_members(cost: Cost, members: Sequence[RungRecord | None]) -> Cost:
    """Add what the members cost to train: whoever wants the combination must train them too."""
    costs = [member.cost for member in members if member is not None and member.cost is not None]
    return replace(
        cost,
        train_seconds=cost.train_seconds + sum(each.train_seconds for each in costs),
        cpu_seconds=cost.cpu_seconds + sum(each.cpu_seconds for each in costs),
        peak_memory_bytes=max([cost.peak_memory_bytes, *(each.peak_memory_bytes for each in costs)]),
        train_flops=cost.train_flops + sum(each.train_flops for each in costs),
        energy_wh=cost.energy_wh + sum(each.energy_wh for each in costs),
    )


def _reporter(send: Send) -> Callable[[float, dict[str, float]], None]:
    last = 0.0

    def report(fraction: float, numbers: dict[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= REPORT_SECONDS or "valid" in numbers or fraction >= 1:
            last = now
            send({"fraction": fraction, "numbers": {name: float(value) for name, value in numbers.items()}})

    return report


def _speaker(send: Send) -> Callable[[str], None]:
    return lambda sentence: send({"said": sentence})


def _write(pipe: Any, message: dict[str, Any]) -> None:
    try:
        pipe.write(json.dumps(message).encode() + b"\n")
    except BrokenPipeError:
        os._exit(1)  # the parent is gone


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


ACTS: dict[Act, Callable[[Job, Send], None]] = {
    "train": train_rung,
    "pilot": train_on_parts,
    "curve": train_on_parts,
    "refit": refit_rung,
    "test": open_test,
}

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is written: threads of libraries that wait for other processes shall not hold this one

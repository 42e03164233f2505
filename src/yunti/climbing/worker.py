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
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from yunti.bundle.format import About, save_bundle
from yunti.climbing.copying import search_copies
from yunti.climbing.job import Job, Send, check, scored
from yunti.climbing.parts import train_on_parts, train_shorter, train_smaller
from yunti.climbing.run import RunFolder
from yunti.climbing.supervise import Act
from yunti.data.dataset import Dataset, open_dataset
from yunti.data.table import Table
from yunti.devices import energy_wh, peak_memory_bytes, place_of
from yunti.errors import YuntiError
from yunti.ladders.find import find_rung
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.models.settings import settings_from
from yunti.records import Cost, RefitRecord, RungRecord, TestRecord
from yunti.storing import from_json, to_json, write_atomic
from yunti.tasks.intervals import interval
from yunti.tasks.task import score, scores
from yunti.training import refit, train
from yunti.words import say

PROBE_ROWS = 8
TIMED_ROWS = (8, 64, 256, 1000)  # rows whose prediction is timed, more where they are soon over:
TIMED_SHARE, MOST_TIMED = 0.03, 10.0  # of the rung's time, and seconds
FINISH_SHARE, FINISH_SECONDS = 0.06, 1.0  # of a rung's share: kept for predicting, measuring and writing the bundle
MOST_TO_FINISH = 0.15  # of a small share


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
            send({"error": say("ended.too much memory")})
            return 1
    return 0


def train_rung(job: Job, send: Send) -> None:
    """Train one rung, or combine the trained ones, and leave its bundle, predictions and record in the run folder."""
    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    rung = find_rung(job.task.name, job.rung)
    spec = job.spec(dataset)
    watch = job.watch(send, job.seconds - _seconds_to_finish(job))
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
    check(predictions, rung)
    cost = _cost(
        model, fit_seconds, _predict_seconds(model, dataset.valid.table, min(MOST_TIMED, TIMED_SHARE * job.seconds))
    )
    if rung.combines:
        cost = with_members(cost, [run.rung_record(name) for name in model.plan["weights"]])
    stopped = str(model.plan.get("stopped", ""))
    record = RungRecord(
        name=rung.name,
        era=rung.era,
        status="stopped" if stopped else "done",
        reason=stopped or str(model.plan.get("shortened", "")),
        score=scored(job, dataset, predictions),
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


def refit_rung(job: Job, send: Send) -> None:
    """Train the chosen rung anew on training and validation rows together, and put its bundle in place of the first."""
    from yunti.bundle.bundle import load_bundle

    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    bundle = load_bundle(run.model(job.rung))
    rows = dataset.both()
    watch = job.watch(send, job.seconds - _seconds_to_finish(job))
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
    check(bundle.model.predict(probe), find_rung(job.task.name, job.rung))
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


def _predict_seconds(model: Model, table: Table, most_seconds: float) -> float:
    """Time the prediction of some rows, as of rows that were never seen; return the seconds of a thousand."""
    rows, seconds = 0, 0.0
    for most in TIMED_ROWS:
        if rows and (rows == len(table) or seconds * most / rows > most_seconds):
            break
        rows = min(len(table), most)
        part = table.take(np.linspace(0, len(table) - 1, rows).astype(np.int64))
        model.forget()
        began = time.perf_counter()
        model.predict(part)
        seconds = time.perf_counter() - began
    return seconds * 1000 / max(1, rows)


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
    "shorter": train_shorter,
    "smaller": train_smaller,
    "copies": search_copies,
    "refit": refit_rung,
    "test": open_test,
}

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # all is written: threads of libraries that wait for other processes shall not hold this one

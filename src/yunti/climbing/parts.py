"""In a rung's process: training on parts of the rows, over fewer steps, or narrower: the points of a curve."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, final

from yunti.climbing.budget import UNBOUNDED_SECONDS, Part, part_seconds
from yunti.climbing.job import Job, Send, check, scored
from yunti.climbing.run import Points, RunFolder
from yunti.data.dataset import Dataset, open_dataset
from yunti.devices import peak_memory_bytes, resting_memory_bytes
from yunti.errors import RungError
from yunti.ladders.find import find_rung
from yunti.ladders.rung import Rung
from yunti.models.contract import Fitted, Model, Size, Watch
from yunti.models.settings import settings_from
from yunti.records import Point, RungRecord
from yunti.training import train
from yunti.words import say

CHEAP_SHARE = 0.25  # of its share: a rung that needs no more is not tried on more parts
SAMPLE_ROWS = 100


def train_on_parts(job: Job, send: Send) -> None:
    """Train a rung on growing parts of the training rows, and leave the points of its learning curve.

    Each part gets the share of the time that its rows are of all, as the whole training would give it or gave it, see
    `part_seconds`. A part that is too small for the rung leaves no point.
    """
    run = RunFolder(Path(job.folder))
    dataset = open_dataset(run.prepared)
    rung = find_rung(job.task.name, job.rung)
    kind: Part = "pilot" if job.act == "pilot" else "curve"
    send({"fraction": 0.0})
    watch = job.watch(send, job.seconds)
    seen, loaded, fits = Points(), 0, tuple[Fitted, ...]()
    for place, rows in enumerate(job.parts):
        resting = resting_memory_bytes()
        if place == 1:
            loaded = resting  # with all libraries, without data; what later parts find left behind is not theirs
        began = time.monotonic()
        done = sum(job.parts[:place]) / sum(job.parts)
        seconds = part_seconds(job.whole_seconds, rows / len(dataset.train), kind)
        part = Beginning(watch.part(done, done + rows / sum(job.parts), seconds))
        model = rung.build(job.spec(dataset, rows), Size())
        try:
            train(model, dataset.train.take(slice(0, rows)), dataset.valid, part.watch, settings_from([]), None)
        except RungError as error:
            watch.say(say("climb.no pilot", rows=rows, error=error))
            continue
        took = round(time.monotonic() - began, 3)
        predictions = model.predict(dataset.valid.table)
        check(predictions, rung)
        found = scored(job, dataset, predictions)
        peak = peak_memory_bytes() if place == 0 else loaded + peak_memory_bytes() - resting
        point = Point(rows, found.valid, found.stderr, took, peak, round(part.seconds, 3))
        row_bytes = model.row_bytes(dataset.train.table.take(slice(0, SAMPLE_ROWS)))
        seen = replace(seen, points=(*seen.points, point), row_bytes=row_bytes)
        fits = (*fits, Fitted(rows, took - part.seconds, model.plan))
        if rows == job.parts[-1]:
            seen = replace(seen, recipe_seconds=_recipe_seconds(model, rung, job, dataset, fits))
        run.save_points(rung.name, seen, kind)
        if kind == "pilot" and took * len(dataset.train) / rows < CHEAP_SHARE * job.whole_seconds:
            seen = replace(seen, cheap=True)  # it is trained at once
            break
    run.save_points(rung.name, replace(seen, complete=True), kind)


def train_shorter(job: Job, send: Send) -> None:
    """Train a network over fewer steps than it took, on the same rows, and leave the points of its compute curve.

    Every training has the whole schedule: of a single one the scores before its end are no points, because the falling
    learning rate brings much of what a score is.
    """

    def setting(record: RungRecord, steps: int) -> tuple[str, float]:
        return "training.epochs", epochs_of(record.plan, steps)

    _train_again(job, send, "shorter", setting)


def train_smaller(job: Job, send: Send) -> None:
    """Train narrower members of a network's family on the same rows, and leave the points of its size curve.

    Each part is what the dial is divided by, and each has the recipe that follows from its width.
    """

    def setting(record: RungRecord, divisor: int) -> tuple[str, float]:
        return "model.dial", float(record.plan["dial"]) / divisor

    _train_again(job, send, "smaller", setting)


def _train_again(
    job: Job,
    send: Send,
    kind: Literal["shorter", "smaller"],
    setting: Callable[[RungRecord, int], tuple[str, float]],
) -> None:
    """Train a network anew for each part with one setting changed; what was cut short or read less is no point."""
    run = RunFolder(Path(job.folder))
    dataset, rung = open_dataset(run.prepared), find_rung(job.task.name, job.rung)
    record = run.rung_record(rung.name)
    assert record is not None
    send({"fraction": 0.0})
    watch, seen = job.watch(send, job.seconds), Points()
    claims = [part if kind == "shorter" else 1 / part for part in job.parts]
    for place, value in enumerate(job.parts):
        began = time.monotonic()
        done, then = (sum(claims[:end]) / sum(claims) for end in (place, place + 1))
        settings = settings_from([*job.settings.items(), setting(record, value)])
        model = rung.build(job.spec(dataset), Size(settings.dial))
        try:
            train(model, dataset.train, dataset.valid, watch.part(done, then), settings, None)
        except RungError as error:
            watch.say(say("climb.not shorter" if kind == "shorter" else "climb.not smaller", part=value, error=error))
            continue
        alike = all(model.plan.get(name) == record.plan.get(name) for name in ("texts", "rows"))
        if model.plan.get("shortened") or model.plan.get("stopped") or not alike:
            continue
        predictions = model.predict(dataset.valid.table)
        check(predictions, rung)
        found = scored(job, dataset, predictions)
        took = round(time.monotonic() - began, 3)
        point = Point(len(dataset.train), found.valid, found.stderr, took, peak_memory_bytes())
        point = replace(point, steps=value) if kind == "shorter" else replace(point, dial=settings.dial)
        seen = replace(seen, points=(*seen.points, point))
        run.save_points(rung.name, seen, kind)
    run.save_points(rung.name, replace(seen, complete=True), kind)


def epochs_of(plan: Mapping[str, Any], steps: int) -> float:
    """Return the epochs with which the recipe of a plan takes so many steps.

    Example:
        >>> epochs_of({"epochs": {"value": 12.0}, "steps": {"value": 400, "share": 0.25}}, 100)
        0.75
    """
    epochs, planned = plan["epochs"], plan["steps"]
    whole = float(epochs["value"] if isinstance(epochs, dict) else epochs)
    return whole * float(planned["share"]) * steps / float(planned["value"])


def _recipe_seconds(model: Model, rung: Rung, job: Job, dataset: Dataset, fits: Sequence[Fitted]) -> float | None:
    """Return the seconds that the whole recipe takes on all rows at the pace of the pilots; None where unknown.

    Networks see the rows of small data more often, so that their time does not grow with the rows. One that was
    narrowed to fit its time will be narrowed again: its whole recipe takes longer than any share.
    """
    if not rung.needs_torch:
        return model.seconds_for(fits, len(dataset.train), job.whole_seconds)
    if "steps_taken" not in model.plan:
        return None
    if isinstance(model.plan.get("dial"), dict):
        return UNBOUNDED_SECONDS
    from yunti.models.network import Network
    from yunti.training.config import full_steps

    whole = rung.build(job.spec(dataset), Size())
    if not isinstance(whole, Network):
        return None
    whole.prepare(dataset.train.take(slice(0, job.parts[0])))
    return full_steps(whole.recipe, len(dataset.train)) * fits[-1].seconds / max(1, model.plan["steps_taken"])


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

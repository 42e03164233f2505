"""Series of trainings of one rung that differ in one setting, a line of JSON each."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yunti.climbing.forecast.curve import Forecast
from yunti.climbing.run import RunFolder
from yunti.data.dataset import open_dataset
from yunti.ladders.find import find_rung
from yunti.models.contract import Size, Watch
from yunti.models.network import Network
from yunti.models.settings import settings_from
from yunti.records import Point
from yunti.specs import Spec
from yunti.tasks.intervals import interval
from yunti.tasks.metrics import metric_named
from yunti.tasks.task import score
from yunti.training import train

Line = dict[str, Any]
VALID_ROWS = 4000


def main(doc: str, values: str, setting: str, judge: Callable[[Path], None]) -> None:
    """Train a series or judge those in a file, as the command line says.

    Args:
        doc: the script's own words.
        values: what the numbers that differ are called.
        setting: that differs.
        judge: what the script does with a file of trainings.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "judge"))
    parser.add_argument("results", type=Path)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("rung", nargs="?")
    parser.add_argument("values", nargs="?", metavar=values, default="")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    told = parser.parse_args()
    if told.what == "judge":
        judge(told.results)
    else:
        measure(setting, told)


def measure(setting: str, given: argparse.Namespace) -> None:
    """Train a network for each value of a setting, and add a line with its score and history to a file."""
    run = RunFolder(given.run)
    dataset, record = open_dataset(run.prepared), run.record
    assert record is not None
    task, used = record.task, min(given.rows or len(dataset.train), len(dataset.train))
    valid = dataset.valid.take(slice(0, VALID_ROWS))
    for value in map(float, given.values.split(",")):
        began = time.monotonic()
        settings = settings_from([(setting, value), *(tuple(pair.split("=")) for pair in given.set)])
        spec = Spec(dataset.columns, task, used, 0, "cpu", None)
        network = find_rung(task.name, given.rung).build(spec, Size(settings.dial))
        assert isinstance(network, Network)
        train(network, dataset.train.take(slice(0, used)), valid, Watch(math.inf, _nothing, _nothing), settings)
        predictions = network.predict(valid.table)
        low, high = interval(task, valid.target, predictions, seed=0, clusters=valid.groups)
        line: Line = {"data": given.run.name, "rung": given.rung, "rows": used, "extra": given.set, "value": value}
        line |= {"metric": task.metric, "valid": score(task, valid.target, predictions), "low": low, "high": high}
        line |= {"plan": network.plan, "history": network.history, "seconds": round(time.monotonic() - began, 3)}
        with given.results.open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")
        print(given.run.name, given.rung, value, f"{line['valid']:.4f}, {line['seconds']:.0f} s", flush=True)


def _nothing(*_: object) -> None:
    pass


def read(path: Path) -> list[list[Line]]:
    """Return the series in a file, of repeated trainings the last one."""
    keys = ("data", "rung", "rows", "extra")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    groups: dict[str, dict[float, Line]] = {}
    for line in lines:
        groups.setdefault(json.dumps([line[key] for key in keys]), {})[line["value"]] = line
    print(f"{len(groups)} series, {sum(map(len, groups.values()))} trainings")
    return [list(each.values()) for each in groups.values()]


def change(line: Line, then: Line) -> float:
    """Return the logarithm of the factor by which the error changes from one training to another."""
    metric = metric_named(line["metric"])
    return math.log(metric.as_error(then["valid"]) / metric.as_error(line["valid"]))


def point(line: Line, steps: float) -> Point:
    """Return a training as a point of a curve over steps, or over whatever else is counted."""
    return Point(line["rows"], line["valid"], (line["high"] - line["low"]) / 3.92, 0.0, 0, steps=round(steps))


def show(name: str, ways: Sequence[str], found: Sequence[tuple[float, list[Forecast]]]) -> None:
    """Print by how much each way misses the logarithm of the factor, and how often its interval holds it."""
    print(
        f"{name}: {len(found)} cases, factor {math.exp(float(np.median([truth for truth, _ in found]))):.2f} (median)"
    )
    for place, way in enumerate(ways):
        seen = [(truth, each[place]) for truth, each in found if not math.isnan(each[place].median)]
        if seen:
            _show(way, seen)


def _show(way: str, seen: Sequence[tuple[float, Forecast]]) -> None:
    misses = np.abs([truth - math.log(each.median) for truth, each in seen])
    held = np.mean([each.low <= math.exp(truth) <= each.high for truth, each in seen])
    width = np.median([math.log(each.high / each.low) for _, each in seen])
    root = float(np.sqrt((misses**2).mean()))
    print(f"  {way:20} {len(seen):3} miss {np.median(misses):.3f} rms {root:.3f} covered {held:.2f} width {width:.2f}")


def near(series: Sequence[Line], value: float, tolerance: float) -> Iterator[Line]:
    """Yield the trainings of a series whose value is about the given one."""
    yield from (line for line in series if abs(line["value"] / value - 1) < tolerance)

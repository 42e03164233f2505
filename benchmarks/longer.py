"""Whether shorter trainings tell what a longer one brings, beside the curve within one training, the prior and nothing.

    python benchmarks/longer.py train RESULTS.jsonl RUN RUNG EPOCHS,… [--rows N] [--set model.dial=0.5]
    python benchmarks/longer.py judge RESULTS.jsonl

RUN is the folder of any climb of the data. Each of the epochs, which double, is a training of its own; of any of them
the next, of twice and of four times its steps, is forecast: from those of a part of its steps and itself, as at the end
of a climb, and from its own scores while the learning rate stood still. Trainings that ended because nothing better
came are left out as origins, as they are in a climb.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yunti.climbing.forecast.chances import pooled
from yunti.climbing.forecast.curve import Forecast, growth
from yunti.climbing.forecast.outlook import as_curve, curve_kind
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

PRIOR = Forecast(0.9, 0.7, 1.03)
PARTS = ((4, 2), (8, 4), (16, 8))
NEAR = 0.15  # whole steps do not double exactly


def measure(out: Path, folder: Path, name: str, epochs: Sequence[float], rows: int, given: Sequence[str]) -> None:
    """Train a network for each number of epochs, and add a line with its score and history to a file."""
    run = RunFolder(folder)
    dataset, record = open_dataset(run.prepared), run.record
    assert record is not None
    task, used = record.task, min(rows or len(dataset.train), len(dataset.train))
    valid = dataset.valid.take(slice(0, 4000))
    for each in epochs:
        settings = settings_from([("training.epochs", each), *(tuple(pair.split("=")) for pair in given)])
        spec = Spec(dataset.columns, task, used, 0, "cpu", None)
        network = find_rung(task.name, name).build(spec, Size(settings.dial))
        assert isinstance(network, Network)
        train(network, dataset.train.take(slice(0, used)), valid, Watch(math.inf, _nothing, _nothing), settings)
        predictions = network.predict(valid.table)
        low, high = interval(task, valid.target, predictions, seed=0, clusters=valid.groups)
        line: dict[str, Any] = {"data": folder.name, "rung": name, "rows": used, "extra": list(given), "epochs": each}
        line |= {"metric": task.metric, "valid": score(task, valid.target, predictions), "low": low, "high": high}
        line |= {"plan": network.plan, "history": network.history}
        with out.open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")
        print(folder.name, name, each, f"{line['valid']:.4f}", flush=True)


def _nothing(*_: object) -> None:
    pass


def judge(path: Path) -> None:
    """Print by how much each way misses the logarithm of the factor, and how often its interval holds it."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in {
        json.dumps([line[key] for key in ("data", "rung", "rows", "extra", "epochs")]): line for line in lines
    }.values():
        groups.setdefault(json.dumps([line[key] for key in ("data", "rung", "rows", "extra")]), []).append(line)
    print(f"{len(groups)} series, {sum(map(len, groups.values()))} trainings")
    for times in (2, 4):
        for parts in PARTS:
            found = [each for series in groups.values() for each in _cases(series, times, parts)]
            if found:
                _print(f"×{times} from 1/{parts[0]}, 1/{parts[1]} and all", found)


def _cases(
    series: Sequence[dict[str, Any]], times: int, parts: Sequence[int]
) -> Iterator[tuple[float, list[Forecast]]]:
    metric = metric_named(series[0]["metric"])
    kind = curve_kind(metric)
    for line in series:
        wanted = [_near(series, line["epochs"] / part) for part in (*parts, 1, 1 / times)]
        if "ended" in line["plan"] or not all(wanted):
            continue
        *shorter, then = [each for each in wanted if each]
        taken = line["plan"]["steps_taken"]
        points = [_point(each, taken / part) for each, part in zip(shorter, (*parts, 1), strict=True)]
        truth = math.log(metric.as_error(then["valid"]) / metric.as_error(line["valid"]))
        steps, errors, doubts, _ = as_curve(metric, points)
        seen = growth(steps, errors, times * taken, stderr=doubts, kind=kind)
        steady = _steady(line)
        if seen.refused:
            continue
        within = Forecast(math.nan, 0, 0)
        if len(steady) >= 3 and steady[-1].steps / steady[0].steps >= 4:  # type: ignore[operator]
            steps, errors, _, _ = as_curve(metric, steady)
            within = growth(steps, errors, times * steps[-1], kind=kind)
        scaled = Forecast(*(value ** math.log2(times) for value in (PRIOR.median, PRIOR.low, PRIOR.high)))
        yield truth, [Forecast(1.0, 1.0, 1.0), scaled, within, seen, pooled(seen, scaled)]


def _near(series: Sequence[dict[str, Any]], epochs: float) -> dict[str, Any] | None:
    return next((line for line in series if abs(line["epochs"] / epochs - 1) < NEAR), None)


def _point(line: dict[str, Any], steps: float) -> Point:
    return Point(line["rows"], line["valid"], (line["high"] - line["low"]) / 3.92, 0.0, 0, steps=round(steps))


def _steady(line: dict[str, Any]) -> list[Point]:
    """Return the scores at the highest learning rate, averaged over half octaves of steps."""
    top = 0.999 * max(each["learning_rate"] for each in line["history"])
    seen = [each for each in line["history"] if "valid" in each and each["learning_rate"] >= top]
    bins: dict[int, list[dict[str, Any]]] = {}
    for each in seen:
        bins.setdefault(int(2 * math.log2(seen[-1]["step"] / each["step"]) + 1e-9), []).append(each)
    means = [{key: float(np.mean([each[key] for each in some])) for key in ("step", "valid")} for some in bins.values()]
    return [Point(line["rows"], each["valid"], 0.0, 0.0, 0, steps=round(each["step"])) for each in means]


def _print(name: str, found: Sequence[tuple[float, list[Forecast]]]) -> None:
    print(
        f"{name}: {len(found)} cases, factor {math.exp(float(np.median([truth for truth, _ in found]))):.2f} (median)"
    )
    for place, way in enumerate(
        ("no change", "prior", "within the training", "shorter trainings", "these and the prior")
    ):
        seen = [(truth, each[place]) for truth, each in found if not math.isnan(each[place].median)]
        if not seen:
            continue
        misses = np.abs([truth - math.log(each.median) for truth, each in seen])
        held = np.mean([each.low <= math.exp(truth) <= each.high for truth, each in seen])
        width = np.median([math.log(each.high / each.low) for _, each in seen])
        root = float(np.sqrt((misses**2).mean()))
        print(
            f"  {way:20} {len(seen):3} miss {np.median(misses):.3f} rms {root:.3f} covered {held:.2f} width {width:.2f}"
        )


def main() -> None:
    """Measure, or judge what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "judge"))
    parser.add_argument("results", type=Path)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("rung", nargs="?")
    parser.add_argument("epochs", nargs="?")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    if given.what == "judge":
        judge(given.results)
    else:
        epochs = [float(each) for each in given.epochs.split(",")]
        measure(given.results, given.run, given.rung, epochs, given.rows, given.set)


if __name__ == "__main__":
    main()

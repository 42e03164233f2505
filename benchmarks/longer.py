"""Whether shorter trainings tell what a longer one brings, beside the curve within one training, the prior and nothing.

    python benchmarks/longer.py train RESULTS.jsonl RUN RUNG EPOCHS,… [--rows N] [--set model.dial=0.5]
    python benchmarks/longer.py judge RESULTS.jsonl

RUN is the folder of any climb of the data. Each of the epochs, which double, is a training of its own; of any of them
the next, of twice and of four times its steps, is forecast: from those of a part of its steps and itself, as at the end
of a climb, and from its own scores while the learning rate stood still. Trainings that ended because nothing better
came are left out as origins, as they are in a climb.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from series import Line, change, main, near, point, read, show

from yunti.climbing.forecast.chances import pooled
from yunti.climbing.forecast.curve import Forecast, growth
from yunti.climbing.forecast.outlook import as_curve, curve_kind
from yunti.climbing.forecast.scaled import TWICE_AS_LONG
from yunti.records import Point
from yunti.tasks.metrics import metric_named

PARTS = ((4, 2), (8, 4), (16, 8))
WAYS = ("no change", "prior", "within the training", "shorter trainings", "these and the prior")
NEAR = 0.15  # whole steps do not double exactly


def judge(path: Path) -> None:
    """Print by how much each way misses the logarithm of the factor, and how often its interval holds it."""
    every = read(path)
    for times in (2, 4):
        for parts in PARTS:
            found = [each for series in every for each in _cases(series, times, parts)]
            if found:
                show(f"×{times} from 1/{parts[0]}, 1/{parts[1]} and all", WAYS, found)


def _cases(series: Sequence[Line], times: int, parts: Sequence[int]) -> Iterator[tuple[float, list[Forecast]]]:
    metric = metric_named(series[0]["metric"])
    kind = curve_kind(metric)
    for line in series:
        wanted = [_near(series, line["value"] / part) for part in (*parts, 1, 1 / times)]
        if "ended" in line["plan"] or not all(wanted):
            continue
        *shorter, then = [each for each in wanted if each]
        taken = line["plan"]["steps_taken"]
        points = [point(each, taken / part) for each, part in zip(shorter, (*parts, 1), strict=True)]
        truth = change(line, then)
        steps, errors, doubts, _ = as_curve(metric, points)
        seen = growth(steps, errors, times * taken, stderr=doubts, kind=kind)
        steady = _steady(line)
        if seen.refused:
            continue
        within = Forecast(math.nan, 0, 0)
        if len(steady) >= 3 and steady[-1].steps / steady[0].steps >= 4:  # type: ignore[operator]
            steps, errors, _, _ = as_curve(metric, steady)
            within = growth(steps, errors, times * steps[-1], kind=kind)
        scaled = Forecast(
            *(value ** math.log2(times) for value in (TWICE_AS_LONG.median, TWICE_AS_LONG.low, TWICE_AS_LONG.high))
        )
        yield truth, [Forecast(1.0, 1.0, 1.0), scaled, within, seen, pooled(seen, scaled)]


def _near(series: Sequence[Line], epochs: float) -> Line | None:
    return next(near(series, epochs, NEAR), None)


def _steady(line: Line) -> list[Point]:
    """Return the scores at the highest learning rate, averaged over half octaves of steps."""
    top = 0.999 * max(each["learning_rate"] for each in line["history"])
    seen = [each for each in line["history"] if "valid" in each and each["learning_rate"] >= top]
    bins: dict[int, list[dict[str, Any]]] = {}
    for each in seen:
        bins.setdefault(int(2 * math.log2(seen[-1]["step"] / each["step"]) + 1e-9), []).append(each)
    means = [{key: float(np.mean([each[key] for each in some])) for key in ("step", "valid")} for some in bins.values()]
    return [Point(line["rows"], each["valid"], 0.0, 0.0, 0, steps=round(each["step"])) for each in means]


if __name__ == "__main__":
    main(__doc__, "EPOCHS", "training.epochs", judge)

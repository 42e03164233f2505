"""Whether narrower networks tell what a wider one brings, beside a range for all and nothing.

    python benchmarks/larger.py train RESULTS.jsonl RUN RUNG DIALS,… [--rows N] [--set training.epochs=3]
    python benchmarks/larger.py judge RESULTS.jsonl

RUN is the folder of any climb of the data. Each of the dials, which double, is a training of its own with the recipe
that follows from it; of any of them the next is forecast, from those of a quarter and half of its dial and itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from series import Line, change, main, near, point, read, show

from yunti.climbing.forecast.curve import Forecast, growth
from yunti.climbing.forecast.outlook import as_curve, curve_kind
from yunti.climbing.forecast.scaled import TWICE_AS_LARGE, with_usual
from yunti.tasks.metrics import metric_named

WAYS = ("no change", "prior", "narrower networks", "these and the prior")
NEAR = 0.01


def judge(path: Path) -> None:
    """Print by how much each way misses the logarithm of the factor, and how often its interval holds it."""
    every = read(path)
    for parts in ((4, 2), (8, 4), (8, 4, 2)):
        found = [each for series in every for each in _cases(series, parts)]
        if found:
            show(f"twice the width, from {', '.join(f'1/{part}' for part in parts)} and all", WAYS, found)
    ratios = [ratio for series in every for ratio in _seconds(series)]
    if ratios:
        print(f"seconds of twice the dial: {np.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")


def _cases(series: Sequence[Line], parts: Sequence[int]) -> Iterator[tuple[float, list[Forecast]]]:
    metric = metric_named(series[0]["metric"])
    for line in series:
        wanted = [next(near(series, line["value"] / part, NEAR), None) for part in (*parts, 1, 0.5)]
        if not all(wanted):
            continue
        *known, then = [each for each in wanted if each]
        _, errors, doubts, _ = as_curve(metric, [point(each, 0) for each in known])
        dials = [each["value"] for each in known]
        seen = growth(dials, errors, then["value"], stderr=doubts, kind=curve_kind(metric))
        truth = change(line, then)
        print(f"    {line['data']:12} {line['rung']:12} dial {line['value']:5} factor {math.exp(truth):.3f}, forecast "
              f"{seen.median:.3f} ({seen.low:.3f} to {seen.high:.3f}) {seen.refused}")  # fmt: skip
        if not seen.refused:
            both = with_usual(seen, TWICE_AS_LARGE, overlap=True)
            yield truth, [Forecast(1.0, 1.0, 1.0), TWICE_AS_LARGE, seen, both]


def _seconds(series: Sequence[Line]) -> Iterator[float]:
    for line in series:
        for then in near(series, 2 * line["value"], NEAR):
            yield then["seconds"] / line["seconds"]


if __name__ == "__main__":
    main(__doc__, "DIALS", "model.dial", judge)

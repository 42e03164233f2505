"""Climbs as a report may meet them: data that are really laid out, with numbers made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yunti.data.dataset import Dataset, prepare
from yunti.data.options import DataOptions
from yunti.records import (
    BudgetRecord,
    ClimbRecord,
    Cost,
    ForecastRecord,
    LimitRecord,
    NextStep,
    Point,
    RefitRecord,
    RungRecord,
    Score,
    TestRecord,
    VerdictRecord,
)
from yunti.report.material import Material
from yunti.tasks.task import infer_task, score, scores

HOSTILE = "<script>alert(1)</script>"
QUOTED = "a \"b\" & 'c' $5 {x} </svg>"


def laid_out(folder: Path, *, regression: bool = False, grouped: bool = False, rows: int = 600) -> Dataset:
    """Lay out a table with a number, two categories with hostile names, a flag, a text and a date."""
    draw = np.random.default_rng(0)
    number, kind = draw.normal(size=rows), draw.integers(0, 3, rows)
    where = draw.integers(0, 2, rows)
    classes = np.array(["plain", HOSTILE, QUOTED])
    table = {
        "weight": number.tolist(),
        f"where {HOSTILE}": np.array(["东", f"west {HOSTILE}"])[where].tolist(),
        "wet": np.array(["yes", "no"])[draw.integers(0, 2, rows)].tolist(),
        "note": [f"the {word} of stone {place % 50} {HOSTILE}" for place, word in enumerate(classes[kind])],
        "day": [f"2024-{1 + place % 12:02d}-{1 + place % 28:02d}" for place in range(rows)],
        "speaker": [f"speaker {place % 9}" for place in range(rows)],
        "answer": (3 * number + where).tolist() if regression else classes[kind].tolist(),
    }
    import pandas as pd

    frame = pd.DataFrame(table)
    options = DataOptions(target="answer", group="speaker" if grouped else None)
    return prepare(frame, options, folder / "prepared", lambda *_: None)


def predicted(dataset: Dataset, sure: float = 2.0) -> NDArray[np.float64]:
    """Predict the validation rows, mostly right."""
    draw, target = np.random.default_rng(1), dataset.valid.target
    if dataset.task == "regression":
        return np.asarray(target + draw.normal(size=len(target)), dtype=np.float64)
    logits = draw.normal(size=(len(target), len(dataset.classes)))
    logits[np.arange(len(target)), target] += sure
    odds = np.exp(logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def recorded(dataset: Dataset, prediction: NDArray[np.float64], metric: str | None = None) -> ClimbRecord:
    """Record a climb of five rungs in which `boosting` is chosen."""
    task = infer_task(dataset.task, dataset.target.name, dataset.classes, metric)
    value = score(task, dataset.valid.target, prediction)
    sign = 1 if task.direction == "higher" else -1

    def rung(name: str, worse: float, seconds: float, era: str = "traditional", reason: str = "") -> RungRecord:
        found = Score(task.metric, value - sign * worse, value - sign * worse - 0.03, value - sign * worse + 0.02)
        cost = Cost(seconds, 2 * seconds, 0.01, 200 << 20, int(1000 * seconds), int(3e5 * seconds), 1e9, seconds / 900)
        return RungRecord(name, era, "done", reason, found, cost, bundle=f"models/{name}")  # type: ignore[arg-type]

    rungs = (
        rung("constant", 0.4, 0.5),
        rung("linear", 0.1, 1.4),
        replace(rung("boosting", 0.0, 6.0), scores=scores(task, dataset.valid.target, prediction)),
        rung("mlp", 0.02, 40.0, "deep", f"shortened to 15 % of its recipe {HOSTILE}"),
        RungRecord("convnet", "deep", "skipped", "no column is a picture, a text or a sound"),
        RungRecord("transformer", "large", "failed", "its process was killed"),
    )
    return ClimbRecord(
        data=dataset.record,
        task=task,
        machine={"processor": "A processor", "cores": 2, "memory_bytes": 8 << 30, "device": "cpu"},
        budget=BudgetRecord(60.0, 52.0, "asked for"),
        rungs=rungs,
        verdict=VerdictRecord("boosting", "boosting is chosen: it is best.", refit=RefitRecord(480, 5.0)),
        test=TestRecord("boosting", value - sign * 0.01, value - 0.05, value + 0.03),
        settings={"source": "stones.csv", "target": "answer", "budget_seconds": 60.0, "seed": 0, "refit": True},
        yunti="0.1.0",
        created="2026-01-02T03:04:05+0000",
    )


def foreseen(record: ClimbRecord) -> ClimbRecord:
    """Add forecasts with and without outcomes, learning curves, next steps and what holds the score back."""
    rows = record.data.split.train
    rungs = tuple(_foreseen(each, rows) for each in record.rungs)
    steps = (
        NextStep("get about twice as many rows", 0.013, 0.004, 0.021, None, None, "data", rows=2 * rows, chance=0.81,
                 basis="curve"),
        NextStep("get about ten times as many rows", 0.03, 0.005, 0.05, None, None, "data", rows=10 * rows,
                 chance=0.9, basis="curve"),
        NextStep("climb transformer with a budget of 20 minutes", 0.012, -0.004, 0.02, 900.0, True, "rung",
                 "transformer", chance=0.42, basis="pilots"),
        NextStep("give a pretrained model with --pretrained", 0.01, -0.03, 0.05, 400.0, False, "pretrained",
                 chance=0.3, basis="prior"),
        NextStep("stop here", 0.0, None, None, 0.0, False, "stop"),
    )  # fmt: skip
    limit = LimitRecord("data", "the learning curve still rises at the last rows.", 0.021, 7)
    assert record.verdict is not None
    return replace(record, rungs=rungs, verdict=replace(record.verdict, next=steps, limit=limit))


def _foreseen(rung: RungRecord, rows: int) -> RungRecord:
    value = rung.score.valid if rung.score else 0.8

    def points(count: int) -> tuple[Point, ...]:
        sizes = [rows // part for part in (32, 16, 8, 4, 2, 1)][:count]
        return tuple(
            Point(size, value - 0.3 * (size / rows) ** -0.3 + 0.3, 0.02, 1.0 + size / 400, 1 << 28) for size in sizes
        )

    ends = {"median": value - 0.01, "low": value - 0.06, "high": value + 0.03}
    times = {"seconds": 38.0, "seconds_low": 30.0, "seconds_high": 52.0}
    made = ForecastRecord(rows, against="linear", least=0.01, chance=0.4, **ends, **times)
    match rung.name:
        case "linear":
            guess = ForecastRecord(rows, "prior", against="constant", chance=0.9, outcome=value, outcome_seconds=1.4,
                                   **ends)  # fmt: skip
            return replace(rung, curve=points(6), forecast=guess)
        case "boosting":
            return replace(rung, curve=points(6), forecast=replace(made, points=points(3), outcome=value,
                                                                   outcome_seconds=6.0))  # fmt: skip
        case "mlp":
            return replace(rung, forecast=replace(made, points=points(3), outcome=value + 0.05, outcome_seconds=40.0))
        case "transformer":
            return replace(rung, forecast=replace(made, points=points(3), worth_it=False, chance=0.1))
        case "convnet":
            return replace(rung, forecast=ForecastRecord(rows, "prior", refused="no pilot came to an end"))
        case _:
            return rung


def climbed(folder: Path, *, regression: bool = False, grouped: bool = False, metric: str | None = None) -> Material:
    """Return a whole climb with everything that a report can show."""
    dataset = laid_out(folder, regression=regression, grouped=grouped)
    prediction = predicted(dataset)
    spans = {"reading": 1.5, "constant": 0.6, "linear": 1.6, "boosting": 6.4, "mlp": 41.0, "refit": 0.9}
    return Material(foreseen(recorded(dataset, prediction, metric)), dataset, prediction, spans)

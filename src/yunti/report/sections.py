"""What the report says about the climb: verdict, ladder, next steps, data, time, and how to repeat it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from yunti.records import Cost, NextStep, RungRecord, Severity
from yunti.report.cells import (
    DASH,
    Grid,
    bar,
    basis_cell,
    gain_text,
    score_cell,
    share_text,
    time_cell,
)
from yunti.report.command import command_line
from yunti.report.figures import UNBOUNDED_SECONDS, least_error, part_label, spent
from yunti.report.material import Material, decimals_of, metric_label
from yunti.words import spoken, told
from yunti.words.units import bytes_text, count_text, energy_text, money_text, score_text, seconds_text

SEVERITIES: tuple[Severity, ...] = ("broken", "left out", "warning", "note")
MOST_COLUMNS = 400  # `climb.json` has them all
MOST_FINDINGS = 200


def verdict(material: Material) -> dict[str, Any]:
    """Say what was chosen, how good it is, what it cost and what to do next."""
    record, shown = material.record, material.shown
    if shown is None or shown.score is None:
        return {"lead": spoken("report.verdict.none"), "sentences": [], "facts": []}
    metric, places = metric_label(record.task.metric), decimals_of(record)
    test = record.test if record.test is not None and record.test.rung == shown.name else None
    score = shown.score
    values = (test.score, test.low, test.high) if test else (score.valid, score.low, score.high)
    key = "report.verdict.valid" if record.data.split.test else "report.verdict.no test"
    key = "report.verdict.test" if test else key
    if record.verdict is None:
        key = "report.verdict.open"
    sentences = []
    if record.verdict is not None:
        sentences.append(told(record.verdict.reason))
        refit = record.verdict.refit
        if refit is not None and refit.rows:
            sentences.append(spoken("report.verdict.refit", rows=refit.rows))
    if test is not None and record.data.split.test:
        sentences.append(spoken("report.verdict.opened", rows=record.data.split.test))
    if shown.cost is not None:
        cost = {"seconds": seconds_text(shown.cost.train_seconds), "memory": bytes_text(shown.cost.peak_memory_bytes)}
        money = money_text(shown.cost.train_seconds, record.price_per_hour)
        sentences.append(spoken("report.verdict.cost money" if money else "report.verdict.cost", **cost, money=money))
    if record.verdict is not None and record.verdict.next:
        sentences.append(_advice(record.verdict.next))
    return {
        "lead": spoken(key, rung=shown.name, metric=metric, score=score_cell(*values, places)),
        "sentences": sentences,
        "facts": _facts(material, shown, places),
    }


def _advice(steps: Sequence[NextStep]) -> str:
    """Name the first step that is worth it; else the first whose cost only the user knows."""
    for worth, key in ((True, "report.verdict.next"), (None, "report.verdict.maybe")):
        for each in steps:
            if each.worth_it is worth and each.kind != "stop":
                return spoken(key, action=each.action.rstrip("."))
    return spoken("report.verdict.stop")


def _facts(material: Material, shown: RungRecord, places: int) -> list[tuple[str, str, list[str]]]:
    """Give the numbers that stand under the verdict: name, value, and what belongs to it, a line each."""
    record, facts = material.record, []

    def scored(key: str, value: float, low: float, high: float) -> tuple[str, str, list[str]]:
        ends = {"low": score_text(low, places), "high": score_text(high, places)}
        return spoken(key), score_text(value, places), [spoken("report.fact.interval", **ends)]

    def timed(key: str, seconds: float, *more: str) -> tuple[str, str, list[str]]:
        money = money_text(seconds, record.price_per_hour)
        told = [spoken("report.fact.money", money=money)] if money else []
        return spoken(key), seconds_text(seconds), [*more, *told]

    if record.test is not None and record.test.rung == shown.name:
        facts.append(scored("report.fact.test", record.test.score, record.test.low, record.test.high))
    if shown.score is not None:
        facts.append(scored("report.fact.valid", shown.score.valid, shown.score.low, shown.score.high))
    if shown.cost is not None:
        facts.append(timed("report.fact.time", shown.cost.train_seconds))
        facts.append((spoken("report.fact.memory"), bytes_text(shown.cost.peak_memory_bytes), []))
        facts.append((spoken("report.fact.energy"), energy_text(shown.cost.energy_wh), []))
    allowed = []
    if record.budget.seconds < UNBOUNDED_SECONDS:
        allowed = [spoken("report.fact.of budget", seconds=seconds_text(record.budget.seconds))]
    return [*facts, timed("report.fact.spent", record.budget.spent_seconds, *allowed)]


def ladder(material: Material) -> dict[str, Any]:
    """Give every rung with its score, its costs, or why it has none."""
    record, places = material.record, decimals_of(material.record)
    scores = [each.score for each in record.rungs if each.score]
    floor = least_error(material, [each for each in record.rungs if each.score])

    def depth(score: float) -> float:
        """Place a score on the logarithmic scale of errors on which rungs near the top can be told apart."""
        return -math.log(max(floor, material.metric.as_error(score)))

    ends = [depth(end) for each in scores for end in (each.low, each.high)] or [0.0, 1.0]
    scale = (min(ends), max(ends))
    rows, era = [], ""
    for rung in record.rungs:
        score = bars = ""
        if rung.score is not None:
            found = rung.score
            score = score_cell(found.valid, found.low, found.high, places)
            words = {"low": score_text(found.low, places), "high": score_text(found.high, places)}
            label = spoken("report.label.interval", score=score_text(found.valid, places), **words)
            bars = bar(depth(found.valid), (depth(found.low), depth(found.high)), scale, label)
        rows.append(
            {
                "era": spoken(f"era.{rung.era}") if rung.era != era else "",
                "name": rung.name,
                "chosen": record.verdict is not None and record.verdict.chosen == rung.name,
                "status": rung.status,
                "status_label": spoken(f"status.{rung.status}"),
                "reason": told(rung.reason),
                "bar": bars,
                "score": score,
                "costs": _costs(rung.cost, record.price_per_hour),
            }
        )
        era = rung.era
    return {"rows": rows, "metric": metric_label(record.task.metric)}


def _costs(cost: Cost | None, price: float | None) -> tuple[Any, ...]:
    if cost is None:
        return ()
    return (
        time_cell(cost.train_seconds, price),
        bytes_text(cost.peak_memory_bytes),
        count_text(cost.parameters),
        bytes_text(cost.bytes),
        energy_text(cost.energy_wh),
    )


def next_steps(material: Material) -> Grid | None:
    """Lay out what could be done next, what it would bring and what it costs."""
    steps = () if material.record.verdict is None else material.record.verdict.next
    if not steps:
        return None
    worth = {True: "report.yes", False: "report.no", None: "report.worth.unknown"}
    metric = material.record.task.metric
    rows = [
        (
            told(each.action),
            DASH if each.kind == "stop" else gain_text(metric, each.gain, each.low, each.high),
            share_text(each.chance),
            time_cell(each.cost_seconds or None, material.record.price_per_hour),
            spoken(worth[each.worth_it]),
            basis_cell(each.basis),
        )
        for each in steps
    ]
    names = ("action", "gain", "chance", "cost", "worth", "basis")
    marks = frozenset(place for place, each in enumerate(steps) if each.worth_it and each.kind != "stop")
    return Grid(tuple(spoken(f"report.column.{name}") for name in names), rows, frozenset({1, 2, 3}), marks)


def limit(material: Material) -> dict[str, Any] | None:
    """Say what holds the score back."""
    found = None if material.record.verdict is None else material.record.verdict.limit
    if found is None:
        return None
    sentences = [told(found.reason)]
    if found.noise_floor is not None:
        classes = material.record.task.name == "classification"
        floor = "report.limit.floor" if classes else "report.limit.variance"
        sentences.append(spoken(floor, share=f"{100 * found.noise_floor:.1f} %"))
    if found.disagreements:
        sentences.append(spoken("report.limit.disagreements", rows=found.disagreements))
    return {"what": spoken(f"report.limit.{found.what}"), "sentences": sentences}


def data(material: Material) -> dict[str, Any]:
    """Say how the data were read, divided and understood, and what was found in them."""
    found = material.record.data
    split = found.split
    sizes = {"train": split.train, "valid": split.valid, "test": split.test}
    sentences = [spoken("report.data.rows", source=found.source, rows=found.rows, **sizes)]
    if split.how:
        sentences.append(spoken("report.data.split", how=split.how))
    ordered = [each for severity in SEVERITIES for each in found.findings if each.severity == severity]
    findings = [
        (each.severity.replace(" ", "-"), spoken(f"severity.{each.severity}"), told(each.message))
        for each in ordered[:MOST_FINDINGS]
    ]
    names = ("column", "kind", "role", "evidence")
    rows: list[tuple[Any, ...]] = [
        (each.name, spoken(f"kind.{each.kind}"), spoken(f"role.{each.role}"), told(each.evidence))
        for each in found.columns[:MOST_COLUMNS]
    ]
    if len(found.columns) > MOST_COLUMNS:
        rows.append((spoken("report.value.more", count=len(found.columns) - MOST_COLUMNS), "", "", ""))
    grid = Grid(tuple(spoken(f"report.column.{name}") for name in names), rows)
    return {"sentences": sentences, "findings": findings, "columns": grid, "count": len(found.columns)}


def time_spent(material: Material) -> Grid | None:
    """Lay out where the seconds went."""
    parts = spent(material)
    total = sum(seconds for _, seconds in parts)
    if not parts or total <= 0:
        return None
    rows: list[tuple[Any, ...]] = [
        (part_label(name), time_cell(seconds, material.record.price_per_hour), share_text(seconds / total))
        for name, seconds in parts
    ]
    names = ("part", "seconds", "share")
    return Grid(tuple(spoken(f"report.column.{name}") for name in names), rows, frozenset({1, 2}))


def again(material: Material) -> dict[str, Any]:
    """Say how to do the same climb again."""
    record, settings, machine = material.record, material.record.settings, material.record.machine
    parts = [str(machine["processor"])] if machine.get("processor") else []
    if machine.get("cores"):
        parts.append(spoken("report.again.cores", cores=machine["cores"]))
    if machine.get("memory_bytes"):
        parts.append(bytes_text(machine["memory_bytes"]))
    if machine.get("device"):
        parts.append(spoken("report.again.device", device=machine["device"]))
    parts += [str(machine["system"])] if machine.get("system") else []
    parts += [f"Python {machine['python']}"] if machine.get("python") else []
    facts = [
        (spoken("report.again.version"), f"yunti {record.yunti}"),
        (spoken("report.again.seed"), str(settings.get("seed", 0))),
        (spoken("report.again.machine"), spoken("list.comma").join(parts)),
        (spoken("report.again.date"), record.created.replace("T", " ")),
    ]
    if record.budget.seconds < UNBOUNDED_SECONDS:
        reason = f" ({told(record.budget.reason)})" if record.budget.reason else ""
        facts.insert(2, (spoken("report.again.budget"), seconds_text(record.budget.seconds) + reason))
    notes = [spoken("report.note.again")]
    if not settings.get("source"):
        notes.append(spoken("report.note.memory"))
    elif not str(settings["source"]).startswith("sample:"):
        notes.append(spoken("report.note.cwd"))
    return {"command": command_line(settings), "facts": [each for each in facts if each[1]], "notes": notes}

"""What the report says about the validation rows: classes, parts, and the rows that are answered worst."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from yunti.report.cells import DASH, Grid, bar, score_cell, value_cells
from yunti.report.details import confused_pairs, confusion, per_class, worst_rows
from yunti.report.groups import LEAST_ROWS, metric_for_parts, part_scores
from yunti.report.material import Material, metric_label
from yunti.report.row_figures import MOST_CLASSES
from yunti.specs import ColumnSpec
from yunti.tasks.classification import calibration_error, chosen
from yunti.words import spoken
from yunti.words.units import decimals_for, number_text, score_text

MOST_WORST = 12
MOST_PAIRS = 20
MOST_ROWS_OF_CLASSES = 300  # the worst of more
MOST_INPUTS = 12


def pairs(material: Material) -> Grid | None:
    """Lay out the pairs of classes that are confused most, where there are too many for a matrix."""
    classes, scored = material.record.task.classes, material.scored
    if scored is None or len(classes) <= MOST_CLASSES:
        return None
    found = confused_pairs(confusion(*scored), MOST_PAIRS)
    rows: list[tuple[Any, ...]] = [(classes[true], classes[guess], f"{count:,}") for true, guess, count in found]
    return Grid(_heads("true", "predicted", "rows"), rows, frozenset({2})) if rows else None


def classes(material: Material) -> Grid | None:
    """Lay out precision, recall and F1 of every class, the worst first."""
    names, scored = material.record.task.classes, material.scored
    if scored is None or not names:
        return None
    found = per_class(confusion(*scored))
    order = sorted(range(len(names)), key=lambda place: (found.rows[place] == 0, _or_zero(found.f1[place])))
    rows: list[tuple[Any, ...]] = [
        (
            names[place],
            f"{found.rows[place]:,}",
            *(score_text(float(values[place])) for values in (found.precision, found.recall, found.f1)),
        )
        for place in order[:MOST_ROWS_OF_CLASSES]
    ]
    if len(names) > MOST_ROWS_OF_CLASSES:
        rows.append((spoken("report.value.more", count=len(names) - MOST_ROWS_OF_CLASSES), "", "", "", ""))
    return Grid(_heads("class", "rows", "precision", "recall", "f1"), rows, frozenset({1, 2, 3, 4}))


def _or_zero(value: Any) -> float:
    return 0.0 if math.isnan(value) else float(value)


def calibration_note(material: Material) -> str:
    """Say how far stated probabilities lie from what proves right."""
    scored = material.scored
    return "" if scored is None else spoken("report.note.error", error=f"{calibration_error(*scored):.3f}")


def parts(material: Material) -> dict[str, Any] | None:
    """Lay out the scores of groups, or of the values of columns."""
    scored, dataset = material.scored, material.dataset
    if scored is None or dataset is None:
        return None
    task = material.record.task
    seed = int(material.record.settings.get("seed", 0))
    found = part_scores(task, dataset.valid, scored[1], dataset.columns, seed)
    if not found:
        return None
    metric = metric_for_parts(task)
    places = decimals_for((each.low, each.high) for each in found)
    ends = (min(each.low for each in found), max(each.high for each in found))
    rows: list[tuple[Any, ...]] = []
    for each in found:
        value = each.value if each.column else spoken("report.group", row=each.value)
        words = {"low": score_text(each.low, places), "high": score_text(each.high, places)}
        label = spoken("report.label.interval", score=score_text(each.score, places), **words)
        drawn = bar(each.score, (each.low, each.high), ends, label)
        score = score_cell(each.score, each.low, each.high, places)
        rows.append((each.column or spoken("report.column.group"), value, f"{each.rows:,}", drawn, score))
    whole = score_text(metric.score(*scored), places)
    note = spoken("report.note.parts", metric=metric_label(metric.name), least=LEAST_ROWS, whole=whole)
    heads = (*_heads("column", "value", "rows", "interval"), metric_label(metric.name))
    return {"grid": Grid(heads, rows, frozenset({2, 4})), "notes": [note, spoken("report.note.parts one")]}


def worst(material: Material) -> dict[str, Any] | None:
    """Lay out the rows that are answered worst, with their inputs; texts have no answer."""
    scored, dataset = material.scored, material.dataset
    if scored is None or dataset is None or material.record.task.name == "language":
        return None
    target, prediction = scored
    order = worst_rows(target, prediction, MOST_WORST)
    if not len(order):
        return None
    labels, table = material.record.task.classes, dataset.valid.table
    answers = chosen(prediction[order]) if labels else prediction[order]
    rows: list[tuple[Any, ...]] = []
    for place, answer in zip(order.tolist(), answers.tolist(), strict=True):
        number = f"{int(dataset.valid.rows[place]) + 1:,}"
        inputs = _inputs(dataset.columns, table, place)
        if labels:
            sure = f"{prediction[place, answer]:.3f}"
            rows.append((number, labels[int(target[place])], labels[answer], sure, inputs))
        else:
            true = float(target[place])
            rows.append(
                (number, number_text(true), number_text(answer), number_text(answer - true).replace("-", "−"), inputs)
            )
    heads = _heads("row", "true", "predicted", "probability" if labels else "error", "inputs")
    note = spoken("report.note.worst classes" if labels else "report.note.worst values")
    return {"grid": Grid(heads, rows, frozenset({3} if labels else {1, 2, 3})), "note": note}


def _inputs(columns: tuple[ColumnSpec, ...], table: Any, row: int) -> Markup:
    """Write the inputs of a row: the value alone where there is one column, else names and values."""
    cells = list(value_cells(columns, table, row, MOST_INPUTS))
    if len(cells) == 1:
        return Markup('<div class="one">{}</div>').format(cells[0][1] or DASH)
    pairs = Markup("").join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in cells)
    return Markup('<dl class="inputs">{}</dl>').format(pairs)


def _heads(*names: str) -> tuple[str, ...]:
    return tuple(spoken(f"report.column.{name}") for name in names)

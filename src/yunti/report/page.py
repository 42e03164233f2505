"""The page: one HTML file with everything in it, made from what is there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from yunti.errors import YuntiError
from yunti.report import copying, foreseen, row_sections, sections
from yunti.report.drawing import inline
from yunti.report.gallery import draw
from yunti.report.material import Material, metric_label
from yunti.storing import write_atomic
from yunti.words import language, spoken

LANGUAGE_TAGS = {"en": "en", "zh": "zh-Hans"}
DAMAGE = (OSError, ValueError, LookupError, ArithmeticError, TypeError, YuntiError)  # what reading broken files raises
Found = TypeVar("Found")


def write_report(material: Material, path: Path) -> None:
    """Write the report of a climb, whole or not at all, in the language of the reader.

    Args:
        material: the climb. What it lacks, or what cannot be read, is left out of the report.
        path: of the HTML file.
    """
    write_atomic(path, page(material))


def page(material: Material) -> str:
    """Return the report as HTML that needs nothing else: styles, figures and pictures are in it."""
    return _template().render(
        t=spoken,
        lang=LANGUAGE_TAGS[language()],
        gap=" " if language() == "en" else "",  # between sentences
        colon=": " if language() == "en" else "：",
        css=Markup(_resource("style.css")),
        record=material.record,
        metric=metric_label(material.record.task.metric),
        verdict=sections.verdict(material),
        **_ladder(material),
        **_rows(material),
        data=sections.data(material),
        time=sections.time_spent(material),
        again=sections.again(material),
    )


def _ladder(material: Material) -> dict[str, Any]:
    split = material.record.data.split
    metric = metric_label(material.record.task.metric)
    price = material.record.price_per_hour
    ladder_note = spoken("report.note.ladder", metric=metric, rows=split.valid)
    quality_note = spoken("report.note.quality", metric=metric)
    curves_note = spoken("report.note.curves", metric=metric)
    return {
        "ladder": sections.ladder(material),
        "ladder_note": ladder_note,
        "quality": _figure(material, "quality", quality_note),
        "quality_note": quality_note,
        "curves": _figure(material, "curves", curves_note),
        "curves_note": curves_note,
        "budget": _figure(material, "budget", spoken("report.note.budget")),
        "forecasts": _figure(material, "forecasts", spoken("report.note.forecasts")),
        "expected": foreseen.expected(material),
        "next_steps": sections.next_steps(material),
        "prior_note": spoken("report.note.prior") if foreseen.has_prior(material) else "",
        "money_note": "" if price is None else spoken("report.note.money", price=f"{price:g}"),
        "limit": sections.limit(material),
        "copied": copying.copied(material),
    }


def _rows(material: Material) -> dict[str, Any]:
    """Make the sections about the validation rows; one whose files are damaged is left out."""
    there = _unless_damaged(lambda: material.scored is not None)
    if not there:
        material = Material(material.record, spans=material.spans)
    return {
        "rows_notes": _rows_notes(material) if there else [],
        "confusion": _figure(material, "confusion", spoken("report.note.confusion")),
        "pairs": _unless_damaged(lambda: row_sections.pairs(material)),
        "calibration": _figure(material, "calibration", spoken("report.note.calibration")),
        "calibration_note": _unless_damaged(lambda: row_sections.calibration_note(material))
        if material.record.task.classes
        else None,
        "classes": _unless_damaged(lambda: row_sections.classes(material)),
        "predicted": _figure(material, "predicted", spoken("report.section.values")),
        "residuals": _figure(material, "residuals", spoken("report.axis.residual")),
        "parts": _unless_damaged(lambda: row_sections.parts(material)),
        "worst": _unless_damaged(lambda: row_sections.worst(material)),
    }


def _rows_notes(material: Material) -> list[str]:
    """Say which rung and which rows the sections about rows are about."""
    shown, verdict = material.shown, material.record.verdict
    notes = [spoken("report.note.rows", rung=shown.name if shown else "", rows=material.record.data.split.valid)]
    return [*notes, spoken("report.note.before")] if verdict and verdict.refit and verdict.refit.rows else notes


def _figure(material: Material, name: str, label: str) -> Markup | None:
    def drawn() -> Markup | None:
        figure = draw(material, name)
        return None if figure is None else Markup(inline(figure, name, label))

    return _unless_damaged(drawn)


def _unless_damaged(make: Callable[[], Found]) -> Found | None:
    try:
        return make()
    except DAMAGE:
        return None


@functools.cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_resource("page.html.j2"))


def _resource(name: str) -> str:
    return (files("yunti.report") / name).read_text(encoding="utf-8")

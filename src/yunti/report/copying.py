"""What the report says about how much the chosen language model copies."""

from __future__ import annotations

from typing import Any

from yunti.copied import CopiedRecord
from yunti.report.cells import DASH, Grid
from yunti.report.material import Material
from yunti.words import spoken

_SHOWN = 600  # characters of the longest span
_WHOLE = 0.9995  # of the training text: all of it


def copied(material: Material) -> dict[str, Any] | None:
    """Say how much the chosen rung copies, against what any text has in common with the training text."""
    found, shown = material.record.copied, material.shown
    if found is None or shown is None or found.rung != shown.name:
        return None
    own = (("runs", found.copied_runs, found.runs), ("spans", found.copied_spans, found.spans))
    held = ((found.held_copied_runs, found.held_runs), (found.held_copied_spans, found.held_spans))
    sizes = {"runs": found.words, "spans": found.span}
    rows: list[tuple[Any, ...]] = []
    for (kind, part, total), other in zip(own, held, strict=True):
        unit = spoken(f"report.copied.{kind}", size=sizes[kind])
        rows.append((unit, f"{total:,}", f"{part:,}", share(part, total), share(*other)))
    heads = tuple(spoken(f"report.column.{name}") for name in ("unit", "written", "copied", "share", "share held"))
    return {
        "lead": _lead(found),
        "note": _note(found),
        "grid": Grid(heads, rows, right=frozenset({1, 2, 3, 4})),
        "longest": spoken("report.copied.longest", characters=len(found.longest)) if found.longest else "",
        "text": found.longest[:_SHOWN] + ("…" if len(found.longest) > _SHOWN else ""),
    }


def share(part: int, whole: int) -> str:
    """Write a share in percent, small ones not as nothing.

    Example:
        >>> share(0, 4000), share(1, 30000), share(3, 4000), share(1, 3)
        ('0 %', '< 0.01 %', '0.075 %', '33 %')
    """
    if not whole:
        return DASH
    percent = 100 * part / whole
    if part and percent < 0.01:
        return "< 0.01 %"
    return f"{percent:.0f} %" if percent >= 10 or not part else f"{percent:.2g} %"


def _lead(found: CopiedRecord) -> str:
    kind, part, whole, size = "runs", found.copied_runs, found.runs, found.words
    held = share(found.held_copied_runs, found.held_runs)
    if not whole:  # the texts are shorter
        kind, part, whole, size = "spans", found.copied_spans, found.spans, found.span
        held = share(found.held_copied_spans, found.held_spans)
    return spoken(f"report.copied.lead {kind}", part=part, whole=whole, size=size, held=held)


def _note(found: CopiedRecord) -> str:
    note = spoken("report.note.copied", rung=found.rung, texts=found.texts, characters=found.characters)
    if found.searched >= _WHOLE:
        return note
    part = spoken("report.note.copied part", share=f"{100 * found.searched:.0f} %")
    return spoken("report.note.copied both", note=note, part=part)

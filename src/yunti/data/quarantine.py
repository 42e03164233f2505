"""Rows that cannot be read: they are set aside and told one by one, unless they are too many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from yunti.data.doctor.sheet import Facts
from yunti.data.parse import TOLERATED
from yunti.data.raw import BrokenRow, Raw
from yunti.data.strings import shortened
from yunti.data.target import Answers
from yunti.errors import SourceError
from yunti.records import Finding
from yunti.specs import ColumnSpec
from yunti.storing import write_atomic
from yunti.words import say


def broken_rows(
    raw: Raw, columns: Sequence[ColumnSpec], facts: Mapping[str, Facts], answers: Answers | None
) -> dict[int, BrokenRow]:
    """Collect rows with a picture, a sound or an answer that cannot be read, by their place (0-based)."""
    reasons: dict[int, str] = {}
    for column in columns:
        if column.kind in ("image", "audio"):
            reasons.update({row: _about(column, reason) for row, reason in facts[column.name].wrong.items()})
    if answers is not None:
        target = answers.spec.name
        wrong = answers.wrong.items()
        reasons.update({row: say("broken.target", target=target, reason=reason) for row, reason in wrong})
    return {row: BrokenRow(*raw.place(row), reasons[row], _text(raw, row)) for row in sorted(reasons)}


def _about(column: ColumnSpec, reason: str) -> str:
    return say("reading.about", name=column.name, note=reason)


def check_broken(raw: Raw, broken: Sequence[BrokenRow]) -> None:
    """Stop where more than 5 % of the rows are broken.

    Raises:
        SourceError: they are.
    """
    rows = len(raw) + len(raw.broken)
    if len(broken) > TOLERATED * max(1, rows):
        first = broken[0]
        share = f"{len(broken):,} of {rows:,} are ({len(broken) / rows:.0%})"
        raise SourceError(
            raw.source,
            "at most 5 % of the rows may be broken",
            f"{share}, first {first.file}, row {first.row}: {first.reason}",
            "correct the source, or say how it is to be read",
        )


def tell_broken(broken: Sequence[BrokenRow]) -> list[Finding]:
    """Tell how many rows were set aside, and the first of them."""
    if not broken:
        return []
    first = broken[0]
    message = say("doctor.broken", count=len(broken), file=first.file, row=first.row, reason=first.reason)
    return [Finding("broken", "broken", message, None, first.file, first.row, len(broken))]


def tell_reading(raw: Raw) -> list[Finding]:
    """Tell what was assumed while reading, such as another encoding."""
    return [Finding("reading", "note", note) for note in raw.notes]


def write_quarantine(path: Path, broken: Sequence[BrokenRow]) -> None:
    """Write the rows that were set aside, one JSON object a line; without any, remove what an earlier run wrote."""
    if broken:
        write_atomic(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in broken))
    else:
        path.unlink(missing_ok=True)


def _text(raw: Raw, row: int) -> str:
    values = raw.arrow.slice(row, 1).to_pylist()[0] if raw.arrow.num_columns else {}
    return shortened(", ".join(f"{name}={value}" for name, value in values.items()), 500)

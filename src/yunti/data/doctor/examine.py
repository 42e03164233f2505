"""All checks in their order, and which columns stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from yunti.data.doctor.answers import check_answers
from yunti.data.doctor.columns import check_columns
from yunti.data.doctor.copies import check_copies
from yunti.data.doctor.leaks import check_leaks
from yunti.data.doctor.sheet import Sheet
from yunti.data.strings import shortened
from yunti.errors import ColumnError, nearest
from yunti.records import Finding, Severity
from yunti.specs import ColumnSpec, Kind
from yunti.words import say

_ORDER: tuple[Severity, ...] = ("broken", "left out", "warning", "note")


@final
@dataclass(frozen=True)
class Examined:
    """What was found, and the columns with their roles."""

    columns: tuple[ColumnSpec, ...]
    findings: tuple[Finding, ...]


def examine(sheet: Sheet, keep: Sequence[str], tell: Callable[[float], None]) -> Examined:
    """Run all checks of columns and of the target.

    Args:
        sheet: the data.
        keep: columns to use although a check would leave them out.
        tell: called with the fraction done.

    Raises:
        ColumnError: `keep` names a column that does not exist, or no input column is left.
    """
    names = [column.name for column in sheet.columns]
    for name in keep:
        if name not in sheet.raw.names:
            raise ColumnError(
                sheet.raw.source, f"--keep {name} must name a column", f"there is no {name!r}", nearest(name, names)
            )
    findings = list(check_columns(sheet))
    tell(0.4)
    findings += check_copies(sheet, _left_out(findings))
    tell(0.6)
    if sheet.answers is not None:
        findings += check_leaks(sheet, _left_out(findings) - frozenset(keep))
        findings += check_answers(sheet)
    tell(1.0)
    kept = _with_something_left(sheet, [_kept(each) if each.column in keep else each for each in findings])
    gone = _left_out(kept)
    columns = tuple(
        replace(column, role="left out", kind=_kind_of(column, kept)) if column.name in gone else column
        for column in sheet.columns
    )
    about_gone = {"mixed", "many_levels", "time", "group", "missing", "suspect"}
    told = [each for each in kept if not (each.column in gone and each.code in about_gone)]
    return Examined(columns, in_order(told))


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort findings, the gravest first."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))


def _left_out(findings: Sequence[Finding]) -> frozenset[str]:
    return frozenset(each.column for each in findings if each.severity == "left out" and each.column)


def _kept(finding: Finding) -> Finding:
    """Turn the finding of a column that the user keeps into a warning."""
    if finding.severity != "left out":
        return finding
    return replace(finding, severity="warning", message=say("doctor.kept", finding=finding.message))


def _with_something_left(sheet: Sheet, findings: list[Finding]) -> list[Finding]:
    """Keep suspicious columns after all where nothing else would be left to learn from."""
    gone = _left_out(findings)
    if any(column.name not in gone for column in sheet.columns):
        return findings
    rescuable = {each.column for each in findings if each.code in ("leak", "index", "copy")}
    if not rescuable:
        why = "; ".join(each.message for each in findings if each.severity == "left out")
        must = "at least one column must be left to learn from"
        got = f"all {len(sheet.columns)} were left out ({shortened(why, 300)})"
        if not sheet.columns:
            got = "there is none but the target and columns that divide the rows"
        raise ColumnError(sheet.raw.source, must, got, "add columns, or name some with --keep")
    return [
        replace(each, severity="warning", message=say("doctor.rescued", finding=each.message))
        if each.column in rescuable and each.severity == "left out"
        else each
        for each in findings
    ]


def _kind_of(column: ColumnSpec, findings: Sequence[Finding]) -> Kind:
    index = any(each.column == column.name and each.code in ("index", "id") for each in findings)
    return "id" if index else column.kind

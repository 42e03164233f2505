"""The split of a source: what it must respect is gathered here, `split` divides, and what follows is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from yunti.data.doctor.duplicates import Clusters, crossing
from yunti.data.doctor.sheet import Sheet
from yunti.data.labels import labels_of
from yunti.data.options import DataOptions
from yunti.data.parse import read_column
from yunti.data.raw import Raw
from yunti.data.split import ASIDE, TEST, TRAIN, VALID, Parts, Wish, ready_parts, split
from yunti.data.table import Numbers
from yunti.data.target import Answers
from yunti.errors import ColumnError
from yunti.records import Finding
from yunti.specs import ColumnSpec
from yunti.words import say

_ENOUGH_GROUPS = 10  # below, a bootstrap over groups is clearly too narrow (Cameron, Gelbach and Miller, 2008)
_KEPT_TOGETHER = ("duplicates", "near_duplicates")
_BINS = 20  # ranges of a number that is predicted, spread evenly over the parts


@final
@dataclass(frozen=True, eq=False)
class Division:
    """The part of every row, the group of every row where one was named, and what to tell, of repeated rows too."""

    parts: Parts
    groups: NDArray[np.int64] | None
    findings: tuple[Finding, ...]


def ready_split(raw: Raw, options: DataOptions) -> NDArray[np.str_] | None:
    """Give the ready part of every row: of the column that the user names, else the source's own, or None.

    Raises:
        ColumnError: the column does not hold a split.
    """
    if options.split is None:
        return raw.parts
    levels = labels_of(raw.arrow.column(options.split))
    marked = ready_parts(tuple(levels.names.to_pylist()), levels.codes, raw.source, options.split)
    if options.test is None or raw.parts is None:
        return marked
    return np.where(raw.parts == "test", "test", marked)


def divide(
    sheet: Sheet,
    clusters: Clusters,
    columns: Sequence[ColumnSpec],
    options: DataOptions,
    lengths: NDArray[np.int64] | None = None,
    *,
    by_place: bool = False,
) -> Division:
    """Divide the usable rows into train, valid and test.

    Args:
        sheet: the data, with answers; a ready split stands in `sheet.raw.parts`.
        clusters: rows that repeat each other.
        columns: all columns.
        options: the columns for groups and times, and the seed.
        lengths: bytes of the text of every row that is scored token by token.
        by_place: whether parts are to be cut by place unless groups or times are named.

    Raises:
        InputError: the rows cannot be divided so.
    """
    raw, answers = sheet.raw, sheet.answers
    assert answers is not None
    groups = raw.documents
    if options.group is not None:
        groups = labels_of(raw.arrow.column(options.group)).codes.astype(np.int64)
    times = None
    if options.time is not None:
        times = _times(raw, next(column for column in columns if column.name == options.time))
    wish = Wish(
        raw.source,
        sheet.usable,
        _strata(answers),
        clusters.codes,
        raw.parts,
        groups,
        times,
        options.group or "",
        options.time or "",
        documents=answers.task == "language",
        lengths=lengths,
        by_place=by_place and not (options.group or options.time),
    )
    parts = split(wish, options.seed)
    findings = [each for each in clusters.findings if not (parts.parted and each.code in _KEPT_TOGETHER)]
    findings += _after_split(answers, clusters, parts)
    if groups is not None and options.group is not None:
        findings += _few_groups(groups, parts, wish.group_name)
    return Division(parts, groups, tuple(findings))


def _few_groups(groups: NDArray[np.int64], parts: Parts, name: str) -> list[Finding]:
    """Warn where scores rest on so few groups that they say little of others, however many rows those groups have."""
    valid, test = (len(np.unique(groups[parts.part == each])) for each in (VALID, TEST))
    if min(valid, test) >= _ENOUGH_GROUPS:
        return []
    message = say("doctor.few groups", column=name, valid=valid, test=test)
    return [Finding("few_groups", "warning", message, name, count=min(valid, test))]


def _times(raw: Raw, column: ColumnSpec) -> NDArray[np.float64]:
    if column.kind not in ("time", "number"):
        raise ColumnError(
            raw.source,
            f"--time {column.name} must name a column of times or numbers",
            f"it is of kind {column.kind}",
            f"name another, or add --kind {column.name}=time",
        )
    reading = read_column(raw, column, None, lambda _fraction: None)
    assert isinstance(reading.column, Numbers)
    return reading.column.values.astype(np.float64)


def _strata(answers: Answers) -> NDArray[np.int64]:
    """Give the class of every row, or the range that its number falls into."""
    if answers.task == "classification":
        return answers.values.astype(np.int64)
    if answers.task == "language":
        return np.zeros(len(answers.values), dtype=np.int64)
    known = answers.values[answers.known]
    bins = max(1, min(_BINS, len(known) // 30))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, answers.values).astype(np.int64)


def _after_split(answers: Answers, clusters: Clusters, parts: Parts) -> list[Finding]:
    """Set aside rows whose class no training row has, and tell copies that a ready split has parted."""
    findings = []
    part = parts.part
    if answers.task == "classification":
        seen = np.bincount(answers.values[part == TRAIN], minlength=len(answers.classes)) > 0
        strange = (part > TRAIN) & ~seen[answers.values]
        if strange.any():
            names = ", ".join(repr(answers.classes[each]) for each in np.unique(answers.values[strange])[:4])
            message = say("doctor.unseen class", count=strange.sum(), classes=names)
            findings.append(Finding("unseen_class", "warning", message, answers.spec.name, count=int(strange.sum())))
            part[strange] = ASIDE
    if count := crossing(clusters.codes, part):
        findings.append(Finding("crossing", "warning", say("doctor.crossing", count=count), count=count))
    for each, key in ((VALID, "doctor.no validation"), (TEST, "doctor.no test")):
        if not (part == each).any():
            findings.append(Finding("empty_part", "warning", say(key), None, count=0))
    return findings

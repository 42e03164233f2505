"""From a source to what is known of it: typed columns, answers, findings and the split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from yunti.data import strings
from yunti.data.doctor.duplicates import Clusters, crossing, find_duplicates
from yunti.data.doctor.examine import examine, in_order
from yunti.data.doctor.sheet import Facts, Sheet, facts_of
from yunti.data.evidence import count_text, evidence_of
from yunti.data.join import joined
from yunti.data.kinds import find_kinds
from yunti.data.labels import labels_of
from yunti.data.options import DataOptions
from yunti.data.parse import complete, keep_column, read_column
from yunti.data.quarantine import broken_rows, check_broken, tell_broken
from yunti.data.raw import BrokenRow, Raw
from yunti.data.read import read_raw
from yunti.data.split import ASIDE, TEST, TRAIN, VALID, Parts, Wish, ready_parts, split
from yunti.data.store import Stored, StoredColumns, part_path
from yunti.data.table import Numbers, Table
from yunti.data.target import Answers, choose_target, read_answers
from yunti.errors import ColumnError, OptionError, SourceError, nearest
from yunti.records import Finding
from yunti.specs import ColumnSpec, Role

Tell = Callable[[str, float], None]
_BINS = 20  # ranges of a number that is predicted, spread evenly over the parts


@final
@dataclass(frozen=True, eq=False)
class Understanding:
    """All that is known of a source before its rows are laid out.

    Args:
        raw: rows as they stand in the source.
        columns: all columns with their kinds, evidence and roles, the target among them.
        table: typed values in the order of the source.
        answers: the answers, or None where no target was named.
        parts: the part of every row, or None where no target was named.
        groups: group code of every row where a group column was named.
        findings: what the doctor found, the gravest first.
        facts: counts of every column's reading.
        broken: rows that were set aside because they cannot be read.
    """

    raw: Raw
    columns: tuple[ColumnSpec, ...]
    table: Table
    answers: Answers | None
    parts: Parts | None
    groups: NDArray[np.int64] | None
    findings: tuple[Finding, ...]
    facts: dict[str, Facts]
    broken: tuple[BrokenRow, ...]


def understand(source: object, options: DataOptions, workspace: Path, tell: Tell, need_target: bool) -> Understanding:
    """Read a source and find out all that is needed to train on it.

    Args:
        source: a file, folder, glob, sample or table.
        options: what the user says about the data.
        workspace: a folder for temporary files; the caller deletes it.
        tell: called with the stage and how far it is.
        need_target: whether to go on without a target.

    Raises:
        InputError: the source or an option cannot be used.
    """
    raw = _read(source, options, workspace, tell)
    roles = _roles(raw, options)
    specs = [replace(spec, role=roles.get(spec.name, "input")) for spec in find_kinds(raw, options.kinds)]
    answers = None
    if need_target or options.target or raw.target:
        name = choose_target(raw, options.target, specs)
        if name in roles:
            raise OptionError(
                f"--{_ROLE_OPTIONS[roles[name]]} {name}", "it must not be the target", "it is", "name another column"
            )
        answers = read_answers(raw, next(spec for spec in specs if spec.name == name), options.task)
    inputs = [spec for spec in specs if spec.role == "input" and (answers is None or spec.name != answers.spec.name)]
    inputs, table, facts = _read_columns(raw, inputs, options, workspace / "columns", tell)
    broken = broken_rows(raw, inputs, facts, answers)
    usable = np.ones(len(raw), dtype=np.bool_) if answers is None else answers.known.copy()
    usable[list(broken)] = False
    check_broken(raw, (*raw.broken, *broken.values()))
    sheet = Sheet(raw, tuple(inputs), table, facts, usable, answers, options.seed)
    examined = examine(sheet, options.keep, lambda fraction: tell("examining", 0.6 * fraction))
    used = [column for column in examined.columns if column.role == "input"]
    clusters = find_duplicates(sheet, used)
    tell("examining", 0.9)
    groups = _codes(raw, options.group)
    parts = None if answers is None else split(_wish(sheet, answers, clusters, groups, options), options.seed)
    findings = [*tell_broken((*raw.broken, *broken.values())), *examined.findings, *clusters.findings]
    if parts is not None and answers is not None:
        findings += _after_split(answers, clusters, parts)
    tell("examining", 1.0)
    known = {column.name: column for column in (*examined.columns, *([answers.spec] if answers else ()))}
    if answers:
        known[answers.spec.name] = replace(answers.spec, role="target")
    columns = tuple(known.get(spec.name) or _described(raw, spec) for spec in specs)
    everything = (*raw.broken, *broken.values())
    return Understanding(raw, columns, table, answers, parts, groups, in_order(findings), facts, everything)


_ROLE_OPTIONS: dict[Role, str] = {"split": "split", "group": "group", "order": "time"}


def _read(source: object, options: DataOptions, workspace: Path, tell: Tell) -> Raw:
    tell("reading", 0.0)
    raw = read_raw(source, _made(workspace / "source"))
    if options.test is not None:
        raw = joined(raw, read_raw(options.test, _made(workspace / "test")), workspace)
    check_broken(raw, raw.broken)
    if len(raw) == 0:
        raise SourceError(raw.source, "it must hold rows", "it holds none", "give a source with data")
    tell("reading", 1.0)
    return raw


def _roles(raw: Raw, options: DataOptions) -> dict[str, Role]:
    """Give the columns that the options name their roles.

    Raises:
        ColumnError: an option names a column that does not exist.
        OptionError: options contradict each other.
    """
    roles: dict[str, Role] = {}
    for option, name, role in (
        ("split", options.split, "split"),
        ("group", options.group, "group"),
        ("time", options.time, "order"),
    ):
        if name is None:
            continue
        if name not in raw.arrow.column_names:
            raise ColumnError(
                raw.source, f"--{option} {name} must name a column", f"there is no {name!r}", nearest(name, raw.names)
            )
        if name in roles:
            raise OptionError(f"--{option} {name}", "a column can have one role", "it is named twice", "name it once")
        roles[name] = role  # type: ignore[assignment]
    if options.group and options.time:
        raise OptionError(
            "--group with --time", "rows can be split by groups or by time", "both were given", "choose one"
        )
    return {name: role for name, role in roles.items() if role == "split" or name not in options.keep}


def _read_columns(
    raw: Raw, specs: Sequence[ColumnSpec], options: DataOptions, folder: Path, tell: Tell
) -> tuple[list[ColumnSpec], Table, dict[str, Facts]]:
    """Read every column into files, so that memory holds one column at a time; ids stay unread unless they are kept."""
    _made(folder)
    done, stored, facts = [], list[Stored](), dict[str, Facts]()
    for place, given in enumerate(specs):
        spec = given
        start = place / len(specs)
        if spec.kind == "id":
            if spec.name not in options.keep and spec.name not in options.kinds:
                facts[spec.name], spec = _unread(raw, spec)
                done.append(spec)
                continue
            spec = replace(spec, kind="category") if spec.name in options.keep else spec
        spec = complete(raw, spec)
        width = 1 / len(specs)
        reading = read_column(
            raw,
            spec,
            part_path(folder, place),
            lambda part, start=start, width=width: tell("understanding", start + part * width),  # type: ignore[misc]
        )
        facts[spec.name] = facts_of(reading)
        done.append(replace(spec, evidence=evidence_of(spec, reading, spec.name in options.kinds)))
        stored.append(keep_column(folder, spec.name, place, reading))
        tell("understanding", (place + 1) / len(specs))
    return done, Table(StoredColumns(folder, tuple(stored), slice(0, len(raw)), stay_open=False)), facts


def _described(raw: Raw, spec: ColumnSpec) -> ColumnSpec:
    """Complete a column that only serves the split by its evidence."""
    if spec.kind not in ("number", "flag", "time", "category"):
        return spec
    reading = read_column(raw, spec, None, lambda _fraction: None)
    return replace(spec, evidence=evidence_of(spec, reading, chosen=False))


def _unread(raw: Raw, spec: ColumnSpec) -> tuple[Facts, ColumnSpec]:
    column = raw.arrow.column(spec.name)
    first = next((value for value in column.slice(0, 100).to_pylist() if value is not None), "")
    present = len(column) - column.null_count
    evidence = f"{present:,} codes, nearly all distinct, such as {strings.shortened(str(first), 24)}"
    return Facts(present, 0, {}), replace(spec, evidence=evidence)


def _wish(
    sheet: Sheet, answers: Answers, clusters: Clusters, groups: NDArray[np.int64] | None, options: DataOptions
) -> Wish:
    raw, ready, times = sheet.raw, sheet.raw.parts, None
    if options.split is not None:
        levels = labels_of(raw.arrow.column(options.split))
        names = tuple(levels.names.to_pylist())
        marked = ready_parts(names, levels.codes, raw.source, options.split)
        ready = marked if ready is None or options.test is None else np.where(ready == "test", "test", marked)
    if options.time is not None:
        times = _times(raw, options.time, options)
    return Wish(
        raw.source,
        sheet.usable,
        _strata(answers),
        clusters.codes,
        ready,
        groups,
        times,
        options.group or "",
        options.time or "",
    )


def _times(raw: Raw, name: str, options: DataOptions) -> NDArray[np.float64]:
    spec = next(spec for spec in find_kinds(raw, options.kinds) if spec.name == name)
    if spec.kind not in ("time", "number"):
        raise ColumnError(
            raw.source,
            f"--time {name} must name a column of times or numbers",
            f"it is of kind {spec.kind}",
            f"name another, or add --kind {name}=time",
        )
    reading = read_column(raw, spec, None, lambda _fraction: None)
    assert isinstance(reading.column, Numbers)
    return reading.column.values.astype(np.float64)


def _codes(raw: Raw, name: str | None) -> NDArray[np.int64] | None:
    return None if name is None else labels_of(raw.arrow.column(name)).codes.astype(np.int64)


def _strata(answers: Answers) -> NDArray[np.int64]:
    if answers.task == "classification":
        return answers.values.astype(np.int64)
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
            message = (
                f"{count_text(int(strange.sum()), 'row')} outside the training rows set aside: their class ({names}) "
                "has no training row"
            )
            findings.append(Finding("unseen_class", "warning", message, answers.spec.name, count=int(strange.sum())))
            part[strange] = ASIDE
    if count := crossing(clusters.codes, part):
        verb = "repeats" if count == 1 else "repeat"
        message = (
            f"{count_text(count, 'row')} for validation or test {verb} training rows, exactly or nearly: scores will "
            "look too good"
        )
        findings.append(Finding("crossing", "warning", message, count=count))
    for each, name in ((VALID, "validation"), (TEST, "test")):
        if not (part == each).any():
            findings.append(Finding("empty_part", "warning", f"no {name} rows are left", None, count=0))
    return findings


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""From a source to what is known of it: typed columns, answers, findings and the split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from yunti.data import strings
from yunti.data.chats.reading import as_chats, find_chats
from yunti.data.corpus import asks_for_text, understand_text
from yunti.data.divide import Division, divide, ready_split
from yunti.data.doctor.duplicates import find_duplicates, repeats
from yunti.data.doctor.examine import examine, in_order
from yunti.data.doctor.sheet import Facts, Sheet, facts_of
from yunti.data.evidence import evidence_of
from yunti.data.join import joined
from yunti.data.kinds import find_kinds
from yunti.data.options import DataOptions
from yunti.data.parse import complete, keep_column, read_column
from yunti.data.quarantine import broken_rows, check_broken, tell_broken, tell_reading
from yunti.data.raw import BrokenRow, Raw
from yunti.data.read import read_raw
from yunti.data.split import TRAIN, VALID
from yunti.data.store import Stored, StoredColumns, part_path
from yunti.data.table import Table
from yunti.data.target import Answers, choose_target, read_answers
from yunti.errors import ColumnError, OptionError, SourceError, nearest
from yunti.records import Finding, RepeatsRecord, TextRecord
from yunti.specs import ColumnSpec, Role
from yunti.words import say

Tell = Callable[[str, float], None]


@final
@dataclass(frozen=True, eq=False)
class Understanding:
    """All that is known of a source before its rows are laid out.

    Args:
        raw: rows as they stand in the source.
        columns: all columns with their kinds, evidence and roles, the target among them.
        table: typed values in the order of the source.
        answers: the answers, or None where no target was named.
        division: the part of every row, or None where no target was named.
        findings: what the doctor found, the gravest first.
        facts: counts of every column's reading.
        broken: rows that were set aside because they cannot be read.
        repeats: how much rows that repeat one another differ in the answer; None without answers.
        text: what the text is made of, where that is what is to be learned.
    """

    raw: Raw
    columns: tuple[ColumnSpec, ...]
    table: Table
    answers: Answers | None
    division: Division | None
    findings: tuple[Finding, ...]
    facts: dict[str, Facts]
    broken: tuple[BrokenRow, ...]
    repeats: RepeatsRecord | None
    text: TextRecord | None = None


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
    raw = replace(raw, parts=ready_split(raw, options))
    if asks_for_text(raw, options):
        return _of_text(raw, roles, options, workspace, tell)
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
    examined = examine(sheet, options.keep, lambda fraction: tell(say("stage.examining"), 0.6 * fraction))
    used = [column for column in examined.columns if column.role == "input"]
    clusters = find_duplicates(sheet, used, kept=raw.parts is None and options.time is None)
    tell(say("stage.examining"), 0.9)
    division = None if answers is None else divide(sheet, clusters, specs, options)
    everything = (*raw.broken, *broken.values())
    findings = [*tell_broken(everything), *tell_reading(raw), *examined.findings]
    findings += division.findings if division else clusters.findings
    tell(say("stage.examining"), 1.0)
    known = {column.name: column for column in examined.columns}
    if answers is not None:
        known[answers.spec.name] = replace(answers.spec, role="target")
    columns = tuple(known.get(spec.name) or _described(raw, spec) for spec in specs)
    told = in_order(findings)
    repeated = None
    if answers is not None and division is not None:
        learned = np.isin(division.parts.part, (TRAIN, VALID))
        repeated = repeats(clusters.codes, answers.values, learned, answers.task)
    return Understanding(raw, columns, table, answers, division, told, facts, everything, repeated)


def _of_text(raw: Raw, roles: Mapping[str, Role], options: DataOptions, workspace: Path, tell: Tell) -> Understanding:
    """Understand a source whose text is to be learned."""
    found = understand_text(raw, roles, options, workspace, tell)
    columns = tuple(_described(found.raw, each) if each.name in roles else each for each in found.columns)
    findings = in_order([*tell_broken(raw.broken), *tell_reading(raw), *found.findings])
    return Understanding(
        found.raw,
        columns,
        found.table,
        found.answers,
        found.division,
        findings,
        found.facts,
        raw.broken,
        repeats=None,
        text=found.text,
    )


_ROLE_OPTIONS: dict[Role, str] = {"split": "split", "group": "group", "order": "time"}


def _read(source: object, options: DataOptions, workspace: Path, tell: Tell) -> Raw:
    tell(say("stage.reading"), 0.0)
    asked = None if options.task is None else options.task == "language"
    raw = read_raw(source, _made(workspace / "source"), running=False if options.target else asked)
    if options.test is not None:
        test = read_raw(options.test, _made(workspace / "test"), running=raw.task == "language")
        raw = joined(raw, test, workspace)
    raw = _conversations(raw, options, workspace)
    check_broken(raw, raw.broken)
    if len(raw) == 0:
        raise SourceError(raw.source, "it must hold rows", "it holds none", "give a source with data")
    tell(say("stage.reading"), 1.0)
    return raw


def _conversations(raw: Raw, options: DataOptions, workspace: Path) -> Raw:
    """Read a table of conversations as such, unless something else is asked of it.

    Raises:
        OptionError: questions were named, and there cannot be any.
    """
    if options.task not in (None, "language") or raw.task is not None:
        if options.prompt is not None:
            must = "questions and answers must stand in a table, to learn to answer"
            got = "the source is running text" if raw.task is not None else f"the task is {options.task}"
            raise OptionError(f"--prompt {options.prompt}", must, got, "leave it out")
        return raw
    layout = find_chats(raw, options.target, options.prompt)
    if layout is None:
        return raw
    kept = list[str]()
    others = [name for name in raw.arrow.column_names if name not in (*layout.columns, layout.system)]
    for option, name in (("split", options.split), ("group", options.group), ("time", options.time)):
        if name is not None and name not in raw.arrow.column_names:
            raise _missing(raw, option, name, others)
        kept += [name] if name is not None and name not in kept else []
    return as_chats(raw, layout, kept, _made(workspace / "chats"))


def _missing(raw: Raw, option: str, name: str, others: Sequence[str]) -> ColumnError:
    must, got = f"--{option} {name} must name a column", f"there is no {name!r}"
    return ColumnError(raw.source, must, got, nearest(name, others) if others else "leave it out")


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
            raise _missing(raw, option, name, raw.names)
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
            lambda part, start=start, width=width: tell(say("stage.understanding"), start + part * width),  # type: ignore[misc]
        )
        facts[spec.name] = facts_of(reading)
        done.append(replace(spec, evidence=evidence_of(spec, reading, spec.name in options.kinds)))
        stored.append(keep_column(folder, spec.name, place, reading))
        tell(say("stage.understanding"), (place + 1) / len(specs))
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
    evidence = say("evidence.codes", count=present, example=strings.shortened(str(first), 24))
    return Facts(present, 0, {}), replace(spec, evidence=evidence)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

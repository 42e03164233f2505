"""From a source to what is known of its text: documents or passages, copies left out, the split, what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.chats.reading import told
from yunti.data.chats.turns import plain
from yunti.data.divide import Division, divide
from yunti.data.doctor.answers import check_answers
from yunti.data.doctor.documents import Repeated, find_repeated
from yunti.data.doctor.duplicates import MOST_BYTES, Clusters, find_duplicates
from yunti.data.doctor.sheet import Facts, Sheet, facts_of
from yunti.data.kinds import find_kinds
from yunti.data.labels import labels_of
from yunti.data.lengths import characters_of, lengths_of, script_shares
from yunti.data.options import DataOptions
from yunti.data.parse import keep_column, read_column
from yunti.data.passages import Cutter, as_texts, divides_by_place, passage_bytes
from yunti.data.raw import Raw
from yunti.data.spill import Spill
from yunti.data.split import LEAST_ROWS, is_ready_split
from yunti.data.store import Stored, StoredColumns, part_path, text_blocks
from yunti.data.strings import as_strings
from yunti.data.table import Table, Texts
from yunti.data.target import Answers, choose_text
from yunti.errors import OptionError, SourceError
from yunti.records import Finding, TextRecord
from yunti.specs import ColumnSpec, Role
from yunti.words import say

Tell = Callable[[str, float], None]
_SHOWN = 4


@final
@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as it is understood.

    Args:
        raw: its rows, which are documents or passages.
        columns: the columns of the source; the one with the text is the only input.
        table: the text, in the order of the source.
        answers: zeros, and NaN where there is no text; the target is the column of the text.
        division: the part of every row; passages have their document as group.
        findings: what there is to tell.
        facts: counts of the column's reading.
        text: what the text is made of.
    """

    raw: Raw
    columns: tuple[ColumnSpec, ...]
    table: Table
    answers: Answers
    division: Division
    findings: tuple[Finding, ...]
    facts: dict[str, Facts]
    text: TextRecord


def asks_for_text(raw: Raw, options: DataOptions) -> bool:
    """Say whether the next token is asked for: the user says so, or the source is running text."""
    return raw.chats is not None or (options.task or raw.task) == "language"


def understand_text(raw: Raw, roles: Mapping[str, Role], options: DataOptions, workspace: Path, tell: Tell) -> Corpus:
    """Find out all that is needed to learn how a text goes.

    Args:
        raw: rows as they stand in the source, with its ready split if it has one.
        roles: columns that serve the split.
        options: what the user says about the data.
        workspace: a folder for temporary files.
        tell: called with the stage and how far it is.

    Raises:
        InputError: there is no text, too little, or an option cannot be used.
    """
    every, name, chosen_from = _columns(raw, roles, options)
    rows = _cut(raw, name, [*roles], workspace)
    tell(say("stage.understanding"), 0.2)
    texts, reading = _texts(rows, name, workspace / "columns")
    said = texts if raw.chats is None else Texts(plain(texts.values))
    lengths = lengths_of(said.values)
    tell(say("stage.understanding"), 1.0)
    repeated = find_repeated(rows, texts.values)
    known = (lengths[:, 0] > 0) & ~repeated.blank
    usable = known & ~repeated.rows
    _must_be_enough(rows, usable, asked=options.task == "language")
    made = _made_of(rows, said, lengths, usable, repeated)
    parsing: dict[str, Any] = {} if rows.documents is None else {"passages": True}
    evidence = _evidence(made)
    if raw.chats is not None:
        parsing, evidence = raw.chats.parsing, _told(texts, usable)
    spec = ColumnSpec(name, "text", evidence, parsing=parsing)
    answers = Answers(spec, "language", (), np.where(known, 0.0, np.nan), {})
    table = Table(StoredColumns(workspace / "columns", (reading[1],), slice(0, len(rows)), stay_open=False))
    sheet = Sheet(rows, (spec,), table, {name: reading[0]}, usable, answers, options.seed)
    tell(say("stage.examining"), 0.4)
    by_place = raw.chats is None and _divides_by_place(rows, lengths[:, 0], usable)
    clusters = _near(sheet, int(lengths[:, 0].sum()), kept=rows.parts is None and not by_place)
    division = divide(sheet, clusters, every, options, lengths[:, 0], by_place=by_place)
    tell(say("stage.examining"), 1.0)
    findings = [*repeated.findings, *check_answers(sheet), *_choice(raw, every, name, chosen_from)]
    columns = tuple(
        spec if each.name == name else replace(each, role="left out") if each.role == "input" else each
        for each in every
    )
    return Corpus(
        rows,
        columns,
        table,
        answers,
        division,
        (*findings, *division.findings),
        {name: reading[0]},
        made,
    )


def _columns(raw: Raw, roles: Mapping[str, Role], options: DataOptions) -> tuple[list[ColumnSpec], str, int]:
    """Find the kinds of all columns, the one that holds the text, and of how many columns of text it was chosen."""
    if options.keep:
        must, got = "a text goes on from itself alone", f"{options.keep[0]!r} is to be kept as an input"
        raise OptionError(f"--keep {options.keep[0]}", must, got, "leave out --keep")
    kinds = dict(options.kinds)
    chats = None if raw.chats is None else raw.chats.name
    for named in (options.target, chats):
        if named is not None and named in raw.arrow.column_names:
            kinds[named] = "text"
    every = [replace(each, role=roles.get(each.name, "input")) for each in find_kinds(raw, kinds)]
    name, chosen_from = (chats, 1) if chats is not None else choose_text(raw, options.target, every)
    if name in roles:
        raise OptionError(f"--target {name}", "it must not divide the rows too", "it does", "name another column")
    return every, name, chosen_from


def _cut(raw: Raw, name: str, kept: Sequence[str], workspace: Path) -> Raw:
    """Cut the documents of a table into passages where they are few or one is very long; files were cut when read."""
    if raw.task == "language" or raw.chats is not None:
        return raw
    column = as_strings(raw.arrow.column(name))
    sizes = [int(size) for size in pc.fill_null(pc.binary_length(column), 0).to_numpy() if size]
    size = passage_bytes(sizes) if sizes else None
    if size is None:
        return raw
    spill, counts = Spill(workspace, raw.source), list[int]()
    for chunk in column.chunks:
        for block in text_blocks(chunk, None):
            pieces = [_passages(text, size) for text in block.to_pylist()]
            counts += map(len, pieces)
            flat = [passage for each in pieces for passage in each]
            spill.append(pa.RecordBatch.from_arrays([as_texts(flat)], names=[name]))
    of = np.repeat(np.arange(len(raw), dtype=np.int64), counts)
    table = spill.table()
    for other in kept:
        table = table.append_column(other, raw.arrow.column(other).take(pa.array(of)))
    return replace(
        raw,
        arrow=table,
        arrays={},
        parts=None if raw.parts is None else raw.parts[of],
        file_of=None if raw.file_of is None else raw.file_of[of],
        row_of=(np.arange(1, len(raw) + 1) if raw.row_of is None else raw.row_of)[of],
        documents=of,
    )


def _passages(text: str | None, size: int) -> list[bytes]:
    """Cut one document; a missing one is one passage without text."""
    if not text:
        return [b""]
    cutter = Cutter(size)
    return [*cutter.feed(text.encode()), *cutter.finish()]


def _texts(raw: Raw, name: str, folder: Path) -> tuple[Texts, tuple[Facts, Stored]]:
    """Read the text into files; from there it is memory-mapped."""
    folder.mkdir(parents=True, exist_ok=True)
    reading = read_column(raw, ColumnSpec(name, "text"), part_path(folder, 0), lambda _fraction: None)
    assert isinstance(reading.column, Texts)
    return reading.column, (facts_of(reading), keep_column(folder, name, 0, reading))


def _must_be_enough(raw: Raw, usable: NDArray[np.bool_], *, asked: bool) -> None:
    count = int(usable.sum())
    if count < LEAST_ROWS:
        what = "documents" if raw.documents is None else "passages"
        must = f"its text must give at least {LEAST_ROWS} {what} to learn from, choose by and test on"
        mend = "give more text" if asked else "give more text, or name the --target if it is a table"
        raise SourceError(raw.source, must, f"it gives {count}" if count else "it gives none", mend)


def _divides_by_place(raw: Raw, sizes: NDArray[np.int64], usable: NDArray[np.bool_]) -> bool:
    """Say whether the rows that no ready split has taken are too few documents to be drawn from."""
    free = usable if raw.parts is None else usable & (raw.parts == "train")
    documents = np.arange(len(raw)) if raw.documents is None else raw.documents
    by_document = np.bincount(documents[free], sizes[free])
    by_document = by_document[by_document > 0]
    return len(by_document) > 0 and divides_by_place(by_document.tolist())


def _near(sheet: Sheet, octets: int, *, kept: bool) -> Clusters:
    """Find rows that are nearly the same, where the text is not too long for that."""
    if octets > MOST_BYTES:
        message = say("doctor.no near duplicates", most=MOST_BYTES // 1_000_000)
        found = (Finding("near_duplicates", "note", message),)
        return Clusters(np.arange(len(sheet.raw), dtype=np.int64), found)
    return find_duplicates(sheet, sheet.columns, kept=kept)


def _made_of(
    raw: Raw, texts: Texts, lengths: NDArray[np.int64], usable: NDArray[np.bool_], repeated: Repeated
) -> TextRecord:
    rows = np.flatnonzero(usable)
    counts = characters_of(text_blocks(texts.values, None if len(rows) == len(usable) else rows))
    octets, characters, words = (int(total) for total in lengths[usable].sum(axis=0))
    documents = len(rows) if raw.documents is None else len(np.unique(raw.documents[rows]))
    return TextRecord(
        documents,
        0 if raw.documents is None else len(rows),
        octets,
        characters,
        words,
        int((counts > 0).sum()),
        script_shares(counts),
        repeated.count,
    )


def _told(texts: Texts, usable: NDArray[np.bool_]) -> str:
    blocks = text_blocks(texts.values, np.flatnonzero(usable))
    return told(text for block in blocks for text in block.to_pylist())


def _evidence(made: TextRecord) -> str:
    if made.passages:
        size = round(made.bytes / made.passages)
        return say("evidence.passages", documents=made.documents, passages=made.passages, bytes=size)
    by_words = 3 * made.words < made.characters < 12 * made.words  # a Chinese character is a word by itself
    key, total = ("evidence.words", made.words) if by_words else ("evidence.characters", made.characters)
    return say("evidence.documents", documents=made.documents, size=say(key, count=total / max(1, made.documents)))


def _choice(raw: Raw, columns: Sequence[ColumnSpec], name: str, chosen_from: int) -> list[Finding]:
    """Tell which columns are not used, one with a ready split among them, and where the text's column was a choice."""
    found = []
    if chosen_from > 1:
        message = say("doctor.longest text", column=name, count=chosen_from)
        found.append(Finding("longest_text", "note", message, name))
    for each in columns:
        if each.role == "input" and each.kind in ("category", "flag") and raw.parts is None:
            levels = labels_of(raw.arrow.column(each.name))
            names = levels.names.to_pylist()
            if is_ready_split(names):
                shown = ", ".join(f"{part} {count:,}" for part, count in zip(names, levels.counts, strict=True))
                message = say("doctor.split column", column=each.name, parts=shown)
                found.append(Finding("split_column", "left out", message, each.name))
    unused = [each.name for each in columns if each.role == "input" and each.name != name]
    if unused:
        key = "doctor.many unused" if len(unused) > _SHOWN else "doctor.unused"
        shown = ", ".join(map(repr, unused[:_SHOWN]))
        message = say(key, columns=shown, more=len(unused) - _SHOWN)
        found.append(Finding("unused", "note", message, None, count=len(unused)))
    return found

"""Lines of text laid out for a width: labelled sentences, the columns of the data, findings, and the ladder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from yunti.records import ClimbRecord, Cost, DataRecord, Finding, RungRecord, Severity, TextRecord
from yunti.specs import ColumnSpec, TaskSpec
from yunti.words import spoken, told
from yunti.words.units import bytes_text, count_text, decimals_for, scored, seconds_text

LABEL_WIDTH = 11
NAME_WIDTH = 30
MOST_FINDINGS = 12
MOST_COLUMNS = 24
MOST_REASON_LINES = 2
LEAST_SCRIPT = 0.001  # share of the letters below which a script is not shown
SEVERITY_STYLES: dict[Severity, str] = {"broken": "red", "left out": "yellow", "warning": "yellow", "note": "dim"}


_WIDE = "\u2e80-\u9fff\uff00-\uffef"  # Chinese characters and their punctuation
_OPENING, _CLOSING = "（「『《【", "，。；：、！？）」』》】…"
_PIECES = re.compile(
    rf"\s*[{_OPENING}]*(?:[^\s{_WIDE}]+|[{_WIDE}])[{_CLOSING}]*"  # what stands on one line: a word, or a character
)


def wrapped(text: str, width: int) -> list[str]:
    """Break a sentence into lines of at most `width` cells: between words, and between Chinese characters.

    A word that is longer than a line is cut.

    Example:
        >>> wrapped("two words", 5), wrapped("训练集，验证集", 8)
        (['two', 'words'], ['训练集，', '验证集'])
    """
    lines, line = [], ""
    for piece in _PIECES.findall(text):
        word = piece.strip()
        joined = f"{line} {word}" if line and piece != word else line + word
        if line and cell_len(joined) > width:
            lines.append(line)
            joined = word
        line = joined
        while cell_len(line) > width:
            head = set_cell_size(line, width).rstrip()
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line or not lines else lines


def hung(label: str, text: str, width: int, style: str = "", label_style: str = "bold") -> Iterator[Text]:
    """Lay a sentence beside its label; further lines stand under the first."""
    indent = max(LABEL_WIDTH, cell_len(label) + 2)
    lines = wrapped(text, max(20, width - indent))
    for head, line in zip_longest([label], lines, fillvalue=""):
        yield Text.assemble((set_cell_size(head, indent), label_style), (line, style))


def aligned(rows: Sequence[Sequence[str]], width: int, right: frozenset[int] = frozenset()) -> list[Text]:
    """Line up cells in columns; the last column is broken into lines where it is too long.

    Args:
        rows: cells, the same number in every row.
        width: cells of the screen.
        right: columns that stand flush right.
    """
    widths = [max(cell_len(row[index]) for row in rows) for index in range(len(rows[0]) - 1)]
    indent = 2 + sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        cells = [
            padded(cell, size, index in right) for index, (cell, size) in enumerate(zip(row, widths, strict=False))
        ]
        head = "  " + "".join(cell + "  " for cell in cells)
        for first, rest in zip_longest([head], wrapped(row[-1], max(16, width - indent)), fillvalue=""):
            lines.append(Text(set_cell_size(first, indent) + rest))
    return lines


def padded(cell: str, width: int, right: bool = False) -> str:
    """Fill a cell up to its width, Chinese characters counted twice."""
    room = " " * max(0, width - cell_len(cell))
    return room + cell if right else cell + room


def shortened(name: str, width: int = NAME_WIDTH) -> str:
    """Cut a long name."""
    return name if cell_len(name) <= width else set_cell_size(name, width - 1).rstrip() + "…"


def column_lines(columns: Sequence[ColumnSpec], width: int, most: int) -> Iterator[Text]:
    """Show the columns that are used: one a line with its evidence, or by kind where they are many."""
    used = [column for column in columns if column.role != "left out"]
    if not used:
        return
    if len(used) > most:
        yield from _folded(used, width)
        return
    rows = [(shortened(each.name), _role(each), told(each.evidence)) for each in used]
    heads = (spoken("head.column"), spoken("head.kind"), spoken("head.evidence"))
    head, *body = aligned([heads, *rows], width)
    head.stylize("bold")
    yield head
    yield from body


def _role(column: ColumnSpec) -> str:
    kind = spoken(f"kind.{column.kind}")
    return kind if column.role == "input" else spoken("data.role", kind=kind, role=spoken(f"role.{column.role}"))


def _folded(columns: Sequence[ColumnSpec], width: int) -> Iterator[Text]:
    groups: dict[str, list[str]] = {}
    for column in columns:
        groups.setdefault(_role(column), []).append(shortened(column.name))
    rows = []
    for kind, names in groups.items():
        shown, more = ", ".join(names[:8]), len(names) - 8
        rows.append((f"{len(names):,}", kind, spoken("data.more names", names=shown, more=more) if more > 0 else shown))
    heads = (spoken("head.count"), spoken("head.kind"), spoken("head.columns"))
    head, *body = aligned([heads, *rows], width, right=frozenset({0}))
    head.stylize("bold")
    yield head
    yield from body


def finding_lines(findings: Sequence[Finding], width: int, most: int = MOST_FINDINGS) -> Iterator[Text]:
    """Show what the doctor found, the gravest first."""
    for severity, style in SEVERITY_STYLES.items():
        chosen = [finding for finding in findings if finding.severity == severity]
        for finding in chosen[:most]:
            yield from hung(spoken(f"severity.{severity}"), told(finding.message), width, label_style=style)
        if len(chosen) > most:
            yield from hung("", spoken("data.more findings", more=len(chosen) - most), width, style="dim")


def data_lines(data: DataRecord, width: int, most_columns: int = MOST_COLUMNS) -> Iterator[Text]:
    """Tell how the data were understood."""
    if data.text is None:
        inputs = sum(column.role == "input" for column in data.columns)
        counts = spoken("data.all", source=data.source, rows=data.rows, inputs=inputs)
        yield from hung(spoken("label.data"), counts, width)
    else:
        yield from text_lines(data.source, data.text, width)
    yield Text()
    yield from column_lines(data.columns, width, most_columns)
    yield Text()
    yield from finding_lines(data.findings, width)
    if data.split.train:
        yield from hung(spoken("label.split"), split_sentence(data), width)


def text_lines(source: str, text: TextRecord, width: int) -> Iterator[Text]:
    """Tell what a text is made of: documents, lengths and scripts."""
    key = "data.passages" if text.passages else "data.documents"
    counts = spoken(key, source=source, documents=text.documents, passages=text.passages)
    yield from hung(spoken("label.data"), counts, width)
    lengths = {"bytes": text.bytes, "characters": text.characters, "words": text.words}
    yield from hung(spoken("label.text"), spoken("text.lengths", **lengths, distinct=text.distinct_characters), width)
    shares = [(name, share) for name, share in text.scripts.items() if share >= LEAST_SCRIPT]
    if shares:
        parts = [spoken("text.script", script=spoken(f"script.{name}"), share=share) for name, share in shares]
        yield from hung(spoken("label.scripts"), spoken("list.comma").join(parts), width)


def task_sentence(task: TaskSpec) -> str:
    """Say what is asked and what decides."""
    what = spoken("task.of", task=spoken(f"task.{task.name}"), target=task.target)
    if task.classes:
        names = ", ".join(task.classes[:6]) + (", …" if len(task.classes) > 6 else "")
        what = spoken("task.into", task=what, count=len(task.classes), names=names)
    return spoken(f"task.{task.direction}", task=what, metric=metric_name(task.metric))


def metric_name(metric: str) -> str:
    """Name a metric."""
    return spoken(f"metric.{metric}")


def machine_sentence(machine: dict[str, Any]) -> str:
    """Say what the climb runs on."""
    parts = [str(machine["processor"])] if machine.get("processor") else []
    if cores := machine.get("cores"):
        parts.append(spoken("machine.cores", count=cores))
    if memory := machine.get("memory_bytes"):
        parts.append(bytes_text(memory))
    if device := machine.get("device"):
        reason = machine.get("device_reason")
        key = "machine.device why" if reason else "machine.device"
        parts.append(spoken(key, device=device, reason=told(reason or "")))
    return spoken("list.comma").join(parts)


def split_sentence(data: DataRecord) -> str:
    """Say how many rows stand in each part, and how they were divided."""
    split = data.split
    sizes = spoken("data.split", train=split.train, valid=split.valid, test=split.test)
    return spoken("data.split how", sizes=sizes, how=told(split.how)) if split.how else sizes


def ladder_lines(record: ClimbRecord, width: int) -> Iterator[Text]:
    """Show every rung: its score with interval and its costs, or why it has none; the chosen one is marked."""
    scored = [rung.score for rung in record.rungs if rung.score]
    decimals = decimals_for((score.low, score.high) for score in scored)
    numbers = {rung.name: _cells(rung, decimals) for rung in record.rungs if rung.score}
    heads = (spoken("head.score", metric=metric_name(record.task.metric)), *_cost_heads())
    sizes = [max(map(cell_len, column)) for column in zip(heads, *numbers.values(), strict=True)]
    eras = [spoken("head.era"), *(spoken(f"era.{rung.era}") for rung in record.rungs)]
    names = [spoken("head.rung"), *(rung.name for rung in record.rungs)]
    era_width, name_width = max(map(cell_len, eras)), max(map(cell_len, names))
    sizes = _fitting(sizes, width - era_width - name_width - 8)
    head = f"  {padded(eras[0], era_width)}    {padded(names[0], name_width)}  "
    yield Text(head + _joined(heads, sizes), style="bold")
    rungs = [brief(rung, above) for rung, above in zip(record.rungs, (None, *record.rungs), strict=False)]
    for before, era, rung in zip(eras, eras[1:], rungs, strict=False):
        chosen = record.verdict is not None and record.verdict.chosen == rung.name
        shown = padded(era if era != before else "", era_width)
        head = f"  {shown}  {'→' if chosen else ' '} {padded(rung.name, name_width)}  "
        cells = _joined(numbers[rung.name], sizes) if rung.name in numbers else ""
        yield from _rung_lines(rung, head, cells, width, chosen)


def _fitting(sizes: list[int], room: int) -> list[int]:
    """Drop columns from the right, the score never, until the others fit; `climb.json` has them all."""
    while len(sizes) > 1 and sum(sizes) + 2 * (len(sizes) - 1) > room:
        sizes = sizes[:-1]
    return sizes


def _joined(cells: Sequence[str], sizes: Sequence[int]) -> str:
    return "  ".join(padded(cell, size, right=True) for cell, size in zip(cells, sizes, strict=False))


def _cells(rung: RungRecord, decimals: int) -> tuple[str, ...]:
    assert rung.score is not None
    score = scored(rung.score.valid, rung.score.low, rung.score.high, decimals)
    return (score, *(_cost_cells(rung.cost) if rung.cost else ("–",) * 4))


def _cost_heads() -> tuple[str, str, str, str]:
    return spoken("head.time"), spoken("head.memory"), spoken("head.params"), spoken("head.size")


def _cost_cells(cost: Cost) -> tuple[str, str, str, str]:
    return (
        seconds_text(cost.train_seconds),
        bytes_text(cost.peak_memory_bytes),
        count_text(cost.parameters),
        bytes_text(cost.bytes),
    )


def brief(rung: RungRecord, above: RungRecord | None) -> RungRecord:
    """Return a rung without its reason where it was left out for the same one as the rung above it on the screen."""
    repeats = above is not None and (rung.status, rung.reason) == (above.status, above.reason)
    return replace(rung, reason=spoken("line.likewise")) if repeats and rung.status == "skipped" else rung


def reason_text(rung: RungRecord) -> str:
    """Say why a rung is not simply done."""
    status, reason = spoken(f"status.{rung.status}"), told(rung.reason)
    if rung.status == "done" or not reason:
        return reason if rung.status == "done" else status
    return spoken("line.why", status=status, reason=reason)


def _rung_lines(rung: RungRecord, head: str, cells: str, width: int, chosen: bool) -> Iterator[Text]:
    style = "bold green" if chosen else "" if rung.status == "done" else "red" if rung.status == "failed" else "dim"
    why = reason_text(rung)
    note = why
    if chosen:
        note = spoken("line.chosen but", why=why) if why else spoken("line.chosen")
    indent = cell_len(head)
    if cells and cell_len(note) <= width - indent - cell_len(cells) - 2:
        yield Text(f"{head}{cells}  {note}".rstrip(), style=style)
        return
    if cells:
        yield Text(head + cells, style=style)
        head = " " * indent
    lines = wrapped(why if cells else note, max(20, width - indent - 2))  # where the arrow stands, it says "chosen"
    if len(lines) > MOST_REASON_LINES:
        lines = [*lines[: MOST_REASON_LINES - 1], lines[MOST_REASON_LINES - 1].rstrip(".") + " …"]
    for line in filter(None, lines):
        yield Text(set_cell_size(head, indent) + line, style=style)
        head = ""


def command(label: str, text: str) -> Text:
    """Show a command on one line, however long, so that it can be copied."""
    return Text.assemble((padded(label, LABEL_WIDTH), "bold"), (text, "cyan"))

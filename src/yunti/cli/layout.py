"""Lines of text laid out for a width: labelled sentences, the columns of the data, findings, and the ladder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from yunti.records import ClimbRecord, Cost, DataRecord, Finding, RungRecord, Severity
from yunti.specs import ColumnSpec, TaskSpec
from yunti.words.units import bytes_text, count_text, decimals_for, scored, seconds_text

LABEL_WIDTH = 11
NAME_WIDTH = 30
MOST_FINDINGS = 12
MOST_COLUMNS = 24
MOST_REASON_LINES = 2
COST_HEADS = ("time", "memory", "params", "size")
SEVERITY_STYLES: dict[Severity, str] = {"broken": "red", "left out": "yellow", "warning": "yellow", "note": "dim"}


def wrapped(text: str, width: int) -> list[str]:
    """Break a sentence into lines of at most `width` cells; a word that is longer is cut."""
    lines, line = [], ""
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
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
    rows = [(shortened(each.name), _role(each), each.evidence) for each in used]
    head, *body = aligned([("column", "kind", "evidence"), *rows], width)
    head.stylize("bold")
    yield head
    yield from body


def _role(column: ColumnSpec) -> str:
    return column.kind if column.role == "input" else f"{column.kind} ({column.role})"


def _folded(columns: Sequence[ColumnSpec], width: int) -> Iterator[Text]:
    groups: dict[str, list[str]] = {}
    for column in columns:
        groups.setdefault(_role(column), []).append(shortened(column.name))
    rows = []
    for kind, names in groups.items():
        more = f", … and {len(names) - 8:,} more" if len(names) > 8 else ""
        rows.append((f"{len(names):,}", kind, ", ".join(names[:8]) + more))
    head, *body = aligned([("count", "kind", "columns"), *rows], width, right=frozenset({0}))
    head.stylize("bold")
    yield head
    yield from body


def finding_lines(findings: Sequence[Finding], width: int, most: int = MOST_FINDINGS) -> Iterator[Text]:
    """Show what the doctor found, the gravest first."""
    for severity, style in SEVERITY_STYLES.items():
        chosen = [finding for finding in findings if finding.severity == severity]
        for finding in chosen[:most]:
            yield from hung(severity, finding.message, width, label_style=style)
        if len(chosen) > most:
            yield from hung("", f"and {len(chosen) - most:,} more of this kind", width, style="dim")


def data_lines(data: DataRecord, width: int, most_columns: int = MOST_COLUMNS) -> Iterator[Text]:
    """Tell how the data were understood."""
    inputs = sum(column.role == "input" for column in data.columns)
    yield from hung("data", f"{data.source}: {data.rows:,} rows, {inputs:,} input column{'s'[: inputs != 1]}", width)
    yield Text()
    yield from column_lines(data.columns, width, most_columns)
    yield Text()
    yield from finding_lines(data.findings, width)
    if data.split.train:
        yield from hung("split", split_sentence(data), width)


def task_sentence(task: TaskSpec) -> str:
    """Say what is asked and what decides."""
    what = f"{task.name} of {task.target!r}"
    if task.classes:
        names = ", ".join(task.classes[:6]) + (", …" if len(task.classes) > 6 else "")
        what += f" into {len(task.classes)} classes ({names})"
    return f"{what}; {task.metric} decides, {task.direction} is better"


def machine_sentence(machine: dict[str, Any]) -> str:
    """Say what the climb runs on."""
    parts = [str(machine["processor"])] if machine.get("processor") else []
    if cores := machine.get("cores"):
        parts.append(f"{cores} core{'s'[: cores != 1]}")
    if memory := machine.get("memory_bytes"):
        parts.append(bytes_text(memory))
    if device := machine.get("device"):
        reason = machine.get("device_reason")
        parts.append(f"networks on {device}" + (f" ({reason})" if reason else ""))
    return ", ".join(parts)


def split_sentence(data: DataRecord) -> str:
    """Say how many rows stand in each part, and how they were divided."""
    split = data.split
    sizes = f"train {split.train:,} · valid {split.valid:,} · test {split.test:,}"
    return f"{sizes} ({split.how})" if split.how else sizes


def ladder_lines(record: ClimbRecord, width: int) -> Iterator[Text]:
    """Show every rung: its score with interval and its costs, or why it has none; the chosen one is marked."""
    scored = [rung.score for rung in record.rungs if rung.score]
    decimals = decimals_for((score.low, score.high) for score in scored)
    numbers = {rung.name: _cells(rung, decimals) for rung in record.rungs if rung.score}
    heads = (f"{record.task.metric} (95 %)", *COST_HEADS)
    sizes = [max(map(cell_len, column)) for column in zip(heads, *numbers.values(), strict=True)]
    era_width = max([len("era"), *(len(rung.era) for rung in record.rungs)])
    name_width = max([len("rung"), *(cell_len(rung.name) for rung in record.rungs)])
    sizes = _fitting(sizes, width - era_width - name_width - 8)
    yield Text(f"  {'era':<{era_width}}    {'rung':<{name_width}}  {_joined(heads, sizes)}", style="bold")
    era = ""
    for rung in record.rungs:
        chosen = record.verdict is not None and record.verdict.chosen == rung.name
        told = rung.era if rung.era != era else ""
        head = f"  {told:<{era_width}}  {'→' if chosen else ' '} {padded(rung.name, name_width)}  "
        era = rung.era
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
    return (score, *(_cost_cells(rung.cost) if rung.cost else ("–",) * len(COST_HEADS)))


def _cost_cells(cost: Cost) -> tuple[str, str, str, str]:
    return (
        seconds_text(cost.train_seconds),
        bytes_text(cost.peak_memory_bytes),
        count_text(cost.parameters),
        bytes_text(cost.bytes),
    )


def _rung_lines(rung: RungRecord, head: str, cells: str, width: int, chosen: bool) -> Iterator[Text]:
    style = "bold green" if chosen else "" if rung.status == "done" else "red" if rung.status == "failed" else "dim"
    told = ": ".join(part for part in ("" if rung.status == "done" else rung.status, rung.reason) if part)
    note = "; ".join(part for part in ("chosen" if chosen else "", told) if part)
    indent = cell_len(head)
    if cells and cell_len(note) <= width - indent - cell_len(cells) - 2:
        yield Text(f"{head}{cells}  {note}".rstrip(), style=style)
        return
    if cells:
        yield Text(head + cells, style=style)
        head = " " * indent
    lines = wrapped(told if cells else note, max(20, width - indent - 2))  # where the arrow stands, it says "chosen"
    if len(lines) > MOST_REASON_LINES:
        lines = [*lines[: MOST_REASON_LINES - 1], lines[MOST_REASON_LINES - 1].rstrip(".") + " …"]
    for line in filter(None, lines):
        yield Text(set_cell_size(head, indent) + line, style=style)
        head = ""


def command(label: str, text: str) -> Text:
    """Show a command on one line, however long, so that it can be copied."""
    return Text.assemble((padded(label, LABEL_WIDTH), "bold"), (text, "cyan"))

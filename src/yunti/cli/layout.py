"""Lines of text laid out for a width: labelled sentences, the columns of the data, findings, and the ladder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from yunti.cli.units import bytes_text, count_text, decimals_for, interval_text, score_text, seconds_text
from yunti.records import ClimbRecord, Cost, DataRecord, Finding, RungRecord, Severity
from yunti.specs import ColumnSpec

LABEL_WIDTH = 11
NAME_WIDTH = 30
MOST_FINDINGS = 12
NUMBER_HEADS = ("95 % interval", "time", "memory", "params", "size")
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
    indent = max(LABEL_WIDTH, cell_len(label) + 1)
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
        cells = [padded(cell, size, index in right) for index, (cell, size) in enumerate(zip(row, widths, strict=False))]
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
    heads = (record.task.metric, *NUMBER_HEADS)
    sizes = [max(map(cell_len, column)) for column in zip(heads, *numbers.values(), strict=True)]
    era_width = max([len("era"), *(len(rung.era) for rung in record.rungs)])
    name_width = max([len("rung"), *(cell_len(rung.name) for rung in record.rungs)])
    yield Text(f"  {'era':<{era_width}}  {'rung':<{name_width}}  {_joined(heads, sizes)}", style="bold")
    era = ""
    for rung in record.rungs:
        head = f"{rung.era if rung.era != era else '':<{era_width}}  {padded(rung.name, name_width)}  "
        era = rung.era
        chosen = record.verdict is not None and record.verdict.chosen == rung.name
        cells = _joined(numbers[rung.name], sizes) if rung.name in numbers else ""
        yield from _rung_lines(rung, ("→ " if chosen else "  ") + head, cells, width, chosen)


def _joined(cells: Sequence[str], sizes: Sequence[int]) -> str:
    return "  ".join(padded(cell, size, right=True) for cell, size in zip(cells, sizes, strict=True))


def _cells(rung: RungRecord, decimals: int) -> tuple[str, ...]:
    assert rung.score is not None
    score = (score_text(rung.score.valid, decimals), interval_text(rung.score.low, rung.score.high, decimals))
    return (*score, *(_cost_cells(rung.cost) if rung.cost else ("–",) * 4))


def _cost_cells(cost: Cost) -> tuple[str, str, str, str]:
    return (
        seconds_text(cost.train_seconds),
        bytes_text(cost.peak_memory_bytes),
        count_text(cost.parameters),
        bytes_text(cost.bytes),
    )


def _rung_lines(rung: RungRecord, head: str, cells: str, width: int, chosen: bool) -> Iterator[Text]:
    style = "bold green" if chosen else "" if rung.status == "done" else "red" if rung.status == "failed" else "dim"
    note = "chosen" if chosen else "" if rung.status == "done" else rung.status
    reason = f"{note}: {rung.reason}" if note and rung.reason else note or rung.reason
    indent = cell_len(head)
    room = width - indent - cell_len(cells) - 2
    if cells and cell_len(reason) <= room:
        yield Text(f"{head}{cells}  {reason}".rstrip(), style=style)
        return
    if cells:
        yield Text(head + cells, style=style)
        if chosen and not rung.reason:  # the arrow says it
            return
        head = " " * indent
    for first, rest in zip_longest([head], wrapped(reason, max(20, width - indent)), fillvalue=" " * indent):
        yield Text(set_cell_size(first, indent) + rest, style=style)

"""Files of prompts: one a line, or in a column named `prompt`."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Final

from yunti.data.encoding import as_utf8
from yunti.data.files import reading, unpack
from yunti.errors import ColumnError, SourceError, nearest

COLUMN: Final = "prompt"
ENDINGS: Final = (".txt", ".jsonl", ".csv")
_CELL: Final = 1 << 24  # characters of a cell


def read_prompts(source: str) -> list[str]:
    """Read the prompts of a file: .txt one a line, .jsonl with "prompt" in each object, .csv with a column `prompt`.

    Lines without anything are passed over; a row whose prompt is empty is a text from nothing. A CSV file without a
    column `prompt` may have one column of texts.

    Args:
        source: the file, perhaps packed, in any encoding that tables may have.

    Raises:
        SourceError: it cannot be read, or holds no prompts.
        ColumnError: it does not say which column holds them.
    """
    path = Path(source)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        got = f"{path.suffix!r} does not" if path.suffix else "it has none"
        raise SourceError(source, "the ending of a file of prompts must name a form", got, nearest(ending, ENDINGS))
    with tempfile.TemporaryDirectory(prefix="yunti-") as workspace:
        text = as_utf8(unpack(path, source, Path(workspace)), source, Path(workspace))
        with reading(source):
            content = text.path.read_bytes()[text.start :].decode(errors="replace")
    found = {".txt": _lines, ".jsonl": _objects, ".csv": _cells}[ending](content, source)
    if not found:
        raise SourceError(source, "it must hold prompts", "there is none", "write one a line")
    return found


def _lines(content: str, _source: str) -> list[str]:
    return [line for line in content.replace("\r\n", "\n").split("\n") if line.strip()]


def _objects(content: str, source: str) -> list[str]:
    prompts = []
    mend = f'write one object a line, such as {{"{COLUMN}": "Once upon a time"}}'
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise SourceError(f"{source}, line {number}", "it must be JSON", "it is not", mend) from error
        if not isinstance(row, dict) or not isinstance(row.get(COLUMN), str):
            names = ", ".join(row) if isinstance(row, dict) else "no object"
            got = f"there is {names or 'nothing'}"
            raise ColumnError(f"{source}, line {number}", f'it must hold "{COLUMN}" with a text', got, mend)
        prompts.append(row[COLUMN])
    return prompts


def _cells(content: str, source: str) -> list[str]:
    csv.field_size_limit(_CELL)
    try:
        heads, *rows = [row for row in csv.reader(io.StringIO(content, newline=""), strict=True) if any(row)] or [[]]
    except csv.Error as error:
        raise SourceError(source, "it must be CSV", str(error), "mend it, or save it anew") from error
    place = _column(heads, rows, source)
    return [row[place] if len(row) > place else "" for row in rows]


def _column(heads: list[str], rows: list[list[str]], source: str) -> int:
    if COLUMN in heads:
        return heads.index(COLUMN)
    texts = [
        place for place in range(len(heads)) if not all(_is_number(row[place]) for row in rows if place < len(row))
    ]
    if len(texts) == 1:
        return texts[0]
    mend = f"name the column of prompts {COLUMN!r}; {nearest(COLUMN, heads)}" if heads else "write a head and rows"
    got = f"there are {', '.join(heads)}" if heads else "it is empty"
    raise ColumnError(source, f"it must have a column {COLUMN!r}, or only one of texts", got, mend)


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True

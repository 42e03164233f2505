"""Writes a table of predictions in the form that the file's ending names, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from yunti.errors import OptionError, nearest

ENDINGS = (".csv", ".jsonl", ".parquet")
BATCH_ROWS = 10_000


def check_output(out: str | None, endings: Sequence[str] = ENDINGS) -> None:
    """Hold that rows can be written there, before time is spent on making them.

    Args:
        out: the file; None for the screen.
        endings: that it may have.

    Raises:
        OptionError: the ending is unknown, the folder is missing, or it is a folder itself.
    """
    if out is None:
        return
    path = Path(out)
    if path.suffix.lower() not in endings:
        got = f"{path.suffix!r} does not" if path.suffix else "it has none"
        raise OptionError(f"-o {out}", "its ending must name a form", got, nearest(path.suffix, endings))
    if path.is_dir():
        raise OptionError(f"-o {out}", "it must be a file", "it is a folder", "name a file in it")
    if not path.parent.is_dir():
        raise OptionError(f"-o {out}", "its folder must be there", f"{path.parent} is not", "make the folder first")


def write_table(table: Any, out: str | None) -> None:
    """Write an Arrow table to a file by its ending, or as CSV to standard output.

    Raises:
        OptionError: the file cannot be written.
    """
    if out is None:
        sys.stdout.flush()
        _write_csv(table, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    path = Path(out)
    temporary = path.with_name(f".{path.name}.part")
    write = {".csv": _write_csv, ".jsonl": _write_json_lines, ".parquet": _write_parquet}[path.suffix.lower()]
    try:
        with temporary.open("wb") as file:
            write(table, file)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise OptionError(f"-o {out}", "the file must be writable", reason, "write to another place") from error


def _write_csv(table: Any, file: BinaryIO) -> None:
    # pyarrow's own writer puts quotes around every string and every name; readers of CSV expect them where needed.
    import pyarrow as pa

    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    for batch in table.to_batches(BATCH_ROWS):
        writer.writerows(zip(*(column.cast(pa.large_string()).to_pylist() for column in batch.columns), strict=True))
    text.detach()


def _write_json_lines(table: Any, file: BinaryIO) -> None:
    for batch in table.to_batches(BATCH_ROWS):
        for row in batch.to_pylist():
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def _write_parquet(table: Any, file: BinaryIO) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file)

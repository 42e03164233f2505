"""Sources made by hand for the tests of the data stages."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from yunti.data.dataset import DataOptions, Dataset, Look, look, prepare
from yunti.data.raw import Raw
from yunti.records import Finding


def raw_of(columns: Mapping[str, Any], **more: Any) -> Raw:
    """Rows as a reader would give them: strings become large_string, as from CSV."""
    arrays = {}
    for name, values in columns.items():
        plain = isinstance(values, pa.Array | pa.ChunkedArray)
        text = not plain and all(value is None or isinstance(value, str) for value in values)
        arrays[name] = values if plain else pa.array(list(values), pa.large_string() if text else None)
    return Raw("table.csv", pa.table(arrays), **more)


def write_csv(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns as a CSV file; None becomes an empty field."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(
            ["" if value is None else value for value in row] for row in zip(*columns.values(), strict=True)
        )
    return path


def prepared(source: object, folder: Path, **options: Any) -> Dataset:
    """Prepare a source in a new folder."""
    return prepare(source, DataOptions(**options), folder / "prepared", lambda _stage, _fraction: None)


def looked(source: object, **options: Any) -> Look:
    """Look at a source."""
    return look(source, DataOptions(**options))


def found(look: Look, code: str, column: str | None = None) -> list[Finding]:
    """The findings of one check."""
    return [each for each in look.data.findings if each.code == code and column in (None, each.column)]

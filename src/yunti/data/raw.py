"""What a source holds before anything is understood: values as they stand in the file, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.chats.layout import Layout
from yunti.specs import Kind, TaskName


@final
@dataclass(frozen=True)
class BrokenRow:
    """A row that could not be read: set aside in `quarantine.jsonl`, with the reason.

    Args:
        file: the file it stands in.
        row: its number among the file's data rows, 1-based.
        reason: one clause: what was found.
        text: the raw row, shortened.
    """

    file: str
    row: int
    reason: str
    text: str = ""


@final
@dataclass(frozen=True, eq=False)
class Raw:
    """Rows as they stand in the source; columns are in `arrow` or, for pictures and numbered arrays, in `arrays`.

    Args:
        source: the source as the user named it; used in messages.
        arrow: columns of scalars, strings and lists. From CSV every column is large_string, exactly as written (an
            empty field is null); JSON lines, Parquet, Arrow and data frames keep their types.
        arrays: columns that are arrays: pictures as uint8 (rows, height, width) or (rows, height, width, channels);
            sequences as float32 (rows, steps, channels), padded with NaN at the end.
        hints: kinds that the source itself tells (a folder of pictures: its column is an image).
        folder: relative paths of pictures and sounds resolve against it.
        target: the source's own name for the target, if it has one ("label" for folders of classes).
        parts: a ready split that the source itself brings: "train", "valid" or "test" for every row.
        files: the files that the rows came from.
        file_of: for every row its place in `files`; None means all in the first.
        row_of: for every row its 1-based number among the file's data rows; None means 1, 2, 3, ...
        broken: rows that could not be read.
        notes: what was assumed while reading, one clause each ("read as cp1252, since its bytes are not UTF-8").
        task: what a source asks by itself: running text asks for its next token.
        documents: for every row the number of the document that it is a passage of, rising with the rows; None means
            that every row is a document of its own.
        chats: where the conversations stood, which are now the texts of one column, as `yunti.data.chats.turns` writes
            them.
    """

    source: str
    arrow: pa.Table
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    hints: Mapping[str, Kind] = field(default_factory=dict)
    folder: Path = Path()
    target: str | None = None
    parts: NDArray[np.str_] | None = None
    files: tuple[str, ...] = ()
    file_of: NDArray[np.int32] | None = None
    row_of: NDArray[np.int64] | None = None
    broken: tuple[BrokenRow, ...] = ()
    notes: tuple[str, ...] = ()
    task: TaskName | None = None
    documents: NDArray[np.int64] | None = None
    chats: Layout | None = None

    def __len__(self) -> int:
        if self.arrow.num_columns:
            return int(self.arrow.num_rows)
        return next((len(values) for values in self.arrays.values()), 0)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, those of `arrow` first."""
        return (*self.arrow.column_names, *self.arrays)

    def place(self, index: int) -> tuple[str, int]:
        """Say which file a row (0-based) came from and its number there (1-based)."""
        file = self.files[int(self.file_of[index])] if self.file_of is not None else (*self.files, self.source)[0]
        return file, int(self.row_of[index]) if self.row_of is not None else index + 1

"""Columns in files of a folder, and back as memory-mapped arrays; nothing is held twice in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.table import Categories, Column, Images, Numbers, Ragged, Texts

PartPath = Callable[[str], Path]
Storage = Literal["numbers", "categories", "texts", "images", "ragged"]
_BLOCK_BYTES = 32 << 20


@final
@dataclass(frozen=True)
class Stored:
    """Where a column's files are: `folder/<place>.<part>.npy`, and how they are to be understood."""

    name: str
    place: int
    storage: Storage


@final
class StoredColumns(Mapping[str, Column]):
    """Columns in files, opened when they are asked for.

    Args:
        folder: where the files are.
        stored: the columns.
        rows: the rows that are shown.
        stay_open: whether an opened column stays open; if not, its pages need no memory once it is not in use.
    """

    def __init__(self, folder: Path, stored: tuple[Stored, ...], rows: slice, *, stay_open: bool) -> None:
        self.folder, self._rows, self._stay_open = folder, rows, stay_open
        self._stored = {each.name: each for each in stored}
        self._open: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        if name in self._open:
            return self._open[name]
        column = self.fresh(name)
        if self._stay_open:
            self._open[name] = column
        return column

    def fresh(self, name: str) -> Column:
        """Open a column anew: the pages that are read of it are given back with it."""
        return open_column(self.folder, self._stored[name]).take(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def write_column(folder: Path, name: str, place: int, column: Column, order: NDArray[np.int64] | None = None) -> Stored:
    """Write a column.

    Args:
        folder: where to.
        name: the column's name.
        place: its number, which its files are named by.
        column: the values.
        order: the rows to write, in this order; None writes all as they stand.
    """
    path = part_path(folder, place)
    match column:
        case Numbers(values):
            write_rows(path("values"), values, order)
        case Categories(codes, names):
            write_rows(path("codes"), codes, order)
            path("names").with_suffix(".json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")
        case Texts(values):
            write_texts(path, text_blocks(values, order))
        case Images(pixels, present):
            write_rows(path("pixels"), pixels, order)
            write_rows(path("present"), present, order)
        case Ragged():
            _write_ragged(path, column, order)
    return Stored(name, place, storage_of(column))


def storage_of(column: Column) -> Storage:
    """Say how a column is stored."""
    match column:
        case Numbers():
            return "numbers"
        case Categories():
            return "categories"
        case Texts():
            return "texts"
        case Images():
            return "images"
        case Ragged():
            return "ragged"


def open_column(folder: Path, stored: Stored) -> Column:
    """Open a column that `write_column` wrote; its arrays are memory-mapped."""
    path = part_path(folder, stored.place)
    match stored.storage:
        case "numbers":
            return Numbers(read_rows(path("values")))
        case "categories":
            names = json.loads(path("names").with_suffix(".json").read_text(encoding="utf-8"))
            return Categories(read_rows(path("codes")), tuple(names))
        case "texts":
            return Texts(open_texts(path))
        case "images":
            return Images(read_rows(path("pixels")), read_rows(path("present")))
        case "ragged":
            return Ragged(read_rows(path("steps")), read_rows(path("offsets")))


def open_texts(path: PartPath) -> pa.LargeStringArray:
    """Open texts that `write_texts` wrote."""
    valid, offsets, letters = (pa.py_buffer(read_rows(path(part))) for part in ("valid", "offsets", "bytes"))
    return pa.LargeStringArray.from_buffers(len(offsets) // 8 - 1, offsets, letters, valid)


def new_rows(path: Path | None, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Make an array of zeros to be filled: in a file, or in memory where there is no path (or no row)."""
    if path is None or 0 in shape:
        return np.zeros(shape, dtype=dtype)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)


def write_rows(path: Path, values: NDArray[Any], order: NDArray[np.int64] | None = None) -> None:
    """Write rows of an array as .npy, block by block."""
    rows = len(values) if order is None else len(order)
    with path.open("wb") as file:
        write_header(file, values.dtype, (rows, *values.shape[1:]))
        step = max(1, _BLOCK_BYTES // max(1, values[:1].nbytes))
        for start in range(0, rows, step):
            stop = min(rows, start + step)
            block = values[start:stop] if order is None else values[order[start:stop]]
            np.ascontiguousarray(block).tofile(file)


def write_header(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Begin a .npy file whose values follow; numpy leaves room in the head, so that a longer shape fits later."""
    head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, head)
    file.flush()


def read_rows(path: Path) -> NDArray[Any]:
    """Open a .npy file memory-mapped; an empty one, which cannot be mapped, is read."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
    if 0 in shape:
        return np.zeros(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)


def text_blocks(values: pa.LargeStringArray, order: NDArray[np.int64] | None) -> Iterator[pa.LargeStringArray]:
    """Give the texts in an order, in blocks of about 32 MiB."""
    rows = len(values) if order is None else len(order)
    step = max(1, int(_BLOCK_BYTES / max(1.0, values.nbytes / max(1, len(values)))))
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        yield values.slice(start, stop - start) if order is None else values.take(pa.array(order[start:stop]))


def write_texts(path: PartPath, blocks: Iterable[pa.LargeStringArray]) -> None:
    """Write texts block by block; an empty one counts as missing."""
    lengths, valid = [np.zeros(1, dtype=np.int64)], [np.zeros(0, dtype=np.bool_)]
    total = 0
    with path("bytes").open("wb") as file:
        write_header(file, np.dtype(np.uint8), (0,))
        for block in blocks:
            ends = _offsets(block)
            np.frombuffer(block.buffers()[2] or b"", dtype=np.uint8)[ends[0] : ends[-1]].tofile(file)
            lengths.append(np.diff(ends))
            valid.append(lengths[-1] > 0)
            total += int(ends[-1] - ends[0])
        file.seek(0)
        write_header(file, np.dtype(np.uint8), (total,))
    write_rows(path("offsets"), np.cumsum(np.concatenate(lengths)))
    write_rows(path("valid"), np.packbits(np.concatenate(valid), bitorder="little"))


def _offsets(values: pa.LargeStringArray) -> NDArray[np.int64]:
    if len(values) == 0:
        return np.zeros(1, dtype=np.int64)
    return np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + len(values) + 1]


def _write_ragged(path: PartPath, ragged: Ragged, order: NDArray[np.int64] | None) -> None:
    chosen = np.arange(len(ragged)) if order is None else order
    lengths = ragged.lengths[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    write_rows(path("offsets"), offsets)
    row_bytes = max(1, ragged.values[:1].nbytes)
    with path("steps").open("wb") as file:
        write_header(file, ragged.values.dtype, (int(offsets[-1]), *ragged.values.shape[1:]))
        start = 0
        while start < len(chosen):
            stop = int(np.searchsorted(offsets, offsets[start] + _BLOCK_BYTES // row_bytes, side="right")) - 1
            stop = min(len(chosen), max(start + 1, stop))
            part = ragged.take(chosen[start:stop])
            np.ascontiguousarray(part.values).tofile(file)
            start = stop


def part_path(folder: Path, place: int) -> PartPath:
    """Name the files of the column at a place by the part they hold."""
    return lambda part: folder / f"{place:04d}.{part}.npy"

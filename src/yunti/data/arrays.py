"""Named NumPy arrays (.npz files, dictionaries of arrays): columns, ready splits, pictures and sequences."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.axes import understand
from yunti.data.files import first_bytes, new_file, reading, unpack, what_it_is
from yunti.data.raw import Raw
from yunti.data.spill import must_differ
from yunti.errors import SourceError
from yunti.specs import Kind
from yunti.words import say

PARTS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid"}
PARTS |= {"test": "test", "testing": "test"}
_TARGETS = ("y", "label", "labels", "target", "targets", "class", "classes")
_WITH_PART = re.compile(
    rf"^(?:(?P<first>{'|'.join(PARTS)})[_.\- ](?P<rest>.+)|(?P<base>.+)[_.\- ](?P<last>{'|'.join(PARTS)}))$"
)
_SHORT = re.compile(r"^(?:(?P<base>[xy])(?P<last>train|valid|val|test)|(?P<first>train|valid|val|test)(?P<rest>[xy]))$")


def read_npz(path: Path, name: str, workspace: Path) -> Raw:
    """Read a file of named arrays; nothing in it is unpickled.

    Args:
        path: the file.
        name: the file as the user named it.
        workspace: a folder for memory-mapped arrays.

    Raises:
        SourceError: it is damaged, holds pickled objects, or its arrays do not belong together.
    """
    plain = unpack(path, name, workspace)
    if not first_bytes(plain, name).startswith(b"PK"):
        known = what_it_is(first_bytes(plain, name))
        got = f"it looks like {known}" if known else "its first bytes are not those of one"
        raise SourceError(name, "it must be a file of NumPy arrays", got, "write it by numpy.savez")
    arrays = {}
    try:
        with reading(name), zipfile.ZipFile(plain) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    arrays[member.removesuffix(".npy")] = _member(archive, member, name, workspace)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        got = f"it is cut off or damaged ({str(error).rstrip('.')})"
        raise SourceError(name, "it must be a whole file of NumPy arrays", got, "fetch or write it again") from error
    return read_arrays(name, arrays, workspace)


def _member(archive: zipfile.ZipFile, member: str, name: str, workspace: Path) -> NDArray[Any]:
    target = new_file(workspace, "array", ".npy")
    with archive.open(member) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 22)
    where = f"{name}, array {member.removesuffix('.npy')!r}"
    try:
        with target.open("rb") as file:
            shape, _, kind = _header(file)
        if kind.hasobject:
            mend = "save numbers or strings, such as numpy.array(values, dtype=str)"
            raise SourceError(where, "it must be numbers or strings", "it holds pickled Python objects", mend)
        mapped = 0 not in shape and len(shape) > 0
        array: NDArray[Any] = np.load(target, mmap_mode="r" if mapped else None, allow_pickle=False)
    except ValueError as error:
        raise SourceError(where, "it must be a whole NumPy array", str(error), "write it again") from error
    return array


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, kind = read(file)
    return shape, fortran, kind


def read_arrays(name: str, arrays: Mapping[str, NDArray[Any]], workspace: Path) -> Raw:
    """Put named arrays into columns.

    Names such as x_train, train_x, X_test or images_valid are a ready split of one column; else every array is a
    column. What a column with several numbers a row is (numbers, a sequence, a picture) is decided in `axes`.

    Args:
        name: the source as the user named it.
        arrays: shape (rows, ...) each.
        workspace: a folder for memory-mapped arrays.

    Raises:
        SourceError: arrays of one part differ in rows, a part lacks an array, or an array cannot be a column.
    """
    notes = [say("reading.single value", name=key) for key, values in arrays.items() if not values.ndim]
    parts = _parts({key: values for key, values in arrays.items() if values.ndim})
    order = [part for part in ("", "train", "valid", "test") if part in parts]
    if not order:
        raise SourceError(name, "it must hold arrays with a row for each example", "it holds none", "save named arrays")
    rows = [_rows(parts[part], part, name) for part in order]
    _must_have_the_same(parts, order, name)
    made: dict[str, pa.Array] = {}
    kept: dict[str, NDArray[Any]] = {}
    target = next((base for known in _TARGETS for base in parts[order[0]] if base.lower() == known), None)
    for base in parts[order[0]]:
        pieces = [parts[part][base] for part in order]
        column = understand(base, pieces, target=base == target, source=name, workspace=workspace)
        made.update(column.scalars)
        kept.update(column.arrays)
        notes += column.notes
    must_differ([*made, *kept], name)
    ready = np.repeat(np.array(order), rows) if order != [""] else None
    known = target if target in made else None
    hints: dict[str, Kind] = {key: "image" if values.dtype == np.uint8 else "sequence" for key, values in kept.items()}
    return Raw(name, pa.table(made), kept, hints, target=known, parts=ready, files=(name,), notes=tuple(notes))


def _parts(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """Sort arrays by the part that their names tell; all are of no part where none is for training.

    A file of one part alone (x_test, y_test) has the columns that a file of all parts has (x, y).
    """
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in arrays.items():
        part, base = part_of(name)
        parts.setdefault(part, {})[base] = values
    if "train" in parts:
        return parts
    alone = next(iter(parts.values())) if len(parts) == 1 else dict(arrays)
    return {"": alone} if arrays else {}


def part_of(name: str) -> tuple[str, str]:
    """Divide an array's name into the part that it tells and the rest.

    Example:
        >>> part_of("X_train"), part_of("test_images"), part_of("latest")
        (('train', 'X'), ('test', 'images'), ('', 'latest'))
    """
    low = name.lower()
    match = _WITH_PART.match(low) or _SHORT.match(low)
    if not match:
        return (PARTS[low], "x") if low in PARTS else ("", name)
    if match["first"]:
        return PARTS[match["first"]], name[match.start("rest") :]
    return PARTS[match["last"]], name[: match.end("base")]


def _rows(arrays: Mapping[str, NDArray[Any]], part: str, name: str) -> int:
    lengths = {key: len(values) for key, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        (first, one), (second, other) = next((a, b) for a in lengths.items() for b in lengths.items() if a[1] != b[1])
        got = f"{first!r} has {one} and {second!r} has {other}" + (f" in {part}" if part else "")
        raise SourceError(name, "all arrays must have the same number of rows", got, "save only arrays of equal length")
    rows = next(iter(lengths.values()))
    if not rows:
        raise SourceError(
            name, "it must hold rows", f"its arrays{f' of {part}' if part else ''} are empty", "fill them"
        )
    return rows


def _must_have_the_same(parts: Mapping[str, Mapping[str, Any]], order: Sequence[str], name: str) -> None:
    if "" in parts and len(order) > 1:
        extra = next(iter(parts[""]))
        got = f"{extra!r} is of no part"
        raise SourceError(name, "every array must belong to train, valid or test", got, f"leave out {extra!r}")
    for part in order[1:]:
        for base in {*parts[order[0]], *parts[part]}:
            lacking = next((each for each in (order[0], part) if base not in parts[each]), None)
            if lacking:
                got = f"{lacking} has no {base!r}"
                raise SourceError(name, "all parts must have the same arrays", got, f"save {base}_{lacking} too")

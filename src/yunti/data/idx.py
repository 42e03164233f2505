"""Folders with the IDX files of MNIST and the sets of its form: pictures, labels, and their own split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.axes import understand
from yunti.data.files import reading, unpack
from yunti.data.raw import Raw
from yunti.errors import SourceError

# http://yann.lecun.com/exdb/mnist/, "The IDX file format"
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"(?P<part>train|t10k|test).*?(?P<what>images|labels)[.\-_]?idx(?P<axes>\d)", re.IGNORECASE)
_FILES = (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels"))


def find_idx(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the IDX files of a folder by part and content; empty if there are none."""
    found = {}
    for path in sorted(folder.iterdir()):
        if match := _NAME.search(path.name):
            part = "train" if match["part"].lower() == "train" else "test"
            found[part, match["what"].lower()] = path
    return found


def read_idx_folder(found: dict[tuple[str, str], Path], name: str, workspace: Path) -> Raw:
    """Read the four files of pictures and labels.

    Args:
        found: the files by part and content, see `find_idx`.
        name: the folder as the user named it.
        workspace: a folder for memory-mapped arrays.

    Raises:
        SourceError: a file is missing, damaged, or does not belong to the others.
    """
    missing = [f"{part} {what}" for part, what in _FILES if (part, what) not in found]
    if missing:
        got = f"the {missing[0]} are missing"
        raise SourceError(name, "a folder of IDX files must hold four of them", got, "add that file")
    arrays = {key: read_idx(found[key], f"{name}/{found[key].name}", workspace) for key in _FILES}
    for part in ("train", "test"):
        images, labels = arrays[part, "images"], arrays[part, "labels"]
        if len(images) != len(labels) or labels.ndim != 1 or images.ndim not in (3, 4):
            file = f"{name}/{found[part, 'labels'].name}"
            got = f"there are labels of shape {labels.shape} and pictures of shape {images.shape}"
            raise SourceError(file, "every picture must have one label", got, "fetch both files again")
    pieces = [arrays["train", "images"], arrays["test", "images"]]
    pictures = understand("image", pieces, target=False, source=name, workspace=workspace).arrays
    labels = np.concatenate([arrays["train", "labels"], arrays["test", "labels"]]).astype(np.int64)
    sizes = [len(piece) for piece in pieces]
    return Raw(
        name,
        pa.table({"label": labels}),
        pictures,
        hints={"image": "image"},
        target="label",
        parts=np.repeat(np.array(["train", "test"]), sizes),
        files=tuple(f"{name}/{found[part, 'images'].name}" for part in ("train", "test")),
        file_of=np.repeat(np.arange(2, dtype=np.int32), sizes),
        row_of=np.concatenate([np.arange(1, size + 1) for size in sizes]),
    )


def read_idx(path: Path, name: str, workspace: Path) -> NDArray[Any]:
    """Read one IDX file, perhaps packed, memory-mapped.

    Raises:
        SourceError: its first four bytes are not those of an IDX file, or its size is not what they say.
    """
    plain = unpack(path, name, workspace)
    with reading(name), plain.open("rb") as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= 4:
            got = f"it begins with {magic.hex(' ')}"
            raise SourceError(name, "an IDX file must begin with 00 00, a type and its axes", got, "fetch it again")
        sizes = np.frombuffer(file.read(4 * magic[3]), dtype=">u4")
    kind = np.dtype(_TYPES[magic[2]])
    shape = tuple(int(size) for size in sizes)
    expected = 4 + 4 * magic[3] + int(np.prod(shape, dtype=object)) * kind.itemsize
    got_bytes = plain.stat().st_size
    if len(shape) != magic[3] or got_bytes != expected or 0 in shape:
        must = f"it must have {expected:,} bytes for the shape {shape}"
        raise SourceError(name, must, f"it has {got_bytes:,}", "fetch it again")
    return np.memmap(plain, dtype=kind, mode="r", offset=4 + 4 * magic[3], shape=shape)

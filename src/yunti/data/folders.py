"""Folders of pictures or sounds with one sub-folder a class, perhaps below train, valid and test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa

from yunti.data.arrays import PARTS
from yunti.data.files import reading
from yunti.data.raw import Raw
from yunti.errors import SourceError
from yunti.specs import Kind

_IMAGES = frozenset(
    [".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".pbm"]
)
_SOUNDS = frozenset([".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".w64", ".caf"])
_MEND = "sort the files into one sub-folder a class, or give a table with a column of their names"


@final
@dataclass(frozen=True)
class _Found:
    """A picture or sound: its path within the folder, its class and its part (empty if the folder tells none)."""

    path: str
    label: str
    part: str


def media_kind(name: str) -> Kind | None:
    """Say whether a file's ending is that of a picture or of a sound."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122  (a folder may hold a million files)
    return "image" if ending in _IMAGES else "audio" if ending in _SOUNDS else None


def holds_media(folder: Path) -> bool:
    """Say whether a folder or one below it holds a picture or a sound."""
    return any(media_kind(name) for _, _, names in os.walk(folder) for name in names)


def read_class_folders(folder: Path, name: str) -> Raw:
    """Read a folder of classes: a column of paths, `image` or `audio`, and the target `label`.

    Args:
        folder: the folder.
        name: the folder as the user named it.

    Raises:
        SourceError: files do not lie in sub-folders of classes, or pictures and sounds are mixed.
    """
    with reading(name):
        folders = _sub_folders(folder)
        parts = [each for each in folders if each.name.lower() in PARTS]
        if len(parts) == len(folders) and any(PARTS[each.name.lower()] == "train" for each in parts):
            found = [one for part in parts for one in _classes(part, folder, name, PARTS[part.name.lower()])]
        else:
            _must_not_be_half_split(folders, name)
            found = _classes(folder, folder, name, "")
    kind = _one_kind(found, name)
    columns = {kind: [one.path for one in found], "label": [one.label for one in found]}
    try:
        table = pa.table({key: pa.array(values, pa.large_string()) for key, values in columns.items()})
    except UnicodeEncodeError as error:
        bad = next(one.path for one in found if not one.path.isprintable())
        got = f"{bad.encode('utf-8', 'replace').decode()!r} is not"
        raise SourceError(name, "file names must be UTF-8", got, "rename that file") from error
    ready = np.array([one.part for one in found]) if found[0].part else None
    return Raw(name, table, hints={kind: kind}, folder=folder, target="label", parts=ready, files=(name,))


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(
        each
        for each in folder.iterdir()
        if each.is_dir() and not each.name.startswith((".", "__")) and holds_media(each)
    )


def _must_not_be_half_split(folders: Sequence[Path], name: str) -> None:
    parts = {PARTS[each.name.lower()] for each in folders if each.name.lower() in PARTS}
    if {"train", "test"} <= parts:
        other = next(each.name for each in folders if each.name.lower() not in PARTS)
        got = f"it also holds {other!r}"
        raise SourceError(name, "beside train and test a folder may only hold valid", got, f"move {other!r} elsewhere")


def _classes(top: Path, folder: Path, name: str, part: str) -> list[_Found]:
    loose = sum(1 for each in top.iterdir() if each.is_file() and media_kind(each.name))
    where = f"{name}/{top.name}" if part else name
    found = [
        _Found(path.relative_to(folder).as_posix(), each.name, part)
        for each in _sub_folders(top)
        for path in _media(each)
    ]
    if loose or not found:
        got = f"{loose:,} files lie in it directly" if loose else "there are none"
        raise SourceError(where, "pictures or sounds must lie in one sub-folder a class", got, _MEND)
    return found


def _media(folder: Path) -> list[Path]:
    return sorted(
        Path(top, name)
        for top, _, names in os.walk(folder)
        for name in names
        if media_kind(name) and not name.startswith(".")
    )


def _one_kind(found: Sequence[_Found], name: str) -> Kind:
    first: dict[Kind, str] = {}
    for one in found:
        if kind := media_kind(one.path):
            first.setdefault(kind, one.path)
    if len(first) > 1:
        got = f"it holds {' and '.join(first.values())}"
        raise SourceError(name, "it must hold either pictures or sounds", got, "give one folder for each")
    return next(iter(first))

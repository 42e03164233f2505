"""A bundle as one `.yunti` file: a zip file whose bytes depend on nothing but the parts."""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from yunti.bundle.guard import CHUNK_BYTES, HEADER, HEADER_BYTES, Part, check_names
from yunti.errors import BundleError

ENDING = ".yunti"
FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can hold: the same parts give the same bytes
PACKED = (".json", ".txt", ".md")  # numbers hardly shrink, and unpacking them takes longer than reading
MOST_SHRUNK = (
    100  # a part that would shrink more is stored as it is, so that a reader can refuse what is packed tighter
)
SLACK_BYTES = 1 << 20
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError
)  # fmt: skip


def pack(folder: Path, file: Path) -> None:
    """Write the parts of a bundle's folder into one file: the header first, then the others by name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = sorted((path.relative_to(folder).as_posix() for path in paths), key=lambda name: (name != HEADER, name))
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name in names:
            info = zipfile.ZipInfo(name, FIRST_DAY)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3  # Unix, also where it is made on another system
            info.compress_type = _method(folder / name)
            info.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)


def _method(path: Path) -> int:
    if path.suffix not in PACKED:
        return zipfile.ZIP_STORED
    packer, size = zlib.compressobj(1), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            size += len(packer.compress(chunk))
    size += len(packer.flush())
    shrinks = path.stat().st_size / max(size, 1)
    return zipfile.ZIP_DEFLATED if shrinks < MOST_SHRUNK / 4 else zipfile.ZIP_STORED


def unpack(where: str, file: Path, folder: Path, parts_of: Callable[[bytes], Mapping[str, Part]]) -> None:
    """Write the parts of a `.yunti` file into a folder, after their names and sizes were checked.

    Args:
        where: the bundle, for messages.
        file: the `.yunti` file.
        folder: an empty folder.
        parts_of: reads the list of parts out of the header's bytes.

    Raises:
        BundleError: not a zip file, cut off, or with parts that are not listed, larger than listed or packed too tight.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _entries(where, archive)
            if HEADER not in entries and _begins_with_header(file):  # what was found is the directory of an inner file
                raise zipfile.BadZipFile("its directory is missing")
            if HEADER not in entries:
                raise BundleError(where, f"a bundle has a {HEADER!r}", "there is none", "name a file that yunti saved")
            header = archive.read(entries[HEADER])
            parts = parts_of(header)
            _check_sizes(where, entries, parts, folder)
            (folder / HEADER).write_bytes(header)
            for name in parts:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entries[name]) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK_BYTES)
    except UNREADABLE as error:
        raise BundleError(
            where, "it must be a whole bundle file", f"it is damaged or cut off ({error})", "fetch it again"
        ) from error


def _entries(where: str, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in entries:
            raise BundleError(where, "every part must be there once", f"{info.filename!r} is twice", "do not use it")
        plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG) and not info.flag_bits & 0x1
        if not plain or info.is_dir() or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            got = f"{info.filename[:80]!r} is a link, a folder, encrypted or packed in another way"
            raise BundleError(where, "every part must be a plain file", got, "do not use it")
        if info.file_size > MOST_SHRUNK * info.compress_size + SLACK_BYTES:
            got = f"{info.filename[:80]!r} grows from {info.compress_size:,} to {info.file_size:,} bytes"
            raise BundleError(where, f"no part may grow more than {MOST_SHRUNK} times", got, "do not use it")
        entries[info.filename] = info
    if HEADER in entries and entries[HEADER].file_size > HEADER_BYTES:
        got = f"it has {entries[HEADER].file_size:,} bytes"
        raise BundleError(where, f"{HEADER!r} must be under {HEADER_BYTES:,} bytes", got, "do not use it")
    return entries


def _begins_with_header(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(30 + len(HEADER)).endswith(HEADER.encode())  # 30 bytes of a local file header, then its name


def _check_sizes(where: str, entries: Mapping[str, zipfile.ZipInfo], parts: Mapping[str, Part], folder: Path) -> None:
    check_names(where, parts)
    for name in sorted({*entries} - {*parts, HEADER}):
        got = f"{name[:80]!r} was put there"
        raise BundleError(where, "it must hold nothing but its parts", got, "do not use it")
    for name, part in parts.items():
        if name not in entries:
            got = f"{name!r} is missing"
            raise BundleError(where, "every part must be there", got, "fetch the bundle again, or make it anew")
        if entries[name].file_size != part.bytes:
            got = f"{name!r} was altered: it has {entries[name].file_size:,} bytes instead of {part.bytes:,}"
            raise BundleError(where, "no part may change", got, "fetch the bundle again, or make it anew")
    total, free = sum(part.bytes for part in parts.values()), shutil.disk_usage(folder).free
    if total > free:
        got = f"{folder.parent} has {free:,} free"
        raise BundleError(where, f"unpacking takes {total:,} bytes", got, "set TMPDIR to a folder with more space")

"""Pictures and sounds that a column names by path or holds as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar, Union

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from yunti.data.raw import Raw
from yunti.data.strings import as_strings
from yunti.devices import cores
from yunti.words import say

File = Union[Path, bytes, None]  # noqa: UP007  (a runtime alias that beartype can read)
MediaKind = Literal["image", "audio"]

IMAGE_ENDINGS = ("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pgm", "ppm", "pbm", "pnm", "ico", "tga")
AUDIO_ENDINGS = ("wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "caf", "w64")
_AUDIO_STARTS = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"\xff\xfb")
_WAVE = 64  # files a thread takes at a time

Item = TypeVar("Item")
Result = TypeVar("Result")


def endings_kind(names: pa.LargeStringArray) -> MediaKind | None:
    """Say whether at least nine in ten strings end as names of pictures or of sounds do."""
    some = names.slice(0, 1_000)
    kinds: tuple[tuple[MediaKind, tuple[str, ...]], ...] = (("image", IMAGE_ENDINGS), ("audio", AUDIO_ENDINGS))
    for kind, endings in kinds:
        matches = pc.match_substring_regex(some, rf"(?i)[^.\s].*\.({'|'.join(endings)})$")
        if len(some) and pc.mean(matches.cast(pa.float64())).as_py() >= 0.9:
            return kind
    return None


def kind_of_paths(names: pa.LargeStringArray, folder: Path) -> MediaKind | None:
    """Say whether strings are paths of pictures or sounds: by their endings, and because half of a sample exist."""
    kind = endings_kind(names)
    if kind is None:
        return None
    some = names.take(pa.array(np.linspace(0, len(names) - 1, min(len(names), 60)).astype(int))).to_pylist()
    return kind if sum((folder / name).is_file() for name in some) >= len(some) / 2 else None


def is_packed(kind: pa.DataType) -> bool:
    """Say whether values are files themselves: bytes, or records of bytes and a path."""
    if pa.types.is_struct(kind):
        return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def packed_kind(column: pa.ChunkedArray) -> MediaKind:
    """Tell sounds from pictures by how the first files begin."""
    files = [each for each in _packed(column.slice(0, 20)) if isinstance(each, bytes)]
    webp = [each[8:12] == b"WEBP" for each in files]
    sounds = [each.startswith(_AUDIO_STARTS) and not picture for each, picture in zip(files, webp, strict=True)]
    return "audio" if files and sum(sounds) > len(files) / 2 else "image"


def find_media(raw: Raw, name: str) -> list[File]:
    """Find the file of every row of a column: a path, the bytes themselves, or None where missing."""
    column = raw.arrow.column(name)
    if is_packed(column.type):
        return _packed(column)
    return [raw.folder / text.strip() if text and text.strip() else None for text in as_strings(column).to_pylist()]


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item], tell: Callable[[float], None]) -> list[Result]:
    """Do the work for every item on all cores, in threads: decoders release the interpreter's lock.

    Args:
        work: what to do with an item.
        items: the items.
        tell: called with the fraction done.
    """
    results: list[Result] = []
    with ThreadPoolExecutor(max_workers=cores()) as pool:
        for done in pool.map(
            lambda start: [work(item) for item in items[start : start + _WAVE]], range(0, len(items), _WAVE)
        ):
            results.extend(done)
            tell(len(results) / len(items))
    return results


def spread(count: int, most: int) -> list[int]:
    """Pick at most this many places evenly out of `count`."""
    return sorted(set(np.linspace(0, count - 1, min(count, most)).astype(int).tolist())) if count else []


def why(error: Exception, file: File) -> str:
    """Say in a clause why a file could not be read."""
    if not isinstance(file, Path):
        return say("broken.bytes", error=str(error) or type(error).__name__)
    if not file.exists():
        return say("broken.no file", file=file)
    said = str(error).replace(str(file), file.name).split("\n", maxsplit=1)[0]
    return say("broken.file", file=file.name, error=said or type(error).__name__)


def _packed(column: pa.ChunkedArray) -> list[File]:
    if pa.types.is_struct(column.type):
        column = pa.chunked_array([pc.struct_field(chunk, "bytes") for chunk in column.chunks], type=pa.binary())
    return list(column.to_pylist())

"""What a bundle is: how it is written, and how it is opened and checked.

bundle.json           format, rung, size, spec, what is told about it, and size and SHA-256 of every part
weights.safetensors   arrays                      texts/N.txt      texts, such as LightGBM's own format
facts.json            plain values                objects/N.skops  scikit-learn estimators of listed types
card.md               the card for people         probe/           a few rows with the expected answer
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import final

from yunti.bundle.card import About, card
from yunti.bundle.guard import CARD, HEADER, HEADER_BYTES, Part, check_files, digest
from yunti.bundle.probe import check_probe, read_probe, write_probe
from yunti.bundle.state import ArrayShape, read_parts, read_text, shapes_of, write_parts
from yunti.data.table import Table
from yunti.devices import choose_device
from yunti.errors import BundleError, OptionError, PackageError, SourceError, YuntiError
from yunti.ladders.find import find_rung
from yunti.ladders.rung import Rung
from yunti.models.contract import Model, Size
from yunti.specs import Spec
from yunti.storing import from_json, to_json

__all__ = ["About", "Header", "Opened", "about_of", "give_back", "header_of", "open_folder", "save_bundle"]

FORMAT = 1
UNSEALED = "0" * 64
SEAL = b'"seal": "'
SAME_DEVICE = 1e-5  # float32 sums in another order: another processor, another number of threads
OTHER_DEVICE = 1e-2  # GPUs multiply with 10 bits of mantissa (TF32) unless told otherwise


@final
@dataclass(frozen=True)
class Header:
    """What `bundle.json` holds.

    Args:
        rung: the name of the rung that builds the model.
        size: the dial it was built with.
        spec: the columns and the task it was built for.
        about: what is told about it.
        arrays: type and shape of every stored array.
        parts: size and hash of every part.
        yunti: the version that made it.
        created: when it was made.
        format: of the bundle.
        seal: SHA-256 of this file with the seal itself written as zeros.
    """

    rung: str
    size: Size
    spec: Spec
    about: About
    arrays: Mapping[str, ArrayShape] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    yunti: str = ""
    created: str = ""
    format: int = FORMAT
    seal: str = UNSEALED


@final
@dataclass(frozen=True, eq=False)
class Opened:
    """A bundle that passed every check: its header, its model, the rows of its probe, and its card."""

    header: Header
    model: Model
    probe: Table
    card: str


def save_bundle(folder: Path, model: Model, rung: str, size: Size, about: About, probe: Table) -> int:
    """Write a bundle, load it back, hold that it answers as the model does, and only then give it its name.

    The loaded model must answer the probe within 1e-5 of the largest answer.

    Args:
        folder: where it is to stand; an earlier bundle there is replaced, anything else is refused.
        model: a trained model.
        rung: the name of the rung that built it.
        size: the dial it was built with.
        about: what is told about it.
        probe: a few rows (about eight); their predictions become part of the bundle.

    Returns:
        Bytes on disk.

    Raises:
        BundleError: the model's state cannot be stored, or the loaded model answers otherwise.
        OptionError: the folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    where = str(folder)
    hold_free(folder)
    with Draft(folder) as draft:
        write_probe(where, probe, model.predict(probe), draft)
        parts = model.parts()
        holds = write_parts(where, parts, draft)
        header = Header(rung, size, model.spec, about, shapes_of(parts.arrays), {}, version("yunti"), _now())
        (draft / CARD).write_text(card(about, f"yunti {header.yunti} on {header.created}"), encoding="utf-8")
        _seal(replace(header, parts=_parts(draft, holds)), draft)
        open_folder(where, draft)
        return sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())


def open_folder(where: str, folder: Path) -> Opened:
    """Open a bundle's folder: check format, seal, parts, sizes, hashes, types and shapes, then ask the probe.

    It must be answered within 1e-5 of the largest answer, or 1e-2 where a network runs on another device than it was
    tested on.

    Args:
        where: the bundle's name in messages.
        folder: the folder.

    Raises:
        BundleError: a check failed.
        PackageError: the model needs a package that is not installed.
    """
    header = header_of(where, _header_bytes(where, folder))
    check_files(where, folder, header.parts)
    rung = _find(where, header)
    networks = rung.needs_torch or rung.combines
    device = _device(header.spec.device) if networks else "cpu"
    spec = replace(header.spec, device=device)
    parts = read_parts(where, folder, header.parts, header.arrays)
    probe, expected = read_probe(where, folder)
    try:
        model = rung.build(spec, header.size)
        model.restore(parts)
        got = model.predict(probe)
    except YuntiError:
        raise
    except ImportError as error:
        mend = f"install it: pip install {error.name}"
        raise PackageError(where, f"its rung {header.rung!r} needs a package", str(error), mend) from error
    except Exception as error:  # whatever a rung stumbles over in a state that is not its own
        got_words = f"{type(error).__name__}: {error}"
        raise BundleError(
            where, f"its state must fit the rung {header.rung!r}", got_words, "fetch the bundle again, or make it anew"
        ) from error
    near = SAME_DEVICE if device == header.spec.device or not networks else OTHER_DEVICE
    check_probe(where, expected, got, near)
    return Opened(header, model, probe, read_text(where, folder, CARD))


def about_of(folder: Path) -> About:
    """Return what is told about a bundle's model, without loading the model.

    Raises:
        BundleError: it is not a bundle, or its header was altered.
    """
    where = str(folder)
    return header_of(where, _header_bytes(where, folder)).about


def give_back(folder: Path) -> None:
    """Put back the bundle that a save, killed at the wrong moment, had moved aside."""
    old = _aside(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)


def header_of(where: str, content: bytes) -> Header:
    """Read a bundle's header, and hold that not a byte of it was changed.

    Raises:
        BundleError: it is not a header, is of another format, or was altered.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _altered(where, f"it is not JSON ({error})") from error
    number = found.get("format") if isinstance(found, dict) else None
    if not isinstance(number, int) or "parts" not in found:
        raise BundleError(where, f"{HEADER!r} must describe a bundle", "it does not", "name a bundle that yunti saved")
    if number > FORMAT:
        got = f"it has format {number}, made by yunti {found.get('yunti', '')}"
        raise BundleError(where, f"this yunti reads format {FORMAT}", got, "install a newer yunti")
    before, mark, after = content.rpartition(SEAL)  # the seal is the last field
    unsealed = before + mark + UNSEALED.encode() + after[len(UNSEALED) :]
    if hashlib.sha256(unsealed).hexdigest().encode() != after[: len(UNSEALED)]:
        raise _altered(where, "its seal does not fit")
    try:
        return from_json(Header, content.decode(), HEADER)
    except SourceError as error:
        raise BundleError(where, f"{HEADER!r} must hold its fields", error.parts[2], "make the bundle anew") from error


@final
class Draft:
    """A folder beside the one to be written, which takes its name when all went well and vanishes otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder.with_name(f".{folder.name}.tmp")  # the next save clears what a killed one left

    def __enter__(self) -> Path:
        try:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return self.path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        try:
            if kind is None:
                _flush(self.path)
                _put_in_place(self.path, self.folder)
        except OSError as trouble:
            raise _unwritable(self.folder, trouble) from trouble
        finally:
            shutil.rmtree(self.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise _unwritable(self.folder, error) from error


def hold_free(path: Path) -> None:
    """Hold that a bundle may be written there: nothing is there, or an empty folder, or an earlier bundle.

    Raises:
        OptionError: something else is there.
    """
    if path.is_dir() and (not any(path.iterdir()) or (path / HEADER).is_file()):
        return
    if path.exists() or path.is_symlink():
        raise OptionError(str(path), "a bundle is saved to a new place", "something else is there", "give another name")


def _flush(folder: Path) -> None:
    """Wait until all files are on the disk, so that no crash leaves a named bundle with holes."""
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put_in_place(draft: Path, folder: Path) -> None:
    if folder.is_dir():
        old = _aside(folder)
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old)
        return
    draft.rename(folder)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _parts(folder: Path, holds: Mapping[str, str]) -> dict[str, Part]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: Part((folder / name).stat().st_size, digest(folder / name), holds.get(name, "")) for name in names}


def _seal(header: Header, folder: Path) -> None:
    before, mark, after = to_json(header).encode().rpartition(SEAL)
    seal = hashlib.sha256(before + mark + after).hexdigest().encode()
    (folder / HEADER).write_bytes(before + mark + seal + after[len(UNSEALED) :])


def _header_bytes(where: str, folder: Path) -> bytes:
    path = folder / HEADER
    if not path.is_file() or path.is_symlink():
        mend = (
            f"name one of its bundles, such as {where}/models/RUNG"
            if (folder / "climb.json").exists()
            else ("name a folder or a .yunti file that yunti saved")
        )
        raise BundleError(where, f"a bundle has a file {HEADER!r}", "there is none", mend)
    size = path.stat().st_size
    if size > HEADER_BYTES:
        raise BundleError(
            where, f"{HEADER!r} must be under {HEADER_BYTES:,} bytes", f"it has {size:,}", "do not use it"
        )
    return path.read_bytes()


def _find(where: str, header: Header) -> Rung:
    try:
        return find_rung(header.spec.task.name, header.rung)
    except OptionError as error:
        got = f"its rung is {header.rung!r}, made by yunti {header.yunti}"
        raise BundleError(where, "this yunti must know its rung", got, "install that version of yunti") from error


def _device(wanted: str) -> str:
    try:
        return choose_device(wanted).name
    except OptionError:
        return "cpu"  # trained on a GPU, loaded where there is none


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _altered(where: str, got: str) -> BundleError:
    must = f"{HEADER!r} must be as it was saved"
    return BundleError(where, must, got, "fetch the bundle again, or make it anew")


def _unwritable(path: Path, error: OSError) -> OptionError:
    reason = error.strerror or str(error)
    return OptionError(str(path), "a bundle must be writable there", reason, "free the disk or give another place")

"""Checkpoints: all that a training needs to go on as if nothing had happened, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from yunti.words import say

KEPT = 2
_NAME = re.compile(r"step-(\d+)\.(safetensors|shards)")
_DIGEST = 32


@final
@dataclass
class Snapshot:
    """The state of a training between two steps.

    Args:
        tensors: weights, what optimisers keep, generators, the best weights so far.
        facts: plain JSON values: the step, the plan, losses, notes.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, tensors: Mapping[str, Tensor], facts: Any = None) -> None:
        """Add a part under a name; the tensors are copied, so that training may go on."""
        self.tensors.update({f"{name}/{key}": value.detach().to("cpu", copy=True) for key, value in tensors.items()})
        if facts is not None:
            self.facts[name] = facts

    def tensors_of(self, name: str) -> dict[str, Tensor]:
        """Return the tensors that were put under a name."""
        start = f"{name}/"
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}


@final
class Keeper:
    """Writes checkpoints into a folder, the last two kept, and finds the newest whole one.

    A checkpoint is one safetensors file: no pickle. Its facts, and a BLAKE2 digest of facts and tensors, stand in the
    header. It is written to a neighbour, flushed, and renamed, by a thread of its own, while training goes on.

    Args:
        folder: where; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trouble = ""
        self._thread: threading.Thread | None = None
        self._whole: list[Path] = []  # files known to be of this training and whole, oldest first

    def save(self, step: int, snapshot: Snapshot) -> None:
        """Begin to write the checkpoint of a step; what went wrong with one stands in `trouble`."""
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(step, snapshot), daemon=False)
        self._thread.start()

    def wait(self) -> None:
        """Wait until what was begun is on disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def newest(self) -> tuple[Snapshot | None, str]:
        """Return the newest checkpoint that is whole, and a sentence on those that are not."""
        from yunti.training.shards import open_shards

        damaged: list[str] = []
        found = [path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name)]
        for path in sorted(found, key=lambda path: path.name, reverse=True):
            try:
                opened = open_shards(path) if path.is_dir() else open_checkpoint(path)
                self._whole = [path]
                return opened, _passed_over(damaged, path)
            except (ValueError, OSError) as error:
                said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
                damaged.append(say("checkpoint.damaged", name=path.name, reason=said))
        return None, _passed_over(damaged, None)

    def clear(self) -> None:
        """Remove all checkpoints: what they led to is stored elsewhere."""
        self.wait()
        for path in self._files():
            path.unlink(missing_ok=True)
        for path in self.folder.glob("step-*.shards"):
            shutil.rmtree(path, ignore_errors=True)
        self._whole = []
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _write(self, step: int, snapshot: Snapshot) -> None:
        path = self.folder / f"step-{step:09d}.safetensors"
        temporary = path.with_suffix(".tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(checkpoint_bytes(snapshot))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _flush_folder(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = say("checkpoint.disk full") if full else error.strerror or str(error)
            kept = self._files()
            last = say("checkpoint.whole", step=_step_of(kept[-1])) if kept else say("checkpoint.no other")
            self.trouble = say("checkpoint.not written but", step=step, reason=what, last=last)
            return
        self.trouble = ""
        self._whole = [*(each for each in self._whole if each != path), path][-KEPT:]
        for old in self._files():
            if old not in self._whole:  # older, damaged, or of another training: none may push out a newer one
                old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-*.safetensors") if _NAME.fullmatch(path.name))


def checkpoint_bytes(snapshot: Snapshot) -> bytes:
    """Return a snapshot as the content of a file."""
    plain = {name: tensor.contiguous() for name, tensor in snapshot.tensors.items()}
    facts = json.dumps(snapshot.facts)
    return tensor_bytes(plain, {"facts": facts, "digest": _digest(plain, facts)})


def open_checkpoint(path: Path) -> Snapshot:
    """Read a checkpoint and check that it is what was written.

    Raises:
        ValueError: it is cut off or altered.
    """
    content = path.read_bytes()
    if len(content) < 8 or len(content) < 8 + struct.unpack("<Q", content[:8])[0]:
        raise ValueError("it is cut off")
    header = 8 + struct.unpack("<Q", content[:8])[0]
    try:
        words = json.loads(content[8:header])["__metadata__"]
        tensors = read_tensors(content)
        facts, digest = words["facts"], words["digest"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError("it cannot be read") from error
    if _digest(tensors, facts) != digest:
        raise ValueError("its content is not what was written")
    return Snapshot(tensors, json.loads(facts))


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    state = hashlib.blake2b(facts.encode(), digest_size=_DIGEST)
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        state.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _step_of(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])


def _passed_over(damaged: list[str], taken: Path | None) -> str:
    if not damaged:
        return ""
    damage = reduce(lambda first, second: say("checkpoint.both damaged", first=first, second=second), damaged)
    then = say("checkpoint.before", step=_step_of(taken)) if taken else say("checkpoint.none")
    return say("checkpoint.passed over", damage=damage, then=then)

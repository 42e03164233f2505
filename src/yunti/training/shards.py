"""Checkpoints of networks that no process holds whole: every process writes its part, any number can read them.

Written by `torch.distributed.checkpoint` into a folder `step-NNN.shards`, with the facts and a digest of every file in
`facts.json`. Its list of parts is a pickle, as PyTorch has it: it stays in the run folder, and no bundle holds one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from yunti.storing import write_atomic
from yunti.training.checkpoint import KEPT, Snapshot
from yunti.training.group import Group
from yunti.words import say

FACTS = "facts.json"
_DIGEST = 16


def save_shards(folder: Path, step: int, snapshot: Snapshot, group: Group) -> str:
    """Write a checkpoint, every process its part; return what went wrong, or nothing.

    Args:
        folder: of the checkpoints, on a disk that all processes share.
        step: steps taken.
        snapshot: the state, with tensors as this process holds them.
        group: the processes.
    """
    path = folder / f"step-{step:09d}.shards"
    temporary = path.with_suffix(".tmp")
    # whatever goes wrong in one process is told to all, so that none waits for another
    trouble = group.agree(_trouble(lambda: _make(temporary)) if group.leads else "")
    if not trouble:
        told = group.gather(_trouble(lambda: save(dict(snapshot.tensors), checkpoint_id=temporary)))
        trouble = next((each for each in told if each), "")
    if not trouble:
        trouble = group.agree(_trouble(lambda: _finish(path, snapshot)) if group.leads else "")
    return say("checkpoint.not written", step=step, reason=trouble) if trouble else ""


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _finish(path: Path, snapshot: Snapshot) -> None:
    """Note what each file must be, put the checkpoint in its place, and remove those that are too old."""
    temporary, folder = path.with_suffix(".tmp"), path.parent
    files = {each.name: _digest(each) for each in sorted(temporary.iterdir())}
    write_atomic(temporary / FACTS, json.dumps({"facts": snapshot.facts, "files": files}))
    shutil.rmtree(path, ignore_errors=True)
    temporary.replace(path)
    for old in sorted(folder.glob("step-*.shards"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _trouble(work: Callable[[], object]) -> str:
    """Do some work and return what went wrong, or nothing."""
    try:
        work()
    except (OSError, RuntimeError, CheckpointException) as error:
        return str(error).splitlines()[0]
    return ""


def open_shards(path: Path) -> Snapshot:
    """Read a checkpoint of parts, whole, by one process.

    Raises:
        ValueError: a file of it is missing or altered.
    """
    try:
        content = json.loads((path / FACTS).read_text())
        files = content["files"]
        wrong = [name for name, digest in files.items() if _digest(path / name) != digest]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError("it cannot be read") from error
    if wrong:
        raise ValueError(f"{wrong[0]} is not what was written")
    metadata = FileSystemReader(path).read_metadata().state_dict_metadata
    tensors = {
        name: torch.empty(each.size, dtype=each.properties.dtype)
        for name, each in metadata.items()
        if isinstance(each, TensorStorageMetadata)
    }
    load(tensors, checkpoint_id=path, no_dist=True)
    return Snapshot(tensors, content["facts"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST))
        os.fsync(file.fileno())
    return digest.hexdigest()

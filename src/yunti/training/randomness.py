"""The state of every random generator that a training can draw from, for checkpoints."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from yunti.seeds import seed_for
from yunti.training.checkpoint import Snapshot


def generators(own: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of every random generator that a training can draw from."""
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    tensors = {"torch": torch.get_rng_state(), "augment": own.get_state()}
    tensors["numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    version, words, next_gauss = python_random.getstate()
    tensors["python"] = torch.tensor(words, dtype=torch.int64)
    return tensors, {"numpy": [str(name), int(place), int(has_gauss), float(gauss)], "python": [version, next_gauss]}


def set_generators(own: torch.Generator, saved: Snapshot, rank: int, step: int, seed: int) -> None:
    """Give every generator its state back; a process that there was not before begins a stream of its own.

    Args:
        own: the generator of changes to rows.
        saved: the checkpoint.
        rank: the process's number.
        step: at which it goes on.
        seed: the climb's.
    """
    part = f"random.{rank}"
    tensors = saved.tensors_of(part)
    if not tensors:
        fresh = seed_for(seed, "joined", str(rank), str(step))
        torch.manual_seed(fresh)
        own.manual_seed(fresh)
        return
    torch.set_rng_state(tensors["torch"])
    own.set_state(tensors["augment"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    facts = saved.facts[part]
    name, place, has_gauss, gauss = facts["numpy"]
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), place, has_gauss, gauss))
    version, next_gauss = facts["python"]
    python_random.setstate((version, tuple(tensors["python"].tolist()), next_gauss))

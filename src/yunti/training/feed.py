"""What every step is given: the rows of its batch as tensors, changed and mixed at random, in parts that fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yunti.data.encode import Encoded
from yunti.data.table import Packed, Ragged
from yunti.models.layers import Batch
from yunti.models.network import Network, moved
from yunti.models.objective import Mixed, Target
from yunti.models.padding import row_count, row_lengths
from yunti.models.recipe import Augment
from yunti.seeds import seed_for
from yunti.training.augment import MIXED, augmented
from yunti.training.batches import Batches
from yunti.training.group import Group, refuse_uneven

_UNCHANGED = Augment()
_MOST_RESIDENT = 0.4  # of a GPU's free memory: rows that lie there need not travel


@final
@dataclass(eq=False, slots=True)
class Part:
    """Some rows of a step's batch.

    Args:
        batch: the rows.
        target: their answers.
        share: of the batch that this process has.
        is_last: whether the step's gradient is whole after this part.
    """

    batch: Batch
    target: Target
    share: float
    is_last: bool


@final
class Feed:
    """Gives every step its rows.

    Args:
        network: turns encoded rows into tensors.
        encoded: the training rows.
        target: their answers, as the loss takes them.
        augment: how rows are changed.
        micro: rows that go through the network at once.
        group: the processes that share every batch.
    """

    def __init__(
        self,
        network: Network,
        encoded: Encoded,
        target: NDArray[Any],
        augment: Augment,
        micro: int,
        group: Group,
    ) -> None:
        name, recipe = network.blueprint.name, network.recipe
        self._network, self._augment, self._group = network, augment, group
        self._changes = augment != _UNCHANGED
        self.micro = micro
        self.rows = row_count(encoded)
        refuse_uneven(min(recipe.batch, self.rows), group, name)
        self._batches = Batches(self.rows, recipe.batch, row_lengths(encoded), network.spec.seed, name)
        seed = seed_for(network.spec.seed, name, "augment", str(group.place.rank))
        self.random = torch.Generator().manual_seed(seed)
        self._ragged = {key: values for key, values in encoded.items() if isinstance(values, Ragged | Packed)}
        dense = {key: values for key, values in encoded.items() if not isinstance(values, Ragged | Packed)}
        self._dense, self._home = _resident(dense, network.spec.device)
        self._target = torch.from_numpy(target).to(self._home)

    def at(self, step: int) -> Iterator[Part]:
        """Give the parts of this process's share of a step's batch."""
        rows = self._batches.at(step)
        mine = rows if self._group.is_alone else rows[self._group.place.rank :: self._group.size]
        # each process's mean counts for its rows: those with one row more weigh more
        weight = 1.0 if self._group.is_alone else len(mine) * self._group.size / len(rows)
        most = -(-len(rows) // self._group.size)  # equally many parts everywhere: all processes must make each call
        parts = -(-most // self.micro)
        for number, some in enumerate(np.array_split(mine, parts) if parts > 1 else (mine,)):
            batch, target = self._take(some)
            yield Part(batch, target, weight * len(some) / len(mine), number == parts - 1)

    def _take(self, rows: NDArray[np.int64]) -> tuple[Batch, Target]:
        network, device = self._network, self._network.spec.device
        batch = network.batch(self._ragged, rows) if self._ragged else {}
        places = torch.from_numpy(rows)
        if self._home.type != "cpu":
            places = places.to(self._home)
        # index_select copies whole rows; the same by brackets took twenty times as long for pictures
        dense = {key: values.index_select(0, places) for key, values in self._dense.items()}
        target = self._target.index_select(0, places)
        if self._home != torch.device(device):
            dense, target = moved(dense, device), target.to(device)
        batch = {**batch, **dense}
        if self._changes:
            batch = augmented(batch, network.reader.streams, self._augment, self.random)
        if self._augment.mixup:
            return _mixed(batch, target, self._augment.mixup, self.random)
        return batch, target


def _mixed(batch: Batch, target: Tensor, alpha: float, random: torch.Generator) -> tuple[Batch, Target]:
    if not any(name.startswith(MIXED) for name in batch):
        return batch, target
    gamma = torch._standard_gamma(torch.tensor([alpha, alpha]), generator=random)
    share = float(gamma.max() / gamma.sum().clamp(min=1e-12))  # what cannot be mixed stays that of the larger share
    other = torch.randperm(len(target), generator=random).to(target.device)
    changed = dict(batch)
    for name, values in batch.items():
        if name.startswith(MIXED) and not name.endswith(".mask"):
            changed[name] = share * values.float() + (1 - share) * values[other].float()
        elif name.startswith(MIXED) and name.endswith(".mask"):
            changed[name] = values | values[other]
    return changed, Mixed(target, target[other], share)


def _resident(dense: dict[str, NDArray[Any]], device: str) -> tuple[dict[str, Tensor], torch.device]:
    """Lay the rows onto a GPU where they fit; elsewhere they stay in memory, or mapped from their file."""
    home = torch.device("cpu")
    if torch.device(device).type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if sum(values.nbytes for values in dense.values()) < _MOST_RESIDENT * free:
            home = torch.device(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows mapped from a file cannot be written to, and nobody does
        return {name: torch.from_numpy(values).to(home) for name, values in dense.items()}, home

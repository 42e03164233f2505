"""Several processes that train one network together: who they are, what each sees, and how they agree."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from yunti.devices import Place, available_bytes, place_of
from yunti.errors import RungError
from yunti.models.network import Network
from yunti.training.precision import DTYPES, Precision

Value = TypeVar("Value")

_BYTES_A_PARAMETER = 16  # weight, gradient and AdamW's two moments, fp32
_MOST_WHOLE = 0.3  # of a device's memory: beyond it every process holds a part of the network only
_BUCKETS_MIB = 25
_NOTHING = nullcontext()


@final
@dataclass(frozen=True)
class Group:
    """The processes of one training; alone it is a group of one, and all of this costs nothing.

    Args:
        place: this process's place in it.
        sharded: whether every process holds a part of the network only.
    """

    place: Place = Place()  # noqa: RUF009  (a frozen value)
    sharded: bool = False

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.place.size

    @property
    def leads(self) -> bool:
        """Whether this process decides and writes."""
        return self.place.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is one process."""
        return self.place.size == 1

    def agree(self, value: Value) -> Value:
        """Return what the leading process has here."""
        if self.is_alone:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Value) -> list[Value]:
        """Return what every process has here, in their order."""
        if self.is_alone:
            return [value]
        boxes: list[Any] = [None] * self.size
        dist.all_gather_object(boxes, value)
        return boxes

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if not self.is_alone:
            value = value.clone()
            dist.all_reduce(value)
        return value


ALONE = Group()


@contextmanager
def joined(device: str) -> Iterator[Group]:
    """Join the other processes of this training, if `torchrun` or SLURM started some, and leave them at the end.

    Args:
        device: where this process trains: GPUs talk by NCCL, processors by Gloo.
    """
    place = place_of(os.environ)
    if place.size == 1:
        yield ALONE
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(place.local % torch.cuda.device_count())  # SLURM may show each process one GPU only
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, store=_meeting_point(place), rank=place.rank, world_size=place.size)
    try:
        yield Group(place)
    finally:
        dist.destroy_process_group()


def _meeting_point(place: Place) -> Store:
    """Return the store by which processes find each other; `torchrun` holds one, else the first process does.

    `torchrun` keeps its store when it starts lost processes again, with the addresses of the dead in it: every start
    has names of its own.
    """
    held = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = TCPStore(place.host, place.port, place.size, is_master=not held and place.rank == 0)
    return PrefixStore(f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def is_sharded(network: Network, place: Place) -> bool:
    """Say whether a network is too large for every process to hold it whole; one that is alone holds it whole.

    With "auto" it is decided by what weights, gradients and AdamW need, 16 bytes a number, against 30 % of the memory.
    """
    asked, device = network.settings.engine.sharding, network.spec.device
    if place.size == 1:
        return False
    if asked != "auto":
        return asked == "fsdp"
    on_gpu = torch.device(device).type == "cuda"
    memory = torch.cuda.mem_get_info(device)[1] if on_gpu else available_bytes() / place.beside
    return network.parameters * _BYTES_A_PARAMETER > _MOST_WHOLE * memory


@final
class Team:
    """A module that the processes of a group train together: DDP where each holds it whole, FSDP2 where each a part.

    Sources: Li et al., 2020, PyTorch distributed, arXiv 2006.15704; Zhao et al., 2023, PyTorch FSDP, arXiv 2304.11277.
    Recomputing activations: Chen et al., 2016, Training deep nets with sublinear memory cost, arXiv 1604.06174.

    Args:
        module: the module; recomputing and FSDP change it in place.
        group: the processes.
        precision: what a sharded module computes in.
        recompute: whether blocks compute their activations again on the way back.
    """

    def __init__(self, module: nn.Module, group: Group, precision: Precision, recompute: bool = False) -> None:
        self._group = group
        self._again = blocks_of(module) if recompute else []
        self.forward: Any = module
        for block in self._again:
            again = functools.partial(_contexts, block)
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False, context_fn=again)
        if group.is_alone:
            return
        for norm in module.modules():
            if isinstance(norm, _BatchNorm):
                norm.forward = functools.partial(normalised_together, norm)  # type: ignore[method-assign]
        if group.sharded:
            self.forward = _sharded(module, precision)
        else:
            self.forward = nn.parallel.DistributedDataParallel(module, bucket_cap_mb=_BUCKETS_MIB)

    def release(self) -> None:
        """Let blocks keep their activations again, as they did before."""
        for block in self._again:
            del block.forward

    def accumulating(self, last: bool) -> AbstractContextManager[object]:
        """Return the context of a backward pass: gradients are exchanged in the last one of a step only."""
        if self._group.is_alone:
            return _NOTHING
        if self._group.sharded:
            self.forward.set_requires_gradient_sync(last)
            return _NOTHING
        return _NOTHING if last else self.forward.no_sync()


def _sharded(module: nn.Module, precision: Precision) -> Any:
    """Shard a module in place: every block of a list of blocks is gathered when it is needed, the rest as one."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    dtype = None if precision.name == "fp32" else DTYPES[precision.name]
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    for block in blocks_of(module):
        fully_shard(block, mp_policy=policy)
    return fully_shard(module, mp_policy=policy)


def normalised_together(norm: _BatchNorm, values: Tensor) -> Tensor:
    """Normalise a batch that is spread over processes as if one had it (PyTorch's own needs a GPU for that).

    Args:
        norm: batch normalisation, which also learns the running mean and variance here.
        values: shape (rows, channels, …), this process's rows.
    """
    if not norm.training:
        return type(norm).forward(norm, values)
    kind, values = values.dtype, values.float()
    others = [place for place in range(values.ndim) if place != 1]
    count = values.new_tensor([values.numel() / values.shape[1]])
    shape = [1, -1, *[1] * (values.ndim - 2)]
    total = _summed(torch.cat([values.sum(others), count]))
    mean, rows = total[:-1] / total[-1], total[-1].detach()
    centred = values - mean.view(shape)  # E[x²] − E[x]² would lose digits
    variance = _summed(centred.square().sum(others)) / rows
    if norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None:
        with torch.no_grad():
            norm.running_mean.lerp_(mean, norm.momentum)
            norm.running_var.lerp_(variance * rows / (rows - 1), norm.momentum)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked += 1
    result = centred * torch.rsqrt(variance + norm.eps).view(shape)
    made = result if norm.weight is None else result * norm.weight.view(shape) + norm.bias.view(shape)
    return made.to(kind)


def _summed(value: Tensor) -> Tensor:
    """Return the sum over processes, through which gradients flow back."""
    total: Tensor = all_reduce(value)  # type: ignore[no-untyped-call]
    return total


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """Return the members of lists of blocks, innermost, that are called as a whole and hold parameters.

    Single layers are not blocks: what calls them may write into what they return, and FSDP would not see it.
    """
    blocks: list[nn.Module] = []
    for child in module.children():
        if isinstance(child, nn.ParameterList):
            continue
        inner = blocks_of(child)
        if inner or not isinstance(module, nn.ModuleList):
            blocks += inner
        elif next(child.children(), None) is not None and next(child.parameters(), None) is not None:
            blocks.append(child)
    return blocks


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
    return _NOTHING, _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Let batch normalisation count no batch twice that is only computed again."""
    norms = [each for each in block.modules() if isinstance(each, _BatchNorm) and each.track_running_stats]
    kept = [(each.momentum, each.num_batches_tracked) for each in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def whole(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors gathered from all processes; every process must call this with the same names."""
    from torch.distributed.tensor import DTensor

    return {name: value.full_tensor() if isinstance(value, DTensor) else value for name, value in state.items()}


def like(value: Tensor, template: Tensor) -> Tensor:
    """Return this process's part of a whole tensor that every process has, laid out as the template is.

    Nothing is sent: processes may call this in any order.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(template, DTensor):
        return value.to(template.device, template.dtype)
    here = value.to(template.device, template.dtype)
    return distribute_tensor(here, template.device_mesh, template.placements, src_data_rank=None)


def refuse_uneven(rows: int, group: Group, name: str) -> None:
    """Refuse a batch that does not hold a row for every process.

    Raises:
        RungError: it is smaller than the group.
    """
    if rows < group.size:
        raise RungError(
            name, f"a batch must hold a row for each of {group.size} processes", f"it holds {rows}",
            "start fewer processes or set training.batch",
        )  # fmt: skip

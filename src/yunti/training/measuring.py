"""How fast this machine trains a network, how many operations a row costs, and how many rows fit the memory."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded
from yunti.data.table import Examples
from yunti.devices import Place, available_bytes, cores
from yunti.models.contract import Watch
from yunti.models.layers import Batch
from yunti.models.network import Network
from yunti.models.padding import row_lengths
from yunti.training.batches import Batches
from yunti.training.flops import flops_per_row
from yunti.training.group import ALONE, blocks_of, is_sharded
from yunti.training.optimisers import advance, clipped, optimisers_for, set_rate
from yunti.training.pace import Pace
from yunti.training.precision import Precision
from yunti.words import say

_SAMPLES = (64, 256, 1024)  # rows encoded to measure the pace; few where a pretrained model reads them slowly
_TIMED_STEPS = 4
_COUNTED_ROWS = 32
_SMALL_STEP_FLOPS = 1e8  # about a millisecond of one core
_MOST_MEMORY = 0.7  # of what is free may go to one step
_PASSING = 1.25  # what a backward pass needs for a moment, beside what the forward pass kept
_LEAST_TO_COMPILE = {False: 600.0, True: 120.0}  # seconds of training, on a processor and on a GPU
_WORTH = 1.5  # times the compilation's seconds must be saved
_LEAST_TRIED, _MOST_TRIED = 30, 300  # steps for each learning rate
_STATE_BYTES = {"adamw": 12, "adam": 12, "muon": 12, "sgd": 8}  # gradient and what the optimiser keeps, a weight


@final
@dataclass(frozen=True)
class Sample:
    """Some training rows by which a network is measured.

    Args:
        rows: as they are.
        encoded: as the network reads them.
        seconds: that encoding one took.
    """

    rows: Examples
    encoded: Encoded
    seconds: float


def threads_for(flops: float) -> int:
    """Return the threads for steps of so many operations: all cores, or one where handing out the work costs more.

    `OMP_NUM_THREADS` bounds it, as everywhere. The rule looks at no clock, so that equal runs add in equal order.

    Args:
        flops: operations of a step.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    most = int(asked) if asked.isdigit() and int(asked) > 0 else cores()
    return most if flops > _SMALL_STEP_FLOPS else 1


def sample_of(network: Network, train: Examples, watch: Watch) -> Sample:
    """Encode some rows; fewer where reading them is slow for the time there is."""
    before, seconds = 0, 0.0
    for rows in _SAMPLES:
        if before and (seconds * rows > 0.05 * watch.left or network.blueprint.packing is not None):
            break  # a packed row is as long as a hundred others
        part = train.take(slice(before, rows))
        if not len(part):
            break
        began = time.monotonic()
        network.encode(part.table)
        seconds, before = (time.monotonic() - began) / len(part), rows
    sample = train.take(slice(0, before))
    return Sample(sample, network.encode(sample.table), seconds)


def typical(network: Network, sample: Sample) -> Sample:
    """Return rows of about the mean length, for two batches, where rows differ in length.

    A training lays rows of like length side by side; a few rows of any length would mostly be padding. Of what a
    pretrained model reads, few rows are enough in any case: each costs as much as a hundred others.
    """
    count, lengths = min(len(sample.rows), 2 * network.recipe.batch), row_lengths(sample.encoded)
    if lengths is None:
        if not network.blueprint.on_base:
            return sample
        chosen = np.arange(count)
    else:
        order = np.argsort(lengths, kind="stable")
        middle = int(np.searchsorted(lengths[order], lengths.mean()))
        start = min(max(0, middle - count // 2), len(order) - count)
        chosen = order[start : start + count]
    rows = sample.rows.take(chosen)
    return Sample(rows, network.encode(rows.table), sample.seconds)


@final
@dataclass(frozen=True)
class Bench:
    """What a network is measured on.

    Args:
        network: prepared.
        sample: rows to train on.
        precision: what products are computed in.
        place: this process's place among those that train together.
    """

    network: Network
    sample: Sample
    precision: Precision
    place: Place


def pace_of(bench: Bench, micro: int) -> Pace:
    """Time some steps on weights that are put back afterwards, with so many rows at once."""
    bench = replace(bench, sample=typical(bench.network, bench.sample))
    practice = practise(bench, micro, bench.network.module, _TIMED_STEPS)
    began = time.monotonic()
    bench.network.predict_encoded(bench.sample.encoded)
    predict_seconds = (time.monotonic() - began) / len(bench.sample.rows)
    return Pace(practice.step_seconds, predict_seconds, bench.sample.seconds)


@final
@dataclass(frozen=True)
class Practice:
    """What some steps on weights that were put back came to.

    Args:
        first_seconds: the first step's, which also prepares kernels and the optimiser's state.
        step_seconds: one of the others', for a whole batch.
        loss: mean over the last half.
    """

    first_seconds: float
    step_seconds: float
    loss: float


def practise(bench: Bench, micro: int, forward: Any, steps: int, factor: float = 1e-3) -> Practice:
    """Take some steps on a sample and put the weights back.

    Args:
        bench: what to train, on what.
        micro: rows that go through the network at once.
        forward: the module, or what stands for it.
        steps: how many, after a first one.
        factor: on the learning rate.
    """
    network, sample = bench.network, bench.sample
    recipe, count = network.recipe, len(sample.rows)
    state = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    optimisers = optimisers_for(network.module, recipe, products=bench.precision.dtype)
    set_rate(optimisers, factor)
    target = torch.from_numpy(network.objective.encode(sample.rows.target))
    batches = Batches(count, recipe.batch, row_lengths(sample.encoded), 0, "practice")
    parameters = list(network.module.parameters())
    network.module.train()
    marks, losses = [time.monotonic()], list[float]()
    for place in range(steps + 1):
        rows, total = batches.at(place), 0.0
        for some in np.array_split(rows, -(-len(rows) // micro)):
            with bench.precision.autocast():
                wanted = target[some].to(network.spec.device)
                loss = network.loss(network.batch(sample.encoded, some), wanted, forward)
            loss = loss * (len(some) / len(rows))
            torch.autograd.backward(loss)
            total += float(loss.detach())
        clipped(parameters, recipe.clip, asked=False)
        advance(optimisers)
        losses.append(total)
        marks.append(time.monotonic())
    network.module.load_state_dict(state)
    # a batch of a small sample may be smaller than the batches to come
    scale = recipe.batch / min(recipe.batch, count)
    late = losses[len(losses) // 2 :]
    return Practice(marks[1] - marks[0], (marks[-1] - marks[1]) / steps * scale, sum(late) / len(late))


def worth_compiling(bench: Bench, micro: int, step_seconds: float, seconds: float) -> tuple[bool, str]:
    """Say whether to compile the network, and why: where the training is long, it is tried out.

    Args:
        bench: what to try it on.
        micro: rows that go through the network at once.
        step_seconds: of the network as it is.
        seconds: that the training will take.
    """
    network = bench.network
    asked = network.settings.engine.compile
    if asked != "auto":
        return asked == "always", say("device.asked for")
    least = _LEAST_TO_COMPILE[torch.device(network.spec.device).type == "cuda"]
    if seconds < least:
        return False, say("run.too short", minutes=least / 60)
    if row_lengths(bench.sample.encoded) is not None:
        return False, say("run.lengths")
    try:
        tried = practise(bench, micro, torch.compile(network.module), _TIMED_STEPS)
    except RuntimeError as error:
        torch.compiler.reset()
        return False, say("run.failed", error=str(error).strip().splitlines()[0][:100])
    saved = seconds * (1 - tried.step_seconds / step_seconds)
    speeds = {"compiled": tried.step_seconds * 1000, "usual": step_seconds * 1000}
    return saved > _WORTH * tried.first_seconds, say("run.compiled", **speeds, seconds=tried.first_seconds)


def checked_rate(bench: Bench, micro: int, total: int) -> tuple[float, str]:
    """Try half, one and two times the learning rate for some steps each; return the best and why.

    Rules that carry a rate from one size of network to another are exact to a factor of about two, so three points
    suffice.

    Args:
        bench: what to train, on what.
        micro: rows that go through the network at once.
        total: planned steps: a twenty-fifth of them is spent on each rate.
    """
    steps = min(_MOST_TRIED, max(_LEAST_TRIED, total // 25))
    module = bench.network.module
    losses = {factor: practise(bench, micro, module, steps, factor).loss for factor in (0.5, 1.0, 2.0)}
    best = min(losses, key=lambda factor: math.inf if math.isnan(losses[factor]) else losses[factor])
    rate = bench.network.recipe.learning_rate
    tried = ", ".join(f"{rate * factor:g}: {loss:.4f}" for factor, loss in losses.items())
    return rate * best, say("run.rates", steps=steps, losses=tried)


def row_flops(network: Network, sample: Sample) -> float:
    """Count the operations of training on one row of usual length."""
    sample = typical(network, sample)
    return flops_per_row(network, *_some(network, sample, np.arange(min(_COUNTED_ROWS, len(sample.rows)))))


def micro_batch(network: Network, sample: Sample, place: Place = ALONE.place) -> tuple[int, str]:
    """Return how many rows of a batch go through the network at once, and why.

    What a step needs is b + a · rows: b for gradients and what the optimiser keeps, a for the activations that the
    backward pass needs, counted on batches of two sizes, and a quarter more for what it needs for a moment. A processor
    that runs out of memory does not say so, it is killed: so nothing is tried out. Processes on one machine share its
    memory.

    Args:
        network: prepared.
        sample: rows to count on.
        place: this process's place among those that train together.
    """
    batch, asked = network.recipe.batch, network.settings.engine.micro_batch
    if asked:
        return min(asked, batch), say("run.by hand")
    fixed, each = step_bytes(network, sample, place.size if is_sharded(network, place) else 1)
    free = _free_bytes(network.spec.device, place)
    micro = batch
    while micro > 1 and fixed + each * micro > _MOST_MEMORY * free:
        micro = -(-micro // 2)
    key = "run.whole batch" if micro == batch else "run.micro batch"
    return micro, say(key, rows=micro, need=(fixed + each * micro) / 2**20, free=free / 2**20)


def step_bytes(network: Network, sample: Sample, parts: int = 1) -> tuple[float, float]:
    """Return the bytes that a step needs beside the weights, and those it needs more for every row.

    Args:
        network: prepared.
        sample: rows to count on.
        parts: processes over which weights, gradients and the optimiser's state are spread.
    """
    parameters = sum(each.numel() for each in network.module.parameters() if each.requires_grad)
    fixed = parameters * _STATE_BYTES[network.recipe.optimiser] / parts
    lengths = row_lengths(sample.encoded)
    longest = np.arange(len(sample.rows)) if lengths is None else np.argsort(-lengths, kind="stable")
    most = min(len(longest), _COUNTED_ROWS)
    kept = {rows: _kept_bytes(network, *_some(network, sample, longest[:rows])) for rows in (max(1, most // 2), most)}
    (few, low), (many, high) = min(kept.items()), max(kept.items())
    each = (high - low) / (many - few) if many > few else high / many
    return fixed + max(0.0, low - few * each), each * _PASSING


def _kept_bytes(network: Network, batch: Batch, target: Tensor) -> float:
    """Count what is kept for the backward pass when it is most, weights left out.

    Blocks that are computed again on the way back keep what comes into them, and the one that is being computed the
    rest; what later blocks kept is gone by then.
    """
    weights = {each.untyped_storage().data_ptr() for each in network.module.parameters()}
    blocks = blocks_of(network.module) if network.settings.engine.recompute else []
    kept: list[dict[int, int]] = [{}]  # outside of blocks, and in the block that is being computed
    most = 0

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[-1][storage.data_ptr()] = storage.nbytes()
        return tensor

    def enter(_block: nn.Module, given: tuple[Any, ...]) -> None:
        for each in given:
            if isinstance(each, Tensor):
                keep(each)
        kept.append({})

    def leave(*_: object) -> None:
        nonlocal most
        most = max(most, sum(sum(some.values()) for some in kept))
        kept.pop()

    hooks = [block.register_forward_pre_hook(enter) for block in blocks]
    hooks += [block.register_forward_hook(leave) for block in blocks]
    network.module.train()
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = network.loss(batch, target)
        del loss
    finally:
        for hook in hooks:
            hook.remove()
    return float(max(most, sum(kept[0].values())))


def _some(network: Network, sample: Sample, rows: NDArray[np.int64]) -> tuple[Batch, Tensor]:
    target = torch.from_numpy(network.objective.encode(sample.rows.target)[rows])
    return network.batch(sample.encoded, rows), target.to(network.spec.device)


def _free_bytes(device: str, place: Place) -> float:
    if torch.device(device).type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return available_bytes() / place.beside

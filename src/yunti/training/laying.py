"""Before the loop: measure the pace or remember it, plan the steps, and encode the rows that they need."""

from __future__ import annotations

import math
import os
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from yunti.data.encode import Encoded
from yunti.data.table import Examples
from yunti.devices import cores
from yunti.errors import RungError
from yunti.models.contract import Size, Watch
from yunti.models.network import Network, row_lengths
from yunti.models.objective import Objective
from yunti.models.recipe import Augment
from yunti.seeds import generator
from yunti.training.augment import mirror_keeps_answers
from yunti.training.batches import endless
from yunti.training.config import Steps, exactly, plan_steps
from yunti.training.flops import flops_per_row
from yunti.training.judge import Judge
from yunti.training.optimisers import optimisers_for, set_rate, update
from yunti.training.pace import Memory, Pace
from yunti.training.pilot import RESERVE_SECONDS

_SAMPLES = (64, 1024)  # rows encoded to measure the pace; few where a pretrained model reads them slowly
_TIMED_STEPS = 4
_COUNTED_ROWS = 32
_LEAST_SHARE = 0.2  # of the recipe: a smaller network that sees more of it learns more
_LEAST_DIAL = 0.25
_WORTH_SHRINKING = 1.2  # times as much of the recipe: less is not worth the width
_SMALL_STEP_FLOPS = 4e8  # some ten milliseconds of one core


@final
@dataclass(frozen=True)
class Again:
    """What an earlier training chose and another keeps.

    Args:
        steps: how many to take.
        mirror: whether pictures were mirrored; None where there are none.
        objective: what it was fitted with.
    """

    steps: int
    mirror: bool | None
    objective: Objective


@final
@dataclass(frozen=True)
class Plan:
    """The steps that are planned, the pace they are planned with, and whether they fit the time."""

    steps: Steps
    pace: Pace
    memory: Memory
    fits: bool = True


@final
@dataclass(frozen=True, eq=False)
class Material:
    """All that the loop works on.

    Args:
        train: the encoded rows.
        target: their answers, as the loss takes them.
        judge: holds the validation rows and the best weights.
        steps: what is planned.
        augment: the recipe's changes to rows, less those that the data forbid.
        memory: what is remembered of the pace on this machine.
        pace: the pace that the plan was made with.
    """

    train: Encoded
    target: NDArray[Any]
    judge: Judge
    steps: Steps
    augment: Augment
    memory: Memory
    pace: Pace


def lay_out(network: Network, train: Examples, valid: Examples, watch: Watch, again: Again | None = None) -> Material:
    """Plan the steps of a prepared network and encode what they need.

    Args:
        network: a prepared network.
        train: the rows to learn from.
        valid: the rows to judge by; there may be none.
        watch: the time there is.
        again: what an earlier training chose and this one keeps; None plans as many steps as suit recipe and time.

    Raises:
        RungError: nothing useful fits the time.
    """
    measured = _sample(network, train, watch)
    plan = _plan(network, measured, len(train), len(valid), watch, again)
    first = plan.steps.share
    while again is None and (smaller := _smaller(network.size.dial, plan)) is not None:
        wider, dial = plan, network.size
        network.resize(Size(smaller))
        plan = _plan(network, measured, len(train), len(valid), watch, again)
        if wider.fits and plan.steps.share < _WORTH_SHRINKING * wider.steps.share:  # width is not what costs the time
            network.resize(dial)
            plan = _plan(network, measured, len(train), len(valid), watch, again)
            break
    steps = plan.steps
    if network.size.dial < 1:
        reason = f"at full size the time would hold {first:.1%} of the recipe"
        network.note(dial={"value": network.size.dial, "reason": reason})
    network.note(steps={"value": steps.total, "reason": steps.reason}, rows=steps.rows)
    if again is None and (steps.share < 1 or network.size.dial < 1):
        size = f" at {network.size.dial:.0%} of its width" if network.size.dial < 1 else ""
        short = f"shortened to {steps.share:.1%} of its recipe{size} to fit the time: {steps.total:,} steps"
        network.note(shortened=short)
    used, looked = train.take(slice(0, steps.rows)), valid.take(slice(0, steps.judged))
    return Material(
        network.encode(used.table),
        network.objective.encode(used.target),
        Judge(network, network.encode(looked.table), looked.target),
        steps,
        _augment(network, used, None if again is None else again.mirror),
        plan.memory,
        plan.pace,
    )


def _plan(
    network: Network,
    measured: tuple[Examples, Encoded, float],
    rows: int,
    valid_rows: int,
    watch: Watch,
    again: Again | None,
) -> Plan:
    """Plan the steps of the network as it is: with the pace that is remembered, or else measured."""
    sample, encoded, encode_seconds = measured
    recipe = network.recipe
    facts = {"rung": network.blueprint.name, "spec": asdict(network.spec), "recipe": asdict(recipe)}
    memory = Memory({**facts, "dial": network.size.dial})
    network.flops = _flops(network, encoded, sample)
    torch.set_num_threads(threads_for(network.flops * recipe.batch))
    pace = memory.pace or _measure(network, encoded, sample, encode_seconds)
    if again is not None:
        return Plan(exactly(recipe, rows, again.steps), pace, memory)
    seconds = watch.left - RESERVE_SECONDS
    try:
        steps = plan_steps(recipe, rows, valid_rows, pace, seconds, memory.share_for(seconds))
    except RungError:
        if network.size.dial <= _LEAST_DIAL:
            raise
        return Plan(exactly(recipe, rows, 1), pace, memory, fits=False)
    memory.remember(pace, seconds if np.isfinite(seconds) else None, steps.share)
    return Plan(steps, pace, memory)


def _smaller(dial: float, plan: Plan) -> float | None:
    """Return the dial to try next where the time holds too little of the recipe: half the operations a time and again.

    Where nothing useful fits as it is, the least dial is tried at once.
    """
    if plan.steps.share >= _LEAST_SHARE or dial <= _LEAST_DIAL:
        return None
    halvings = math.ceil(math.log2(_LEAST_SHARE / plan.steps.share)) if plan.fits else math.inf
    return max(_LEAST_DIAL, round(dial * 2 ** (-halvings / 2), 4))


def threads_for(flops: float) -> int:
    """Return the threads for steps of so many operations: all cores, or one where handing out the work costs more.

    `OMP_NUM_THREADS` bounds it, as everywhere. The rule looks at no clock, so that equal runs add in equal order.

    Args:
        flops: operations of a step.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    most = int(asked) if asked.isdigit() and int(asked) > 0 else cores()
    return most if flops > _SMALL_STEP_FLOPS else 1


def _sample(network: Network, train: Examples, watch: Watch) -> tuple[Examples, Encoded, float]:
    for rows in _SAMPLES:
        sample = train.take(slice(0, rows))
        began = time.monotonic()
        encoded = network.encode(sample.table)
        seconds = (time.monotonic() - began) / max(1, len(sample))
        if seconds * _SAMPLES[-1] > 0.05 * watch.left:
            break
    return sample, encoded, seconds


def _measure(network: Network, encoded: Encoded, sample: Examples, encode_seconds: float) -> Pace:
    """Time some steps on weights that are thrown away."""
    recipe = network.recipe
    state = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    optimisers = optimisers_for(network.module, recipe)
    set_rate(optimisers, 1e-3)
    target = network.objective.encode(sample.target)
    batches = endless(len(sample), recipe.batch, row_lengths(encoded), generator(0, "pace"))
    began = time.monotonic()
    for place in range(_TIMED_STEPS + 1):
        rows = next(batches)
        torch.autograd.backward(network.loss(network.batch(encoded, rows), torch.from_numpy(target[rows])))
        update(optimisers, network.module, recipe.clip)
        if place == 0:
            began = time.monotonic()  # the first step also prepares kernels and the optimiser's state
    step_seconds = (time.monotonic() - began) / _TIMED_STEPS
    began = time.monotonic()
    network.predict_encoded(encoded)
    predict_seconds = (time.monotonic() - began) / len(sample)
    network.module.load_state_dict(state)
    # a batch of a small sample may be smaller than the batches to come
    scale = recipe.batch / min(recipe.batch, len(sample))
    return Pace(step_seconds * scale, predict_seconds, encode_seconds)


def _flops(network: Network, encoded: Encoded, sample: Examples) -> float:
    rows = np.arange(min(_COUNTED_ROWS, len(sample)))
    target = torch.from_numpy(network.objective.encode(sample.target)[rows])
    return flops_per_row(network, network.batch(encoded, rows), target)


def _augment(network: Network, train: Examples, mirror: bool | None) -> Augment:
    """Mirror pictures only where a quick check finds, or found before, that no class turns into another."""
    wish = network.recipe.augment
    if mirror is not None:
        return replace(wish, mirror=mirror)
    images = [stream for stream in network.reader.streams if stream.kind == "image"]
    if not wish.mirror or not images:
        return wish
    encoded = network.encode(train.table.take(slice(0, 6000)))
    allowed = network.objective.is_classification and all(
        mirror_keeps_answers(np.asarray(encoded[stream.key]), train.target, network.spec.outputs) for stream in images
    )
    reason = "mirrored training pictures keep their class" if allowed else "mirrored training pictures change class"
    network.note(mirror={"value": allowed, "reason": reason})
    return replace(wish, mirror=allowed)

"""Before the loop: measure the pace or remember it, plan the steps, and encode the rows that they need."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from yunti.data.encode import Encoded
from yunti.data.table import Examples, Packed, Ragged
from yunti.devices import Place, place_of
from yunti.errors import RungError
from yunti.models.contract import Size, Watch
from yunti.models.network import Network
from yunti.models.objective import Objective
from yunti.models.recipe import Augment
from yunti.models.settings import plain
from yunti.training.augment import mirror_keeps_answers
from yunti.training.checkpoint import Snapshot
from yunti.training.config import Steps, exactly, plan_steps
from yunti.training.group import Group, is_sharded
from yunti.training.judge import Judge
from yunti.training.measuring import (
    Bench,
    checked_rate,
    micro_batch,
    pace_of,
    row_flops,
    sample_of,
    threads_for,
    worth_compiling,
)
from yunti.training.pace import Memory, Pace
from yunti.training.pilot import RESERVE_SECONDS
from yunti.training.precision import Precision, choose_precision, peak_flops
from yunti.words import say

_FORM = 1  # of checkpoints: raise it where an older one can no longer be gone on from
_KNOWN_BY = 64  # rows whose values tell data apart, beside all answers
_LEAST_SHARE = 0.2  # of the recipe: a smaller network that sees more of it learns more
_LEAST_DIAL = 0.25
_WORTH_SHRINKING = 1.2  # times as much of the recipe: less is not worth the width


@final
@dataclass(frozen=True)
class Again:
    """What an earlier training chose and another keeps.

    Args:
        steps: how many to take.
        mirror: whether pictures were mirrored; None where there are none.
        objective: what it was fitted with.
        learning_rate: what was found best, if that was tried.
    """

    steps: int
    mirror: bool | None
    objective: Objective
    learning_rate: float | None = None


@final
@dataclass(frozen=True)
class Plan:
    """What is planned for one size of a network.

    Args:
        steps: to take.
        pace: that they are planned with.
        micro: rows that go through the network at once, and why.
        fits: whether the steps fit the time.
        first: share of the recipe that the time held at the first size that was tried.
    """

    steps: Steps
    pace: Pace
    micro: tuple[int, str]
    fits: bool = True
    first: float = 1.0


@final
@dataclass(frozen=True)
class Layout:
    """All that is decided before the first step; a training that goes on from a checkpoint takes it from there.

    Args:
        steps: what is planned.
        pace: the pace that the plan was made with.
        dial: the size that the network has in the end.
        learning_rate: its peak.
        precision: what products are computed in.
        micro: rows that go through the network at once.
        compiled: whether the network is compiled.
        threads: of each operation.
    """

    steps: Steps
    pace: Pace
    dial: float
    learning_rate: float
    precision: Precision
    micro: int
    compiled: bool
    threads: int

    @staticmethod
    def restored(facts: Mapping[str, Any]) -> Layout:
        """Take back what `asdict` made of a layout."""
        parts = {"steps": Steps, "pace": Pace, "precision": Precision}
        return Layout(**{name: parts[name](**value) if name in parts else value for name, value in facts.items()})


@final
@dataclass(frozen=True, eq=False)
class Material:
    """All that the loop works on.

    Args:
        train: the encoded rows.
        target: their answers, as the loss takes them.
        judge: holds the validation rows and the best weights.
        layout: what was decided.
        augment: the recipe's changes to rows, less those that the data forbid.
        memory: what is remembered of the pace on this machine.
        group: the processes that train together.
        peak: operations a second that this machine reaches in a matrix product.
        key: tells trainings apart, so that none goes on from the checkpoint of another.
        saved: the checkpoint to go on from, if it is one of this training.
    """

    train: Encoded
    target: NDArray[Any]
    judge: Judge
    layout: Layout
    augment: Augment
    memory: Memory
    group: Group
    peak: float
    key: str
    saved: Snapshot | None


def lay_out(
    network: Network,
    train: Examples,
    valid: Examples,
    watch: Watch,
    group: Group,
    again: Again | None = None,
    saved: Snapshot | None = None,
) -> Material:
    """Plan the steps of a prepared network and encode what they need.

    Args:
        network: a prepared network.
        train: the rows to learn from.
        valid: the rows to judge by; there may be none.
        watch: the time there is.
        group: the processes that train together.
        again: what an earlier training chose and this one keeps; None plans as many steps as suit recipe and time.
        saved: a checkpoint, whose layout is taken if it is one of this training.

    Raises:
        RungError: nothing useful fits the time.
    """
    rows, train, valid = len(train) // network.nth, network.pack(train, network.nth), network.pack(valid)
    key = _key(network, train, valid, again)
    if saved is not None and saved.facts["key"] != key:
        saved = None
    if saved is None:
        layout = group.agree(_decide(network, train, len(valid), watch, group.place, again))
        _put(network, layout)
        network.note(rows=round(rows * layout.steps.rows / max(1, len(train))))  # of the table
        if network.nth > 1:
            network.note(texts={"value": f"1/{network.nth}", "reason": say("why.some texts")})
    else:
        layout = Layout.restored(saved.facts["layout"])
        _put(network, layout)
        network.note(**saved.facts["plan"])
        network.flops = row_flops(network, sample_of(network, train, watch))
    torch.set_num_threads(layout.threads)
    steps = layout.steps
    used, looked = train.take(slice(0, steps.rows)), valid.take(slice(0, steps.judged))
    augment = _augment(network, used, None if again is None else again.mirror)
    group = replace(group, sharded=group.agree(is_sharded(network, group.place)))
    return Material(
        network.encode(used.table),
        network.objective.encode(used.target),
        Judge(network, network.encode(looked.table), looked.target, group, len(valid)),
        layout,
        augment,
        _memory(network),
        group,
        peak_flops(network.spec.device, layout.precision.name),
        key,
        saved,
    )


def _decide(
    network: Network, train: Examples, valid_rows: int, watch: Watch, place: Place, again: Again | None
) -> Layout:
    """Decide on size, steps, precision, rows at once, compilation and rate, and note why."""
    engine = network.settings.engine
    sample = sample_of(network, train, watch)
    precision = choose_precision(network.spec.device, engine.precision)
    bench = Bench(network, sample, precision, place)
    plan = _choose(bench, (len(train), valid_rows), watch, again)
    micro, why_micro = plan.micro
    seconds = min(plan.steps.total * plan.pace.step_seconds, watch.left)
    compiled, why_compiled = worth_compiling(bench, micro, plan.pace.step_seconds, seconds)
    rate, why_rate = network.recipe.learning_rate, ""
    if again is not None and again.learning_rate is not None:
        rate, why_rate = again.learning_rate, say("run.found rate")
    elif engine.rate_check and again is None:
        rate, why_rate = checked_rate(bench, micro, plan.steps.total)
    reasons = {
        "precision": (precision.name, precision.reason),
        "micro_batch": (micro, why_micro),
        "compiled": (compiled, why_compiled),
        "threads": (torch.get_num_threads(), say("run.threads")),
    }
    layout = Layout(plan.steps, plan.pace, network.size.dial, rate, precision, micro, compiled, torch.get_num_threads())
    _note(network, plan, again)
    network.note(**{name: {"value": value, "reason": reason} for name, (value, reason) in reasons.items()})
    if why_rate:
        network.note(learning_rate={"value": rate, "reason": why_rate})
    return layout


def _put(network: Network, layout: Layout) -> None:
    """Give the network the size and the rate of a layout; what was noted stays.

    The module is made anew in any case: measuring has run rows through it, which batch normalisation remembers.
    """
    noted, flops, settings = network.plan, network.flops, network.settings
    network.resize(Size(layout.dial))
    if layout.learning_rate != network.recipe.learning_rate:
        # all rates were tried together, those beside a base too
        training = {**settings.training, "learning_rate": layout.learning_rate, "rates": network.recipe.rates}
        network.settings = replace(settings, training=training)
        network.resize(Size(layout.dial))
    network.flops = flops
    network.note(**noted)


def _note(network: Network, plan: Plan, again: Again | None) -> None:
    steps, dial = plan.steps, network.size.dial
    width = dial / network.settings.dial
    if width < 1:
        reason = say("dial.narrower", share=plan.first) if plan.first else say("dial.least")
        network.note(dial={"value": dial, "reason": reason})
    network.note(steps={"value": steps.total, "share": steps.share, "reason": steps.reason})
    if again is None and (steps.share < 1 or width < 1):
        network.note(shortened=shortened(steps, width))


def shortened(steps: Steps, width: float) -> str:
    """Say what the time took from the recipe, from the width, or from both."""
    if steps.share >= 1:
        return say("shortened.width", dial=width)
    key = "shortened.narrower" if width < 1 else "shortened.network"
    return say(key, share=steps.share, dial=width, steps=steps.total)


def _choose(bench: Bench, rows: tuple[int, int], watch: Watch, again: Again | None) -> Plan:
    """Plan the steps, with a narrower network where the time holds too little of the recipe."""
    network = bench.network
    plan = _plan(bench, rows, watch, again)
    first = plan.steps.share if plan.fits else 0.0
    narrows = again is None and not network.blueprint.on_base
    while narrows and (smaller := _smaller(network.size.dial, plan)) is not None:
        wider, dial = plan, network.size
        network.resize(Size(smaller))
        plan = _plan(bench, rows, watch, again)
        if wider.fits and plan.steps.share < _WORTH_SHRINKING * wider.steps.share:  # width is not what costs the time
            network.resize(dial)
            plan = _plan(bench, rows, watch, again)
            if not plan.fits:  # trying the narrower one took the time that was missing: it comes down early then
                plan = wider
            break
    return replace(plan, first=first)


def _plan(bench: Bench, rows: tuple[int, int], watch: Watch, again: Again | None) -> Plan:
    """Plan the steps of the network as it is: with the pace that is remembered, or else measured."""
    network, (train_rows, valid_rows) = bench.network, rows
    recipe, memory = network.recipe, _memory(network)
    network.flops = row_flops(network, bench.sample)
    torch.set_num_threads(threads_for(network.flops * recipe.batch))
    micro = micro_batch(network, bench.sample, bench.place)
    seconds = watch.left - RESERVE_SECONDS
    remembered = memory.pace
    pace = remembered or pace_of(bench, micro[0])
    if again is not None:
        return Plan(exactly(recipe, train_rows, again.steps), pace, micro)

    def planned() -> Steps:
        given, least = memory.share_for(seconds), network.blueprint.least_steps
        return plan_steps(recipe, train_rows, valid_rows, pace, seconds, given, least)

    try:
        try:
            steps = planned()
        except RungError:
            if remembered is None:
                raise
            pace = pace_of(bench, micro[0])  # the machine may have been busy with something else then
            steps = planned()
    except RungError:
        if network.size.dial <= _LEAST_DIAL or network.blueprint.on_base:
            raise
        return Plan(exactly(recipe, train_rows, 1), pace, micro, fits=False)
    memory.remember(pace, seconds if np.isfinite(seconds) else None, steps.share)
    return Plan(steps, pace, micro)


def _memory(network: Network) -> Memory:
    facts: dict[str, Any] = {"rung": network.blueprint.name, "spec": asdict(network.spec)}
    facts["recipe"] = asdict(network.recipe)
    engine = {**asdict(network.settings.engine), "checkpoint_seconds": 0}
    facts |= {"module": repr(network.module), "engine": engine, "processes": place_of(os.environ).size}
    return Memory({**facts, "model": dict(network.settings.model), "dial": network.size.dial})


def _key(network: Network, train: Examples, valid: Examples, again: Again | None) -> str:
    """Tell trainings apart: by network, settings, rows and versions."""
    facts: dict[str, Any] = {
        "rung": network.blueprint.name,
        "spec": asdict(network.spec),
        "settings": {**plain(network.settings), "engine.checkpoint_seconds": 0},
        "dial": network.size.dial,
        "recipe": asdict(network.recipe),
        "rows": [len(train), len(valid)],
        "shape": dict(network.shape),
        "base": network.plan.get("base_sha256"),
        "module": repr(network.module),
        "again": None if again is None else [again.steps, again.mirror],
        "versions": [_FORM, torch.__version__],
    }
    state = hashlib.blake2b(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=16)
    for examples in (train, valid):
        state.update(np.ascontiguousarray(examples.target).tobytes())
        for name, values in sorted(network.encode(examples.table.take(slice(0, _KNOWN_BY))).items()):
            state.update(name.encode())
            some = values.arrays(slice(None))[""] if isinstance(values, Packed) else values
            state.update(np.ascontiguousarray(some.values if isinstance(some, Ragged) else some).tobytes())
    return state.hexdigest()


def _smaller(dial: float, plan: Plan) -> float | None:
    """Return the dial to try next where the time holds too little of the recipe: half the operations a time and again.

    Where nothing useful fits as it is, the least dial is tried at once.
    """
    if plan.steps.share >= _LEAST_SHARE or dial <= _LEAST_DIAL:
        return None
    halvings = math.ceil(math.log2(_LEAST_SHARE / plan.steps.share)) if plan.fits else math.inf
    return max(_LEAST_DIAL, round(dial * 2 ** (-halvings / 2), 4))


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
    reason = say("run.mirror") if allowed else say("run.no mirror")
    network.note(mirror={"value": allowed, "reason": reason})
    return replace(wish, mirror=allowed)

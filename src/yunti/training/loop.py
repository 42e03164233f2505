"""The loop that trains every network: planned steps, evaluations on the way, the best weights kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from yunti.data.encode import Encoded
from yunti.data.table import Examples
from yunti.devices import cores
from yunti.errors import RungError
from yunti.models.contract import Watch
from yunti.models.network import Batch, Network, row_count, row_lengths
from yunti.models.recipe import Augment, Recipe
from yunti.seeds import generator, seed_for
from yunti.training.augment import augmented, mirror_keeps_answers
from yunti.training.batches import endless
from yunti.training.config import Steps, plan_steps
from yunti.training.flops import flops_per_row
from yunti.training.judge import Judge
from yunti.training.optimisers import optimisers_for, set_rate
from yunti.training.pace import Memory, Pace
from yunti.training.schedules import Course

_SAMPLE = 1024  # rows encoded to measure the pace
_TIMED_STEPS = 4
_TELL_SECONDS = 0.5
_PREPARED = 0.05  # share of the progress that laying out counts for
_RESERVE_SECONDS = 0.3
_SMALL_STEP_FLOPS = 4e8  # some ten milliseconds of one core


@final
@dataclass(frozen=True)
class Material:
    """All that the loop works on: encoded rows, the steps planned for them, and what is remembered of the pace."""

    train: Encoded
    target: NDArray[Any]
    judge: Judge
    steps: Steps
    augment: Augment
    memory: Memory
    pace: Pace


def fit(network: Network, train: Examples, valid: Examples, watch: Watch) -> None:
    """Train a network, from fitting its encoder to keeping its best weights. See `yunti.training.train`."""
    torch.set_flush_denormal(True)  # numbers near zero slow a processor down a hundredfold and change no score
    network.prepare(train)
    watch.tell(0.01)
    material = lay_out(network, train, valid, watch)
    watch.tell(_PREPARED, step=0)
    ended = descend(network, material, watch.part(_PREPARED, 1.0))
    judge = material.judge
    judge.restore_best()
    if judge.predictions is not None:
        network.objective.calibrate(judge.predictions, valid.target[: len(judge.predictions)])
    network.note(best_step=judge.best_step + 1, temperature=network.objective.temperature, **ended)
    watch.tell(1.0)


def descend(network: Network, material: Material, watch: Watch) -> dict[str, Any]:
    """Take the planned steps; return what came to pass, for the plan."""
    recipe, steps, judge = network.recipe, material.steps, material.judge
    module = network.module
    optimisers = optimisers_for(module, recipe)
    course = Course(recipe, steps.total)
    batches = _batches(network, material)
    random = torch.Generator().manual_seed(seed_for(network.spec.seed, network.blueprint.name, "augment"))
    torch.manual_seed(seed_for(network.spec.seed, network.blueprint.name, "dropout"))
    notes: dict[str, Any] = {}
    began = told = time.monotonic()
    step, rescues, smoothed, peak = 0, 0, float("nan"), 1.0

    while step < course.total:
        rows = next(batches)
        batch = augmented(network.batch(material.train, rows), network.reader.streams, material.augment, random)
        target = torch.from_numpy(material.target[rows])

        module.train()
        set_rate(optimisers, peak * course.factor(step))
        loss = network.loss(batch, target)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1

        value = float(loss.detach())
        if not np.isfinite(value):
            rescues += 1
            peak *= 0.5
            optimisers = _rescue(network, judge, rescues)
            notes["rescued"] = f"the loss was no number at step {step}: the best weights came back, the rate was halved"
            continue
        smoothed = value if smoothed != smoothed else 0.95 * smoothed + 0.05 * value

        numbers = {
            "loss": smoothed,
            "step": float(step),
            "epoch": step / steps.per_epoch,
            "learning_rate": recipe.learning_rate * peak * course.factor(step - 1),
        }
        now = time.monotonic()
        if step % steps.every == 0 or step == course.total:
            judge.look(step - 1)
            watch.tell(step / course.total, valid=judge.score, **numbers)
            if _tired(judge, recipe, steps):
                if course.descends(step):
                    notes["ended"] = f"nothing better came after step {judge.best_step + 1}"
                    break
                judge.restore_best()
                course.land(step, round(recipe.decay * step))
        elif now - told > _TELL_SECONDS:
            told = now
            watch.tell(step / course.total, **numbers)

        fitting = _steps_that_fit(watch, began, step)
        if fitting < 1:
            notes["stopped"] = f"the time was over at step {step} of {steps.total}"
            break
        if step + fitting < course.total and not course.landing and step > 2 * recipe.warmup * steps.total:
            course.land(step, int(0.9 * fitting))
            notes["stopped"] = f"the machine was slower than planned: {course.total} of {steps.total} steps were taken"

    _finish(network, material, step, began, notes)
    return {**notes, "steps_taken": step}


def lay_out(network: Network, train: Examples, valid: Examples, watch: Watch) -> Material:
    """Measure the pace or remember it, plan the steps, and encode the rows that they need."""
    recipe = network.recipe
    memory = Memory({"rung": network.blueprint.name, "spec": asdict(network.spec), "recipe": asdict(recipe)})
    sample, encoded, encode_seconds = _sample(network, train, watch)
    network.flops = _flops(network, encoded, sample)
    torch.set_num_threads(threads_for(network.flops * recipe.batch))
    pace = memory.pace or _measure(network, encoded, sample, encode_seconds)
    seconds = watch.left - _RESERVE_SECONDS
    steps = plan_steps(recipe, len(train), len(valid), pace, seconds, memory.share_for(seconds))
    memory.remember(pace, seconds if np.isfinite(seconds) else None, steps.share)
    used, looked = train.take(slice(0, steps.rows)), valid.take(slice(0, steps.judged))
    network.note(steps={"value": steps.total, "reason": steps.reason}, rows_used=steps.rows)
    return Material(
        network.encode(used.table),
        network.objective.encode(used.target),
        Judge(network, network.encode(looked.table), looked.target),
        steps,
        _mirror_or_not(network, used),
        memory,
        pace,
    )


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
    """Encode some rows and say how many seconds a row took; fewer rows where a pretrained model reads them slowly."""
    for rows in (64, _SAMPLE):
        sample = train.take(slice(0, rows))
        began = time.monotonic()
        encoded = network.encode(sample.table)
        seconds = (time.monotonic() - began) / max(1, len(sample))
        if seconds * _SAMPLE > 0.05 * watch.left:
            break
    return sample, encoded, seconds


def _batches(network: Network, material: Material) -> Iterator[NDArray[np.int64]]:
    random = generator(network.spec.seed, network.blueprint.name, "batches")
    return endless(row_count(material.train), network.recipe.batch, row_lengths(material.train), random)


def _measure(network: Network, encoded: Encoded, sample: Examples, encode_seconds: float) -> Pace:
    """Time some steps on throw-away weights."""
    recipe = network.recipe
    state = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    optimisers = optimisers_for(network.module, recipe)
    set_rate(optimisers, 1e-3)
    target = network.objective.encode(sample.target)
    random = generator(0, "pace")
    batches = endless(len(sample), recipe.batch, row_lengths(encoded), random)
    began = time.monotonic()
    for place in range(_TIMED_STEPS + 1):
        rows = next(batches)
        network.loss(network.batch(encoded, rows), torch.from_numpy(target[rows])).backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
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
    rows = np.arange(min(32, len(sample)))
    batch: Batch = network.batch(encoded, rows)
    return flops_per_row(network, batch, torch.from_numpy(network.objective.encode(sample.target)[rows]))


def _mirror_or_not(network: Network, train: Examples) -> Augment:
    """Mirror pictures only where a quick check finds that no class turns into another."""
    wish = network.recipe.augment
    images = [stream for stream in network.reader.streams if stream.kind == "image"]
    if not wish.mirror or not images:
        return wish
    encoded = network.encode(train.table.take(slice(0, 6000)))
    allowed = network.objective.is_classification and all(
        mirror_keeps_answers(np.asarray(encoded[stream.key]), train.target, network.spec.outputs) for stream in images
    )
    reason = "mirrored training pictures keep their class" if allowed else "mirrored training pictures change class"
    network.note(mirror={"value": allowed, "reason": reason})
    return Augment(**{**asdict(wish), "mirror": allowed})


def _tired(judge: Judge, recipe: Recipe, steps: Steps) -> bool:
    count = -(-steps.total // steps.every)
    return judge.since_best > max(3, round(recipe.patience * count))


def _steps_that_fit(watch: Watch, began: float, step: int) -> float:
    return (watch.left - _RESERVE_SECONDS) / max(1e-9, (time.monotonic() - began) / step)


def _rescue(network: Network, judge: Judge, rescues: int) -> list[Optimizer]:
    if rescues > 2:
        raise RungError(
            network.blueprint.name, "its loss must stay a number", "it diverged",
            "look for extreme values in the inputs, or leave this rung out",
        )  # fmt: skip
    judge.restore_best()
    return optimisers_for(network.module, network.recipe)


def _finish(network: Network, material: Material, step: int, began: float, notes: dict[str, Any]) -> None:
    if not material.judge.has_best or "stopped" in notes:
        material.judge.look(step - 1)
    if not material.judge.has_best:
        raise RungError(network.blueprint.name, "its predictions must be numbers", "none were", "leave this rung out")
    network.flops *= step * min(network.recipe.batch, len(material.target))
    if "stopped" in notes:
        real = (time.monotonic() - began) / max(1, step)
        material.memory.forget_plans(Pace(real, material.pace.predict_seconds, material.pace.encode_seconds))

"""The loop that trains every network: planned steps, evaluations on the way, the best weights kept."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim import Optimizer

from yunti.data.table import Examples
from yunti.errors import RungError
from yunti.models.contract import Watch
from yunti.models.network import Network, row_count, row_lengths
from yunti.seeds import generator, seed_for
from yunti.training.augment import augmented
from yunti.training.batches import endless
from yunti.training.judge import Judge
from yunti.training.laying import Again, Material, lay_out
from yunti.training.optimisers import optimisers_for, set_rate, update
from yunti.training.pace import Pace
from yunti.training.pilot import News, Pilot
from yunti.training.schedules import Course

_PREPARED = 0.05  # share of the progress that fitting the encoder and encoding count for
_MOST_RESCUES = 2


def fit(network: Network, train: Examples, valid: Examples, watch: Watch) -> None:
    """Train a network, from fitting its encoder to keeping its best weights. See `yunti.training.train`."""
    judge, notes = _run(network, train, valid, watch)
    if judge.predictions is not None:
        network.objective.calibrate(judge.predictions, valid.target[: len(judge.predictions)])
    network.note(best_step=judge.best_step + 1, temperature=network.objective.temperature, **notes)
    watch.tell(1.0)


def refit(network: Network, rows: Examples, watch: Watch) -> None:
    """Train a trained network anew on other rows, as often through them as led to its best weights.

    Nothing is chosen any more, so there are no validation rows: the learning rate falls to zero over exactly these
    steps, the last weights stay, and so does the temperature.

    Raises:
        RungError: the time did not hold all steps; the network must not be used then.
    """
    before, objective = network.plan, network.objective
    if before["rows"] < network.spec.rows:
        got = f"{before['rows']:,} of {network.spec.rows:,}"
        raise RungError(network.blueprint.name, "it must have learned from all rows", got, "leave the refit out")
    steps = max(1, round(before["best_step"] * len(rows) / network.spec.rows))
    mirror = before["mirror"]["value"] if "mirror" in before else None
    _, notes = _run(network, rows, rows.take(slice(0, 0)), watch, Again(steps, mirror, objective))
    if notes["steps_taken"] < steps:
        got = f"{notes['steps_taken']} did"
        raise RungError(network.blueprint.name, f"{steps} steps must fit the time", got, "give a larger budget")
    if "rescued" in notes:
        raise RungError(
            network.blueprint.name, "its loss must stay a number", "it did not", "the first training is kept"
        )
    network.objective.temperature = objective.temperature
    network.note(**{**before, "steps_taken": notes["steps_taken"], "rows": network.plan["rows"]})
    watch.tell(1.0)


def _run(
    network: Network, train: Examples, valid: Examples, watch: Watch, again: Again | None = None
) -> tuple[Judge, dict[str, Any]]:
    network.prepare(train, None if again is None else again.objective)
    watch.tell(0.01)
    torch.set_flush_denormal(True)  # numbers near zero slow a processor down a hundredfold and change no score
    try:
        material = lay_out(network, train, valid, watch, again)
        watch.tell(_PREPARED, step=0)
        notes = descend(network, material, watch.part(_PREPARED, 1.0))
    finally:
        torch.set_flush_denormal(False)  # whoever called counts with denormal numbers, as everywhere
    judge = material.judge
    if not judge.has_best:
        raise RungError(network.blueprint.name, "its predictions must be numbers", "none were", "leave this rung out")
    judge.restore_best()
    return judge, notes


def descend(network: Network, material: Material, watch: Watch) -> dict[str, Any]:
    """Take the planned steps; return what came to pass, for the plan."""
    recipe, steps, judge, module = network.recipe, material.steps, material.judge, network.module
    seed, name = network.spec.seed, network.blueprint.name
    batches = endless(
        row_count(material.train), recipe.batch, row_lengths(material.train), generator(seed, name, "batches")
    )
    random = torch.Generator().manual_seed(seed_for(seed, name, "augment"))
    torch.manual_seed(seed_for(seed, name, "dropout"))
    optimisers = optimisers_for(module, recipe)
    course = Course(recipe, steps.total)
    pilot, news = Pilot(course, judge, recipe, steps, watch), News(watch, steps.per_epoch)
    step, peak = 0, 1.0

    while step < course.total:
        rows = next(batches)
        batch = augmented(network.batch(material.train, rows), network.reader.streams, material.augment, random)
        target = torch.from_numpy(material.target[rows])

        module.train()
        factor = peak * course.factor(step)
        set_rate(optimisers, factor)
        loss = network.loss(batch, target)
        torch.autograd.backward(loss)
        update(optimisers, module, recipe.clip)
        step += 1

        value = float(loss.detach())
        if not math.isfinite(value):
            peak /= 2
            optimisers = rescue(network, judge, peak)
            pilot.notes["rescued"] = f"the loss was no number at step {step}: the rate was halved on the best weights"
            continue

        news.add(value)
        if step % steps.every == 0 or step == course.total:
            judge.look(step - 1)
            news.tell(step, course.total, recipe.learning_rate * factor, judge.score if judge.judges else None)
            if not pilot.has_patience(step):
                break
        else:
            news.tell(step, course.total, recipe.learning_rate * factor)
        if not pilot.has_time(step):
            judge.look(step - 1)
            break

    if "stopped" in pilot.notes:  # the pace that was remembered does not hold
        kept = material.pace
        material.memory.forget_plans(Pace(pilot.seconds_per_step(step), kept.predict_seconds, kept.encode_seconds))
    network.flops *= step * min(recipe.batch, len(material.target))
    return {**pilot.notes, "steps_taken": step}


def rescue(network: Network, judge: Judge, peak: float) -> list[Optimizer]:
    """Go back to the best weights with optimisers that have forgotten how they got lost.

    Raises:
        RungError: this happened too often.
    """
    if peak < 0.5**_MOST_RESCUES:
        raise RungError(
            network.blueprint.name, "its loss must stay a number", "it diverged",
            "look for extreme values in the inputs, or leave this rung out",
        )  # fmt: skip
    judge.restore_best()
    return optimisers_for(network.module, network.recipe)

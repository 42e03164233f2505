"""Train a network, from fitting its encoder to keeping its best weights; or train it anew on other rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from yunti.data.table import Examples
from yunti.errors import RungError
from yunti.models.contract import Watch
from yunti.models.network import Network
from yunti.storing import write_atomic
from yunti.training.allocator import keep_freed_memory
from yunti.training.checkpoint import Keeper, Snapshot
from yunti.training.group import Group, joined, whole
from yunti.training.judge import Judge
from yunti.training.laying import Again, lay_out
from yunti.training.loop import Descent
from yunti.words import say

_PREPARED = 0.05  # share of the progress that fitting the encoder and encoding count for


def fit(network: Network, train: Examples, valid: Examples, watch: Watch, home: Path | None = None) -> None:
    """Train a network, from fitting its encoder to keeping its best weights. See `yunti.training.train`."""
    judge, notes = _run(network, train, valid, watch, home)
    if judge.predictions is not None:
        network.objective.calibrate(judge.predictions, valid.target[: len(judge.predictions)])
    network.note(best_step=judge.best_step + 1, temperature=network.objective.temperature, **notes)
    watch.tell(1.0)


def refit(network: Network, rows: Examples, watch: Watch, home: Path | None = None) -> None:
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
    rate = before["learning_rate"]["value"] if network.settings.engine.rate_check else None
    again = Again(steps, mirror, objective, rate)
    _, notes = _run(network, rows, rows.take(slice(0, 0)), watch, home, again)
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
    network: Network, train: Examples, valid: Examples, watch: Watch, home: Path | None, again: Again | None = None
) -> tuple[Judge, dict[str, Any]]:
    keep_freed_memory()
    if torch.device(network.spec.device).type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 for what stays fp32
    torch.set_flush_denormal(True)  # numbers near zero slow a processor down a hundredfold and change no score
    try:
        with joined(network.spec.device) as group:
            seconds = group.agree(watch.left)
            network.prepare(train, None if again is None else again.objective, seconds)  # on this process's own GPU
            watch.tell(0.01)
            keeper = Keeper(home) if home is not None else None
            saved = _saved(keeper, watch, group)
            material = lay_out(network, train, valid, watch, group, again, saved)
            if keeper is not None and material.saved is None and group.leads:
                if saved is not None:
                    watch.say(say("training.begins anew"))
                keeper.clear()
            watch.tell(_PREPARED, step=0)
            descent = Descent(network, material, watch.part(_PREPARED, 1.0), keeper)
            if material.saved is not None:
                descent.restore(material.saved)
                watch.say(say("training.goes on", step=descent.step, total=descent.course.total))
            try:
                notes = descent.run()
            finally:
                descent.team.release()
            judge = material.judge
            if not judge.has_best:
                must = "its predictions must be numbers"
                raise RungError(network.blueprint.name, must, "none were", "leave this rung out")
            judge.restore_best()
            if home is not None and group.leads:
                lines = "".join(json.dumps(line) + "\n" for line in descent.news.history)
                write_atomic(home.parent / "history.jsonl", lines)
            if not group.is_alone:  # leave what was changed for training behind
                network.adopt(whole(network.module.state_dict()))
            network.finish()
    finally:
        torch.set_flush_denormal(False)  # whoever called counts with denormal numbers, as everywhere
    return judge, notes


def _saved(keeper: Keeper | None, watch: Watch, group: Group) -> Snapshot | None:
    if keeper is None:
        return None
    saved, damage = keeper.newest()
    steps = group.gather(-1 if saved is None else int(saved.facts["step"]))
    if len(set(steps)) > 1:
        raise RungError(
            "training", "all processes must read the same checkpoint", f"they read those of steps {steps}",
            "give a folder on a disk that they share, and start again",
        )  # fmt: skip
    if damage and group.leads:
        watch.say(damage)
    return saved

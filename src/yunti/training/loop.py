"""The loop that trains every network, read from top to bottom in `Descent.run`."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from yunti.errors import RungError
from yunti.models.blueprint import Turn
from yunti.models.contract import Watch
from yunti.models.layers import Batch
from yunti.models.network import Network
from yunti.models.objective import Target
from yunti.seeds import seed_for
from yunti.training.average import Average
from yunti.training.checkpoint import Keeper, Snapshot
from yunti.training.feed import Feed, Part
from yunti.training.group import Team, like
from yunti.training.laying import Material
from yunti.training.optimisers import advance, clipped, optimisers_for, pack, penalise, set_rate, unpack
from yunti.training.pace import Pace
from yunti.training.pilot import Health, News, Pilot
from yunti.training.randomness import generators, set_generators
from yunti.training.schedules import Course
from yunti.training.shards import save_shards
from yunti.words import say

_MOST_RESCUES = 2
_READ_EVERY = 10  # steps after which a GPU's losses are read: it must not wait for every one
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@final
class Descent:
    """One training: gradient descent over planned steps, from the first or from a checkpoint.

    Args:
        network: prepared.
        material: the encoded rows, the plan, and the judge.
        watch: the time there is, and whom to tell.
        keeper: keeps checkpoints; None keeps none.
    """

    def __init__(self, network: Network, material: Material, watch: Watch, keeper: Keeper | None) -> None:
        recipe, layout, group = network.recipe, material.layout, material.group
        self.network, self.material, self.watch, self.keeper, self.group = network, material, watch, keeper, group
        self.step, self.peak = 0, 1.0
        self.team = Team(network.module, group, layout.precision, network.settings.engine.recompute)
        self.forward = torch.compile(self.team.forward) if layout.compiled else self.team.forward
        products = material.layout.precision.dtype
        self.turns = [
            _Turn(turn, network, self.forward, products) for turn in network.blueprint.turns or (_own(network),)
        ]
        self.feed = Feed(network, material.train, material.target, material.augment, layout.micro, group)
        self.scaler = torch.amp.GradScaler(
            torch.device(network.spec.device).type, enabled=layout.precision.needs_scaling
        )
        self.scales = self.scaler.is_enabled()
        self.course = Course(recipe, layout.steps.total)
        self.average = Average(network.module, recipe.average)
        self.health = Health()
        self.pilot = Pilot(self.course, material.judge, recipe, layout.steps, watch, group)
        self.news = News(watch, layout.steps, network.flops, material.peak * group.size)
        torch.manual_seed(seed_for(network.spec.seed, network.blueprint.name, "dropout", str(group.place.rank)))

    def run(self) -> dict[str, Any]:
        """Take the planned steps; return what came to pass, for the plan."""
        network, recipe, judge, course, news = (
            self.network, self.network.recipe, self.material.judge, self.course, self.news
        )  # fmt: skip
        seconds = network.settings.engine.checkpoint_seconds if self.keeper else None
        read_every = 1 if network.spec.device == "cpu" else _READ_EVERY
        every, batch = self.material.layout.steps.every, min(recipe.batch, self.feed.rows)

        network.module.train()
        began = self.step
        while self.step < course.total and "ended" not in self.pilot.notes:
            factor = self.peak * course.factor(self.step)
            loss, norm = self._learn(factor)
            self.average.update()
            self.step += 1

            if self.step % read_every == 0 or self.step == course.total:
                value, length = self._read(loss, norm)
                if trouble := self.health.trouble(math.nan if self._is_lost(length) else value):
                    self._rescue(trouble)
                    continue
                news.add(batch * read_every, length)

            rate = recipe.learning_rate * factor
            if self.step % every == 0 or self.step == course.total:
                self._look()
                news.tell(self.step, course, self.health.mean, rate, judge.score if judge.judges else None)
                if not self.pilot.has_patience(self.step):
                    break
                if self.course.landed_at == self.step:  # on the best weights
                    self.average.forget()
            else:
                news.tell(self.step, course, self.health.mean, rate)

            if self.material.layout.compiled and self.step == began + 1:
                self.pilot.begin_at(self.step)  # the first step compiled
                continue
            order = self.pilot.ask_clock(self.step, seconds)
            if order.save:
                self._save()
            if order.stop:
                self._look()
                break

        return self._end()

    def restore(self, saved: Snapshot) -> None:
        """Go on from a checkpoint as if nothing had happened."""
        facts, module = saved.facts, self.network.module
        now = module.state_dict()
        module.load_state_dict({name: like(value, now[name]) for name, value in saved.tensors_of("module").items()})
        for number, turn in enumerate(self.turns):
            unpack(turn.optimisers, saved.tensors_of(f"optimiser.{number}"))
        self.material.judge.restore(saved.tensors_of("judge"), facts["judge"])
        self.average.restore(saved.tensors_of("average"), facts["average"])
        self.course.restore(facts["course"])
        self.health.restore(facts["health"])
        self.scaler.load_state_dict(facts["scaler"])
        self.step, self.peak = int(facts["step"]), float(facts["peak"])
        self.feed.micro = int(facts["micro"])
        self.news.history, self.news.norm = [*facts["history"]], float(facts["norm"])
        self.pilot.notes = dict(facts["notes"])
        if not self.course.landing:
            self.pilot.notes.pop("stopped", None)  # there is time again
        self.pilot.begin_at(self.step)
        set_generators(self.feed.random, saved, self.group.place.rank, self.step, self.network.spec.seed)

    def _learn(self, factor: float) -> tuple[Tensor, Tensor | float]:
        """Forward, backward and update, turn by turn; where memory runs out, with fewer rows at once."""
        set_rate(self.turns[0].optimisers, factor)
        loss, norm = self._take(self.turns[0])
        for turn in self.turns[1:]:
            set_rate(turn.optimisers, factor)
            more, norm = self._take(turn)
            loss = loss + more
        return loss, norm

    def _take(self, turn: _Turn) -> tuple[Tensor, Tensor | float]:
        while True:
            try:
                losses = [self._backward(turn, part) for part in self.feed.at(self.step)]
                loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
                norm = self._update(turn)
                if len(self.turns) > 1:  # what a loss gave to the parameters of another turn must not count there
                    self.network.module.zero_grad(set_to_none=True)
                return loss, norm
            except RuntimeError as error:
                if _lacks_memory(error) and not self.group.is_alone:  # the others would wait for this one
                    raise RungError(
                        self.network.blueprint.name, "a step must fit the memory of every process", "it ran out",
                        f"set engine.micro_batch below {self.feed.micro} or start more processes",
                    ) from error  # fmt: skip
                if not _lacks_memory(error) or self.feed.micro <= 1:
                    raise
            self._lower()

    def _lower(self) -> None:
        """Let fewer rows through the network at once from here on."""
        self.feed.micro = max(1, min(self.feed.micro, self.network.recipe.batch) // 2)
        self.network.module.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        said = say("training.memory", step=self.step + 1, rows=self.feed.micro)
        self.pilot.notes["memory"] = said
        self.watch.say(said)

    def _backward(self, turn: _Turn, part: Part) -> Tensor:
        with self.team.accumulating(part.is_last):  # DDP decides on the way forward what it exchanges on the way back
            with self.material.layout.precision.autocast():
                loss = turn.loss(part.batch, part.target)
            if part.share != 1:
                loss = loss * part.share
            torch.autograd.backward(self.scaler.scale(loss) if self.scales else loss)
        return loss.detach()

    def _update(self, turn: _Turn) -> Tensor | float:
        recipe = self.network.recipe
        if self.scales:
            for optimiser in turn.optimisers:
                self.scaler.unscale_(optimiser)
        if recipe.l1:
            penalise(self.network.module, recipe.l1)
        norm = clipped(turn.parameters, recipe.clip, asked=self.news.is_due(self.step + 1))
        if not self.scales:
            advance(turn.optimisers)
            return norm
        for optimiser in turn.optimisers:
            self.scaler.step(optimiser)
            optimiser.zero_grad(set_to_none=True)
        self.scaler.update()
        return norm

    def _read(self, loss: Tensor, norm: Tensor | float) -> tuple[float, float]:
        if not self.group.is_alone:
            loss = self.group.total(loss.cpu()) / self.group.size
        return float(loss), float(norm)

    def _is_lost(self, norm: float) -> bool:
        """Say whether the gradient is no number; a scaled one may overflow: that step is left out."""
        clips = self.network.recipe.clip > 0
        return clips and not math.isfinite(norm) and not self.scales

    def _look(self) -> None:
        began = time.monotonic()
        with self.average.in_place():
            self.material.judge.look(self.step - 1)
        self.network.module.train()
        self.news.rest(time.monotonic() - began)

    def _rescue(self, trouble: str) -> None:
        """Go back to the best weights with half the rate and optimisers that have forgotten how they got lost.

        Raises:
            RungError: this happened too often.
        """
        if self.peak <= 0.5**_MOST_RESCUES:
            raise RungError(
                self.network.blueprint.name, "its loss must stay a number", "it diverged",
                "look for extreme values in the inputs, or leave this rung out",
            )  # fmt: skip
        self.peak /= 2
        self.material.judge.restore_best()
        self.average.forget()
        self.health.forget()
        for turn in self.turns:
            turn.renew()
        said = say("training.rescued", trouble=trouble, step=self.step)
        self.pilot.notes["rescued"] = said
        self.watch.say(said)

    def _save(self) -> None:
        assert self.keeper is not None
        began = time.monotonic()
        snapshot = self.snapshot()
        trouble = ""
        if self.group.sharded:
            trouble = save_shards(self.keeper.folder, self.step, snapshot, self.group)
        elif self.group.leads:
            self.keeper.save(self.step, snapshot)
            trouble = self.keeper.trouble
        if trouble and self.pilot.notes.get("checkpoint") != trouble:
            self.pilot.notes["checkpoint"] = trouble
            self.watch.say(trouble)
        self.news.rest(time.monotonic() - began)

    def snapshot(self) -> Snapshot:
        """Return all that `restore` needs; every process of a group must call this at the same step."""
        snapshot, judge = Snapshot(), self.material.judge
        snapshot.put("module", self.network.module.state_dict())
        for number, turn in enumerate(self.turns):
            snapshot.put(f"optimiser.{number}", pack(turn.optimisers))
        snapshot.put("judge", judge.tensors(), judge.facts())
        snapshot.put("average", self.average.tensors(), self.average.steps)
        for rank, (tensors, facts) in enumerate(self.group.gather(generators(self.feed.random))):
            snapshot.put(f"random.{rank}", tensors, facts)
        snapshot.facts |= {
            "step": self.step,
            "peak": self.peak,
            "micro": self.feed.micro,
            "course": self.course.facts(),
            "health": self.health.facts(),
            "scaler": self.scaler.state_dict(),
            "history": [*self.news.history],
            "norm": self.news.norm,
            "notes": dict(self.pilot.notes),
            "key": self.material.key,
            "layout": asdict(self.material.layout),
            "plan": self.network.plan,
        }
        return snapshot

    def _end(self) -> dict[str, Any]:
        if self.keeper is not None:
            self._save()  # whoever is killed while the bundle is written need not train again
            self.keeper.wait()
        network, notes = self.network, self.pilot.notes
        if "stopped" in notes and self.group.leads and self.step > self.pilot.first:
            # the pace that was remembered does not hold
            kept = self.material.layout.pace
            pace = Pace(self.pilot.seconds_per_step(self.step), kept.predict_seconds, kept.encode_seconds)
            self.material.memory.forget_plans(pace)
        network.flops *= self.step * min(network.recipe.batch, len(self.material.target))
        if network.blueprint.read_flops is not None:
            network.flops += network.blueprint.read_flops(network.reader)
        network.history = self.news.history
        return {**notes, "steps_taken": self.step}


@final
class _Turn:
    """A turn with the optimisers of what it changes."""

    def __init__(self, turn: Turn, network: Network, forward: Any, products: torch.dtype) -> None:
        self._turn, self._network, self._forward, self._products = turn, network, forward, products
        self.parameters = [
            parameter
            for name, parameter in network.module.named_parameters()
            if name.startswith(turn.learns) and parameter.requires_grad
        ]
        self.optimisers: list[Optimizer] = []
        self.renew()

    def renew(self) -> None:
        """Take optimisers that remember nothing."""
        module, recipe = self._network.module, self._network.recipe
        self.optimisers = optimisers_for(module, recipe, self._turn.learns, self._products)

    def loss(self, batch: Batch, target: Target) -> Tensor:
        """Return the mean loss of these rows."""
        return self._turn.loss(self._forward, batch, target)


def _own(network: Network) -> Turn:
    def loss(forward: nn.Module, batch: Batch, target: Target) -> Tensor:
        return network.loss(batch, target, forward)

    return Turn(loss)


def _lacks_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)

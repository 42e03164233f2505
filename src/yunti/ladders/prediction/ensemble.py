"""A weighted average of the models below it on the ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Table
from yunti.ladders.rung import Rung, share_by_kind
from yunti.models.contract import Model, Parts, Size
from yunti.specs import Spec
from yunti.words import say

ROUNDS = 40
Loss = Callable[[NDArray[Any], NDArray[Any]], float]


def greedy_weights(
    predictions: Sequence[NDArray[Any]], target: NDArray[Any], loss: Loss, rounds: int = ROUNDS
) -> NDArray[np.float64]:
    """Choose weights of models by adding, with replacement, the one whose addition lowers the loss most.

    The round with the lowest loss is kept, so a single best model may win alone.

    Args:
        predictions: one array a model, shape (rows,) or (rows, classes).
        target: shape (rows,).
        loss: called with the target and an averaged prediction; lower is better.
        rounds: how often a model is added.

    Returns:
        Weights of shape (models,), adding up to 1.

    Source: Caruana, Niculescu-Mizil, Crew and Ksikes (2004), Ensemble selection from libraries of models, ICML.
    """
    counts = np.zeros(len(predictions))
    total = np.zeros_like(np.asarray(predictions[0], dtype=np.float64))
    best_loss, best_counts = np.inf, counts.copy()
    for size in range(1, rounds + 1):
        losses = [loss(target, (total + each) / size) for each in predictions]
        chosen = int(np.argmin(losses))
        counts[chosen] += 1
        total += predictions[chosen]
        if losses[chosen] < best_loss - 1e-12:
            best_loss, best_counts = losses[chosen], counts.copy()
    weights: NDArray[np.float64] = best_counts / best_counts.sum()
    return weights


@final
@dataclass(frozen=True)
class Member:
    """A trained model of the ensemble, the rung and size it was built from, and its weight."""

    rung: str
    size: Size
    weight: float
    model: Model


@final
class Ensemble(Model):
    """Averages its members' predictions with weights that add up to 1.

    Args:
        spec: the columns and the task.
        members: the trained models; none before `restore`.
    """

    def __init__(self, spec: Spec, members: Sequence[Member] = ()) -> None:
        super().__init__(spec)
        self.members = tuple(members)

    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row: the weighted average of the members."""
        kind = np.float32 if self.spec.task.name == "classification" else np.float64
        total: NDArray[Any] = np.asarray(0.0)
        for member in self.members:
            total = total + member.weight * member.model.predict(table).astype(np.float64)
        averaged: NDArray[np.float32 | np.float64] = total.astype(kind)
        return averaged

    @property
    def parameters(self) -> int:
        """Number of learned numbers: the members' and a weight for each."""
        return sum(member.model.parameters + 1 for member in self.members)

    @property
    def train_flops(self) -> float:
        """Operations of choosing the weights; the members' own are counted where they were trained."""
        return 0.0

    @property
    def plan(self) -> dict[str, Any]:
        """The weights."""
        return {"weights": {member.rung: round(member.weight, 4) for member in self.members}}

    def parts(self) -> Parts:
        """Return the members' parts, each under its rung's name."""
        parts = Parts()
        for member in self.members:
            parts.put(member.rung, member.model.parts())
        facts = [{"rung": each.rung, "size": asdict(each.size), "weight": each.weight} for each in self.members]
        return Parts(parts.arrays, {**parts.facts, "members": facts}, parts.texts, parts.objects)

    def restore(self, parts: Parts) -> None:
        """Rebuild the members from their parts."""
        from yunti.ladders.prediction import LADDER

        rungs = {rung.name: rung for rung in LADDER}
        members = []
        for fact in parts.facts["members"]:
            size = Size(**fact["size"])
            model = rungs[fact["rung"]].build(self.spec, size)
            model.restore(parts.get(fact["rung"]))
            members.append(Member(fact["rung"], size, fact["weight"], model))
        self.members = tuple(members)


def build(spec: Spec, _size: Size) -> Model:
    """Make an ensemble without members; they come by `restore`, or from the trained rungs of a climb."""
    return Ensemble(spec)


RUNG = Rung(
    name="ensemble",
    era="large",
    idea=say("rung.ensemble"),
    source="Caruana et al. (2004), Ensemble selection from libraries of models",
    unfit_for=lambda _spec: None,
    build=build,
    share=share_by_kind(1.0),
    needs_torch=False,
    combines=True,
)

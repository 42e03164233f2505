"""Gradient boosting with LightGBM: many small trees, each mending what those before it left wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples
from yunti.devices import cores
from yunti.errors import RungError
from yunti.ladders.prediction.featured import Featured
from yunti.ladders.prediction.growth import (
    REASONS,
    Growth,
    class_weights,
    fitting,
    growth_for,
    outputs_of,
)
from yunti.ladders.prediction.judge import Scale, chances_of, log_softmax, logits_of, scale_of
from yunti.ladders.prediction.pace import seconds_of
from yunti.ladders.prediction.rounds import Fitter, Matrix, Member, Rows, import_lightgbm, raw_answers
from yunti.ladders.rung import Rung, share_by_kind, too_little
from yunti.models.contract import Fitted, Model, Parts, Size, Watch
from yunti.specs import Spec
from yunti.words import say

LEAST_ROWS = 20


@final
class Boosting(Featured):
    """Boosted trees; of few rows several models, each stopped on rows of its own, whose answers are averaged.

    Its operations are the histogram additions of all rounds: see `Growth.adds`.

    Args:
        spec: the columns and the task.
        size: the dial multiplies the leaves.
    """

    view = "raw"
    copies = 4.0  # ours in single precision, LightGBM's in double, and its bins

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec, size)
        self._members: list[Member] = []
        self._boosters: list[Any] = []
        self._scale: Scale | None = None

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn from the training rows; the validation rows say when to stop (of few rows, held-out parts too)."""
        features = self.learn_features(train)
        watch.tell(0.1)
        width, outputs = len(features.names), outputs_of(self.spec.task)
        groups = None if train.groups is None else len(np.unique(train.groups))
        wanted = growth_for(self.spec.task, len(train), width, self.size.dial, groups)
        growth = fitting(wanted, width, outputs, watch.left, cores())
        task = self.spec.task
        rows = Rows(
            features.transform(train.table.take(slice(0, growth.rows))),
            np.asarray(train.target[: growth.rows]),
            class_weights(task, train.target[: growth.rows]),
            None if train.groups is None else train.groups[: growth.rows],
        )
        held = Rows(features.transform(valid.table), np.asarray(valid.target), class_weights(task, valid.target))
        fitter = Fitter(self.spec, features.levels, growth)
        if task.name == "regression":
            self._scale = fitter.choose_scale(rows, held, watch.part(0.1, 0.15, watch.left / 6))
        self._keep(fitter.fit_all(rows, held, self._scale, watch.part(0.15, 1.0)))
        self._account(growth, wanted, width)

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Learn from other rows for as many rounds as were found best; several models are stopped as before."""
        self.hold_all(self._plan["rows"], self.spec.rows)
        features = self.learn_features(rows)
        watch.tell(0.1)
        facts = {each.name: self._plan[each.name] for each in fields(Growth)}
        growth = Growth(**{**facts, "rows": len(rows), "bags": len(self._members)})
        weights = class_weights(self.spec.task, rows.target)
        known = Rows(features.transform(rows.table), np.asarray(rows.target), weights, rows.groups)
        scale = None if self._scale is None else scale_of(known.target, self._scale.shift is not None)
        fitter = Fitter(self.spec, features.levels, growth)
        if growth.bags == 1:
            members = [fitter.grow(known, scale, self._members[0], watch.part(0.15, 1.0))]
        else:
            members = fitter.fit_all(known, known.take(slice(0, 0)), scale, watch.part(0.15, 1.0))
        if is_cut(members, growth):
            raise RungError(
                "boosting", f"{growth.bags} models must fit the time", "they do not", "give a larger budget"
            )
        self._scale = scale
        self._keep(members)
        self._account(growth, growth, len(features.names))

    def seconds_for(self, fits: Sequence[Fitted], rows: int, seconds: float) -> float:
        """Forecast it from the pace of a round, and when rounds stop helping."""
        task, width = self.spec.task, int(self._plan["features"])
        wanted = growth_for(task, rows, width, self.size.dial)
        return seconds_of(fits, fitting(wanted, width, outputs_of(task), seconds, cores()), width)

    def answers(self, matrix: Matrix) -> NDArray[np.float32 | np.float64]:
        """Return the mean of the members' answers."""
        total: NDArray[Any] = np.asarray(0.0)
        for member, booster in zip(self._members, self._boosters, strict=True):
            answers = raw_answers(booster, matrix)
            if self._scale is None:
                total = total + np.exp(log_softmax(logits_of(chances_of(answers)) * member.correction))
            else:
                total = total + self._scale.from_trees(answers, member.correction)
        mean: NDArray[Any] = total / len(self._members)
        return mean if self._scale is not None else mean.astype(np.float32)

    def _keep(self, members: list[Member]) -> None:
        lightgbm = import_lightgbm()

        self._members = members
        self._boosters = [lightgbm.Booster(model_str=member.text) for member in members]

    def _account(self, growth: Growth, wanted: Growth, width: int) -> None:
        done = [replace(growth, rounds=member.tried) for member in self._members]
        self._train_flops = sum(each.adds(width, outputs_of(self.spec.task)) for each in done)
        self._plan = {
            **asdict(growth),
            "features": width,
            "rounds_tried": [member.tried for member in self._members],
            "rounds_kept": [member.rounds for member in self._members],
            "valid_loss": [round(member.loss, 6) for member in self._members],
            "corrections": [round(member.correction, 4) for member in self._members],
            "reasons": REASONS,
        }
        if self._scale is not None:
            self._plan["target"] = say("plan.logarithm") if self._scale.shift is not None else say("plan.as it is")
        if is_cut(self._members, growth):
            grown, models = max(member.tried for member in self._members), len(self._members)
            work = {"grown": grown, "rounds": growth.rounds, "model": models, "models": growth.bags}
            self._plan["stopped"] = say("stopped.rounds", **work)
        elif growth != wanted:
            self._plan["shortened"] = say("shortened.boosting", less=_less(growth, wanted))

    @property
    def parameters(self) -> int:
        """Number of learned numbers: the value of every leaf and the threshold of every split."""
        sizes = [int(size) for member in self._members for size in re.findall(r"^num_leaves=(\d+)$", member.text, re.M)]
        return sum(2 * size - 1 for size in sizes)

    def learned(self) -> Parts:
        """Return LightGBM's texts, the scale and the corrections."""
        parts = Parts(texts={f"member{place}": member.text for place, member in enumerate(self._members)})
        parts.facts["members"] = [{**asdict(member), "text": ""} for member in self._members]
        parts.facts["scale"] = None if self._scale is None else asdict(self._scale)
        return parts

    def relearn(self, parts: Parts) -> None:
        """Take them back."""
        facts = parts.facts
        self._scale = None if facts["scale"] is None else Scale(**facts["scale"])
        texts = [parts.texts[f"member{place}"] for place in range(len(facts["members"]))]
        self._keep([Member(**{**fact, "text": text}) for fact, text in zip(facts["members"], texts, strict=True)])


def is_cut(members: Sequence[Member], growth: Growth) -> bool:
    """Say whether the time was over before all models had all their rounds."""
    return any(member.stopped for member in members) or len(members) < growth.bags


def _less(growth: Growth, wanted: Growth) -> Iterator[str]:
    if growth.rounds < wanted.rounds:
        yield say("less.rounds", rounds=growth.rounds, rate=growth.learning_rate)
    if growth.bags < wanted.bags:
        yield say("less.models", models=growth.bags, wanted=wanted.bags)
    if growth.rows < wanted.rows:
        yield say("less.rows", rows=growth.rows, wanted=wanted.rows)


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_little(spec, LEAST_ROWS, say("purpose.boosting"))


def build(spec: Spec, size: Size) -> Model:
    """Make the unfitted model."""
    return Boosting(spec, size)


RUNG = Rung(
    name="boosting",
    era="traditional",
    idea=say("rung.boosting"),
    source="Ke et al. (2017), LightGBM; defaults of Holzmüller et al. (2024), Better by default",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(5.0, image=3.0, audio=2.0, text=2.0, sequence=2.0),
)

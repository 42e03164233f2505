"""Gradient boosting with LightGBM: many small trees, each mending what those before it left wrong."""

from __future__ import annotations

import importlib
import os
import re
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples, Table
from yunti.devices import cores
from yunti.ladders.prediction.growth import (
    REASONS,
    Growth,
    class_weights,
    fitting,
    folds,
    growth_for,
    outputs_of,
)
from yunti.ladders.prediction.judge import Judge, Scale, log_softmax, logits_of, scale_of, wants_logarithm
from yunti.ladders.prediction.matrices import matrices
from yunti.ladders.rung import Rung, share_by_kind, too_little
from yunti.models.contract import Estimator, Model, Parts, Size, Watch
from yunti.seeds import generator, seed_for
from yunti.specs import Spec

if TYPE_CHECKING:
    from yunti.models.features import Features

LEAST_ROWS = 20
PILOT_ROWS = 10_000
PILOT_ROUNDS = 150
LEAST_GAIN = 1e-4  # of the loss, within the patience: less is not worth its rounds
Matrix = NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Rows for LightGBM: features of shape (rows, features), the target in its unit, weights or None."""

    matrix: Matrix
    target: NDArray[Any]
    weights: NDArray[np.float64] | None

    def take(self, rows: NDArray[np.int64] | slice) -> Rows:
        """Return these rows."""
        return Rows(self.matrix[rows], self.target[rows], None if self.weights is None else self.weights[rows])

    def joined(self, other: Rows) -> Rows:
        """Return these rows and then the other's."""
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        matrix, target = np.concatenate([self.matrix, other.matrix]), np.concatenate([self.target, other.target])
        return Rows(matrix, target, weights)


@final
@dataclass(frozen=True, eq=False)
class Member:
    """One boosted model: LightGBM's text, the correction of its answers, and how its fit ended."""

    text: str
    correction: float
    rounds: int
    tried: int
    loss: float
    stopped: bool


@final
class Boosting(Estimator):
    """Boosted trees; of few rows several models, each stopped on rows of its own, whose answers are averaged.

    Args:
        spec: the columns and the task.
        size: the dial multiplies the leaves.
    """

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec)
        self._size = size
        self._features: Features | None = None
        self._members: list[Member] = []
        self._boosters: list[Any] = []
        self._scale: Scale | None = None
        self._plan: dict[str, Any] = {}
        self._train_flops = 0.0

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn from the training rows; the validation rows say when to stop (of few rows, held-out parts too)."""
        from yunti.models.features import Features

        self._features = features = Features(self.spec, "raw")
        features.fit(train.table, train.target)
        watch.tell(0.1)
        width, outputs = len(features.names), outputs_of(self.spec.task)
        wanted = growth_for(self.spec.task, len(train), width, self._size.dial)
        growth = fitting(wanted, width, outputs, watch.left, cores())
        task = self.spec.task
        rows = Rows(
            features.transform(train.table.take(slice(0, growth.rows))),
            np.asarray(train.target[: growth.rows]),
            class_weights(task, train.target[: growth.rows]),
        )
        held = Rows(features.transform(valid.table), np.asarray(valid.target), class_weights(task, valid.target))
        fitter = Fitter(self.spec, features.levels, growth)
        if task.name == "regression":
            self._scale = fitter.choose_scale(rows, held, watch.part(0.1, 0.15, watch.left / 6))
        self._keep(fitter.fit_all(rows, held, self._scale, watch.part(0.15, 1.0)))
        self._account(growth, wanted, width)

    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row: the mean of the members' answers."""
        assert self._features is not None
        pieces = [self._answers(matrix) for matrix in matrices(self._features, table)]
        if not pieces:
            return np.zeros((0, self.spec.outputs), np.float32) if self._scale is None else np.zeros(0)
        return np.concatenate(pieces)

    def _answers(self, matrix: Matrix) -> NDArray[np.float32 | np.float64]:
        total: NDArray[Any] = np.asarray(0.0)
        for member, booster in zip(self._members, self._boosters, strict=True):
            answers = booster.predict(matrix, num_threads=threads_for(matrix.size))
            if self._scale is None:
                total = total + np.exp(log_softmax(logits_of(answers) * member.correction))
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
            "rounds_kept": [member.rounds for member in self._members],
            "valid_loss": [round(member.loss, 6) for member in self._members],
            "corrections": [round(member.correction, 4) for member in self._members],
            "reasons": REASONS,
        }
        if self._scale is not None:
            self._plan["target"] = "its logarithm" if self._scale.shift is not None else "as it is"
        cut = any(member.stopped for member in self._members) or len(self._members) < growth.bags
        if growth != wanted or cut:
            self._plan["stopped"] = self._why_short(growth, wanted, cut)

    def _why_short(self, growth: Growth, wanted: Growth, cut: bool) -> str:
        grown, models = max(member.tried for member in self._members), len(self._members)
        if cut:
            return f"the time was over after {grown} of {growth.rounds} rounds of model {models} of {growth.bags}"
        return (
            f"shortened to the time there was: {growth.rounds} rounds instead of {wanted.rounds} at learning rate "
            f"{growth.learning_rate:.3g}, {growth.bags} of {wanted.bags} models, {growth.rows:,} of {wanted.rows:,} "
            "rows"
        )

    @property
    def parameters(self) -> int:
        """Number of learned numbers: the value of every leaf and the threshold of every split."""
        sizes = [int(size) for member in self._members for size in re.findall(r"^num_leaves=(\d+)$", member.text, re.M)]
        return sum(2 * size - 1 for size in sizes)

    @property
    def train_flops(self) -> float:
        """Histogram additions of all rounds; see `Growth.adds`."""
        return self._train_flops

    @property
    def plan(self) -> dict[str, Any]:
        """What was derived, and how far the fit went."""
        return self._plan

    def parts(self) -> Parts:
        """Return the features' parts, LightGBM's texts, and the corrections."""
        assert self._features is not None
        parts = Parts(texts={f"member{place}": member.text for place, member in enumerate(self._members)})
        parts.put("features", self._features.parts())
        parts.facts["members"] = [{**asdict(member), "text": ""} for member in self._members]
        parts.facts["scale"] = None if self._scale is None else asdict(self._scale)
        parts.facts["plan"], parts.facts["train_flops"] = self._plan, self._train_flops
        return parts

    def restore(self, parts: Parts) -> None:
        """Take everything back."""
        from yunti.models.features import Features

        self._features = Features(self.spec, "raw")
        self._features.restore(parts.get("features"))
        facts = parts.facts
        self._scale = None if facts["scale"] is None else Scale(**facts["scale"])
        self._plan, self._train_flops = facts["plan"], facts["train_flops"]
        texts = [parts.texts[f"member{place}"] for place in range(len(facts["members"]))]
        self._keep([Member(**{**fact, "text": text}) for fact, text in zip(facts["members"], texts, strict=True)])


@final
class Fitter:
    """Fits boosted models to rows.

    Args:
        spec: the columns and the task.
        levels: codes of every feature that is an unordered code, else 0.
        growth: what a fit does.
    """

    def __init__(self, spec: Spec, levels: tuple[int, ...], growth: Growth) -> None:
        self._spec, self._task, self._levels, self._growth = spec, spec.task, levels, growth
        self._codes = [place for place, count in enumerate(levels) if count]

    def choose_scale(self, rows: Rows, held: Rows, watch: Watch) -> Scale:
        """Choose whether the trees fit the target or its logarithm: where that may pay, by a short fit of each."""
        plain = scale_of(rows.target, False)
        if not wants_logarithm(rows.target):
            return plain
        some = rows.take(slice(0, PILOT_ROWS))
        rounds = min(PILOT_ROUNDS, self._growth.rounds)
        pilot = replace(self._growth, rounds=rounds, learning_rate=0.1, patience=rounds, rows=len(some.target))
        scales = (plain, scale_of(rows.target, True))
        short = Fitter(self._spec, (), pilot)
        short._codes = self._codes
        losses = [
            short.fit(
                some, held.take(slice(0, PILOT_ROWS)), scale, f"pilot{place}", watch.part(0, 1, watch.left / 2)
            ).loss
            for place, scale in enumerate(scales)
        ]
        return scales[int(np.argmin(losses))]

    def fit_all(self, rows: Rows, held: Rows, scale: Scale | None, watch: Watch) -> list[Member]:
        """Fit one model; or several, each on all folds but one, which joins the validation rows to stop it."""
        bags = self._growth.bags
        if bags == 1:
            return [self.fit(rows, held, scale, "whole", watch)]
        members: list[Member] = []
        dealt = folds(rows.target, bags, generator(self._spec.seed, "boosting", "folds"))
        for place, out in enumerate(dealt):
            if members and watch.left < 1.0:
                break
            into = np.setdiff1d(np.arange(len(rows.target)), out)
            section = watch.part(place / bags, (place + 1) / bags, watch.left / (bags - place))
            members.append(self.fit(rows.take(into), rows.take(out).joined(held), scale, f"fold{place}", section))
        return members

    def fit(self, rows: Rows, held: Rows, scale: Scale | None, name: str, watch: Watch) -> Member:
        """Fit one model; it is left as it was at its best round on the held-out rows."""
        lightgbm = import_lightgbm()

        parameters = self._parameters(name, rows.matrix.size, scale)
        judge = Judge(self._task, held.target, held.weights, scale)
        learn = self._dataset(rows, scale, parameters)
        booster = lightgbm.Booster(parameters, learn)
        booster.add_valid(self._dataset(held, scale, parameters, learn), "held")
        best = best_of(booster, judge, self._growth, watch)
        text = booster.model_to_string(num_iteration=best.rounds)
        return replace(best, text=text)

    def _dataset(self, rows: Rows, scale: Scale | None, parameters: dict[str, Any], reference: Any = None) -> Any:
        lightgbm = import_lightgbm()

        return lightgbm.Dataset(
            rows.matrix,
            label=rows.target if scale is None else scale.to_trees(rows.target),
            weight=rows.weights,
            reference=reference,
            categorical_feature=self._codes,
            params=parameters,
            free_raw_data=True,
        ).construct()

    def _parameters(self, name: str, cells: int, scale: Scale | None) -> dict[str, Any]:
        growth, outputs = self._growth, outputs_of(self._task)
        if scale is not None:
            objective: dict[str, Any] = {"objective": "regression_l1" if self._task.metric == "mae" else "regression"}
        elif outputs > 1:
            objective = {"objective": "multiclass", "num_class": outputs}
        else:
            objective = {"objective": "binary"}
        return {
            **objective,
            "learning_rate": growth.learning_rate,
            "num_leaves": growth.leaves,
            "min_data_in_leaf": growth.least_rows,
            "min_sum_hessian_in_leaf": 1e-7,
            "bagging_fraction": growth.row_share,
            "bagging_freq": 1,
            "feature_fraction": growth.feature_share,
            "max_bin": growth.bins,
            "metric": "None",
            "seed": seed_for(self._spec.seed, "boosting", name) % 2**31,
            "deterministic": True,
            "force_col_wise": True,
            "feature_pre_filter": False,
            "num_threads": threads_for(cells),
            "verbosity": -1,
        }


def best_of(booster: Any, judge: Judge, growth: Growth, watch: Watch) -> Member:
    """Grow round by round until nothing gets better or the time is over; return the best round, without text."""
    best, milestone = Member("", 1.0, 1, 0, float("inf"), stopped=False), (float("inf"), 0)
    slowest, tried, began = 0.0, 0, time.monotonic()
    while tried < growth.rounds and tried - milestone[1] < growth.patience:
        if tried and watch.left <= 2 * slowest:
            return replace(best, tried=tried, stopped=True)
        finished = booster.update()
        tried += 1
        ((_, _, loss, _),) = booster.eval_valid(lambda answers, _data: ("loss", judge.loss(answers), False))
        if loss < best.loss:
            best = Member("", judge.correction, tried, tried, loss, stopped=False)
        if loss < milestone[0] * (1 - LEAST_GAIN):
            milestone = (loss, tried)
        watch.tell(tried / growth.rounds, valid=loss, step=tried)
        slowest, began = max(slowest, time.monotonic() - began), time.monotonic()
        if finished:
            break
    return replace(best, tried=tried)


def import_lightgbm() -> Any:
    """Import LightGBM so that its threads sleep while they wait: spinning is ten times slower on a busy machine."""
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        return importlib.import_module("lightgbm")
    os.environ[name] = "passive"  # the OpenMP library reads it when it is loaded, and never again
    try:
        return importlib.import_module("lightgbm")
    finally:
        del os.environ[name]


def threads_for(cells: int) -> int:
    """Return the threads that work: for small matrices one, as waiting for each other costs more than they gain."""
    return 1 if cells < 2_000_000 else cores()


def unfit_for(spec: Spec) -> str | None:
    """Say why the rung cannot serve, or None."""
    return too_little(spec, LEAST_ROWS, "to boost trees")


def build(spec: Spec, size: Size) -> Model:
    """Make the unfitted model."""
    return Boosting(spec, size)


RUNG = Rung(
    name="boosting",
    era="traditional",
    idea="Adds many small decision trees, each fitted to what those before it still get wrong.",
    source="Ke et al. (2017), LightGBM; defaults of Holzmüller et al. (2024), Better by default",
    unfit_for=unfit_for,
    build=build,
    share=share_by_kind(5.0, image=3.0, audio=2.0, text=2.0, sequence=2.0),
)

"""Grow boosted trees with LightGBM, round by round, until held-out rows say stop or the time is over."""

from __future__ import annotations

import importlib
import os
import time
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.devices import cores
from yunti.errors import RungError
from yunti.ladders.prediction.growth import Growth, folds, outputs_of
from yunti.ladders.prediction.judge import Judge, Scale, scale_of, wants_logarithm
from yunti.models.contract import Watch
from yunti.seeds import generator, seed_for
from yunti.specs import Spec

PILOT_ROWS = 10_000
PILOT_ROUNDS = 150
LEAST_GAIN = 1e-4  # of the loss, within the patience: less is not worth its rounds
TREES_AT_ONCE = 50  # their nodes stay in a core's cache
FEW_ROWS = 100  # fewer pass all trees in one call
PASSES_OF_A_THREAD = 20_000  # of a row through a tree: some milliseconds
PERFECT = 1e-3  # log-loss on held-out rows below which more rounds only make sure answers surer
Matrix = NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Rows for LightGBM: features of shape (rows, features), the target in its unit, weights and groups or None."""

    matrix: Matrix
    target: NDArray[Any]
    weights: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None = None

    def take(self, rows: NDArray[np.int64] | slice) -> Rows:
        """Return these rows."""
        weights = None if self.weights is None else self.weights[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Rows(self.matrix[rows], self.target[rows], weights, groups)

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
        dealt = folds(rows.target, bags, generator(self._spec.seed, "boosting", "folds"), rows.groups)
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

    def grow(self, rows: Rows, scale: Scale | None, before: Member, watch: Watch) -> Member:
        """Fit one model for as many rounds as an earlier one kept, and correct its answers as that one's were.

        Raises:
            RungError: the time does not hold them.
        """
        lightgbm = import_lightgbm()

        parameters = self._parameters("whole", rows.matrix.size, scale)
        booster = lightgbm.Booster(parameters, self._dataset(rows, scale, parameters))
        for done in range(before.rounds):
            if not watch.left:
                raise RungError(
                    "boosting", f"{before.rounds} rounds must fit the time", f"{done} did", "give a larger budget"
                )
            booster.update()
            watch.tell((done + 1) / before.rounds, step=done + 1)
        return replace(before, text=booster.model_to_string(), tried=before.rounds, stopped=False)

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
            "lambda_l2": growth.leaf_penalty,
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
        if finished or (judge.classifies and best.loss < PERFECT):
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


def raw_answers(booster: Any, matrix: Matrix) -> NDArray[np.float64]:
    """Sum what the trees say of each row, in a fifth of the time of LightGBM's own `predict` where there are many.

    That sends each row through all trees, whose nodes a core's cache does not hold; here all rows pass some trees, then
    the next.

    Args:
        booster: LightGBM's.
        matrix: shape (rows, features).

    Returns:
        Shape (rows,), or (rows, classes) where each class has its own trees: values; or the logit of the second of two
        classes; or logits.
    """
    trees, rounds = booster.num_model_per_iteration(), booster.current_iteration()
    some = rounds if len(matrix) < FEW_ROWS else max(1, TREES_AT_ONCE // trees)
    threads = cores() if len(matrix) * min(some, rounds) * trees >= PASSES_OF_A_THREAD else 1
    total: NDArray[np.float64] = np.zeros(())
    for first in range(0, rounds, some):
        total = total + booster.predict(
            matrix, raw_score=True, start_iteration=first, num_iteration=some, num_threads=threads
        )
    return total

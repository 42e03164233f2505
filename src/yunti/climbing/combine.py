"""Make the ensemble of the rungs that were trained, and judge it on rows that its weights have not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.bundle.bundle import load_bundle
from yunti.climbing.run import RunFolder
from yunti.data.dataset import Dataset
from yunti.data.table import Examples
from yunti.errors import RungError
from yunti.ladders.prediction.ensemble import Ensemble, Loss, Member, greedy_weights
from yunti.models.contract import Model, Watch
from yunti.seeds import generator
from yunti.specs import Spec, TaskSpec
from yunti.training import refit

FOLDS = 5


def combine(run: RunFolder, dataset: Dataset, spec: Spec, members: Sequence[str]) -> tuple[Model, NDArray[Any]] | str:
    """Choose the weights of the trained rungs on the validation rows.

    Returns:
        The ensemble, and its predictions for the validation rows, each made with weights chosen on the other folds:
        scoring the final weights on the rows that chose them would flatter the ensemble. Or the name of the one model
        that does best alone.

    Raises:
        RungError: the rungs tell how likely texts are, which no weighing of their sums makes more likely.
    """
    if spec.task.name == "language":
        must, mend = "its members must give probabilities or values", "use one of them"
        raise RungError("ensemble", must, "they give the nats of texts", mend)
    predictions = [np.asarray(run.valid_predictions(name), dtype=np.float64) for name in members]
    target = dataset.valid.target
    loss = smooth_loss(spec.task)
    weights = greedy_weights(predictions, target, loss)
    if np.count_nonzero(weights) < 2:
        return members[int(np.argmax(weights))]
    chosen = []
    for name, weight in zip(members, weights, strict=True):
        if weight > 0:
            bundle = load_bundle(run.model(name))
            chosen.append(Member(name, bundle.size, float(weight), bundle.model))
    return Ensemble(spec, chosen), _cross_fitted(predictions, target, loss, spec.seed)


def refit_members(
    run: RunFolder, ensemble: Model, names: Sequence[str], rows: Examples, watch: Watch
) -> tuple[str, ...]:
    """Train members anew on other rows, one after the other; the weights stay, and a member that fails stays as it was.

    Args:
        run: the run folder.
        ensemble: the ensemble.
        names: the members to train anew, in this order.
        rows: the rows to learn from.
        watch: the time there is.

    Returns:
        The members that were trained anew.

    Raises:
        RungError: none could be.
    """
    assert isinstance(ensemble, Ensemble)
    members = {member.rung: member for member in ensemble.members}
    done, trouble = [], ""
    for place, name in enumerate(names):
        try:
            refit(members[name].model, rows, watch.part(place / len(names), (place + 1) / len(names)))
            done.append(name)
        except RungError as error:
            trouble = str(error)
            members[name] = replace(members[name], model=load_bundle(run.model(name)).model)
    if not done:
        raise RungError("ensemble", "a member must be trained anew", "none could be", trouble)
    ensemble.members = tuple(members[member.rung] for member in ensemble.members)
    return tuple(done)


def smooth_loss(task: TaskSpec) -> Loss:
    """Return the loss that weights are chosen by: log-loss for classes; absolute or squared error for values.

    Accuracy moves in steps, which on few rows lets chance choose.
    """
    if task.name == "classification":
        return _log_loss
    return _absolute_error if task.metric == "mae" else _squared_error


def _log_loss(target: NDArray[Any], prediction: NDArray[Any]) -> float:
    chosen = prediction[np.arange(len(target)), target]
    return float(-np.mean(np.log(np.clip(chosen, 1e-7, 1.0))))


def _absolute_error(target: NDArray[Any], prediction: NDArray[Any]) -> float:
    return float(np.mean(np.abs(target - prediction)))


def _squared_error(target: NDArray[Any], prediction: NDArray[Any]) -> float:
    return float(np.mean((target - prediction) ** 2))


def _cross_fitted(predictions: Sequence[NDArray[Any]], target: NDArray[Any], loss: Loss, seed: int) -> NDArray[Any]:
    folds = generator(seed, "ensemble", "folds").permutation(len(target)) % FOLDS
    result = np.zeros_like(predictions[0])
    for fold in range(FOLDS):
        inside, outside = folds == fold, folds != fold
        if not inside.any() or not outside.any():
            continue
        weights = greedy_weights([each[outside] for each in predictions], target[outside], loss)
        result[inside] = sum(weight * each[inside] for weight, each in zip(weights, predictions, strict=True))
    return result

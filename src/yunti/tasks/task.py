"""From a target column to a `TaskSpec`, and from predictions to scores and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.errors import ColumnError, OptionError, RungError, nearest
from yunti.specs import TaskName, TaskSpec
from yunti.tasks import classification, regression
from yunti.tasks.metrics import METRICS, Metric, metric_named, metrics_of

DEFAULT_METRIC = {"classification": "accuracy", "regression": "r2"}


def infer_task(name: TaskName, target: str, classes: Sequence[str] = (), metric: str | None = None) -> TaskSpec:
    """Say what is asked and how it is scored.

    Args:
        name: classification or regression.
        target: the name of the target column.
        classes: the class labels in the order of the probabilities; empty for regression.
        metric: the metric that decides; accuracy or R² when None. Case, spaces and hyphens do not matter.

    Raises:
        OptionError: the metric is unknown, or scores another task.
        ColumnError: a classification with fewer than two classes.

    Example:
        >>> infer_task("regression", "price", metric="RMSE").direction
        'lower'
    """
    if name == "classification" and len(classes) < 2:
        got = f"it has only {classes[0]!r}" if classes else "it has none"
        raise ColumnError(f"column {target!r}", "a target of classes must have at least two", got, "choose another one")
    chosen = _metric_for(name, DEFAULT_METRIC[name] if metric is None else metric)
    kept = tuple(classes) if name == "classification" else ()
    return TaskSpec(name, target, chosen.name, chosen.direction, kept)


def _metric_for(task: TaskName, wanted: str) -> Metric:
    name = wanted.strip().lower().replace("-", "_").replace(" ", "_")
    known = {metric.name: metric for metric in METRICS}
    suited = [metric.name for metric in metrics_of(task)]
    if name not in known:
        raise OptionError("metric", f"it must be one that scores {task}", f"{wanted!r} is none", nearest(name, suited))
    if name not in suited:
        raise OptionError(
            "metric",
            f"it must be one that scores {task}",
            f"{name!r} scores {known[name].task}",
            f"choose one of {', '.join(suited)}",
        )
    return known[name]


def score(spec: TaskSpec, target: NDArray[Any], prediction: NDArray[Any]) -> float:
    """Score predictions by the metric that decides.

    Args:
        spec: the task.
        target: shape (rows,); class codes 0 to classes - 1, or values. No row may be unknown.
        prediction: shape (rows, classes) or (rows,).

    Raises:
        RungError: there are no rows, the shapes disagree, or a prediction is not finite.
    """
    check(spec, target, prediction)
    return _finite(spec, metric_named(spec.metric), target, prediction)


def scores(spec: TaskSpec, target: NDArray[Any], prediction: NDArray[Any]) -> dict[str, float]:
    """Score predictions by every metric of the task; arguments and errors as in `score`."""
    check(spec, target, prediction)
    return {metric.name: _finite(spec, metric, target, prediction) for metric in metrics_of(spec.name)}


def decode(spec: TaskSpec, prediction: NDArray[Any]) -> NDArray[Any]:
    """Turn predictions into answers: the most probable label of each row (strings), or the values (float64)."""
    if spec.name == "classification":
        return classification.decode(prediction, spec.classes)
    return regression.decode(prediction)


def check(spec: TaskSpec, target: NDArray[Any], prediction: NDArray[Any]) -> None:
    """Hold that predictions can be scored.

    Raises:
        RungError: there are no rows, the shapes disagree, or a prediction is not finite.
    """
    where = f"the prediction of {spec.target!r}"
    shape = (len(target), len(spec.classes)) if spec.name == "classification" else (len(target),)
    if not len(target):
        raise RungError(where, "there must be rows to score", "there is none", "give rows whose answer is known")
    if prediction.shape != shape:
        raise RungError(where, f"its shape must be {shape}", f"it is {prediction.shape}", "mend the rung's predict")
    if not np.isfinite(prediction).all():
        row = int(np.flatnonzero(~np.isfinite(prediction.reshape(len(target), -1)).all(axis=1))[0])
        mend = "train with a lower learning rate, or look for extreme values in the inputs"
        raise RungError(where, "every number must be finite", f"row {row + 1} is not", mend)


def _finite(spec: TaskSpec, metric: Metric, target: NDArray[Any], prediction: NDArray[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        value = metric.score(target, prediction)
    if np.isfinite(value):
        return value
    where = f"the prediction of {spec.target!r}"
    raise RungError(where, f"its {metric.name} must be a finite number", f"it is {value}", "look for extreme values")

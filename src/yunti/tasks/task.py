"""From a target column to a `TaskSpec`, and from predictions to scores and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yunti.errors import ColumnError, OptionError, RungError, nearest
from yunti.specs import LANGUAGE_SUMS, TaskName, TaskSpec
from yunti.tasks import classification, language, regression
from yunti.tasks.metrics import METRICS, Metric, metric_named, metrics_of

DEFAULT_METRIC: dict[TaskName, str] = {"classification": "accuracy", "regression": "r2", "language": "bits_per_byte"}


def infer_task(name: TaskName, target: str, classes: Sequence[str] = (), metric: str | None = None) -> TaskSpec:
    """Say what is asked and how it is scored.

    Args:
        name: classification, regression or language.
        target: the name of the target column; of language the column that holds the text.
        classes: the class labels in the order of the probabilities; empty for other tasks.
        metric: the metric that decides; accuracy, R² or bits per byte when None. Case, spaces and hyphens do not
            matter.

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
        target: shape (rows,); class codes 0 to classes - 1, or values; of language zeros. No row may be unknown.
        prediction: shape (rows, classes), (rows,), or of language (rows, 5).

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
    """Turn predictions into answers: the most probable label of each row (strings), or the values (float64).

    Of language the answer is how unexpected each row's text was: its bits per byte.
    """
    if spec.name == "classification":
        return classification.decode(prediction, spec.classes)
    if spec.name == "language":
        return language.decode(prediction)
    return regression.decode(prediction)


def check(spec: TaskSpec, target: NDArray[Any], prediction: NDArray[Any]) -> None:
    """Hold that predictions can be scored.

    Raises:
        RungError: there are no rows, the shapes disagree, or a prediction is not finite.
    """
    where = f"the prediction of {spec.target!r}"
    shape = shape_of(spec, len(target))
    if not len(target):
        raise RungError(where, "there must be rows to score", "there is none", "give rows whose answer is known")
    if prediction.shape != shape:
        raise RungError(where, f"its shape must be {shape}", f"it is {prediction.shape}", "mend the rung's predict")
    if not np.isfinite(prediction).all():
        row = int(np.flatnonzero(~np.isfinite(prediction.reshape(len(target), -1)).all(axis=1))[0])
        mend = "train with a lower learning rate, or look for extreme values in the inputs"
        raise RungError(where, "every number must be finite", f"row {row + 1} is not", mend)
    if spec.name == "language":
        _must_count(where, prediction)


def shape_of(spec: TaskSpec, rows: int) -> tuple[int, ...]:
    """Return the shape of the predictions of some rows.

    Example:
        >>> shape_of(infer_task("language", "text"), 7)
        (7, 5)
    """
    if spec.name == "language":
        return rows, LANGUAGE_SUMS
    return (rows, len(spec.classes)) if spec.name == "classification" else (rows,)


def _must_count(where: str, sums: NDArray[Any]) -> None:
    """Refuse sums over a text that cannot be: below 0, or of no byte at all."""
    below = np.argwhere(sums < 0)
    if len(below):
        row, place = (int(each) for each in below[0])
        got = f"row {row + 1} has {sums[row, place]:.6g} {language.COLUMNS[place]}"
        raise RungError(where, "no sum may be below 0", got, "mend the rung's predict")
    if not sums[:, language.BYTES].any():
        raise RungError(where, "the rows must hold text", "they have no byte", "mend the rung's predict, or give text")


def _finite(spec: TaskSpec, metric: Metric, target: NDArray[Any], prediction: NDArray[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        value = metric.score(target, prediction)
    if np.isfinite(value):
        return value
    where = f"the prediction of {spec.target!r}"
    raise RungError(where, f"its {metric.name} must be a finite number", f"it is {value}", "look for extreme values")

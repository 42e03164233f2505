"""What rungs did on other data: by what factor each changed the error of the best rung below it.

Tables: those like it among 133 others, see `alike`. Other kinds: few climbs of our own and published scores
(docs/forecasting.md names them), so that their ranges are wide on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from yunti.climbing.forecast.alike import Five, factors_on_tables
from yunti.climbing.forecast.chances import Likely
from yunti.records import RungRecord
from yunti.specs import Kind, Spec
from yunti.tasks.metrics import Metric

_SQUARED: Final = ("rmse", "mae")  # errors in the target's unit: the root of what 1 − R² measures
_LEAST_SHARE: Final = 1e-4  # a rung without a single mistake may make one in ten thousand
_NORMAL: Final = (-1.6449, -0.6745, 0.0, 0.6745, 1.6449)
_FEW_PLAIN: Final = 2  # with more columns of numbers and categories beside a text or a picture it is a table
FEW_MISTAKES: Final = 1.7  # standard errors: so small an error is about three rows, and chance may leave none of them
_OWN: Final = 0.7  # of a score's standard error is not shared by another rung's score on the same rows

Range = tuple[float, float, float]  # the 5th, 50th and 95th percentile of the factor

_QUARTER: Final = 0.3  # of the way from the median to either end lie the quartiles, where they were not measured
_PRIOR: Final[dict[Kind, dict[str, Range]]] = {
    "image": {
        "tree": (1.2, 2.5, 5.0),
        "svm": (0.6, 1.0, 1.6),
        "boosting": (0.7, 1.0, 1.6),
        "mlp": (0.8, 1.4, 2.5),
        "convnet": (0.3, 0.9, 1.7),
        "recurrent": (0.8, 1.9, 3.5),
        "resnet": (0.15, 0.85, 1.7),
        "transformer": (0.5, 1.6, 4.0),
        "pretrained": (0.05, 0.4, 1.1),
        "lora": (0.25, 0.8, 1.4),
        "finetuned": (0.2, 0.8, 1.5),
    },
    "text": {  # n-grams beat networks trained from nothing up to some 100,000 texts (Zhang, Zhao and LeCun, 2015)
        "tree": (1.2, 1.9, 3.2),
        "svm": (0.85, 1.0, 1.3),
        "boosting": (1.0, 1.4, 3.0),
        "mlp": (0.92, 1.18, 1.6),
        "convnet": (0.93, 1.3, 2.1),
        "recurrent": (0.93, 1.35, 2.0),
        "resnet": (0.97, 1.6, 4.0),
        "transformer": (0.92, 1.35, 2.1),
        "pretrained": (0.3, 0.65, 1.25),
        "lora": (0.35, 0.8, 1.3),
        "finetuned": (0.35, 0.8, 1.4),
    },
    "audio": {
        "tree": (1.2, 1.9, 3.5),
        "svm": (0.4, 0.8, 1.3),
        "boosting": (0.7, 1.4, 2.2),
        "mlp": (0.6, 1.2, 2.0),
        "convnet": (0.4, 1.0, 1.7),
        "recurrent": (0.5, 1.2, 2.0),
        "resnet": (0.4, 1.1, 2.0),
        "transformer": (0.6, 1.5, 2.6),
    },
    "sequence": {
        "tree": (0.8, 2.0, 6.0),
        "svm": (0.4, 1.0, 2.0),
        "boosting": (0.5, 1.0, 2.5),
        "mlp": (0.4, 1.0, 2.5),
        "convnet": (0.3, 0.9, 2.0),
        "recurrent": (0.3, 1.0, 2.5),
        "resnet": (0.3, 1.0, 2.5),
        "transformer": (0.4, 1.2, 3.0),
    },
}

_LANGUAGE: Final[dict[str, Range]] = {  # of bits per byte; of `kneser_ney` to `unigram`, then of all to the best
    "kneser_ney": (0.36, 0.5, 0.8),
    "lstm": (0.78, 0.95, 1.3),
    "gpt": (0.7, 0.93, 1.3),
    "pretrained": (0.35, 0.75, 2.0),
    "lora": (0.3, 0.6, 1.0),
    "finetuned": (0.3, 0.6, 1.0),
}


# the median of train seconds over the share that a rung was given, in 38 climbs of one to 25 minutes
_USED: Final = {
    "linear": 0.15, "tree": 0.45, "svm": 0.2, "boosting": 0.3, "mlp": 0.4, "convnet": 0.6, "recurrent": 0.6,
    "resnet": 0.65, "transformer": 0.7,
}  # fmt: skip


def usual_seconds(rung: str, share: float) -> float:
    """Return the seconds that a rung usually takes of those it may take.

    Example:
        >>> usual_seconds("mlp", 60.0), usual_seconds("a rung of its own", 60.0)
        (24.0, 60.0)
    """
    return _USED.get(rung, 1.0) * share


def prior(rung: str, spec: Spec, metric: Metric, trained: Sequence[RungRecord]) -> Likely | None:
    """Return what a rung is expected to reach, as an error, before anything of it was seen; None where nobody knows.

    Args:
        rung: its name.
        spec: the data and the task.
        metric: the one that decides.
        trained: the rungs that were trained; the factor is that to the best of them.

    Example:
        >>> from yunti.records import Score
        >>> from yunti.specs import ColumnSpec, TaskSpec
        >>> from yunti.tasks.metrics import metric_named
        >>> spec = Spec((ColumnSpec("age", "number"),), TaskSpec("classification", "y", "accuracy", "higher"), 1000)
        >>> best = RungRecord("linear", "traditional", "done", score=Score("accuracy", 0.7, 0.68, 0.72))
        >>> seen = prior("boosting", spec, metric_named("accuracy"), [best])
        >>> [round(value, 2) for value in seen.quantiles]
        [0.04, 0.09, 0.17, 0.25, 0.31]
    """
    real = [each for each in trained if each.score is not None and "weights" not in each.plan]
    scores = [each.score for each in real if each.score is not None]
    share = "accuracy" if spec.task.name == "classification" else "r2"
    errors = {each.name: 1 - each.scores.get(share, 0.0) for each in real if each.name != "constant" or len(real) == 1}
    score = min(scores, key=lambda each: metric.as_error(each.valid))
    error = metric.as_error(score.valid)
    factors = _factors(rung, spec, errors)
    if factors is None:
        return None
    doubt = score.stderr
    error = max(least_error(metric, error), error, doubt / 2)  # few validation rows may show no mistake
    power = 0.5 if metric.name in _SQUARED else 1.0
    median = error * factors[2] ** power
    noise = _OWN * doubt / error
    values = []
    for factor, normal in zip(factors, _NORMAL, strict=True):
        distance = math.hypot(power * math.log(factor / factors[2]), normal * noise)
        values.append(median * math.exp(math.copysign(distance, normal)))
    if median < FEW_MISTAKES * doubt:
        values[0] = min(values[0], least_error(metric, median))
    most = 1.0 if metric.direction == "higher" and metric.name != "r2" else math.inf
    low, lower, middle, upper, high = (min(most, value) for value in values)
    return Likely((low, lower, middle, upper, high))


def least_error(metric: Metric, size: float) -> float:
    """Return the least error that counts as one: one in ten thousand; of errors with a unit, that part of their size.

    Example:
        >>> from yunti.tasks.metrics import metric_named
        >>> least_error(metric_named("accuracy"), 0.1), least_error(metric_named("mae"), 500.0)
        (0.0001, 0.05)
    """
    return _LEAST_SHARE if metric.direction == "higher" else max(_LEAST_SHARE * size, 1e-300)


def _factors(rung: str, spec: Spec, errors: Mapping[str, float]) -> Five | None:
    """Return the factor's quantiles for data of this kind, on which the rungs made these errors, as shares."""
    if spec.task.name == "language":
        return _of_language(rung, errors)
    dear: tuple[Kind, ...] = ("image", "audio", "text", "sequence")
    plain = [column for column in spec.columns if column.kind not in (*dear, "id")]
    kind = next((each for each in dear if spec.of_kind(each)), None) if len(plain) <= _FEW_PLAIN else None
    if kind is None:
        return factors_on_tables(rung, errors)
    return _between(_PRIOR[kind].get(rung))


def _of_language(rung: str, errors: Mapping[str, float]) -> Five | None:
    """Return the quantiles; where there are none but single tokens to compare with, n-grams come in between."""
    found, grams = _LANGUAGE.get(rung), _LANGUAGE["kneser_ney"]
    if found is None or rung == "kneser_ney" or set(errors) != {"unigram"}:
        return _between(found)
    low, median, high = (one * other for one, other in zip(found, grams, strict=True))
    return _between((low, median, high))


def _between(found: Range | None) -> Five | None:
    if found is None:
        return None
    low, median, high = found
    return low, median * (low / median) ** _QUARTER, median, median * (high / median) ** _QUARTER, high

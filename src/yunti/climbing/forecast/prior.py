"""What rungs did on other data: by what factor each changed the error of the best rung below it.

Tables: 133 data sets of LCDB 1.1 (Yan et al., 2025), each at its largest size, with logistic regression, a decision
tree, an SVM, CatBoost and RealMLP as the rungs, in three bands of the error. Other kinds: few climbs of our own and
published scores (docs/forecasting.md names them), so that their ranges are wide on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

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
Five = tuple[float, float, float, float, float]  # and the quartiles

_BANDS: Final = (0.06, 0.2)  # errors at which the ranges of tables change: what is hard for one is hard for all
_TABLE: Final[dict[str, tuple[Five, Five, Five]]] = {
    "tree": ((0.4, 0.8, 1.3, 2.8, 8.0), (0.3, 0.75, 1.2, 1.7, 2.6), (0.25, 0.55, 0.8, 1.1, 1.4)),
    "svm": ((0.32, 0.85, 1.08, 6.0, 60.0), (0.58, 0.92, 1.15, 1.8, 2.5), (0.6, 0.92, 1.02, 1.25, 1.8)),
    "boosting": ((0.45, 0.75, 0.97, 1.07, 1.6), (0.5, 0.62, 0.88, 1.0, 1.5), (0.5, 0.7, 0.88, 0.99, 1.05)),
    "mlp": ((0.35, 0.85, 1.03, 1.1, 1.3), (0.65, 0.97, 1.07, 1.2, 2.1), (0.92, 0.99, 1.02, 1.06, 1.15)),
    "resnet": ((0.35, 0.85, 1.03, 1.15, 1.6), (0.65, 0.95, 1.07, 1.25, 2.2), (0.9, 0.99, 1.03, 1.1, 1.3)),
    "transformer": ((0.4, 0.88, 1.04, 1.3, 2.5), (0.6, 0.95, 1.08, 1.3, 2.4), (0.9, 0.99, 1.05, 1.15, 1.6)),
}
_APART_AT: Final = 2  # the third best
_USUALLY_APART: Final = 0.6  # logarithm of the third best error over the best, from where on the ranges hold
_NARROWEST: Final = 0.2
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
    },
    "text": {
        "tree": (1.2, 1.9, 3.2),
        "svm": (0.85, 1.0, 1.3),
        "boosting": (1.0, 1.5, 3.0),
        "mlp": (0.85, 1.15, 1.6),
        "convnet": (0.85, 1.3, 1.9),
        "recurrent": (0.85, 1.3, 1.9),
        "resnet": (0.9, 1.45, 2.3),
        "transformer": (0.8, 1.35, 2.0),
        "pretrained": (0.3, 0.65, 1.25),
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


# the median of train seconds over the share that a rung was given, in 18 climbs of one to ten minutes
_USED: Final = {
    "linear": 0.1, "tree": 0.35, "svm": 0.15, "boosting": 0.2, "mlp": 0.4, "convnet": 0.5, "recurrent": 0.5,
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
        [0.15, 0.21, 0.26, 0.3, 0.32]
    """
    real = [each for each in trained if each.score is not None and "weights" not in each.plan]
    scores = [each.score for each in real if each.score is not None]
    share = "accuracy" if spec.task.name == "classification" else "r2"
    shares = sorted(1 - each.scores.get(share, 0.0) for each in real)
    score = min(scores, key=lambda each: metric.as_error(each.valid))
    error = metric.as_error(score.valid)
    factors = _factors(rung, spec, shares)
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


def _factors(rung: str, spec: Spec, errors: Sequence[float]) -> Five | None:
    """Return the factor's quantiles for data of this kind and errors, as shares, of this size and so far apart."""
    dear: tuple[Kind, ...] = ("image", "audio", "text", "sequence")
    plain = [column for column in spec.columns if column.kind not in (*dear, "id")]
    kind = next((each for each in dear if spec.of_kind(each)), None) if len(plain) <= _FEW_PLAIN else None
    if kind is None:
        bands = _TABLE.get(rung)
        return None if bands is None else _narrowed(bands[sum(errors[0] >= edge for edge in _BANDS)], errors)
    found = _PRIOR[kind].get(rung)
    if found is None:
        return None
    low, median, high = found
    return low, median * (low / median) ** _QUARTER, median, median * (high / median) ** _QUARTER, high


def _narrowed(factors: Five, errors: Sequence[float]) -> Five:
    """Narrow the range where the best three rungs lie near each other: what they share is then mostly noise."""
    if len(errors) < _APART_AT + 2:  # the constant guess is none of the three
        return factors
    apart = math.log(max(errors[_APART_AT], _LEAST_SHARE) / max(errors[0], _LEAST_SHARE))
    share = min(1.0, max(_NARROWEST, apart / _USUALLY_APART))
    low, lower, median, upper, high = (factors[2] * (each / factors[2]) ** share for each in factors)
    return low, lower, median, upper, high

"""What rungs did on other data: by what factor each changed the error of the best rung below it.

Tables: 133 data sets of LCDB 1.1 (Yan et al., 2025), each at its largest size, with logistic regression, a decision
tree, an SVM, CatBoost and RealMLP as the rungs. Other kinds: few climbs of our own and published scores
(docs/forecasting.md names them), so that their ranges are wide on purpose.
"""

from __future__ import annotations

import math
from typing import Final

from yunti.climbing.forecast.curve import Forecast
from yunti.records import RungRecord
from yunti.specs import Kind, Spec
from yunti.tasks.metrics import Metric

_SQUARED: Final = ("rmse", "mae")  # errors in the target's unit: the root of what 1 − R² measures
_LEAST_ERROR: Final = 1e-4
_NINETY: Final = 1.6449
_FEW_PLAIN: Final = 2  # with more columns of numbers and categories beside a text or a picture it is a table
FEW_MISTAKES: Final = 1.7  # standard errors: so small an error is about three rows, and chance may leave none of them
_OWN: Final = 0.7  # of a score's standard error is not shared by another rung's score on the same rows

Range = tuple[float, float, float]  # the 5th, 50th and 95th percentile of the factor

_TABLE: Final[dict[str, Range]] = {
    "tree": (0.3, 1.05, 3.5),
    "svm": (0.4, 1.04, 3.0),
    "boosting": (0.48, 0.9, 1.48),
    "mlp": (0.46, 1.03, 1.86),
    "resnet": (0.5, 1.05, 1.9),
    "transformer": (0.55, 1.06, 2.3),
}
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


def prior(rung: str, spec: Spec, metric: Metric, best: RungRecord) -> Forecast | None:
    """Return what a rung is expected to reach, as an error, before anything of it was seen; None where nobody knows.

    Args:
        rung: its name.
        spec: the data and the task.
        metric: the one that decides.
        best: the best rung below it.

    Example:
        >>> from yunti.records import Score
        >>> from yunti.specs import ColumnSpec, TaskSpec
        >>> from yunti.tasks.metrics import metric_named
        >>> spec = Spec((ColumnSpec("age", "number"),), TaskSpec("classification", "y", "accuracy", "higher"), 1000)
        >>> best = RungRecord("linear", "traditional", "done", score=Score("accuracy", 0.8, 0.78, 0.82))
        >>> seen = prior("boosting", spec, metric_named("accuracy"), best)
        >>> [round(value, 3) for value in (seen.median, seen.low, seen.high)]
        [0.18, 0.096, 0.297]
    """
    assert best.score is not None
    dear: tuple[Kind, ...] = ("image", "audio", "text", "sequence")
    plain = [column for column in spec.columns if column.kind not in (*dear, "id")]
    kind = next((each for each in dear if spec.of_kind(each)), None) if len(plain) <= _FEW_PLAIN else None
    found = (_PRIOR[kind] if kind else _TABLE).get(rung)
    if found is None or best.name == "constant":  # what a first real rung makes of the data nobody can know
        return None
    doubt = (best.score.high - best.score.low) / (2 * 1.96)
    error = max(_LEAST_ERROR, metric.as_error(best.score.valid), doubt / 2)  # few validation rows may show no mistake
    power = 0.5 if metric.name in _SQUARED else 1.0
    down, _, up = (math.hypot(power * math.log(factor / found[1]), _NINETY * _OWN * doubt / error) for factor in found)
    median = error * found[1] ** power
    low, high = median * math.exp(-down), median * math.exp(up)
    if median < FEW_MISTAKES * doubt:
        low = _LEAST_ERROR
    most = 1.0 if metric.direction == "higher" and metric.name != "r2" else float("inf")
    return Forecast(min(most, median), min(most, low), min(most, high))

"""The metrics, in one tuple: what each means, where it comes from, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from numpy.typing import NDArray

from yunti.specs import Direction, TaskName
from yunti.tasks import classification, language, regression
from yunti.tasks.pieces import Pieces


@final
@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    Args:
        name: its name in files and for `--metric`.
        task: the task that it scores.
        direction: whether a higher or a lower value is better.
        idea: one sentence that says what it tells.
        source: the paper or library it follows.
        score: of (target, prediction), a finite number. For classification: codes (rows,) and probabilities (rows,
            classes); for regression: values (rows,) and values (rows,); for language: zeros (rows,) and sums (rows, 5).
            At least one row.
        pieces: the same score as sums over rows, for `yunti.tasks.intervals`.
    """

    name: str
    task: TaskName
    direction: Direction
    idea: str
    source: str
    score: Callable[[NDArray[Any], NDArray[Any]], float]
    pieces: Callable[[NDArray[Any], NDArray[Any]], Pieces]

    def as_error(self, score: float) -> float:
        """Return the score as a number that is better when lower, and back: every metric that is better when higher has
        its best at 1.

        Example:
            >>> metric_named("accuracy").as_error(0.75), metric_named("rmse").as_error(3.5)
            (0.25, 3.5)
        """
        return 1 - score if self.direction == "higher" else score


METRICS: tuple[Metric, ...] = (
    Metric(
        "accuracy",
        "classification",
        "higher",
        "share of rows whose most probable class is the true one",
        "scikit-learn accuracy_score",
        classification.accuracy,
        classification.accuracy_pieces,
    ),
    Metric(
        "balanced_accuracy",
        "classification",
        "higher",
        "mean over the classes of the share of their rows that is found, so that rare classes count as much as common",
        "Brodersen et al. 2010",
        classification.balanced_accuracy,
        classification.balanced_accuracy_pieces,
    ),
    Metric(
        "macro_f1",
        "classification",
        "higher",
        "mean over the classes of the harmonic mean of precision and recall",
        "Opitz and Burst 2019",
        classification.macro_f1,
        classification.macro_f1_pieces,
    ),
    Metric(
        "log_loss",
        "classification",
        "lower",
        "mean surprise, in nats, at the true class: it punishes being sure and wrong",
        "Good 1952",
        classification.log_loss,
        classification.log_loss_pieces,
    ),
    Metric(
        "roc_auc",
        "classification",
        "higher",
        "probability that a row of a class is ranked above a row of another; 0.5 is chance",
        "Hanley and McNeil 1982",
        classification.roc_auc,
        classification.roc_auc_pieces,
    ),
    Metric(
        "calibration_error",
        "classification",
        "lower",
        "how far the stated probability lies from the share that proves right, in 15 bins of equal width",
        "Guo et al. 2017",
        classification.calibration_error,
        classification.calibration_error_pieces,
    ),
    Metric(
        "rmse",
        "regression",
        "lower",
        "root mean squared error, in the unit of the target: large errors count most",
        "scikit-learn root_mean_squared_error",
        regression.rmse,
        regression.rmse_pieces,
    ),
    Metric(
        "mae",
        "regression",
        "lower",
        "mean absolute error, in the unit of the target",
        "scikit-learn mean_absolute_error",
        regression.mae,
        regression.mae_pieces,
    ),
    Metric(
        "r2",
        "regression",
        "higher",
        "share of the target's variance that is explained; 0 is the mean's prediction",
        "scikit-learn r2_score",
        regression.r2,
        regression.r2_pieces,
    ),
    Metric(
        "bits_per_byte",
        "language",
        "lower",
        "bits that the text takes per byte: the same measure for models of bytes, characters and words",
        "Gao et al. 2020",
        language.bits_per_byte,
        language.bits_per_byte_pieces,
    ),
    Metric(
        "bits_per_character",
        "language",
        "lower",
        "bits that the text takes per character: as per byte in English, three times as much in Chinese",
        "Graves 2013",
        language.bits_per_character,
        language.bits_per_character_pieces,
    ),
    Metric(
        "perplexity_per_token",
        "language",
        "lower",
        "among how many equally likely tokens the model is torn; it compares models of the same tokens only",
        "Jelinek et al. 1977",
        language.perplexity_per_token,
        language.perplexity_per_token_pieces,
    ),
    Metric(
        "perplexity_per_word",
        "language",
        "lower",
        "among how many equally likely words the model is torn, whatever its tokens are",
        "Merity et al. 2017",
        language.perplexity_per_word,
        language.perplexity_per_word_pieces,
    ),
)


def metrics_of(task: TaskName) -> tuple[Metric, ...]:
    """Return the metrics that score a task."""
    return tuple(metric for metric in METRICS if metric.task == task)


def metric_named(name: str) -> Metric:
    """Return the metric of this name, which must be one of `METRICS`."""
    return next(metric for metric in METRICS if metric.name == name)

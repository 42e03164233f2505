"""What a network is asked to lower, and how its outputs become probabilities or values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from yunti.specs import TaskSpec

_SKEWED = (
    4.0  # an exponential distribution has skewness 2: only clearly heavier tails are worth the bias of a logarithm
)
_CALIBRATION_ROWS = 100


@final
@dataclass(frozen=True)
class Mixed:
    """The answers of rows that were mixed two by two (mixup).

    Args:
        first: shape (rows,).
        second: shape (rows,), those of the rows that were mixed in.
        share: of the first, 0 to 1.
    """

    first: Tensor
    second: Tensor
    share: float


Target = Tensor | Mixed


class Objective(ABC):
    """What a network is asked to lower.

    Args:
        task: what is asked.
    """

    def __init__(self, task: TaskSpec) -> None:
        self.task = task
        self.smoothing = 0.0  # label smoothing
        self.temperature = 1.0  # by which the logits are divided

    @property
    def is_classification(self) -> bool:
        """Whether classes are asked for."""
        return self.task.name == "classification"

    @abstractmethod
    def fit(self, target: NDArray[Any], like: Objective | None = None) -> None:
        """Learn what the loss must know of the training target; choices of `like`, an earlier one, are kept."""

    @abstractmethod
    def encode(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return the target as the loss takes it, (rows,)."""

    @abstractmethod
    def loss(self, outputs: Tensor, target: Target) -> Tensor:
        """Return the mean loss.

        Args:
            outputs: shape (rows, members, outputs), as the module puts them out.
            target: shape (rows,), as `encode` gives it; or two of them, mixed.
        """

    @abstractmethod
    def decode(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return predictions, a row each, from what the module put out."""

    @abstractmethod
    def calibrate(self, predictions: NDArray[Any], target: NDArray[Any]) -> None:
        """Choose the temperature on predictions of validation rows."""

    @abstractmethod
    def surprise(self, predictions: NDArray[Any], target: NDArray[Any]) -> float:
        """Return a loss of predictions that tells apart what the deciding metric cannot: better when lower."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return what predictions need, as plain JSON values."""

    @abstractmethod
    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take back what predictions need."""


@final
class Answers(Objective):
    """Cross-entropy for classes; squared or absolute error on the standardised target for values.

    The task's metric decides on class weights and on squared or absolute error.
    """

    def __init__(self, task: TaskSpec) -> None:
        super().__init__(task)
        self._centre = 0.0
        self._scale = 1.0
        self._low = self._high = 0.0
        self._log = False
        self._weights: Tensor | None = None

    def fit(self, target: NDArray[Any], like: Objective | None = None) -> None:
        """Learn scale or class frequencies; the logarithm is taken where `like` took it."""
        if self.is_classification:
            self._weights = class_weights(target, len(self.task.classes), self.task.metric)
            return
        values = np.asarray(target, dtype=np.float64)
        self._low, self._high = float(values.min()), float(values.max())
        if like is None:
            self._log = self._low >= 0 and skewness(values) > _SKEWED and abs(skewness(np.log1p(values))) < 2
        else:
            self._log = isinstance(like, Answers) and like._log and self._low > -1
        values = np.log1p(values) if self._log else values
        self._centre, self._scale = float(values.mean()), float(values.std()) or 1.0

    def encode(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return the target as the loss takes it: int64 codes, or standardised float32 values."""
        if self.is_classification:
            return np.asarray(target, dtype=np.int64)
        values = np.asarray(target, dtype=np.float64)
        return (((np.log1p(values) if self._log else values) - self._centre) / self._scale).astype(np.float32)

    def loss(self, outputs: Tensor, target: Target) -> Tensor:
        """Return the mean loss.

        Args:
            outputs: shape (rows, members, outputs); every member answers for itself.
            target: shape (rows,), as `encode` gives it; or two of them, mixed.
        """
        if isinstance(target, Mixed):
            first, second = self.loss(outputs, target.first), self.loss(outputs, target.second)
            return target.share * first + (1 - target.share) * second
        if outputs.shape[1] == 1 and self.is_classification and self._weights is None:
            return F.cross_entropy(outputs.flatten(0, 1), target, label_smoothing=self.smoothing)
        members = outputs.shape[1]
        wanted = target[:, None].expand(-1, members)
        if not self.is_classification:
            loss = F.l1_loss if self.task.metric == "mae" else F.mse_loss
            return loss(outputs[..., 0], wanted)
        weights = None if self._weights is None else self._weights.to(outputs.device)
        # divided by the rows, not by their weights, whose mean is 1: so the parts of a batch add up to the whole
        total = F.cross_entropy(
            outputs.flatten(0, 1), wanted.reshape(-1), weight=weights, label_smoothing=self.smoothing, reduction="sum"
        )
        return total / max(1, wanted.numel())

    def decode(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return probabilities (rows, classes) float32, or values (rows,) float64, averaged over the members.

        Args:
            outputs: shape (rows, members, outputs).
        """
        if self.is_classification:
            return _sharpen(_softmax(outputs).mean(axis=1), self.temperature)
        values = outputs[..., 0].mean(axis=1, dtype=np.float64) * self._scale + self._centre
        values = np.expm1(np.minimum(values, 700.0)) if self._log else values
        # a network must not answer far outside what it has seen (RealMLP clips in the same way)
        room = 0.05 * (self._high - self._low)
        return np.clip(values, self._low if self._log else self._low - room, self._high + room)

    def calibrate(self, predictions: NDArray[Any], target: NDArray[Any]) -> None:
        """Choose the temperature of lowest log-loss on validation rows (Guo et al., 2017, arXiv 1706.04599).

        Order and accuracy stay as they are. Too few rows, or values instead of classes: the temperature stays 1.
        """
        if not self.is_classification or len(target) < _CALIBRATION_ROWS:
            return
        logs = np.log(np.maximum(predictions.astype(np.float64), 1e-12))
        grid = np.exp(np.linspace(np.log(0.4), np.log(3.0), 81))
        losses = [_log_loss(logs / temperature, target) for temperature in grid]
        self.temperature = float(grid[int(np.argmin(losses))])

    def surprise(self, predictions: NDArray[Any], target: NDArray[Any]) -> float:
        """Return log-loss, or the mean squared error."""
        if self.is_classification:
            right = predictions[np.arange(len(target)), target].astype(np.float64)
            return float(-np.log(np.maximum(right, 1e-9)).mean())
        return float(((predictions - target) ** 2).mean())

    def facts(self) -> dict[str, Any]:
        """Return what predictions need, as plain JSON values."""
        return {
            "temperature": self.temperature,
            "centre": self._centre,
            "scale": self._scale,
            "low": self._low,
            "high": self._high,
            "log": self._log,
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take back what predictions need."""
        self.temperature = float(facts["temperature"])
        self._centre, self._scale = float(facts["centre"]), float(facts["scale"])
        self._low, self._high, self._log = float(facts["low"]), float(facts["high"]), bool(facts["log"])


def class_weights(target: NDArray[Any], classes: int, metric: str) -> Tensor | None:
    """Return the weight of each class, of mean 1 over the rows, where the metric counts rare classes for more.

    Balanced accuracy asks for 1 / frequency; macro-F1 lies between that and plain accuracy, so the square root serves.
    """
    power = {"balanced_accuracy": 1.0, "macro_f1": 0.5}.get(metric)
    if power is None:
        return None
    counts = np.bincount(target, minlength=classes).astype(np.float64)
    weights = (counts.sum() / np.maximum(counts, 1)) ** power
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def skewness(values: NDArray[np.float64]) -> float:
    """Return the third standardised moment, 0 where nothing varies."""
    deviation = float(values.std())
    return float((((values - values.mean()) / deviation) ** 3).mean()) if deviation > 0 else 0.0


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sharpen(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def _log_loss(logs: NDArray[np.float64], target: NDArray[Any]) -> float:
    top = logs.max(axis=1, keepdims=True)
    normaliser = top[:, 0] + np.log(np.exp(logs - top).sum(axis=1))
    return float((normaliser - logs[np.arange(len(target)), target]).mean())

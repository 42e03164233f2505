"""How good the rounds so far are: the loss on held-out rows, with what a model's raw answers need to become right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.specs import TaskSpec

Floats = NDArray[np.float64]
LEAST_PROBABILITY = 1e-12


@final
@dataclass(frozen=True)
class Scale:
    """Turns a target into what the trees fit, and back.

    Args:
        center: subtracted.
        spread: divided by.
        shift: added before the logarithm; None takes none.
    """

    center: float
    spread: float
    shift: float | None = None

    def to_trees(self, target: NDArray[Any]) -> Floats:
        """Give zero mean and unit variance, so that LightGBM's float32 labels lose nothing."""
        return (_logged(target, self.shift) - self.center) / self.spread

    def from_trees(self, answers: NDArray[Any], correction: float = 1.0) -> Floats:
        """Take back; an exponential is multiplied by a correction for its bias."""
        values = np.asarray(answers, dtype=np.float64) * self.spread + self.center
        return values if self.shift is None else np.exp(values) * correction - self.shift


def scale_of(target: NDArray[Any], logarithm: bool) -> Scale:
    """Learn the scale from training rows; the logarithm's shift is 0 for positive targets, else the median one."""
    shift = None
    if logarithm:
        shift = 0.0 if target.min() > 0 else float(np.median(target[target > 0]))
    values = _logged(target, shift)
    return Scale(float(values.mean()), float(values.std()) or 1.0, shift)


def wants_logarithm(target: NDArray[Any]) -> bool:
    """Whether a target is never negative, has a long right tail, and loses it by the logarithm."""
    if len(target) < 20 or target.min() < 0 or target.max() <= 0:
        return False
    logged = scale_of(target, True).to_trees(target)
    return skewness(target) > 1 and abs(skewness(logged)) < skewness(target) / 2


def skewness(values: NDArray[Any]) -> float:
    """Third standardised moment; 0 for constants."""
    deviation = np.asarray(values, dtype=np.float64) - values.mean()
    spread = deviation.std()
    return float((deviation**3).mean() / spread**3) if spread > 0 else 0.0


@final
class Judge:
    """Gives the loss of a model's answers on held-out rows.

    For classes it is the log-loss after the best temperature: how well the answers tell the classes apart, which goes
    on improving after they have become too sure of themselves. Source: Berta, Holzmüller, Jordan and Bach (2025),
    Rethinking early stopping: refine, then calibrate. For values it is the root mean squared error or the mean absolute
    error in the target's unit, an exponential being first corrected for its bias (Duan 1983, Smearing estimate).

    Args:
        task: what is asked.
        target: shape (rows,).
        weights: shape (rows,), or None.
        scale: of a regression's target.
    """

    def __init__(self, task: TaskSpec, target: NDArray[Any], weights: Floats | None, scale: Scale | None) -> None:
        self._task, self._target, self._scale = task, target, scale
        self._weights = None if weights is None else weights / weights.mean()
        self.correction = 1.0  # inverse temperature, or the factor of the exponential

    @property
    def classifies(self) -> bool:
        """Whether the loss is a log-loss."""
        return self._scale is None

    def loss(self, answers: NDArray[Any]) -> float:
        """Return the loss, and keep the correction that it was reached with.

        Args:
            answers: probabilities of shape (rows, classes), of shape (rows,) for the second of two, or values.
        """
        if self._scale is None:
            return self._log_loss(logits_of(answers))
        if self._scale.shift is not None and self._task.metric != "mae":
            values = self._scale.from_trees(answers) + self._scale.shift
            ratios = (self._target + self._scale.shift) / np.maximum(values, 1e-300)
            self.correction = float(np.clip(ratios.mean(), 0.8, 1.25))
        errors = self._scale.from_trees(answers, self.correction) - self._target
        return float(np.abs(errors).mean() if self._task.metric == "mae" else np.sqrt((errors**2).mean()))

    def _log_loss(self, logits: Floats) -> float:
        self.correction = inverse_temperature(logits, self._target, self._weights, self.correction)
        losses = -log_softmax(logits * self.correction)[np.arange(len(logits)), self._target]
        return float(losses.mean() if self._weights is None else (losses * self._weights).mean())


def inverse_temperature(logits: Floats, target: NDArray[Any], weights: Floats | None, start: float = 1.0) -> float:
    """Find the factor of the logits with the lowest log-loss, between 0.2 and 2: a convex problem, by Newton steps.

    Source: Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks, ICML.

    Args:
        logits: shape (rows, classes).
        target: shape (rows,), class codes.
        weights: shape (rows,), or None.
        start: where to begin.
    """
    factor = start
    share = np.ones(len(logits)) if weights is None else weights
    right = logits[np.arange(len(logits)), target]
    for _ in range(10):
        chances = np.exp(log_softmax(logits * factor))
        mean = np.einsum("ij,ij->i", chances, logits)
        spread = np.einsum("ij,ij->i", chances, logits**2) - mean**2
        step = (share * (mean - right)).mean() / max(float((share * spread).mean()), 1e-12)
        moved = float(np.clip(factor - np.clip(step, -factor / 2, factor), 0.2, 2.0))
        if abs(moved - factor) < 1e-4:
            return moved
        factor = moved
    return factor


def logits_of(chances: NDArray[Any]) -> Floats:
    """Return the logarithms of probabilities, shape (rows, classes); the second of two classes may stand alone."""
    both = np.stack([1 - chances, chances], axis=1) if chances.ndim == 1 else chances
    logits: Floats = np.log(np.maximum(both.astype(np.float64), LEAST_PROBABILITY))
    return logits


def chances_of(raw: NDArray[Any]) -> Floats:
    """Return the probabilities of logits, shape (rows, classes); or (rows,), of the second of two classes."""
    from scipy.special import expit, softmax

    chances: Floats = expit(raw) if raw.ndim == 1 else softmax(raw, axis=1)
    return chances


def log_softmax(logits: Floats) -> Floats:
    """Subtract the logarithm of the sum of exponentials from every row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _logged(target: NDArray[Any], shift: float | None) -> Floats:
    values = np.asarray(target, dtype=np.float64)
    return values if shift is None else np.log(values + shift)

"""Losses of linear scores: value, slope and a bound of the curvature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Loss(ABC):
    """The weighted mean loss of all rows' scores.

    Args:
        target: shape (rows,); class codes or values.
        weights: shape (rows,), the rows' weights; equal if none.
    """

    curvature: float = 1.0  # a typical second derivative, for scaling the first step

    def __init__(self, target: NDArray[Any], weights: NDArray[Any] | None = None) -> None:
        self.target = target
        share = np.full(len(target), 1 / max(1, len(target))) if weights is None else weights / weights.sum()
        self.share = share.astype(np.float32)

    @abstractmethod
    def value(self, scores: Floats) -> float:
        """Return the mean loss."""

    @abstractmethod
    def slopes(self, scores: Floats) -> Floats:
        """Return the derivative of the mean loss by every score, shape (rows, outputs)."""


@final
class Logistic(Loss):
    """Two classes, one score s: ln(1 + exp(-y·s)) with y = ±1."""

    curvature = 0.25

    def _margin(self, scores: Floats) -> Floats:
        return np.where(self.target == 1, scores[:, 0], -scores[:, 0])

    def value(self, scores: Floats) -> float:
        """Return the mean log loss in nats."""
        return float(np.dot(self.share, np.logaddexp(np.float32(0), -self._margin(scores))))

    def slopes(self, scores: Floats) -> Floats:
        """Return share · (p - [y = 1])."""
        return (self.share * (sigmoid(scores[:, 0]) - (self.target == 1)))[:, None].astype(np.float32)


@final
class Softmax(Loss):
    """Any number of classes, one score each: cross-entropy of the softmax."""

    curvature = 0.25

    def value(self, scores: Floats) -> float:
        """Return the mean cross-entropy in nats."""
        top = scores.max(axis=1, keepdims=True)
        logs = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
        return float(np.dot(self.share, logs - scores[np.arange(len(scores)), self.target]))

    def slopes(self, scores: Floats) -> Floats:
        """Return share · (p - one-hot)."""
        slopes = softmax(scores)
        slopes[np.arange(len(scores)), self.target] -= 1
        slopes *= self.share[:, None]
        return slopes


@final
class SquaredHinge(Loss):
    """One score a class (one for two classes), each against the rest: ½·max(0, 1 - y·s)² with y = ±1.

    The smooth loss of a support vector machine solved in the primal (Chapelle, 2007, Neural Computation 19).
    """

    def _gap(self, scores: Floats) -> Floats:
        signs = np.full(scores.shape, -1, dtype=np.float32)
        if scores.shape[1] == 1:
            signs[self.target == 1] = 1
        else:
            signs[np.arange(len(scores)), self.target] = 1
        gap: Floats = signs * np.maximum(0, 1 - signs * scores)
        return gap

    def value(self, scores: Floats) -> float:
        """Return the mean over rows of the sum over classes."""
        return 0.5 * float(np.dot(self.share, np.square(self._gap(scores)).sum(axis=1)))

    def slopes(self, scores: Floats) -> Floats:
        """Return -share · y · max(0, 1 - y·s)."""
        return -self.share[:, None] * self._gap(scores)


@final
class Squared(Loss):
    """A value and its score: ½·(s - y)²."""

    def value(self, scores: Floats) -> float:
        """Return half the mean squared error."""
        return 0.5 * float(np.dot(self.share, np.square(scores[:, 0] - self.target)))

    def slopes(self, scores: Floats) -> Floats:
        """Return share · (s - y)."""
        return (self.share * (scores[:, 0] - self.target))[:, None].astype(np.float32)


def sigmoid(scores: Floats) -> Floats:
    """Return 1 / (1 + exp(-s)) without overflow."""
    return np.exp(-np.logaddexp(np.float32(0), -scores)).astype(np.float32)


def softmax(scores: Floats) -> Floats:
    """Return probabilities over the last axis."""
    values = np.exp(scores - scores.max(axis=-1, keepdims=True))
    values /= values.sum(axis=-1, keepdims=True)
    return values

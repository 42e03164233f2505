"""Losses of linear scores: value, slope and a bound of the curvature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Loss(ABC):
    """The weighted mean loss of all rows' scores.

    Args:
        target: shape (rows,); class codes or values.
        outputs: number of scores of a row.
        weights: shape (rows,), the rows' weights; equal if none.
    """

    separate: bool  # whether the loss is a sum over outputs that do not touch each other

    def __init__(self, target: NDArray[Any], outputs: int, weights: NDArray[Any] | None = None) -> None:
        self.target = target
        self.outputs = outputs
        share = np.full(len(target), 1 / max(1, len(target))) if weights is None else weights / weights.sum()
        self.share = share.astype(np.float32)

    @abstractmethod
    def value(self, scores: Floats) -> Doubles:
        """Return the mean loss: of every output, shape (outputs,), if they are separate; else shape (1,)."""

    @abstractmethod
    def slopes(self, scores: Floats) -> Floats:
        """Return the derivative of the mean loss by every score, shape (rows, outputs)."""

    @property
    @abstractmethod
    def curvature(self) -> Doubles:
        """Typical second derivative of every output's loss, to scale the first step; shape (outputs,)."""

    def _signs(self) -> Floats:
        """Return +1 where a row is of the output's class, else -1; one output stands for the second of two classes."""
        classes = np.arange(self.outputs) if self.outputs > 1 else np.array([1])
        return np.where(self.target[:, None] == classes, np.float32(1), np.float32(-1))


@final
class Softmax(Loss):
    """A score for every class: cross-entropy of the softmax, in nats."""

    separate = False

    def value(self, scores: Floats) -> Doubles:
        """Return the mean cross-entropy."""
        top = scores.max(axis=1, keepdims=True)
        logs = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
        return np.array([np.dot(self.share, logs - scores[np.arange(len(scores)), self.target])], dtype=np.float64)

    def slopes(self, scores: Floats) -> Floats:
        """Return share · (p - one-hot)."""
        slopes = softmax(scores)
        slopes[np.arange(len(scores)), self.target] -= 1
        slopes *= self.share[:, None]
        return slopes

    @property
    def curvature(self) -> Doubles:
        """Return 1/4, the bound of p(1 - p)."""
        return np.full(self.outputs, 0.25)


@final
class Logistic(Loss):
    """One score for two classes, or every class against the rest: ln(1 + exp(-y·s)) with y = ±1, in nats."""

    separate = True

    def value(self, scores: Floats) -> Doubles:
        """Return the mean log loss of every output."""
        margins = self._signs() * scores
        losses = np.log1p(np.exp(-np.abs(margins))) + np.maximum(-margins, 0)
        return (self.share @ losses).astype(np.float64)

    def slopes(self, scores: Floats) -> Floats:
        """Return share · (p - [y = 1])."""
        return self.share[:, None] * (sigmoid(scores) - (self._signs() > 0))

    @property
    def curvature(self) -> Doubles:
        """Return p(1 - p) with p the class's share of the weight, but at least 0.01."""
        share = self.share @ (self._signs() > 0)
        return np.maximum(share * (1 - share), 0.01).astype(np.float64)


@final
class SquaredHinge(Loss):
    """One score for two classes, or every class against the rest: ½·max(0, 1 - y·s)² with y = ±1.

    The smooth loss of a support vector machine solved in the primal (Chapelle, 2007, Neural Computation 19).
    """

    separate = True

    def value(self, scores: Floats) -> Doubles:
        """Return the mean loss of every output."""
        gap = np.maximum(0, 1 - self._signs() * scores)
        return 0.5 * (self.share @ (gap * gap)).astype(np.float64)

    def slopes(self, scores: Floats) -> Floats:
        """Return -share · y · max(0, 1 - y·s)."""
        signs = self._signs()
        return -self.share[:, None] * signs * np.maximum(0, 1 - signs * scores)

    @property
    def curvature(self) -> Doubles:
        """Return half the rows: those beyond the margin do not bend the loss."""
        return np.full(self.outputs, 0.5)


@final
class Squared(Loss):
    """A value and its score: ½·(s - y)²."""

    separate = True

    def value(self, scores: Floats) -> Doubles:
        """Return half the mean squared error."""
        return np.array([0.5 * np.dot(self.share, np.square(scores[:, 0] - self.target))], dtype=np.float64)

    def slopes(self, scores: Floats) -> Floats:
        """Return share · (s - y)."""
        return (self.share * (scores[:, 0] - self.target))[:, None].astype(np.float32)

    @property
    def curvature(self) -> Doubles:
        """Return 1, exactly."""
        return np.ones(self.outputs)


def sigmoid(scores: Floats) -> Floats:
    """Return 1 / (1 + exp(-s)) without overflow."""
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1, small) / (1 + small)


def softmax(scores: Floats) -> Floats:
    """Return probabilities over the last axis."""
    values = np.exp(scores - scores.max(axis=-1, keepdims=True))
    values /= values.sum(axis=-1, keepdims=True)
    return values

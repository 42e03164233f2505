"""The moving average of a network's weights, which forgets the noise of single steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

from yunti.training.group import like


@final
class Average:
    """ā ← d · ā + (1 − d) · w after every step, with d = min(decay, (1 + t) / (10 + t)) so that it starts quickly.

    Sources: Polyak and Juditsky, 1992; the warm-up of d as in TensorFlow's ExponentialMovingAverage. Buffers, such as
    the statistics of batch normalisation, are taken as they are.

    Args:
        module: whose weights.
        decay: d in the long run; 0 switches the average off.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module = module
        self._decay = decay
        self._names = [name for name, _ in module.named_parameters()] if decay else []
        self._weights = [parameter.detach() for _, parameter in module.named_parameters()] if decay else []
        self._means = [weight.clone() for weight in self._weights]
        self._steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights of the moment."""
        if not self._decay:
            return
        self._steps += 1
        keep = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._means, self._weights, 1 - keep)

    @contextmanager
    @torch.no_grad()
    def in_place(self) -> Iterator[None]:
        """Put the average into the module for as long as the context lasts."""
        if not self._decay:
            yield
            return
        kept = [weight.clone() for weight in self._weights]
        torch._foreach_copy_(self._weights, self._means)
        try:
            yield
        finally:
            torch._foreach_copy_(self._weights, kept)

    @torch.no_grad()
    def forget(self) -> None:
        """Begin anew from the weights of the moment."""
        self._steps = 0
        if self._decay:
            torch._foreach_copy_(self._means, self._weights)

    def tensors(self) -> dict[str, Tensor]:
        """Return the average for a checkpoint."""
        return dict(zip(self._names, self._means, strict=True))

    @property
    def steps(self) -> int:
        """Steps that were taken in."""
        return self._steps

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Take back what `tensors` and `steps` returned."""
        self._steps = steps
        for name, mean in zip(self._names, self._means, strict=True):
            mean.copy_(like(tensors[name], mean))

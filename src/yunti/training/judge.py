"""How good the weights of the moment are on validation rows, and which were the best so far."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yunti.data.encode import Encoded
from yunti.errors import RungError
from yunti.models.network import Network
from yunti.tasks.task import score
from yunti.training.group import ALONE, Group, like

# metrics that count rows: their differences below a fraction of the standard error are noise, so log-loss decides
_COUNTING = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")


@final
class Judge:
    """Keeps the best weights by the metric that decides; log-loss or squared error breaks what is as good as a tie.

    Without validation rows the latest weights are the best.

    Args:
        network: the network that is trained.
        encoded: validation rows, encoded.
        target: their answers.
        group: the processes that share the work.
        rows: of validation there are in all, where it judges by a part of them.
    """

    def __init__(
        self, network: Network, encoded: Encoded, target: NDArray[Any], group: Group = ALONE, rows: int = 0
    ) -> None:
        self._network = network
        self._group = group
        self._encoded = encoded
        self._target = target
        self._spec = network.spec.task
        self._grid = 0.1 / np.sqrt(max(1, len(target))) if self._spec.metric in _COUNTING else 0.0
        self._best: dict[str, Tensor] = _copy(network)
        self._merit: tuple[float, float] = (-np.inf, -np.inf)
        self.best_step = -1
        self.since_best = 0
        self.score = float("nan")
        self.predictions: NDArray[Any] | None = None
        self.seconds_for_all = 0.0  # that predicting all validation rows takes; known after the first look
        self._times = max(1.0, rows / max(1, len(target)))

    def look(self, step: int) -> bool:
        """Score the weights of the moment, keep them if they are the best so far, and say whether they are."""
        if not self.judges:
            self._best, self.best_step = _copy(self._network), step
            return True
        began = time.monotonic()
        predictions = self._predict()
        self.seconds_for_all = self._times * (time.monotonic() - began)
        self.since_best += 1
        if not np.isfinite(predictions).all():
            return False
        try:
            self.score = score(self._spec, self._target, predictions)
        except RungError:  # such as one class only among few validation rows: then the loss alone decides
            self.score = float("nan")
        merit = self._merit_of(predictions)
        if merit <= self._merit:
            return False
        self._best = _copy(self._network)
        self._merit, self.best_step, self.since_best, self.predictions = merit, step, 0, predictions
        return True

    @property
    def judges(self) -> bool:
        """Whether there are rows to judge by."""
        return len(self._target) > 0

    @property
    def has_best(self) -> bool:
        """Whether any weights were found good."""
        return self.best_step >= 0

    def restore_best(self) -> None:
        """Put the best weights back into the network, or those it began with."""
        now = self._network.module.state_dict()  # the best may be from before it was sharded
        self._network.module.load_state_dict({name: like(value, now[name]) for name, value in self._best.items()})

    def tensors(self) -> dict[str, Tensor]:
        """Return the best weights, and what they predicted, for a checkpoint."""
        kept = {f"best/{name}": value for name, value in self._best.items()}
        return kept if self.predictions is None else {**kept, "predictions": torch.from_numpy(self.predictions)}

    def facts(self) -> dict[str, Any]:
        """Return what else a checkpoint keeps."""
        merit = None if self.best_step < 0 else list(self._merit)
        return {"merit": merit, "best_step": self.best_step, "since_best": self.since_best, "score": self.score}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take back what `tensors` and `facts` returned."""
        self._best = {name: like(tensors[f"best/{name}"], value) for name, value in self._best.items()}
        self.predictions = tensors["predictions"].numpy() if "predictions" in tensors else None
        self._merit = (-np.inf, -np.inf) if facts["merit"] is None else (facts["merit"][0], facts["merit"][1])
        self.best_step, self.since_best = int(facts["best_step"]), int(facts["since_best"])
        self.score = float(facts["score"])

    def _predict(self) -> NDArray[Any]:
        """Predict the validation rows; processes that all hold the network share them out."""
        if self._group.is_alone or self._group.sharded:
            return self._network.predict_encoded(self._encoded)
        place = self._group.place
        parts = self._group.gather(self._network.outputs_of(self._encoded, place.rank, place.size))
        return self._network.answers(parts)

    def _merit_of(self, predictions: NDArray[Any]) -> tuple[float, float]:
        oriented = self.score if self._spec.direction == "higher" else -self.score
        if np.isnan(oriented):
            oriented = 0.0
        coarse = round(oriented / self._grid) if self._grid else oriented
        return coarse, -self._network.objective.surprise(predictions, self._target)


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.module.state_dict().items()}

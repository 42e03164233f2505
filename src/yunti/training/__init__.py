"""From a model and a dataset to a trained model: one verb, `train`, for estimators and networks."""

from __future__ import annotations

from yunti.data.table import Examples
from yunti.models.contract import Estimator, Model, Watch

__all__ = ["train"]


def train(model: Model, train: Examples, valid: Examples, watch: Watch) -> None:
    """Fit a model; it ends before the watch's deadline with the best weights it found.

    An estimator fits itself; a network is fitted by the loop in `yunti.training.loop`. Where the time did not hold all
    that the model's recipe wished for, `model.plan["stopped"]` says so in a sentence.

    Args:
        model: as a rung's `build` made it.
        train: the rows to learn from.
        valid: the rows that choose when to stop, which weights to keep, and the temperature.
        watch: the time there is, and whom to tell.

    Raises:
        RungError: nothing useful fits the time, or training diverges from the start.
    """
    if isinstance(model, Estimator):
        model.fit(train, valid, watch)
        return
    from yunti.models.network import Network
    from yunti.training.loop import fit  # torch is needed from here on

    if not isinstance(model, Network):
        raise TypeError(f"{type(model).__name__} is neither an Estimator nor a Network")
    fit(model, train, valid, watch)

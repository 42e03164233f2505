"""From a model and a dataset to a trained model: `train` and `refit`, for estimators and networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from yunti.data.table import Examples
from yunti.errors import OptionError
from yunti.models.contract import Estimator, Model, Watch
from yunti.models.settings import Settings, plain

if TYPE_CHECKING:
    from yunti.models.network import Network

__all__ = ["refit", "train"]


def train(
    model: Model,
    train: Examples,
    valid: Examples,
    watch: Watch,
    settings: Settings = Settings(),  # noqa: B008  (a frozen value)
    home: Path | None = None,
) -> None:
    """Fit a model; it ends before the watch's deadline with the best weights it found.

    An estimator fits itself; a network is fitted by the loop in `yunti.training.loop`. Where the time did not hold all
    that the model's recipe wished for, `model.plan["stopped"]` says so in a sentence.

    Args:
        model: as a rung's `build` made it.
        train: the rows to learn from.
        valid: the rows that choose when to stop, which weights to keep, and the temperature.
        watch: the time there is, and whom to tell.
        settings: what was set by hand; only networks have something to set.
        home: folder of the checkpoints, from which an interrupted training of a network goes on; its history is
            written beside it, `history.jsonl`. None keeps none.

    Raises:
        OptionError: a setting does not belong to this model.
        RungError: nothing useful fits the time, or training diverges from the start.
    """
    if isinstance(model, Estimator):
        if settings != Settings():
            given = ", ".join(plain(settings))
            raise OptionError(given, "it must belong to the model", "only networks have it", "leave it out")
        model.fit(train, valid, watch)
        return
    from yunti.training.fitting import fit  # torch is needed from here on

    network = _network(model)
    network.settings = settings
    fit(network, train, valid, watch, home)


def refit(
    model: Model,
    rows: Examples,
    watch: Watch,
    settings: Settings = Settings(),  # noqa: B008  (a frozen value)
    home: Path | None = None,
) -> None:
    """Train a trained model anew on other rows, mostly more, and keep all that was chosen when it was trained.

    Args:
        model: trained, or restored from its parts.
        rows: the rows to learn from.
        watch: the time there is, and whom to tell.
        settings: what was set by hand when it was trained.
        home: folder of the checkpoints of this second training.

    Raises:
        RungError: the time does not hold it; the model must not be used then.
    """
    if isinstance(model, Estimator):
        model.refit(rows, watch)
        return
    from yunti.training.fitting import refit as refit_network  # torch is needed from here on

    network = _network(model)
    network.settings = settings
    refit_network(network, rows, watch, home)


def _network(model: Model) -> Network:
    from yunti.models.network import Network

    if not isinstance(model, Network):
        raise TypeError(f"{type(model).__name__} is neither an Estimator nor a Network")
    return model

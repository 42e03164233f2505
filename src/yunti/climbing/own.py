"""Train a torch module of the user's own on the same split and by the same engine as every rung."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, final

from yunti.climbing.request import seconds_or_none
from yunti.data.dataset import Dataset, open_dataset, prepare
from yunti.data.options import DataOptions
from yunti.devices import choose_device, place_of
from yunti.errors import OptionError
from yunti.models.contract import Watch
from yunti.models.settings import flat, settings_from
from yunti.specs import Kind, Spec, TaskName
from yunti.storing import write_atomic
from yunti.tasks.intervals import interval
from yunti.tasks.task import infer_task, score, scores
from yunti.training import train

if TYPE_CHECKING:
    from yunti.models.network import Network
    from yunti.models.own import Given


def fit(  # noqa: PLR0913  (the keywords are those of `train` that serve a module)
    module: Given,
    source: object,
    *,
    target: str | None = None,
    settings: Mapping[str, Any] | None = None,
    test: object | None = None,
    split: str | None = None,
    group: str | None = None,
    time: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    keep: Sequence[str] = (),
    task: TaskName | None = None,
    metric: str | None = None,
    budget: str | float | None = None,
    seed: int = 0,
    device: str = "auto",
    out: str | Path | None = None,
    watch: Watch | None = None,
) -> Fitted:
    """Train a torch module of your own: data, split, loss, schedule, precision, checkpoints and scores are yunti's.

    Args:
        module: from one tensor of rows to one row of logits or values each; it is trained in place, and a second
            call goes on from what it learned: give a function to begin anew. Pictures come to it as (rows, channels,
            height, width), sounds and sequences as (rows, steps, width), tables as (rows, numbers and one-hot
            categories), scaled; several kinds at once as a mapping of tensors. One output serves for two classes.
            Or a function that makes the module of the shape of one row, without the rows, and the number of outputs.
        source: as `yunti.climb` takes it.
        target: the column to predict; folders of classes and samples know their own.
        settings: names with dots, or nested, such as `{"training": {"epochs": 5, "batch": 128}}`.
        test: a separate source of test rows.
        split: a column that holds a ready split.
        group: a column whose equal values stay on one side of the split.
        time: a column by which to split.
        kinds: kinds of columns, where the kinds found are wrong; "id" leaves a column out.
        keep: columns to use although they would be left out.
        task: "classification", "regression" or "language", where the source and its target should not decide.
        metric: the metric that decides which weights are kept.
        budget: the most time it may take; as long as the recipe takes if not given.
        seed: of split, batches and dropout; the weights are yours, or drawn from it where a function makes the module.
        device: "auto", "cpu", "cuda" or "mps".
        out: a folder for the data as they were laid out and for checkpoints, from which an interrupted training goes
            on when the same is asked again; nothing is kept if not given.
        watch: the time there is, and whom to tell; overrides `budget`.

    Returns:
        The trained module with its scores.

    Raises:
        InputError: the data, a setting or the folder cannot be used.
        RungError: the module does not answer as the task asks, or diverges.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        >>> run = fit(net, "sample:digits", settings={"training.epochs": 20})
        >>> 0.5 < run.valid <= 1
        True
    """
    from yunti.models.own import own_network, threads_kept  # torch is needed from here on

    given = settings_from(flat(settings or {}))
    if given.model:
        names = ", ".join(f"model.{name}" for name in given.model)
        raise OptionError(
            names, "it must belong to the module", "a module of one's own has no shape to set", "leave it out"
        )
    if place_of(os.environ).size > 1:
        mend = "use `yunti train`"
        raise OptionError("yunti.fit", "it must be one process", "several were started together", mend)
    seconds = seconds_or_none(budget)
    if watch is None:
        watch = Watch() if seconds is None else Watch(monotonic() + seconds)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch if out is None else out)
        options = DataOptions(
            target=target,
            test=test,
            split=split,
            group=group,
            time=time,
            kinds=dict(kinds or {}),
            task=task,
            keep=tuple(keep),
            seed=seed,
        )
        dataset = _laid_out(source, options, folder)
        _must_be_of_rows(dataset)
        asked = infer_task(dataset.task, dataset.target.name, dataset.classes, metric)
        spec = Spec(dataset.columns, asked, len(dataset.train), seed, choose_device(device).name)
        network = own_network(module, spec)
        home = None if out is None else folder / "checkpoints"
        with threads_kept():
            train(network, dataset.train, dataset.valid, watch, given, home)
            if home is not None:
                shutil.rmtree(home, ignore_errors=True)  # only an interrupted training goes on
            return Fitted(network, dataset)


def _must_be_of_rows(dataset: Dataset) -> None:
    if dataset.task == "language":
        must, mend = "a module of one's own must predict classes or values", "name a table and its target"
        raise OptionError("yunti.fit", must, f"{dataset.record.source} is a text to go on with", mend)


def _laid_out(source: object, options: DataOptions, folder: Path) -> Dataset:
    """Lay the data out in a folder, or open what was laid out there before of the same source."""
    prepared, note = folder / "prepared", folder / "asked.json"
    names = isinstance(source, str | Path)
    stat = Path(str(source)).stat() if names and Path(str(source)).exists() else None
    seen = [] if stat is None else [stat.st_mtime_ns, stat.st_size]
    told = {name: str(value) for name, value in asdict(options).items()}
    asked = json.dumps({"source": str(source) if names else "an object in memory", "seen": seen, **told})
    if prepared.is_dir() and any(prepared.iterdir()) and not note.is_file():
        must, got = "it must be new, or hold what yunti.fit laid out", "it holds a folder `prepared` of something else"
        raise OptionError(f"out={str(folder)!r}", must, got, "name a new folder")
    if (prepared / "dataset.json").is_file() and names:
        if not note.is_file() or note.read_text() != asked:
            must = "it must hold data of this source with these options"
            raise OptionError(f"out={str(folder)!r}", must, "it holds others", "name a new folder")
        return open_dataset(prepared)
    prepared.mkdir(parents=True, exist_ok=True)
    write_atomic(note, asked)
    return prepare(source, options, prepared, lambda _name, _fraction: None)


@final
class Fitted:
    """A module that was trained, and how good it is.

    Attributes:
        network: the trained network: `predict`, `plan`, `history`; `network.module.module` is the user's.
        valid: the score on the validation rows, by which the weights were kept.
        test: the score on the test rows, which were opened once, now; None where there are none.
        low: end of the 95 % interval of `test`.
        high: its other end.
        scores: every metric of the task on the test rows; empty where there are none.
    """

    def __init__(self, network: Network, dataset: Dataset) -> None:
        task = network.spec.task
        self.network = network
        self.valid = score(task, dataset.valid.target, network.predict(dataset.valid.table))
        self.test: float | None = None
        self.low = self.high = float("nan")
        self.scores: dict[str, float] = {}
        if dataset.record.split.test:
            rows = dataset.open_test()
            answers = network.predict(rows.table)
            self.test, self.scores = score(task, rows.target, answers), scores(task, rows.target, answers)
            self.low, self.high = interval(task, rows.target, answers, seed=network.spec.seed, clusters=rows.groups)

    @property
    def history(self) -> list[dict[str, float]]:
        """Step by step: loss, learning rate, norm of the gradient, and the score where it was looked at."""
        return self.network.history

    def __repr__(self) -> str:
        return f"Fitted({self.network.spec.task.metric}: valid {self.valid:.4f}, test {self.test})"

"""What every model can do.

A `Model` predicts, counts its cost, and gives and takes its state. An `Estimator` also fits itself. A network (see
`yunti.models.network`) also says its loss, and the engine in `yunti.training` fits it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.table import Examples, Table
from yunti.errors import RungError
from yunti.specs import Spec

if TYPE_CHECKING:
    from yunti.models.generation import Writer


@final
@dataclass(frozen=True)
class Size:
    """The one dial from which a rung derives width, depth, batch, steps and learning rate.

    Args:
        dial: 1.0 is the rung's usual size for this data; 0.5 is half the width, 2.0 twice.
    """

    dial: float = 1.0


@final
@dataclass
class Parts:
    """A model's whole learned state in forms that can be stored without pickle.

    Args:
        arrays: name -> array; stored as safetensors.
        facts: plain JSON values.
        texts: name -> text, such as LightGBM's own model text.
        objects: name -> scikit-learn estimator; stored by skops under an audited list of types.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)

    def put(self, prefix: str, other: Parts) -> None:
        """Add another model's parts under `prefix/`."""
        self.arrays.update({f"{prefix}/{name}": value for name, value in other.arrays.items()})
        self.facts[prefix] = other.facts
        self.texts.update({f"{prefix}/{name}": value for name, value in other.texts.items()})
        self.objects.update({f"{prefix}/{name}": value for name, value in other.objects.items()})

    def get(self, prefix: str) -> Parts:
        """Return the parts that were put under `prefix/`."""
        start = f"{prefix}/"
        return Parts(
            {name.removeprefix(start): value for name, value in self.arrays.items() if name.startswith(start)},
            self.facts.get(prefix, {}),
            {name.removeprefix(start): value for name, value in self.texts.items() if name.startswith(start)},
            {name.removeprefix(start): value for name, value in self.objects.items() if name.startswith(start)},
        )


@final
@dataclass(frozen=True)
class Watch:
    """The time a fit may take, and whom it tells how far it is.

    Args:
        deadline: `time.monotonic()` at which the fit must have ended, with something usable in hand.
        report: called with the fraction done (0 to 1) and named numbers such as `loss=...`, `valid=...`, `step=...`.
        say: called with a sentence that a person should read while the fit goes on.
    """

    deadline: float = float("inf")
    report: Callable[[float, dict[str, float]], None] = lambda _fraction, _numbers: None
    say: Callable[[str], None] = lambda _sentence: None

    @property
    def left(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.deadline - time.monotonic())

    def tell(self, fraction: float, **numbers: float) -> None:
        """Report how far the fit is."""
        self.report(min(1.0, max(0.0, fraction)), numbers)

    def part(self, start: float, stop: float, seconds: float | None = None) -> Watch:
        """Return a watch for a section of the work, whose 0..1 is shown as start..stop."""
        deadline = self.deadline if seconds is None else min(self.deadline, time.monotonic() + seconds)
        report = self.report
        return Watch(deadline, lambda fraction, numbers: report(start + (stop - start) * fraction, numbers), self.say)


@final
@dataclass(frozen=True)
class Fitted:
    """How a fit went.

    Args:
        rows: that were learned from.
        seconds: that it learned.
        plan: of the fitted model.
    """

    rows: int
    seconds: float
    plan: Mapping[str, Any]


class Model(ABC):
    """A predictor for the rows of a table.

    Args:
        spec: the columns and the task it was built for.
        size: the dial it was built with.
    """

    def __init__(self, spec: Spec, size: Size = Size()) -> None:
        self.spec = spec
        self.size = size

    @abstractmethod
    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row.

        Returns:
            Probabilities of shape (rows, classes), float32, rows summing to 1; or values of shape (rows,), float64,
            in the unit of the target; or of language the sums over each row's text, shape (rows, 5), float64, as in
            `yunti.tasks.language`.
        """

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of learned numbers."""

    @property
    @abstractmethod
    def train_flops(self) -> float:
        """Counted floating-point operations of the fit that was done."""

    @property
    @abstractmethod
    def plan(self) -> dict[str, Any]:
        """What was derived (sizes, rates, epochs, regularisation) and why: plain JSON values for people to read."""

    @property
    def writer(self) -> Writer:
        """What continues texts: see `yunti.models.generation`.

        Raises:
            RungError: this model answers, it does not write.
        """
        got = f"this one is for {self.spec.task.name}"
        raise RungError("the model", "it must be a language model", got, "use `yunti predict`")

    def row_bytes(self, table: Table) -> float:
        """Return the bytes of memory that each further training row takes while a model like this one fits.

        Args:
            table: some rows, from which it is found once the model was fitted.
        """
        return 0.0

    def seconds_for(self, fits: Sequence[Fitted], rows: int, seconds: float) -> float | None:
        """Forecast how long a model like this one would learn from more rows, if nothing cut it short.

        Args:
            fits: of such models on growing parts of the rows; the last is this one's own.
            rows: to learn from.
            seconds: for which the fit would be planned.

        Returns:
            Seconds, without those that pass before it learns; None where only the seconds of several fits can tell.
        """
        return None

    def forget(self) -> None:
        """Drop what is kept of rows that were read, so that predicting them costs what it costs anybody else."""
        return

    @abstractmethod
    def parts(self) -> Parts:
        """Return the whole learned state."""

    @abstractmethod
    def restore(self, parts: Parts) -> None:
        """Take the learned state back; the model then predicts as the one that gave it."""


class Estimator(Model):
    """A model that fits itself."""

    @abstractmethod
    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Learn from the training rows; choose regularisation and when to stop on the validation rows."""

    @abstractmethod
    def refit(self, rows: Examples, watch: Watch) -> None:
        """Learn anew from other rows, mostly more, and keep what `fit` chose: penalties, sizes, rounds, calibration.

        Raises:
            RungError: the time does not hold it; the model must not be used then.
        """

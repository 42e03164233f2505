"""What tells one network rung from another: its reader, its design, its module, and how it is asked to learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded, Stream
from yunti.data.table import Examples, Table
from yunti.models.contract import Size
from yunti.models.generation import Writer
from yunti.models.layers import Batch
from yunti.models.objective import Answers, Objective, Target
from yunti.models.recipe import LEAST_STEPS, Recipe
from yunti.specs import Spec, TaskSpec

if TYPE_CHECKING:
    from yunti.models.network import Network


class Reader(Protocol):
    """What a network needs of its encoder; `yunti.data.encode.Encoder` is the usual one."""

    @property
    def streams(self) -> tuple[Stream, ...]: ...  # noqa: D102
    @property
    def edges(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def number_width(self) -> int: ...  # noqa: D102
    @property
    def cardinalities(self) -> tuple[int, ...]: ...  # noqa: D102
    def fit(self, table: Table) -> None: ...  # noqa: D102
    def encode(self, table: Table) -> Encoded: ...  # noqa: D102
    def arrays(self) -> dict[str, NDArray[Any]]: ...  # noqa: D102
    def facts(self) -> dict[str, Any]: ...  # noqa: D102
    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None: ...  # noqa: D102


@runtime_checkable
class Remembering(Protocol):
    """A reader that keeps what it made of rows while a network learns, so that none is read twice."""

    def forget(self) -> None: ...  # noqa: D102


@final
@dataclass(frozen=True)
class Design:
    """What a rung derived once its encoder had seen the training rows.

    Args:
        shape: all that `assemble` needs beside the encoder; plain JSON values, kept in the bundle.
        recipe: how to train.
        reasons: why, in a clause for each name that needs one.
        told: what else people should know of it, in the plan; nobody can set it.
    """

    shape: Mapping[str, Any]
    recipe: Recipe
    reasons: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


class Packing(Protocol):
    """Between the rows of a table and those that a network learns from, as windows that are cut from documents."""

    def learn(self, network: Network, table: Table, seconds: float) -> int:
        """Fit the network's encoder in the time there is for reading; return n if every n-th row is all it holds."""

    def pack(self, network: Network, examples: Examples) -> Examples:
        """Return what the network learns from."""

    def predict(self, network: Network, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row of a table."""

    def writer(self, network: Network) -> Writer:
        """Return what continues texts."""


@final
@dataclass(frozen=True)
class Turn:
    """One of the turns that the parts of a network take in every step, each with a loss of its own.

    Args:
        loss: from the module, a batch and its target to the mean loss of these rows.
        learns: start of the names of the parameters that this turn changes.
    """

    loss: Callable[[nn.Module, Batch, Target], Tensor]
    learns: str = ""


@final
@dataclass(frozen=True)
class Blueprint:
    """All that tells one network rung from another.

    Args:
        name: the rung's name; it names the streams of random numbers.
        reader: makes the encoder.
        design: derives widths, depths and the recipe from rows, columns and the dial.
        assemble: makes the module; it takes a `Batch` and returns (rows, members, outputs).
        turns: losses other than that of the task, such as those of two networks that play against each other; none
            for the task's own.
        objective: makes what the network is asked to lower.
        packing: turns the rows of a table into those that the network learns from, where they are not the same.
        on_base: whether a pretrained model learns in it: then the dial changes only what stands on that, a narrower
            network saves no time, and its rate is the base's, whatever the dial.
        least_steps: fewer of them teach it nothing; where the time does not hold them it is not trained.
        read_flops: of its encoder so far, where that is a model too.
        finish: changes a trained or restored module so that it answers faster; its state stays as it was learned.
    """

    name: str
    reader: Callable[[Spec], Reader]
    design: Callable[[Spec, Reader, Size], Design]
    assemble: Callable[[Mapping[str, Any], Reader, int], nn.Module]
    turns: tuple[Turn, ...] = ()
    objective: Callable[[TaskSpec], Objective] = Answers
    packing: Packing | None = None
    on_base: bool = False
    least_steps: int = LEAST_STEPS
    read_flops: Callable[[Reader], float] | None = None
    finish: Callable[[nn.Module], None] | None = None

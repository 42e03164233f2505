"""A network: an encoder, a torch module, and what it is asked to lower. The engine in `yunti.training` fits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded, Stream
from yunti.data.table import Examples, Ragged, Table
from yunti.errors import RungError
from yunti.models.contract import Model, Parts, Size
from yunti.models.objective import Objective
from yunti.models.recipe import Recipe
from yunti.seeds import seed_for
from yunti.specs import Spec

Batch = dict[str, Tensor]

_CHUNK = 4096  # rows encoded at once when predicting: bounds the memory of spectrograms and padded texts
_EVALUATION_BATCH = 256
_PAD_TO = 16  # few distinct lengths: oneDNN prepares its kernels anew for every shape


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


@final
@dataclass(frozen=True)
class Design:
    """What a rung derived once its encoder had seen the training rows.

    Args:
        shape: all that `assemble` needs beside the encoder; plain JSON values, kept in the bundle.
        recipe: how to train.
        reasons: why, in a clause for each name that needs one.
    """

    shape: Mapping[str, Any]
    recipe: Recipe
    reasons: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Blueprint:
    """All that tells one network rung from another.

    Args:
        name: the rung's name; it names the streams of random numbers.
        reader: makes the encoder.
        design: derives widths, depths and the recipe from rows, columns and the dial.
        assemble: makes the module; it takes a `Batch` and returns (rows, members, outputs).
    """

    name: str
    reader: Callable[[Spec], Reader]
    design: Callable[[Spec, Reader, Size], Design]
    assemble: Callable[[Mapping[str, Any], Reader, int], nn.Module]


@final
class Network(Model):
    """A model that `yunti.training` fits step by step.

    Args:
        spec: the columns and the task.
        blueprint: the rung's choices.
        size: the dial; the engine turns it down where the time would not hold enough of the recipe.
    """

    def __init__(self, spec: Spec, blueprint: Blueprint, size: Size = Size()) -> None:  # noqa: B008  (a frozen value)
        super().__init__(spec, size)
        self.blueprint = blueprint
        self.reader = blueprint.reader(spec)
        self.objective = Objective(spec.task)
        self.flops = 0.0
        self._design: Design | None = None
        self._module: nn.Module | None = None
        self._plan: dict[str, Any] = {}

    def prepare(self, train: Examples, like: Objective | None = None) -> None:
        """Fit a new encoder and the target's scale on training rows, and make the untrained module.

        Args:
            train: the training rows.
            like: an earlier objective, whose choice between the target and its logarithm is kept.
        """
        self.reader = self.blueprint.reader(self.spec)
        self.reader.fit(train.table)
        self.objective = Objective(self.spec.task)
        self.objective.fit(train.target, like)
        self.resize(self.size)

    def resize(self, size: Size) -> None:
        """Make the untrained module anew for another dial; encoder and scale stay as they were fitted."""
        self.size = size
        design = self.blueprint.design(self.spec, self.reader, size)
        self.objective.smoothing = design.recipe.smoothing
        torch.manual_seed(seed_for(self.spec.seed, self.blueprint.name, "weights"))
        self._take(design)
        self._plan = {**_explained(design), "dial": size.dial, "parameters": self.parameters}

    @property
    def module(self) -> nn.Module:
        """The torch module.

        Raises:
            RungError: nothing has been prepared or restored yet.
        """
        if self._module is None:
            raise RungError(
                self.blueprint.name,
                "a network must be trained or restored before it is used",
                "it is empty",
                "train it",
            )
        return self._module

    @property
    def recipe(self) -> Recipe:
        """How this network wishes to be trained."""
        if self._design is None:
            raise RungError(self.blueprint.name, "a network must be prepared first", "it is not", "call prepare")
        return self._design.recipe

    def encode(self, table: Table) -> Encoded:
        """Return the arrays of these rows, as the encoder gives them."""
        return self.reader.encode(table)

    def batch(self, encoded: Encoded, rows: NDArray[np.int64]) -> Batch:
        """Return these rows as tensors; those of different length are padded, with `<name>.mask` true on real steps."""
        batch: Batch = {}
        for name, values in encoded.items():
            if isinstance(values, Ragged):
                padded, mask = pad(values, rows)
                batch[name], batch[f"{name}.mask"] = torch.from_numpy(padded), torch.from_numpy(mask)
            else:
                batch[name] = torch.from_numpy(values[rows])
        if self.spec.device == "cpu":
            return batch
        return {name: tensor.to(self.spec.device, non_blocking=True) for name, tensor in batch.items()}

    def loss(self, batch: Batch, target: Tensor) -> Tensor:
        """Return the mean loss of a batch; `target` as `Objective.encode` gives it."""
        return self.objective.loss(self.module(batch), target.to(self.spec.device))

    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row, some thousand at a time."""
        chunks = [
            self.predict_encoded(self.encode(table.take(slice(start, start + _CHUNK))))
            for start in range(0, max(1, len(table)), _CHUNK)
        ]
        return np.concatenate(chunks)

    def predict_encoded(self, encoded: Encoded) -> NDArray[np.float32 | np.float64]:
        """Predict rows that were encoded before."""
        self.module.eval()
        order, outputs = [], []
        with torch.inference_mode():
            for rows in _by_length(encoded):
                order.append(rows)
                outputs.append(self.module(self.batch(encoded, rows)).float().cpu().numpy())
        if not order:
            return self.objective.decode(np.zeros((0, 1, self.spec.outputs), dtype=np.float32))
        answers = self.objective.decode(np.concatenate(outputs))
        return answers[np.argsort(np.concatenate(order))]

    @property
    def parameters(self) -> int:
        """Number of learned numbers."""
        return sum(parameter.numel() for parameter in self.module.parameters() if parameter.requires_grad)

    @property
    def train_flops(self) -> float:
        """Operations of forward and backward passes, counted on a batch and multiplied by the rows seen."""
        return self.flops

    @property
    def plan(self) -> dict[str, Any]:
        """What was derived and why, and what the training came to."""
        return self._plan

    def note(self, **facts: Any) -> None:
        """Add to the plan."""
        self._plan.update(facts)

    def parts(self) -> Parts:
        """Return encoder, module and plan."""
        if self._design is None:
            raise RungError(
                self.blueprint.name, "a network must be trained before it is saved", "it is not", "train it"
            )
        arrays = {f"module/{name}": tensor.cpu().numpy() for name, tensor in self.module.state_dict().items()}
        arrays |= {f"reader/{name}": values for name, values in self.reader.arrays().items()}
        return Parts(
            arrays,
            {
                "shape": dict(self._design.shape),
                "recipe": asdict(self._design.recipe),
                "reader": self.reader.facts(),
                "objective": self.objective.facts(),
                "flops": self.flops,
                "plan": self._plan,
            },
        )

    def restore(self, parts: Parts) -> None:
        """Take back encoder, module and plan."""
        facts = parts.facts
        self.reader.restore(_under("reader", parts.arrays), facts["reader"])
        self.objective = Objective(self.spec.task)
        self.objective.restore(facts["objective"])
        # the recipe only matters while training: batch, epochs and rate are kept for people, in the plan
        recipe = Recipe(facts["recipe"]["batch"], facts["recipe"]["epochs"], facts["recipe"]["learning_rate"])
        self._take(Design(facts["shape"], recipe))
        state = {name: torch.from_numpy(np.array(values)) for name, values in _under("module", parts.arrays).items()}
        self.module.load_state_dict(state)
        self.flops = float(facts["flops"])
        self._plan = dict(facts["plan"])

    def _take(self, design: Design) -> None:
        self._design = design
        self._module = self.blueprint.assemble(design.shape, self.reader, self.spec.outputs).to(self.spec.device)


def pad(values: Ragged, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Lay rows of different length side by side.

    Args:
        values: rows of shape (length,) or (length, width).
        rows: which rows.

    Returns:
        Shape (rows, longest) or (rows, longest, width), zeros after each row's end, the longest rounded up to a
        multiple of 16; and a mask of shape (rows, longest), true on real steps.
    """
    starts, lengths = values.offsets[rows], values.offsets[rows + 1] - values.offsets[rows]
    longest = -(-max(1, int(lengths.max(initial=0))) // _PAD_TO) * _PAD_TO
    mask = np.arange(longest) < lengths[:, None]
    kind = np.float32 if values.values.dtype == np.float16 else values.values.dtype
    padded = np.zeros((*mask.shape, *values.values.shape[1:]), dtype=kind)
    padded[mask] = values.values[(starts[:, None] + np.arange(longest))[mask]]
    return padded, mask


def row_count(encoded: Encoded) -> int:
    """Return the number of encoded rows."""
    return next((len(values) for values in encoded.values()), 0)


def row_lengths(encoded: Encoded) -> NDArray[np.int64] | None:
    """Return the length of each row over all its texts, sounds and sequences; None where all rows are alike."""
    ragged = [values.lengths for values in encoded.values() if isinstance(values, Ragged)]
    return np.max(ragged, axis=0) if ragged else None


def _by_length(encoded: Encoded) -> Iterator[NDArray[np.int64]]:
    lengths = row_lengths(encoded)
    order = np.arange(row_count(encoded)) if lengths is None else np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _EVALUATION_BATCH):
        yield order[start : start + _EVALUATION_BATCH]


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    start = f"{prefix}/"
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}


def _explained(design: Design) -> dict[str, Any]:
    recipe = asdict(design.recipe)
    values = {**design.shape, **recipe}
    return {
        name: {"value": value, "reason": design.reasons[name]} if name in design.reasons else value
        for name, value in values.items()
    }

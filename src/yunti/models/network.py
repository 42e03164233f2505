"""A network: an encoder, a torch module, and what it is asked to lower. The engine in `yunti.training` fits it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded
from yunti.data.table import Examples, Packed, Ragged, Table
from yunti.errors import RungError
from yunti.models.blueprint import Blueprint, Design, Remembering
from yunti.models.contract import Model, Parts, Size
from yunti.models.generation import Writer
from yunti.models.layers import Batch
from yunti.models.objective import Objective, Target
from yunti.models.padding import by_length, pad
from yunti.models.recipe import Recipe, carried, kept_beside
from yunti.models.settings import Settings
from yunti.seeds import seed_for
from yunti.specs import Spec
from yunti.words import say

Outputs = tuple[NDArray[np.int64], list[NDArray[np.float32]]]  # rows, and what the module put out for them

_CHUNK = 4096  # rows encoded at once when predicting: bounds the memory of spectrograms and padded texts


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
        self.objective = blueprint.objective(spec.task)
        self.settings = Settings()
        self.flops = 0.0
        self.nth = 1
        self._design: Design | None = None
        self._module: nn.Module | None = None
        self._plan: dict[str, Any] = {}
        self.history: list[dict[str, float]] = []

    def prepare(self, train: Examples, like: Objective | None = None, seconds: float = math.inf) -> None:
        """Fit a new encoder and the target's scale on training rows, and make the untrained module.

        Args:
            train: the training rows.
            like: an earlier objective, whose choice between the target and its logarithm is kept.
            seconds: that there are for the whole training; reading takes no more than a part of them.
        """
        self.reader, packing = self.blueprint.reader(self.spec), self.blueprint.packing
        if packing is None:
            self.reader.fit(train.table)
        else:
            self.nth = packing.learn(self, train.table, seconds)
        self.objective = self.blueprint.objective(self.spec.task)
        self.objective.fit(train.target, like)
        self.resize(self.size)

    def resize(self, size: Size) -> None:
        """Make the untrained module anew for another dial; encoder and scale stay as they were fitted."""
        self.size = size
        derived = self.blueprint.design(self.spec, self.reader, size)
        shape = self.settings.shape(derived.shape, self.blueprint.name)
        suited = derived.recipe if self.blueprint.on_base else carried(derived.recipe, size.dial)
        usual = derived.recipe.learning_rate
        recipe, reasons = self.settings.recipe(suited), dict(derived.reasons)
        if self.blueprint.on_base and "rates" not in self.settings.training:
            recipe = kept_beside(recipe, suited.learning_rate)
        if recipe.learning_rate == suited.learning_rate != usual:
            reasons["learning_rate"] = say("why.narrower rate", rate=usual)
        design = Design(shape, recipe, reasons, derived.told)
        self.objective.smoothing = design.recipe.smoothing
        torch.manual_seed(seed_for(self.spec.seed, self.blueprint.name, "weights"))
        self._take(design)
        self._plan = {**_explained(design), "dial": size.dial, "parameters": self.parameters}

    def adopt(self, state: Mapping[str, Tensor]) -> None:
        """Take whole weights into a module that no engine has changed, as one that was sharded for training was."""
        assert self._design is not None
        copied = {name: tensor.detach().clone() for name, tensor in state.items()}
        self._take(self._design)
        self.module.load_state_dict(copied)

    def finish(self) -> None:
        """Make the module ready to answer: training is over."""
        if self.blueprint.finish is not None:
            self.blueprint.finish(self.module)

    @property
    def writer(self) -> Writer:
        """What continues texts, where it is a network of tokens."""
        packing = self.blueprint.packing
        return super().writer if packing is None else packing.writer(self)

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
    def shape(self) -> Mapping[str, Any]:
        """What its module is made with; nothing before it is prepared."""
        return {} if self._design is None else self._design.shape

    @property
    def recipe(self) -> Recipe:
        """How this network wishes to be trained."""
        if self._design is None:
            raise RungError(self.blueprint.name, "a network must be prepared first", "it is not", "call prepare")
        return self._design.recipe

    def encode(self, table: Table) -> Encoded:
        """Return the arrays of these rows, as the encoder gives them."""
        return self.reader.encode(table)

    def row_bytes(self, table: Table) -> float:
        """Return the bytes of a row as it is encoded; rows that stay in their file take none."""
        values = [each for each in self.encode(table).values() if not isinstance(each, Packed)]
        return sum((each.values if isinstance(each, Ragged) else each).nbytes for each in values) / max(1, len(table))

    def batch(self, encoded: Encoded, rows: NDArray[np.int64]) -> Batch:
        """Return these rows as tensors; those of different length are padded, with `<name>.mask` true on real steps."""
        batch: Batch = {}
        for name, values in encoded.items():
            if isinstance(values, Ragged):
                padded, mask = pad(values, rows)
                batch[name], batch[f"{name}.mask"] = torch.from_numpy(padded), torch.from_numpy(mask)
            elif isinstance(values, Packed):
                batch |= {name + end: torch.from_numpy(part) for end, part in values.arrays(rows).items()}
            else:
                batch[name] = torch.from_numpy(values[rows])
        return moved(batch, self.spec.device)

    def loss(self, batch: Batch, target: Target, forward: Callable[[Batch], Tensor] | None = None) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            batch: rows as `batch` gives them.
            target: their answers as `Objective.encode` gives them, on the network's device.
            forward: what stands for the module while it is trained, such as its compiled form.
        """
        made = (self.module if forward is None else forward)(batch)
        return self.objective.loss(made.float(), target)

    def pack(self, examples: Examples, nth: int = 1) -> Examples:
        """Return the rows that it learns from: mostly these as they are.

        Args:
            examples: rows of the table.
            nth: 1 for all of them; else every n-th one is packed, see `prepare`.
        """
        packing = self.blueprint.packing
        if packing is None:
            return examples
        return packing.pack(self, examples if nth == 1 else examples.take(np.arange(0, len(examples), nth)))

    def predict(self, table: Table) -> NDArray[np.float32 | np.float64]:
        """Predict every row, some thousand at a time."""
        if self.blueprint.packing is not None:
            return self.blueprint.packing.predict(self, table)
        chunks = [
            self.predict_encoded(self.encode(table.take(slice(start, start + _CHUNK))))
            for start in range(0, max(1, len(table)), _CHUNK)
        ]
        return np.concatenate(chunks)

    def forget(self) -> None:
        """Drop what the reader keeps of rows."""
        if isinstance(self.reader, Remembering):
            self.reader.forget()

    def predict_encoded(self, encoded: Encoded) -> NDArray[np.float32 | np.float64]:
        """Predict rows that were encoded before."""
        return self.answers([self.outputs_of(encoded)])

    def outputs_of(self, encoded: Encoded, first: int = 0, every: int = 1) -> Outputs:
        """Return what the module puts out for these rows, or for every so manieth batch of them from the first.

        Args:
            encoded: rows.
            first: batch to begin with.
            every: 1 for all batches, 2 for every other one, and so on.
        """
        self.module.eval()
        order: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        outputs: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for rows in list(by_length(encoded))[first::every]:
                order.append(rows)
                outputs.append(self.module(self.batch(encoded, rows)).float().cpu().numpy())
        return np.concatenate(order), outputs

    def answers(self, parts: Sequence[Outputs]) -> NDArray[np.float32 | np.float64]:
        """Return predictions in the order of the rows, of all that `outputs_of` returned."""
        outputs = [each for _, some in parts for each in some]
        if not outputs:
            return self.objective.decode(np.zeros((0, 1, self.spec.outputs), dtype=np.float32))
        answers = self.objective.decode(np.concatenate(outputs))
        return answers[np.argsort(np.concatenate([order for order, _ in parts]))]

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
        self.objective = self.blueprint.objective(self.spec.task)
        self.objective.restore(facts["objective"])
        # the recipe only matters while training: batch, epochs and rate are kept for people, in the plan
        recipe = Recipe(facts["recipe"]["batch"], facts["recipe"]["epochs"], facts["recipe"]["learning_rate"])
        self._take(Design(facts["shape"], recipe))
        state = {name: torch.from_numpy(np.array(values)) for name, values in _under("module", parts.arrays).items()}
        self.module.load_state_dict(state)
        self.finish()
        self.flops = float(facts["flops"])
        self._plan = dict(facts["plan"])

    def _take(self, design: Design) -> None:
        self._design = design
        self._module = self.blueprint.assemble(design.shape, self.reader, self.spec.outputs).to(self.spec.device)


def moved(batch: Batch, device: str) -> Batch:
    """Return a batch on a device; to a GPU it goes by pinned memory, while the GPU still works on what came before."""
    if device == "cpu":
        return batch
    if torch.device(device).type == "cuda":
        return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in batch.items()}
    return {name: tensor.to(device) for name, tensor in batch.items()}


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    start = f"{prefix}/"
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}


def _explained(design: Design) -> dict[str, Any]:
    recipe = asdict(design.recipe)
    values = {**design.told, **design.shape, **recipe}
    return {
        name: {"value": value, "reason": design.reasons[name]} if name in design.reasons else value
        for name, value in values.items()
    }

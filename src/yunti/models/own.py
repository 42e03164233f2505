"""A user's own torch module as a network: it is given one tensor of the rows, and answers as it likes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.data.encode import Encoder, Reading
from yunti.errors import RungError
from yunti.models.blueprint import Blueprint, Design, Reader
from yunti.models.contract import Size
from yunti.models.inputs import Pixels
from yunti.models.layers import Batch
from yunti.models.network import Network
from yunti.models.rearrange import rearranged
from yunti.models.recipe import Recipe
from yunti.specs import Spec

Given = nn.Module | Callable[[tuple[int, ...], int], nn.Module]  # a module, or what makes one

_RECIPE = Recipe(batch=128, epochs=10.0, learning_rate=1e-3, weight_decay=0.0, clip=0.0)


@final
class Own(nn.Module):
    """Lays rows out as one tensor for a module that knows nothing of columns.

    Pictures come as (rows, channels, height, width), sounds and sequences as (rows, steps, width), texts as codes of
    words (rows, words), shorter rows with zeros behind their end; tables as (rows, numbers and one-hot categories).
    Each number has mean 0 and deviation 1 over the training rows. A table of several kinds is handed over as the batch
    itself, a mapping of tensors.

    Args:
        module: the user's.
        reader: knows the columns.
        outputs: numbers that the task asks for.
    """

    def __init__(self, module: nn.Module, reader: Reader, outputs: int) -> None:
        super().__init__()
        self.module = module
        self._faster = [rearranged(module)]  # in a list, so that its parameters are not counted twice
        self._outputs = outputs
        self._levels = reader.cardinalities
        self._stream = reader.streams[0] if len(reader.streams) == 1 else None
        is_table = reader.number_width > 0 or bool(reader.cardinalities)
        self._is_mixed = len(reader.streams) > 1 or (bool(reader.streams) and is_table)
        is_image = self._stream is not None and self._stream.kind == "image" and not self._is_mixed
        self.pixels = Pixels(self._stream) if is_image and self._stream is not None else None

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, 1, outputs)."""
        made: Tensor = self._faster[0](batch if self._is_mixed else self._tensor(batch))
        if made.ndim == 1:
            made = made[:, None]
        if self._outputs == 2 and made.shape[1] == 1:
            made = F.pad(made, (1, 0))  # one number for two classes: the sigmoid's logit, against 0
        if made.ndim != 2 or made.shape[1] != self._outputs:
            got = f"it gives {tuple(made.shape)}"
            raise RungError(
                "module", f"it must give ({len(made)} rows, {self._outputs} numbers)", got, "change its last layer"
            )
        return made[:, None]

    def _tensor(self, batch: Batch) -> Tensor:
        if self.pixels is not None:
            return self.pixels(batch)
        if self._stream is not None:
            steps, mask = batch[self._stream.key], batch[f"{self._stream.key}.mask"]
            return steps[:, : max(1, int(mask.sum(dim=1).max()))]  # without what only rounds the length up
        parts = [batch["numbers"]] if "numbers" in batch else []
        if "categories" in batch:
            codes = batch["categories"].long()
            parts += [F.one_hot(codes[:, place], count).float() for place, count in enumerate(self._levels)]
        return torch.cat(parts, dim=1)


@contextmanager
def threads_kept() -> Iterator[None]:
    """Leave the caller's process with as many threads as it had: training takes those that suit its steps."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def input_shape(reader: Reader) -> tuple[int, ...]:
    """Return the shape of one row of the tensor that a module is given.

    (channels, height, width) of pictures; (longest, numbers of a step) of sounds and sequences; (longest, words in the
    list) of texts, which come as codes; (numbers,) of tables; () where a mapping is handed over.
    """
    is_table = reader.number_width > 0 or bool(reader.cardinalities)
    if is_table and not reader.streams:
        return (reader.number_width + sum(reader.cardinalities),)
    if is_table or len(reader.streams) != 1:
        return ()
    stream = reader.streams[0]
    if stream.kind == "image":
        return stream.width, stream.length, stream.breadth
    return stream.length, stream.width


def own_network(module: Given, spec: Spec) -> Network:
    """Return a network that trains a module which the user made.

    Args:
        module: from one tensor of rows (see `Own`) to (rows, classes) logits, (rows, 1) for two classes or a value; or
            a function that makes such a module for an `input_shape` and a number of outputs.
        spec: the columns and the task.
    """

    def reader(spec: Spec) -> Encoder:
        return Encoder(spec.columns, Reading())

    def design(_spec: Spec, _reader: Reader, _size: Size) -> Design:
        name = repr(module) if isinstance(module, nn.Module) else getattr(module, "__name__", "module")
        return Design({"module": name}, _RECIPE)

    def assemble(_shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
        if not isinstance(module, nn.Module):
            shape = input_shape(reader)
            if not shape:
                names = ", ".join(repr(column.name) for column in spec.columns)
                raise RungError(
                    "module", "a module that is made for a shape needs columns of one sort", f"there are {names}",
                    "give some of them the kind id, or hand over the module itself, which then takes a mapping",
                )  # fmt: skip
            return Own(module(shape, outputs), reader, outputs)
        # made anew wherever a network is: the user's module always begins from the weights that it came with
        module.load_state_dict(weights)
        return Own(module, reader, outputs)

    given = module.state_dict() if isinstance(module, nn.Module) else {}
    weights = {name: tensor.clone() for name, tensor in given.items()}
    return Network(spec, Blueprint("module", reader, design, assemble))

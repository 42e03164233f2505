"""A pretrained model that learns on, whole or through adapters, as a part of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from yunti.data.encode import Encoded, Encoder, Reading, Stream
from yunti.data.table import Images, Table
from yunti.errors import RungError
from yunti.models.layers import Batch, Part
from yunti.models.lora import Adapted
from yunti.models.pretrained.base import Base, built_from, open_again, open_base
from yunti.models.pretrained.frozen import read_by
from yunti.models.pretrained.intake import Intake, PictureIntake
from yunti.specs import ColumnSpec

_KEYS = {"text": "tokens", "image": "image", "audio": "sound"}


@final
class TunedReader:
    """The columns of a pretrained model's kind as it reads them, all others as `Encoder` gives them.

    Args:
        columns: the input columns.
        reading: how finely the others are read.
        place: a folder or hub name.
        is_own: whether the network keeps all weights itself: then a bundle holds what else the model is made of, and
            needs nothing at that place.
    """

    def __init__(self, columns: Sequence[ColumnSpec], reading: Reading, place: str, is_own: bool) -> None:
        self.columns = tuple(columns)
        self.place = place
        self._reading, self._is_own = reading, is_own
        self._base: Base | None = None
        self._made_with = ""
        self._encoder = Encoder((), reading)
        self.read: dict[str, ColumnSpec] = {}
        self._pictures: tuple[Stream, ...] = ()

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What the encoded rows look like that anybody may change or read; tokens and waves are the base's alone."""
        return (*self._encoder.streams, *self._pictures)

    @property
    def other_streams(self) -> tuple[Stream, ...]:
        """Those of columns that the base does not read."""
        return self._encoder.streams

    @property
    def edges(self) -> NDArray[np.float32]:
        """Edges of the numbers' bins."""
        return self._encoder.edges

    @property
    def number_width(self) -> int:
        """Number of features that stand for numbers, flags and times."""
        return self._encoder.number_width

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Codes of every category column."""
        return self._encoder.cardinalities

    @property
    def base(self) -> Base:
        """The pretrained model.

        Raises:
            RungError: it was not found yet.
        """
        if self._base is None:
            raise RungError("finetuned", "the pretrained model must be loaded first", "it is not", "train the rung")
        return self._base

    def fit(self, table: Table) -> None:
        """Find the pretrained model, and learn about all columns what must be known of them.

        Raises:
            RungError: there is none, it reads none of the columns, or what it is made of cannot stand in a bundle.
        """
        base = open_base(self.place)
        for column in read_by(base, self.columns):
            base.intake.fit(table[column.name], column.rate or 0)
        if self._is_own:
            base.files()  # what cannot stand in a bundle is told before the training, not after it
        self._made_with = base.weights_sha256
        self._lay_out(base)
        self._encoder.fit(table)
        pictures = {key: table[column.name] for key, column in self.read.items()}
        self._pictures = tuple(
            _stream(key, self.read[key], pixels, base.intake)
            for key, pixels in pictures.items()
            if isinstance(pixels, Images)
        )

    def encode(self, table: Table) -> Encoded:
        """Return the arrays of these rows."""
        arrays = dict(self._encoder.encode(table))
        for key, column in self.read.items():
            arrays[key] = self.base.intake.encode(table[column.name], column.rate or 0)
        return arrays

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned and is not JSON."""
        return self._encoder.arrays()

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON values."""
        base = self.base
        facts = {
            "encoder": self._encoder.facts(),
            "base": base.place,
            "weights_sha256": self._made_with,
            "intake": base.intake.facts(),
        }
        return {**facts, "files": base.files()} if self._is_own else facts

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what was learned, and find the same pretrained model again where its weights are needed.

        Raises:
            BundleError: the pretrained model is gone or was changed.
        """
        self.place, self._made_with = facts["base"], facts["weights_sha256"]
        base = built_from(facts["files"], self.place) if self._is_own else open_again(self.place, self._made_with)
        base.intake.restore(facts["intake"])
        self._lay_out(base)
        self._encoder.restore(arrays, facts["encoder"])

    def _lay_out(self, base: Base) -> None:
        self._base = base
        own = read_by(base, self.columns)
        self._encoder = Encoder([column for column in self.columns if column not in own], self._reading)
        name = _KEYS[base.kind]
        self.read = {f"{name}.{place}": each for place, each in enumerate(self.columns) if each in own}


@final
class BasePart(Part):
    """The columns that a pretrained model reads, one after the other through the same model.

    Args:
        base: the model.
        intake: how it reads a batch.
        keys: of the columns among the encoded arrays.
        width: numbers of a row's vector.
        is_frozen: whether only adapters of it learn: then the state of the part is theirs alone, and what batch
            normalisation knows stays as it is.
    """

    def __init__(self, base: nn.Module, intake: Intake, keys: Sequence[str], width: int, is_frozen: bool) -> None:
        super().__init__(len(keys) * width)
        self.base = base
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in keys)
        self._intake, self._keys, self._is_frozen = intake, tuple(keys), is_frozen
        if is_frozen:
            self.register_state_dict_post_hook(_without_frozen)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_pre_hook(_with_frozen)  # type: ignore[no-untyped-call]

    def forward(self, batch: Batch) -> Tensor:
        """Return shape (rows, width)."""
        vectors = [
            norm(self._intake.read(self.base, batch[key], batch.get(f"{key}.mask")))
            for key, norm in zip(self._keys, self.norms, strict=True)
        ]
        return torch.cat(vectors, dim=1)

    def train(self, mode: bool = True) -> BasePart:
        """Begin or end training."""
        super().train(mode)
        if self._is_frozen:
            for each in self.base.modules():
                if isinstance(each, _BatchNorm):
                    each.eval()
        return self


def fold(module: nn.Module) -> None:
    """Add what adapters learned to the weights beside them, so that they cost nothing when the network serves."""
    for layer in module.modules():
        if isinstance(layer, Adapted):
            layer.fold()


def _frozen(part: nn.Module) -> dict[str, Tensor]:
    """Return what does not learn of a part, by its name in the part's state."""
    assert isinstance(part, BasePart)
    learned = {name for name, each in part.base.named_parameters() if each.requires_grad}
    state = part.base.state_dict()
    return {f"base.{name}": value for name, value in state.items() if name not in learned}


def _without_frozen(part: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    for name in _frozen(part):
        state.pop(prefix + name, None)


def _with_frozen(part: nn.Module, state: dict[str, Any], prefix: str, *_rest: object) -> None:
    state.update({prefix + name: value for name, value in _frozen(part).items()})


def _stream(key: str, column: ColumnSpec, images: Images, intake: Intake) -> Stream:
    assert isinstance(intake, PictureIntake)
    _, height, width, channels = images.pixels.shape
    mean = tuple(255.0 * intake.mean[min(each, len(intake.mean) - 1)] for each in range(channels))
    return Stream(key, "image", column.name, width=channels, length=height, breadth=width, mean=mean)

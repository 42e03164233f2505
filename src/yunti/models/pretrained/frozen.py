"""Features of a pretrained model, frozen.

The model itself is never copied into a bundle: its place and the hash of its weights are, and both are checked.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded, Encoder, Reading, Stream
from yunti.data.table import Column, Images, Ragged, Table, Texts
from yunti.errors import RungError
from yunti.models.flops import counting
from yunti.models.padding import pad
from yunti.models.pretrained.base import Base, open_again, open_base
from yunti.specs import ColumnSpec

_BATCH = 32
_REMEMBERED = 200_000  # rows whose features are kept while training, so that no row is read twice


@final
class Features:
    """What a frozen pretrained model makes of rows.

    Args:
        base: the pretrained model.
        device: where it reads; what it makes of rows comes back to the processor.
    """

    def __init__(self, base: Base, device: str = "cpu") -> None:
        self.base = base
        self._device = device
        self._model: nn.Module | None = None
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self._costs: dict[tuple[int, ...], float] = {}  # operations on a row, by its shape: counting slows reading down
        self.flops = 0.0  # operations on all rows so far

    def of(self, column: Column, rate: int) -> NDArray[np.float32]:
        """Return one vector a row, shape (rows, width).

        Rows of like length are read together; a row that was read before is looked up.

        Args:
            column: the rows.
            rate: samples per second, of sounds.
        """
        keys, lengths = _keys_and_lengths(column)
        new = [place for place, key in enumerate(keys) if key not in self._known]
        new.sort(key=lambda place: lengths[place])
        made: dict[bytes, NDArray[np.float32]] = {}
        for start in range(0, len(new), _BATCH):
            places = new[start : start + _BATCH]
            vectors = self._read(column.take(np.array(places, dtype=np.int64)), rate)
            made.update(zip((keys[place] for place in places), vectors, strict=True))
        if len(self._known) + len(made) <= _REMEMBERED:
            self._known.update(made)
        found = [made[key] if key in made else self._known[key] for key in keys]
        return np.stack(found) if found else np.zeros((0, self.base.width), dtype=np.float32)

    def forget(self) -> None:
        """Drop what is known of rows."""
        self._known = {}

    def _read(self, rows: Column, rate: int) -> NDArray[np.float32]:
        if self._model is None:
            self._model = self.base.load().requires_grad_(False).to(self._device)
        values, mask = self.base.intake.encode(rows, rate), None
        if isinstance(values, Ragged):
            values, mask = pad(values, np.arange(len(values)))
        given = torch.from_numpy(np.ascontiguousarray(values)).to(self._device)
        real = None if mask is None else torch.from_numpy(mask).to(self._device)
        with torch.no_grad():  # what counts cannot work in the inference mode on layers whose weights are computed
            vectors = self._counted(given, real)
        made: NDArray[np.float32] = vectors.float().cpu().numpy()
        return made

    def _counted(self, given: Tensor, real: Tensor | None) -> Tensor:
        assert self._model is not None
        shape = tuple(given.shape[1:])
        with contextlib.nullcontext() if shape in self._costs else counting() as counter:
            vectors = self.base.intake.read(self._model, given, real)
        if counter is not None:
            self._costs[shape] = counter.get_total_flops() / len(given)
        self.flops += self._costs[shape] * len(given)
        return vectors


@final
class PretrainedReader:
    """The columns that a pretrained model reads as its vectors, all others as `Encoder` gives them.

    Args:
        columns: the input columns.
        reading: how finely the others are read.
        place: a folder or hub name.
        device: where the pretrained model reads.
    """

    def __init__(self, columns: Sequence[ColumnSpec], reading: Reading, place: str, device: str = "cpu") -> None:
        self.columns = tuple(columns)
        self.place = place
        self._reading, self._device = reading, device
        self._loaded: Features | None = None
        self._encoder = Encoder((), reading)
        self._features: tuple[Stream, ...] = ()

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What the encoded rows look like."""
        return (*self._encoder.streams, *self._features)

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
    def flops(self) -> float:
        """Operations of the pretrained model on all rows that it has read."""
        return 0.0 if self._loaded is None else self._loaded.flops

    @property
    def base(self) -> Base:
        """The pretrained model.

        Raises:
            RungError: it was not loaded yet.
        """
        if self._loaded is None:
            raise RungError("pretrained", "the pretrained model must be loaded first", "it is not", "train the rung")
        return self._loaded.base

    def fit(self, table: Table) -> None:
        """Load the pretrained model, and learn about the columns that it does not read."""
        base = open_base(self.place)
        for column in read_by(base, self.columns):
            base.intake.fit(table[column.name], column.rate or 0)
        self._lay_out(base)
        self._encoder.fit(table)

    def encode(self, table: Table) -> Encoded:
        """Return the arrays of these rows."""
        assert self._loaded is not None
        arrays = dict(self._encoder.encode(table))
        for stream in self._features:
            arrays[stream.key] = self._loaded.of(table[stream.column], stream.rate)
        return arrays

    def forget(self) -> None:
        """Drop the vectors of rows that were read."""
        if self._loaded is not None:
            self._loaded.forget()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned and is not JSON."""
        return self._encoder.arrays()

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON values."""
        base = self.base
        return {
            "encoder": self._encoder.facts(),
            "base": base.place,
            "weights_sha256": base.weights_sha256,
            "intake": base.intake.facts(),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what was learned, and find the same pretrained model again.

        Raises:
            BundleError: the pretrained model is gone or was changed.
        """
        self.place = facts["base"]
        base = open_again(self.place, facts["weights_sha256"])
        base.intake.restore(facts.get("intake", {}))  # older bundles have none, and stand on bases that need none
        self._lay_out(base)
        self._encoder.restore(arrays, facts["encoder"])

    def _lay_out(self, base: Base) -> None:
        self._loaded = Features(base, self._device)
        own = read_by(base, self.columns)
        self._encoder = Encoder([column for column in self.columns if column not in own], self._reading)
        self._features = tuple(
            Stream(f"features.{place}", "features", each.name, width=base.width, length=1, rate=each.rate or 0)
            for place, each in enumerate(self.columns)
            if each in own
        )


def read_by(base: Base, columns: Sequence[ColumnSpec]) -> list[ColumnSpec]:
    """Return the columns that a pretrained model reads.

    Raises:
        RungError: there is none.
    """
    found = [column for column in columns if column.kind == base.kind]
    if not found:
        must = f"the columns must hold {base.kind}, which it reads"
        raise RungError(f"--pretrained {base.place}", must, "none does", "give a model of another kind")
    return found


def _keys_and_lengths(column: Column) -> tuple[list[bytes], Sequence[int]]:
    match column:
        case Texts():
            texts = column.strings()
            return [_key(text.encode()) for text in texts], [len(text) for text in texts]
        case Images():
            return [_key(np.ascontiguousarray(row).tobytes()) for row in column.pixels], [0] * len(column)
        case Ragged():
            rows = range(len(column))
            return [_key(column.row(row).tobytes()) for row in rows], column.lengths.tolist()
        case _:
            raise TypeError(f"a pretrained model cannot read {type(column).__name__}")


def _key(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()

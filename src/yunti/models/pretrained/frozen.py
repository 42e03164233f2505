"""Features of a pretrained model, frozen.

The model itself is never copied into a bundle: its place and the hash of its weights are, and both are checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from yunti.data.encode import Encoded, Encoder, Reading, Stream
from yunti.data.table import Images, Table, Texts
from yunti.errors import BundleError, RungError
from yunti.models.hub import folder_of, weights_hash
from yunti.models.pretrained.base import BaseKind, kind_of, load, mean_state
from yunti.specs import ColumnSpec

_BATCH = 32
_REMEMBERED = 200_000  # rows whose features are kept while training, so that no row is read twice


@final
class Base:
    """A pretrained model that turns texts or pictures into vectors.

    Args:
        place: a folder, or a name on the hub.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._folder = folder_of(place)
        self.kind: BaseKind = kind_of(self._folder)
        self.weights_sha256 = weights_hash(self._folder)
        self._model, self._prepare = load(self._folder, self.kind)
        self._known: dict[bytes, NDArray[np.float32]] = {}

    @property
    def width(self) -> int:
        """Numbers of a row's vector."""
        config: Any = self._model.config
        sizes = getattr(config, "hidden_sizes", None)
        return int(sizes[-1] if sizes else config.hidden_size)

    def features(self, rows: Sequence[str] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return one vector a row, the mean over its tokens or patches, shape (rows, width).

        Rows of like length are read together; a row that was read before is looked up.
        """
        keys = [_key(row) for row in rows]
        new = [place for place, key in enumerate(keys) if key not in self._known]
        new.sort(key=lambda place: len(rows[place]))
        made: dict[bytes, NDArray[np.float32]] = {}
        for start in range(0, len(new), _BATCH):
            places = new[start : start + _BATCH]
            with torch.inference_mode():
                vectors = mean_state(self._model, self._prepare([rows[place] for place in places]))
            made.update(zip((keys[place] for place in places), vectors.float().numpy(), strict=True))
        if len(self._known) + len(made) <= _REMEMBERED:
            self._known.update(made)
        found = [made[key] if key in made else self._known[key] for key in keys]
        return np.stack(found) if found else np.zeros((0, self.width), dtype=np.float32)


@final
class PretrainedReader:
    """The columns that a pretrained model reads as its vectors, all others as `Encoder` gives them.

    Args:
        columns: the input columns.
        reading: how finely the others are read.
        place: a folder or hub name.
    """

    def __init__(self, columns: Sequence[ColumnSpec], reading: Reading, place: str) -> None:
        self.columns = tuple(columns)
        self.place = place
        self._reading = reading
        self._base: Base | None = None
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

    def fit(self, table: Table) -> None:
        """Load the pretrained model, and learn about the columns that it does not read."""
        self._base = Base(self.place)
        self._lay_out()
        self._encoder.fit(table)

    def encode(self, table: Table) -> Encoded:
        """Return the arrays of these rows."""
        arrays = dict(self._encoder.encode(table))
        for stream in self._features:
            arrays[stream.key] = self._read(table[stream.column])
        return arrays

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned and is not JSON."""
        return self._encoder.arrays()

    def facts(self) -> dict[str, Any]:
        """Return what was learned, as plain JSON values."""
        base = self._loaded()
        folder = Path(self.place)
        place = str(folder.resolve()) if folder.is_dir() else self.place
        return {"encoder": self._encoder.facts(), "base": place, "weights_sha256": base.weights_sha256}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take back what was learned, and find the same pretrained model again.

        Raises:
            BundleError: the pretrained model is gone or was changed.
        """
        self.place = facts["base"]
        try:
            self._base = Base(self.place)
        except (OSError, RungError) as error:
            raise BundleError(
                "the bundle", f"the pretrained model it was made with must be at {self.place}", "it is not there",
                "bring it back to that place",
            ) from error  # fmt: skip
        if self._base.weights_sha256 != facts["weights_sha256"]:
            raise BundleError(
                "the bundle", f"the weights at {self.place} must be those it was made with", "they are others",
                "bring back the same pretrained model",
            )  # fmt: skip
        self._lay_out()
        self._encoder.restore(arrays, facts["encoder"])

    def _lay_out(self) -> None:
        base = self._loaded()
        self._encoder = Encoder([column for column in self.columns if column.kind != base.kind], self._reading)
        self._features = tuple(
            Stream(f"features.{place}", "features", column.name, width=base.width, length=1)
            for place, column in enumerate(self.columns)
            if column.kind == base.kind
        )

    def _loaded(self) -> Base:
        if self._base is None:
            raise RungError("pretrained", "the pretrained model must be loaded first", "it is not", "train the rung")
        return self._base

    def _read(self, column: object) -> NDArray[np.float32]:
        match column:
            case Texts() as texts:
                return self._loaded().features(texts.strings())
            case Images() as images:
                return self._loaded().features(images.pixels)
            case _:
                raise TypeError(f"a pretrained model cannot read {type(column).__name__}")


def _key(row: str | NDArray[np.uint8]) -> bytes:
    content = row.encode() if isinstance(row, str) else np.ascontiguousarray(row).tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()

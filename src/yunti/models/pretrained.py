"""Features of a pretrained model, frozen.

The model itself is never copied into a bundle: its place and the hash of its weights are, and both are checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded, Encoder, Reading, Stream
from yunti.data.table import Images, Table, Texts
from yunti.errors import BundleError, RungError
from yunti.models.hub import folder_of, transformers_package, weights_hash
from yunti.specs import ColumnSpec

BaseKind = Literal["text", "image"]

_TOKENS = 256
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
        self._model, self._prepare = _load(self._folder, self.kind)
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
                vectors = _mean_state(self._model, self._prepare([rows[place] for place in places]))
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


def kind_of(folder: Path) -> BaseKind:
    """Say what a pretrained model reads, from its configuration.

    Raises:
        RungError: it reads neither text nor pictures.
    """
    config = json.loads((folder / "config.json").read_text())
    if "vocab_size" in config and "conv_dim" not in config:
        return "text"
    if "num_channels" in config or "image_size" in config:
        return "image"
    raise RungError(
        f"--pretrained {folder}", "it must read text or pictures", f"it is a {config.get('model_type', 'model')}",
        "give a text or image encoder",
    )  # fmt: skip


def _load(folder: Path, kind: BaseKind) -> tuple[nn.Module, Callable[[Sequence[Any]], dict[str, Tensor]]]:
    transformers = transformers_package()
    model = transformers.AutoModel.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    ).eval()
    model = model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model
    for part in ("vision_model",) if kind == "image" else ("text_model",):
        model = getattr(model, part, model)
    if kind == "image":
        return model, _picture_preparer(folder, model)
    tokeniser = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    tokeniser.pad_token = tokeniser.pad_token or tokeniser.eos_token
    longest = min(_TOKENS, int(getattr(model.config, "max_position_embeddings", _TOKENS)) - 2)

    def prepare(texts: Sequence[Any]) -> dict[str, Tensor]:
        made = tokeniser(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        return {name: made[name] for name in ("input_ids", "attention_mask")}

    return model, prepare


def _picture_preparer(folder: Path, model: nn.Module) -> Callable[[Sequence[Any]], dict[str, Tensor]]:
    file = folder / "preprocessor_config.json"
    wishes = json.loads(file.read_text()) if file.exists() else {}
    mean = torch.tensor(wishes.get("image_mean", [0.485, 0.456, 0.406]))[:, None, None]
    deviation = torch.tensor(wishes.get("image_std", [0.229, 0.224, 0.225]))[:, None, None]
    side = int(getattr(model.config, "image_size", 224) or 224)

    def prepare(pictures: Sequence[Any]) -> dict[str, Tensor]:
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        pixels = pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels[:, :3]
        pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
        return {"pixel_values": (pixels - mean) / deviation}

    return prepare


def _mean_state(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    state: Tensor = model(**inputs).last_hidden_state
    if state.ndim == 4:  # a convolutional network: (rows, channels, height, width)
        return state.mean(dim=(2, 3))
    mask = inputs.get("attention_mask")
    if mask is None:
        return state.mean(dim=1)
    return (state * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def _key(row: str | NDArray[np.uint8]) -> bytes:
    content = row.encode() if isinstance(row, str) else np.ascontiguousarray(row).tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()

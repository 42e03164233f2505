"""How the rows of a column become what a pretrained model reads, and the vectors that it makes of them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.table import Images, Ragged, Texts
from yunti.models.layers import masked_mean

TOKENS = 256  # most of one text: attention costs their square, and what a text is about stands early in it
_IMAGENET = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
_GREY = (0.299, 0.587, 0.114)  # how bright the three colours are (ITU-R BT.601)
# where a model's folder says how pictures and sounds are laid out for it; what was saved last stands first
EXTRACTORS = ("processor_config.json", "preprocessor_config.json")
_NESTED = ("image_processor", "feature_extractor", "audio_processor")  # in the first of them


def wishes_of(folder: Path) -> dict[str, Any]:
    """Return how a model wishes its pictures or sounds, as its folder says; empty where it says nothing.

    Raises:
        ValueError: a file of it is not JSON.
    """
    for file in (folder / name for name in EXTRACTORS):
        told = json.loads(file.read_text("utf-8")) if file.exists() else {}
        inner = told if file.name == EXTRACTORS[-1] else next((told[name] for name in _NESTED if name in told), {})
        if inner:
            return dict(inner)
    return {}


class Intake(ABC):
    """Between a column and a pretrained model."""

    def fit(self, column: object, rate: int) -> None:  # noqa: B027  (most have nothing to learn)
        """Learn from training rows how long they are, where rows must have one length.

        Args:
            column: training rows.
            rate: samples per second, of sounds.
        """

    @abstractmethod
    def encode(self, column: object, rate: int) -> NDArray[Any] | Ragged:
        """Return the rows as arrays, in their order.

        Args:
            column: the rows.
            rate: samples per second, of sounds.
        """

    @abstractmethod
    def read(self, base: nn.Module, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return one vector a row, the mean over its tokens, patches or frames, shape (rows, width).

        Args:
            base: the pretrained model.
            values: a batch of encoded rows.
            mask: true on real steps, for rows of different length.
        """

    def adapt(self, base: nn.Module) -> None:  # noqa: B027  (most take a model as it is)
        """Change a model that was just loaded to what `fit` learned."""

    def facts(self) -> dict[str, Any]:
        """Return what `fit` learned, as plain JSON values."""
        return {}

    def restore(self, facts: Mapping[str, Any]) -> None:  # noqa: B027  (most have learned nothing)
        """Take back what `facts` returned."""


@final
class TextIntake(Intake):
    """Texts as the tokens of the model's own tokeniser.

    Args:
        tokeniser: as `transformers` loads it.
        positions: most tokens that the model can place.
    """

    def __init__(self, tokeniser: Any, positions: int) -> None:
        tokeniser.pad_token = tokeniser.pad_token or tokeniser.eos_token
        self.tokeniser = tokeniser
        self.longest = max(1, min(TOKENS, positions - 2))
        self._padding = int(tokeniser.pad_token_id or 0)

    def encode(self, column: object, rate: int) -> Ragged:
        """Return the tokens of every text; one without any gets a padding token, so that there is something to read."""
        assert isinstance(column, Texts)
        texts = column.strings()
        made = self.tokeniser(texts, truncation=True, max_length=self.longest)["input_ids"] if texts else []
        rows = [tokens or [self._padding] for tokens in made]
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return Ragged(np.array([token for tokens in rows for token in tokens], dtype=np.int32), offsets)

    def read(self, base: nn.Module, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over the tokens."""
        assert mask is not None
        mask = mask[:, : self.longest]  # rows are laid side by side in multiples of 16, which may be more
        tokens = values[:, : self.longest].long().masked_fill(~mask, self._padding)
        state: Tensor = base(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return masked_mean(state, mask)


@final
class PictureIntake(Intake):
    """Pictures as they are stored; only the model's batch is brought to its size and scale.

    Args:
        folder: of the model; `wishes_of` it says what mean and deviation it was trained with.
        size: height and width of the pictures that it reads.
        channels: of these pictures: three colours, or one for grey.

    Raises:
        ValueError: it reads pictures of other channels.
    """

    def __init__(self, folder: Path, size: tuple[int, int], channels: int) -> None:
        if channels not in (1, 3):
            raise ValueError(f"it reads pictures of {channels} channels, where one or three are known")
        wishes = wishes_of(folder)
        mean, deviation = (tuple(wishes.get(name) or usual) for name, usual in _IMAGENET.items())
        self.mean, self.deviation = _of_channels(mean, channels), _of_channels(deviation, channels)
        self._size, self._channels = size, channels

    def encode(self, column: object, rate: int) -> NDArray[Any]:
        """Return the pixels."""
        assert isinstance(column, Images)
        return column.pixels

    def read(self, base: nn.Module, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over the patches, or over the places of a convolutional network."""
        pixels = values.permute(0, 3, 1, 2).float() / 255
        pixels = pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels[:, :3]
        if self._channels == 1:
            pixels = (pixels * pixels.new_tensor(_GREY)[:, None, None]).sum(dim=1, keepdim=True)
        pixels = F.interpolate(pixels, size=self._size, mode="bilinear", antialias=True)
        mean, deviation = (torch.tensor(each, device=pixels.device) for each in (self.mean, self.deviation))
        scaled = (pixels - mean[:, None, None]) / deviation[:, None, None]
        state: Tensor = base(pixel_values=scaled).last_hidden_state
        return state.mean(dim=(2, 3)) if state.ndim == 4 else state.mean(dim=1)


def _of_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return a value for each channel, where there is one for all of them, or one for each colour of a grey picture."""
    return values if len(values) == channels else (sum(values) / len(values),) * channels

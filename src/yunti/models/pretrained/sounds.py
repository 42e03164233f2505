"""Sounds as pretrained models read them: as waves, or as spectrograms of their own making."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.table import Ragged
from yunti.models.layers import masked_mean
from yunti.models.pretrained.intake import Intake, wishes_of

SECONDS = 10.0  # most of one sound
_RATE = 16_000  # of every model of this kind that says nothing else
_PERCENT = 98  # of the training rows are not cut where all must have one length


@final
class WaveIntake(Intake):
    """Sounds as waves of mean 0 and deviation 1, as wav2vec 2.0 and its kin read them.

    Where the first layer normalises over the whole wave, a row's vector would depend on how far it is padded in its
    batch: there all rows are padded to one length. Elsewhere padding is masked. Source: Baevski et al., 2020, wav2vec
    2.0, arXiv 2006.11477.

    Args:
        folder: of the model; `wishes_of` it names rate and scaling.
        config: the model's, with its convolutions.
    """

    def __init__(self, folder: Path, config: Any) -> None:
        wishes = wishes_of(folder)
        self._rate = int(wishes.get("sampling_rate", _RATE))
        self._scales = bool(wishes.get("do_normalize", True))
        self._layers = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        masks = getattr(config, "feat_extract_norm", "group") == "layer" and not getattr(config, "add_adapter", False)
        self._length: int | None = None if masks else 0

    def fit(self, column: object, rate: int) -> None:
        """Learn the one length, where there must be one."""
        if self._length is not None:
            self._length = max(self._length, self._least, typical_samples(column, rate, self._rate))

    def encode(self, column: object, rate: int) -> NDArray[Any] | Ragged:
        """Return the waves; a missing one is silence."""
        waves = [self._wave(each) for each in waves_of(column, rate, self._rate)]
        if self._length is not None:
            fixed = np.zeros((len(waves), self._length), dtype=np.float16)
            for row, wave in zip(fixed, waves, strict=True):
                row[: len(wave)] = wave[: self._length]
            return fixed
        offsets = np.cumsum([0, *map(len, waves)]).astype(np.int64)
        return Ragged(np.concatenate([np.zeros(0, dtype=np.float16), *waves]), offsets)

    def read(self, base: nn.Module, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over the frames."""
        if mask is None:
            state: Tensor = base(input_values=values.float()).last_hidden_state
            return state.mean(dim=1)
        state = base(input_values=values.float(), attention_mask=mask.long()).last_hidden_state
        places = torch.arange(state.shape[1], device=state.device)
        return masked_mean(state, places < self._frames(mask.sum(dim=1))[:, None])

    def facts(self) -> dict[str, Any]:
        """Return the one length."""
        return {"length": self._length}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take back the one length."""
        self._length = facts["length"]

    @property
    def _least(self) -> int:
        """Samples that give one frame."""
        samples = 1
        for kernel, stride in reversed(self._layers):
            samples = (samples - 1) * stride + kernel
        return int(samples)

    def _frames(self, samples: Tensor) -> Tensor:
        for kernel, stride in self._layers:
            samples = (samples - kernel) // stride + 1
        return samples

    def _wave(self, wave: NDArray[np.float32]) -> NDArray[np.float16]:
        if self._scales and len(wave):
            wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        return np.pad(wave, (0, max(0, self._least - len(wave)))).astype(np.float16)


@final
class BandIntake(Intake):
    """Sounds as spectrograms that the model's own extractor makes, all of one length.

    Whisper reads 30 seconds, whatever the sound (Radford et al., 2022, arXiv 2212.04356): its places are cut to the
    length of the training rows, so that a word costs a word. AST reads ten seconds (Gong et al., 2021, arXiv
    2104.01778), and its patches cannot be cut.

    Args:
        extractor: as `transformers` loads it.
        config: the model's.
    """

    def __init__(self, extractor: Any, config: Any) -> None:
        self._extractor = extractor
        self._positions = int(getattr(config, "max_source_positions", 0))  # two frames each
        self._length = 0

    def fit(self, column: object, rate: int) -> None:
        """Learn how many places the sounds need."""
        if self._positions:
            frames = typical_samples(column, rate, self._extractor.sampling_rate) / self._extractor.hop_length
            self._length = max(self._length, 1, min(self._positions, math.ceil(frames / 2)))

    def encode(self, column: object, rate: int) -> NDArray[Any]:
        """Return the spectrograms; that of a missing sound is of silence."""
        least = np.zeros(int(self._extractor.sampling_rate * 0.1), dtype=np.float32)
        asked: dict[str, Any] = {"sampling_rate": self._extractor.sampling_rate, "return_tensors": "np"}
        if self._positions:
            asked |= {"max_length": 2 * self._length * self._extractor.hop_length, "truncation": True}
        name = self._extractor.model_input_names[0]
        made = [
            self._extractor(wave if len(wave) >= len(least) else np.concatenate([wave, least]), **asked)[name]
            for wave in waves_of(column, rate, self._extractor.sampling_rate)
        ]
        return np.concatenate(made).astype(np.float16) if made else np.zeros((0, 1, 1), dtype=np.float16)

    def read(self, base: nn.Module, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over the frames or patches."""
        state: Tensor = base(values.float()).last_hidden_state
        return state.mean(dim=1)

    def adapt(self, base: nn.Module) -> None:
        """Cut the places to the length of the sounds."""
        if self._positions:
            places: Any = base.embed_positions
            kept = places.weight.detach()[: self._length].clone()
            base.embed_positions = nn.Embedding(len(kept), kept.shape[1], _weight=kept).requires_grad_(
                False
            )  # sinusoids
            config: Any = base.config
            config.max_source_positions = self._length

    def facts(self) -> dict[str, Any]:
        """Return the number of places."""
        return {"length": self._length}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take back the number of places."""
        self._length = facts["length"]


def typical_samples(column: object, rate: int, wanted: int) -> int:
    """Return how many samples nearly all sounds have at another rate, at most ten seconds.

    Args:
        column: training rows.
        rate: samples per second.
        wanted: samples per second that a model reads.
    """
    assert isinstance(column, Ragged)
    lengths = column.lengths
    longest = float(np.percentile(lengths, _PERCENT)) if len(lengths) else 0.0
    return math.ceil(min(SECONDS, longest / rate) * wanted)


def waves_of(column: object, rate: int, wanted: int) -> list[NDArray[np.float32]]:
    """Return every sound as one channel at another rate, at most ten seconds of it.

    Args:
        column: sounds.
        rate: samples per second.
        wanted: samples per second that a model reads.
    """
    assert isinstance(column, Ragged)
    most = int(SECONDS * rate)
    waves = [np.nan_to_num(column.row(place)[:most].mean(axis=1)) for place in range(len(column))]
    if rate == wanted:
        return waves
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return [
        resample_poly(wave, wanted // common, rate // common).astype(np.float32) if len(wave) else wave
        for wave in waves
    ]

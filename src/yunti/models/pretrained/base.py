"""A pretrained model out of its folder: which kind of column it reads, and how rows are prepared for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.errors import RungError
from yunti.models.hub import transformers_package

BaseKind = Literal["text", "image"]

_TOKENS = 256


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


def load(folder: Path, kind: BaseKind) -> tuple[nn.Module, Callable[[Sequence[Any]], dict[str, Tensor]]]:
    """Return the model, and what prepares rows for it."""
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


def mean_state(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Return the mean over a row's tokens or patches, shape (rows, width)."""
    state: Tensor = model(**inputs).last_hidden_state
    if state.ndim == 4:  # a convolutional network: (rows, channels, height, width)
        return state.mean(dim=(2, 3))
    mask = inputs.get("attention_mask")
    if mask is None:
        return state.mean(dim=1)
    return (state * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)

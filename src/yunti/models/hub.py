"""Folders of pretrained models, local or from the hub: the only module that imports `transformers`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from yunti.errors import PackageError, RungError

BaseKind = Literal["text", "image", "audio"]

_SOUND = ("conv_dim", "num_mel_bins")  # what only models that read waves or spectrograms have in their configuration
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]


def folder_of(place: str) -> Path:
    """Return the folder of a pretrained model; what is no folder is sought on the hub, first among what it gave before.

    Args:
        place: a folder, or a name on the hub.

    Raises:
        PackageError: `transformers` is not installed.
        RungError: it is neither.
    """
    folder = Path(place)
    if folder.is_dir():
        return folder
    transformers_package()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    for local in (True, False):
        try:
            return Path(snapshot_download(place, allow_patterns=_FILES, local_files_only=local))
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as error:
            last = error
    raise RungError(
        f"--pretrained {place}", "it must be a folder or a model that the hub has", type(last).__name__,
        "download the model and give its folder",
    )  # fmt: skip


def kind_of(folder: Path) -> BaseKind:
    """Say what a pretrained model reads, from its configuration.

    Args:
        folder: of the model; nothing but its `config.json` is opened.

    Raises:
        RungError: it reads neither text nor pictures nor sounds.
        ValueError: `config.json` is not JSON.
    """
    config = json.loads((folder / "config.json").read_text())
    if any(mark in config for mark in _SOUND):
        return "audio"
    if "vocab_size" in config:
        return "text"
    if "num_channels" in config or "image_size" in config:
        return "image"
    raise RungError(
        f"--pretrained {folder}", "it must read text, pictures or sounds",
        f"it is a {config.get('model_type', 'model')}", "give an encoder of text, pictures or sounds",
    )  # fmt: skip


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 over all weight files of a folder, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def transformers_package() -> Any:
    """Return the module `transformers`, silenced.

    Raises:
        PackageError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise PackageError(
            "--pretrained", "the package transformers must be installed", "it is not",
            "run pip install 'yunti[pretrained]'",
        ) from error  # fmt: skip
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers

"""Folders of pretrained models, local or from the hub: the only module that imports `transformers`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from yunti.errors import PackageError, RungError

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

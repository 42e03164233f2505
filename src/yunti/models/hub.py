"""Folders of pretrained models, local or from the hub: the only module that imports `transformers`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from yunti.errors import BundleError, PackageError, RungError

if TYPE_CHECKING:
    from torch import nn

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

    got = ""
    for local in (True, False):  # a download that broke off, or was of a tokeniser only, leaves a part behind
        try:
            found = Path(snapshot_download(place, allow_patterns=_FILES, local_files_only=local))
            if _is_whole(found):
                return found
            got = "what it has lacks config.json or weights as .safetensors"
        except HfHubHTTPError as error:
            got = f"there is no such folder, and the hub answers {getattr(error.response, 'status_code', 'nothing')}"
        except (LocalEntryNotFoundError, OSError):
            got = "there is no such folder, and the hub cannot be reached"
        except ValueError:
            got = "there is no such folder, and it is no name of a model"
    raise RungError(
        f"--pretrained {place}", "it must be a folder or a model that the hub has", got,
        "download the model and give its folder",
    )  # fmt: skip


def _is_whole(folder: Path) -> bool:
    index = folder / "model.safetensors.index.json"  # of weights in several files
    needed = {"config.json", *(json.loads(index.read_text("utf-8"))["weight_map"].values() if index.exists() else ())}
    return any(folder.glob("*.safetensors")) and all((folder / name).is_file() for name in needed)


def kind_of(folder: Path) -> BaseKind:
    """Say what a pretrained model reads, from its configuration.

    Args:
        folder: of the model; nothing but its `config.json` is opened.

    Raises:
        RungError: it reads neither text nor pictures nor sounds.
        OSError: there is no `config.json`.
        ValueError: it holds no JSON object.
    """
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if not isinstance(config, dict):
        raise ValueError("config.json holds no JSON object")
    if any(mark in config for mark in _SOUND):
        return "audio"
    if "vocab_size" in config and "image_size" not in config:  # BEiT counts the words that it was taught pictures by
        return "text"
    if "num_channels" in config or "image_size" in config:
        return "image"
    raise RungError(
        f"--pretrained {folder}", "it must read text, pictures or sounds",
        f"it is a {config.get('model_type', 'model')}", "give an encoder of text, pictures or sounds",
    )  # fmt: skip


def has_matrices(folder: Path) -> bool:
    """Say whether a model has linear layers below those that name classes; only the shapes of its weights are read.

    Files that cannot be read are taken for such that have: whoever loads them tells what is wrong.
    """
    from safetensors import SafetensorError, safe_open

    for file in folder.glob("*.safetensors"):
        try:
            with safe_open(file, "numpy") as opened:
                shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError):
            return True
        if any(len(shape) == 2 and "classifier" not in name for name, shape in shapes.items()):
            return True
    return False


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 over all weight files of a folder, in the order of their names."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


@final
@dataclass(frozen=True)
class BaseReference:
    """Where a pretrained model is that a bundle stands on but does not hold, and how to tell that it is the same.

    Args:
        place: its folder, or its name on the hub.
        weights_sha256: of its weights, see `weights_hash`.
    """

    place: str
    weights_sha256: str

    @staticmethod
    def to(place: str) -> BaseReference:
        """Refer to a folder or a name on the hub as it is now; a folder is told by its whole path."""
        folder = folder_of(place)
        return BaseReference(str(folder.resolve()) if Path(place).is_dir() else place, weights_hash(folder))

    def folder(self) -> Path:
        """Return the folder of the same pretrained model.

        Raises:
            BundleError: it is gone or was changed.
        """
        try:
            folder = folder_of(self.place)
        except (OSError, RungError) as error:
            raise BundleError(
                "the bundle", f"the pretrained model it was made with must be at {self.place}", "it is not there",
                "bring it back to that place",
            ) from error  # fmt: skip
        if weights_hash(folder) != self.weights_sha256:
            raise BundleError(
                "the bundle", f"the weights at {self.place} must be those it was made with", "they are others",
                "bring back the same pretrained model",
            )  # fmt: skip
        return folder


def load_causal(folder: Path) -> nn.Module:
    """Load a causal language model, in float32; nothing but safetensors is read, and no code of the folder runs.

    Args:
        folder: as `transformers` saves models.

    Raises:
        PackageError: `transformers` is not installed.
        RungError: the folder holds no causal language model that it knows, or its weights are incomplete.
    """
    transformers = transformers_package()
    try:
        model, about = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype="float32",
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise _no_causal(folder, " ".join(str(error).split())[:200]) from error
    if missing := sorted(about["missing_keys"]):
        raise _no_causal(folder, f"{len(missing)} of its weights are missing, such as {missing[0]}")
    found: nn.Module = model.eval()
    return found


def causal_from(config: Mapping[str, Any]) -> nn.Module:
    """Return a causal language model without learned weights, as a configuration tells of it.

    Args:
        config: the content of a `config.json`.
    """
    transformers = transformers_package()
    told = {name: value for name, value in config.items() if name not in ("dtype", "torch_dtype")}
    made = transformers.AutoConfig.for_model(**told)
    found: nn.Module = transformers.AutoModelForCausalLM.from_config(made, trust_remote_code=False).eval()
    return found


def config_of(model: nn.Module) -> dict[str, Any]:
    """Return what `config.json` says of a model, as plain JSON values."""
    config: Any = model.config
    told: dict[str, Any] = config.to_dict()
    return told


def save_causal(model: nn.Module, folder: Path) -> None:
    """Write a causal language model as `config.json` and `model.safetensors`, in float32."""
    savable: Any = model
    savable.save_pretrained(str(folder), max_shard_size="1000GB")


def _no_causal(folder: Path, got: str) -> RungError:
    return RungError(
        f"--pretrained {folder}", "it must hold a causal language model that transformers knows", got,
        "give the folder of one, such as GPT-2, Llama or Qwen, with all its .safetensors files",
    )  # fmt: skip


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

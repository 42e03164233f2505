"""A pretrained model: what it reads, how large it is, its weights out of their folder, what a bundle keeps of it."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from torch import nn

from yunti.errors import BundleError, RungError
from yunti.models.hub import BaseReference, folder_of, kind_of, transformers_package, weights_hash
from yunti.models.pretrained.intake import EXTRACTORS, TOKENS, Intake, PictureIntake, TextIntake
from yunti.models.pretrained.sounds import BandIntake, WaveIntake

# What would draw from generators that no checkpoint keeps, hide whole layers, or keep fused attention from being used
_OFF = {
    "apply_spec_augment": False, "layerdrop": 0.0, "encoder_layerdrop": 0.0, "use_cache": False,
    "attention_probs_dropout_prob": 0.0, "attention_dropout": 0.0, "attn_pdrop": 0.0, "drop_path_rate": 0.0,
}  # fmt: skip
# parts that the mean over all states does not pass through; those of a head are SigLIP's, which attends to one vector
IDLE = ("pooler", "masked_spec_embed", "mask_token", "head.probe", "head.attention", "head.layernorm", "head.mlp")
_SIDE = 224
_UNREADABLE = (OSError, ValueError, KeyError, ImportError)


@final
class Base:
    """A pretrained model; its weights are read when they are asked for.

    Args:
        folder: as Hugging Face saves models; nothing of it is run.
        place: what it was called by: the folder, or a name on the hub.
        has_weights: whether the folder holds weights; without them `load` gives those that training begins with.
        weights_sha256: their hash, where it is known already.

    Raises:
        RungError: `transformers` cannot read it.
    """

    def __init__(self, folder: Path, place: str, has_weights: bool = True, weights_sha256: str = "") -> None:
        self._folder = folder if has_weights else None
        self.place = str(folder.resolve()) if Path(place).is_dir() else place
        self.weights_sha256 = weights_sha256 or (weights_hash(folder) if has_weights else "")
        try:
            self.kind = kind_of(folder)
            config = transformers_package().AutoConfig.from_pretrained(str(folder), **_LOCAL)
            for name, value in _OFF.items():
                if getattr(config, name, None) is not None:
                    setattr(config, name, value)
            self._config = config
            self.intake = _intake_of(folder, self.kind, config)
            self._extractors = {
                name: (folder / name).read_text("utf-8") for name in EXTRACTORS if (folder / name).exists()
            }
        except _UNREADABLE as error:
            raise _unreadable(place, error) from error

    def load(self) -> nn.Module:
        """Return the model with its weights, in float32, on the processor.

        Raises:
            RungError: its weights cannot be read, or some that are used are missing.
        """
        transformers, config = transformers_package(), copy.deepcopy(self._config)
        if self._folder is None:
            return self._reduced(transformers.AutoModel.from_config(config, dtype=torch.float32))
        try:
            model, about = transformers.AutoModel.from_pretrained(
                str(self._folder), config=config, use_safetensors=True, dtype=torch.float32,
                output_loading_info=True, **_LOCAL,
            )  # fmt: skip
        except (*_UNREADABLE, RuntimeError, SafetensorError) as error:
            raise _unreadable(self.place, error) from error
        if missing := _used(about["missing_keys"], model, self._encoder(model)):
            must, got = "its folder must hold all its weights", f"{len(missing)} are missing, such as {missing[0]}"
            raise RungError(f"--pretrained {self.place}", must, got, "give it with all its .safetensors files")
        return self._reduced(model)

    @functools.cached_property
    def skeleton(self) -> nn.Module:
        """The model without numbers: names, layers and shapes, before rows have told how long they are."""
        with torch.device("meta"):
            model = transformers_package().AutoModel.from_config(copy.deepcopy(self._config))
        return self._encoder(model)

    @property
    def width(self) -> int:
        """Numbers of a row's vector.

        Raises:
            RungError: its configuration does not tell.
        """
        config: Any = self.skeleton.config
        sizes = getattr(config, "hidden_sizes", None) or [getattr(config, "hidden_size", None)]
        if sizes[-1] is None:
            must, got = "its configuration must tell how wide its vectors are", "it has no hidden_size"
            raise RungError(f"--pretrained {self.place}", must, got, "give another model")
        return int(sizes[-1])

    @property
    def parameters(self) -> int:
        """Number of its weights that a row passes through, as long as the rows are that `intake` has seen."""
        used = copy.deepcopy(self.skeleton)
        self.intake.adapt(used)
        return sum(each.numel() for name, each in used.named_parameters() if not any(idle in name for idle in IDLE))

    def files(self) -> dict[str, str]:
        """Return the small files that it can be built from again, without its weights: name and text.

        Raises:
            RungError: its tokeniser is not made of text.
        """
        with tempfile.TemporaryDirectory(prefix="yunti-") as workspace:
            folder = Path(workspace)
            if isinstance(self.intake, TextIntake):
                self.intake.tokeniser.save_pretrained(folder)
            self._config.save_pretrained(folder)
            try:
                made = {file.name: file.read_text("utf-8") for file in sorted(folder.iterdir())}
            except UnicodeDecodeError as error:
                must, mend = "its tokeniser must be text to stand in a bundle", "use the rung pretrained or lora"
                raise RungError(f"--pretrained {self.place}", must, "it is not", mend) from error
        return {**made, **self._extractors}

    def _encoder(self, model: Any) -> nn.Module:
        two = ("encoder", "decoder")  # a folder of T5's encoder alone does not call itself a pair, yet is made as one
        is_pair = getattr(model.config, "is_encoder_decoder", False) or all(getattr(model, each, None) for each in two)
        model = model.get_encoder() if is_pair else model
        part = {"image": "vision_model", "text": "text_model", "audio": ""}[self.kind]
        encoder: nn.Module = getattr(model, part, model) if part else model
        return encoder

    def _reduced(self, model: Any) -> nn.Module:
        encoder = self._encoder(model)
        for name, parameter in encoder.named_parameters():
            if any(idle in name for idle in IDLE):
                parameter.requires_grad_(False)
        self.intake.adapt(encoder)
        return encoder.eval()


_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def open_base(place: str) -> Base:
    """Return the pretrained model at a place, a folder or a name on the hub.

    Raises:
        RungError: there is none, or none that can be read.
        PackageError: `transformers` is not installed.
    """
    return Base(folder_of(place), place)


def open_again(place: str, weights_sha256: str) -> Base:
    """Return the pretrained model that a bundle was made with.

    Raises:
        BundleError: it is gone or was changed.
    """
    return Base(BaseReference(place, weights_sha256).folder(), place, weights_sha256=weights_sha256)


def built_from(files: Mapping[str, str], place: str) -> Base:
    """Return a pretrained model without its weights, from the files that `Base.files` returned.

    Args:
        files: name and text of each.
        place: where it came from.

    Raises:
        BundleError: a name that would leave the folder they are laid into.
    """
    with tempfile.TemporaryDirectory(prefix="yunti-") as workspace:
        for name, text in files.items():
            if Path(name).name != name:
                raise BundleError("the bundle", "its files must have plain names", repr(name), "do not use it")
            (Path(workspace) / name).write_text(text, "utf-8")
        return Base(Path(workspace), place, has_weights=False)


def _used(names: Iterable[str], model: nn.Module, encoder: nn.Module) -> list[str]:
    """Return which of a model's weights are those of its encoder that a row passes through; counts are none."""
    weights = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    own = {id(each) for each in (*encoder.parameters(), *encoder.buffers()) if each.is_floating_point()}
    return sorted(name for name in names if id(weights.get(name)) in own and not any(idle in name for idle in IDLE))


def _intake_of(folder: Path, kind: str, config: Any) -> Intake:
    transformers = transformers_package()
    if kind == "image":
        size = getattr(config, "image_size", _SIDE) or _SIDE
        height, width = (size, size) if isinstance(size, int) else size
        return PictureIntake(folder, (height, width), getattr(config, "num_channels", 3))
    if kind == "text":
        tokeniser = transformers.AutoTokenizer.from_pretrained(str(folder), **_LOCAL)
        return TextIntake(tokeniser, int(getattr(config, "max_position_embeddings", None) or TOKENS + 2))
    if getattr(config, "conv_kernel", None):
        return WaveIntake(folder, config)
    return BandIntake(transformers.AutoFeatureExtractor.from_pretrained(str(folder), **_LOCAL), config)


def _unreadable(place: str, error: Exception) -> RungError:
    got = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    must, mend = "it must be a model that transformers can read", "give another model"
    return RungError(f"--pretrained {place}", must, got, mend)

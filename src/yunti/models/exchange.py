"""Decoders in the form that `transformers` reads and writes: `config.json` and `model.safetensors` of a nanochat model.

That architecture is the one of `yunti.models.decoder`, with queries, keys and values as three layers, and the two
numbers that are turned together half a head apart instead of side by side: rows of matrices are laid in another order.
Nothing is imported from `transformers` for it. A folder that was written here is loaded there by
`transformers.AutoModelForCausalLM.from_pretrained(folder)` and gives the same logits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from yunti.errors import SourceError
from yunti.models.decoder import Decoder
from yunti.models.decoder_layers import EPSILON
from yunti.models.decoder_size import DecoderShape

_ROTATION = {"rope_type": "default", "rope_theta": 10_000.0}
_NAMES = {"out": "self_attn.o_proj", "up": "mlp.fc1", "down": "mlp.fc2"}  # of layers that are alike on both sides


def write_transformers(decoder: Decoder, folder: Path, end: int | None = None) -> None:
    """Write a decoder's configuration and weights, in float32, into a folder; it is made where it is not there.

    Args:
        decoder: trained.
        folder: what stands there under these two names is overwritten.
        end: the token that ends a text and stands before one, if there is one.

    Example:
        >>> import tempfile
        >>> decoder = Decoder(DecoderShape(vocabulary=65, width=32, depth=1, heads=2, key_value_heads=1, context=16))
        >>> with tempfile.TemporaryDirectory() as place:
        ...     write_transformers(decoder, Path(place))
        ...     read_transformers(Path(place)).shape == decoder.shape
        True
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = configuration(decoder.shape) | {"bos_token_id": end, "eos_token_id": end}
    (folder / "config.json").write_text(json.dumps(told, indent=2) + "\n")
    save_file(foreign_weights(decoder), folder / "model.safetensors", metadata={"format": "pt"})


def read_transformers(folder: Path) -> Decoder:
    """Read a decoder from a folder with the configuration and the weights of a nanochat model.

    Raises:
        SourceError: the folder holds no such model, or one that differs in a way that would change its logits.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise SourceError(str(folder), "it must hold config.json", "it does not", "give the folder of a model")
    decoder = Decoder(shape_of(json.loads(file.read_text()), str(file)))
    foreign = {name: each for part in sorted(folder.glob("*.safetensors")) for name, each in load_file(part).items()}
    try:
        decoder.load_state_dict(own_weights(foreign, decoder.shape))
    except (KeyError, RuntimeError) as error:
        raise SourceError(
            str(folder), "its weights must be those that config.json tells of", " ".join(str(error).split()),
            "bring back all files of the model",
        ) from error  # fmt: skip
    return decoder


def configuration(shape: DecoderShape) -> dict[str, Any]:
    """Return what `config.json` of `transformers` says of a decoder."""
    return {
        "architectures": ["NanoChatForCausalLM"],
        "model_type": "nanochat",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": 4 * shape.width,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "max_position_embeddings": shape.context,
        "hidden_act": "relu2",
        "attention_bias": False,
        "rms_norm_eps": EPSILON,
        "rope_parameters": _ROTATION,
        "final_logit_softcapping": shape.cap or None,
        "tie_word_embeddings": shape.tied,
        "dtype": "float32",
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def shape_of(told: Mapping[str, Any], where: str) -> DecoderShape:
    """Return the shape that a configuration tells of.

    Args:
        told: the content of `config.json`.
        where: its name, for the sentence of an error.

    Raises:
        SourceError: it is of another architecture.
    """
    if told.get("model_type") != "nanochat":
        got = f"it is {told.get('model_type')!r}"
        raise SourceError(where, "model_type must be 'nanochat'", got, "give a model of that architecture")
    shape = DecoderShape(
        vocabulary=told["vocab_size"],
        width=told["hidden_size"],
        depth=told["num_hidden_layers"],
        heads=told["num_attention_heads"],
        key_value_heads=told.get("num_key_value_heads") or told["num_attention_heads"],
        context=told.get("max_position_embeddings", 2048),
        tied=told.get("tie_word_embeddings", False),
        cap=told.get("final_logit_softcapping", 15.0) or 0.0,  # what is not told has the default of transformers
    )
    for name in ("intermediate_size", "hidden_act", "attention_bias", "rms_norm_eps", "rope_parameters"):
        wanted = configuration(shape)[name]
        if told.get(name, wanted) != wanted:
            raise SourceError(
                where, f"{name} must be {wanted!r}", f"it is {told[name]!r}", "give a model that can be equalled"
            )  # fmt: skip
    return shape


def foreign_weights(decoder: Decoder) -> dict[str, Tensor]:
    """Return a decoder's weights under the names of `transformers`."""
    shape = decoder.shape
    head = shape.head_width
    sizes = [shape.width, shape.key_value_heads * head, shape.key_value_heads * head]
    found: dict[str, Tensor] = {"model.embed_tokens.weight": decoder.tokens.weight}
    if decoder.head is not None:
        found["lm_head.weight"] = decoder.head.weight
    state = decoder.state_dict()
    for block in range(shape.depth):
        there = f"model.layers.{block}."
        parts = state[f"blocks.{block}.queries_keys_values.weight"].split(sizes)
        for letter, part in zip("qkv", parts, strict=True):
            found[f"{there}self_attn.{letter}_proj.weight"] = part if letter == "v" else _halves(part, head)
        for name, foreign in _NAMES.items():
            found[f"{there}{foreign}.weight"] = state[f"blocks.{block}.{name}.weight"]
    return {name: each.detach().float().cpu().clone() for name, each in found.items()}


def own_weights(foreign: Mapping[str, Tensor], shape: DecoderShape) -> dict[str, Tensor]:
    """Return a decoder's state from weights under the names of `transformers`."""
    named: Callable[[str], Tensor] = lambda name: foreign[f"{name}.weight"].float()  # noqa: E731
    state = {"tokens.weight": named("model.embed_tokens")}
    head = shape.head_width
    if not shape.tied:
        state["head.weight"] = named("lm_head")
    for block in range(shape.depth):
        there = f"model.layers.{block}."
        queries, keys, values = (named(f"{there}self_attn.{letter}_proj") for letter in "qkv")
        parts = [_neighbours(queries, head), _neighbours(keys, head), values]
        state[f"blocks.{block}.queries_keys_values.weight"] = torch.cat(parts)
        state |= {f"blocks.{block}.{name}.weight": named(there + other) for name, other in _NAMES.items()}
    return state


def _halves(weight: Tensor, head: int) -> Tensor:
    """Lay the rows of every head so that of each pair the first stands in the first half, the second in the second."""
    return weight.view(-1, head // 2, 2, weight.shape[1]).transpose(1, 2).flatten(0, 2)


def _neighbours(weight: Tensor, head: int) -> Tensor:
    """Undo `_halves`."""
    return weight.view(-1, 2, head // 2, weight.shape[1]).transpose(1, 2).flatten(0, 2)

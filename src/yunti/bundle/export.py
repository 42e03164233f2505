"""A language model leaves for `transformers`: a folder with its configuration, its weights and its tokeniser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from yunti.bundle.format import Draft
from yunti.data.chats.template import Template
from yunti.data.tokenisers import ChatCoder, FolderCoder, TextCoder
from yunti.data.tokenisers.foreign import as_tokenizers, end_name
from yunti.errors import BundleError, OptionError
from yunti.models.contract import Model

FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")

_PROBE = 16  # tokens by which the written model is compared with this one
_NEAR = 1e-4
_TEXTS = ("It's 3.14 o'clock,\n\n  and  \tthat\u2019s all.", " 云梯 e\u0301 İ \x00 👩🏽\u200d🚀", "<|end|>")


def export_model(where: str, model: Model, folder: Path) -> None:
    """Write a model of language as `transformers` saves models, and hold that what was written is the same.

    Args:
        where: the bundle, for messages.
        model: its model.
        folder: new or empty.

    Raises:
        RungError: the model does not write.
        OptionError: it counts n-grams, for which `transformers` has no form; or the folder is not free.
        BundleError: what was written would give other logits or other tokens.
    """
    writer = model.writer
    if not _is_transformer(writer):
        raise OptionError(
            where, "only a Transformer can be exported", "this model counts n-grams or is recurrent",
            "export gpt, pretrained, lora or finetuned",
        )  # fmt: skip
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(str(folder), "a model is exported to a new place", "something is there", "give another name")
    with Draft(folder) as draft:
        read = writer.coder
        coder, template = (read.inner, read.template) if isinstance(read, ChatCoder) else (read, None)
        closing = [] if template is None else [coder.special[name] for name in template.ends]
        _write_weights(where, writer, (coder.end, *closing), draft)
        _write_tokeniser(coder, template, draft)
        _hold_same_tokens(where, coder, draft)


def _is_transformer(writer: Any) -> bool:
    try:
        from yunti.models.causal import CausalLanguage
        from yunti.models.decoder import Decoder
        from yunti.models.writing import ModuleWriter
    except ImportError:  # without torch there are only n-grams
        return False
    return isinstance(writer, ModuleWriter) and isinstance(writer.module.language, Decoder | CausalLanguage)


def _write_weights(where: str, writer: Any, ends: tuple[int, ...], folder: Path) -> None:
    """Write configuration and weights, and read them again; the first end is that of a text."""
    import torch

    from yunti.models.causal import CausalLanguage
    from yunti.models.decoder import Decoder
    from yunti.models.exchange import read_transformers, write_transformers
    from yunti.models.hub import load_causal, save_causal

    language, end = writer.module.eval().language, ends[0]
    some = [each for each in range(len(language.head_weight)) if each != end]  # which may stand for a beginning
    tokens = torch.tensor([some[:_PROBE]])
    with torch.inference_mode():
        wanted = language({"tokens": tokens.to(language.head_weight.device)}).cpu()
        match language:
            case Decoder():
                write_transformers(language, folder, end)
                got = read_transformers(folder).eval()({"tokens": tokens})
            case CausalLanguage():
                save_causal(language.plain(), folder)
                got = load_causal(folder)(tokens).logits
            case _:
                raise TypeError(f"{type(language).__name__} has no form in transformers")
    closing = list(dict.fromkeys(ends))
    told = {"bos_token_id": getattr(language, "first", end), "eos_token_id": closing if closing[1:] else end}
    (folder / "generation_config.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    if not bool((got - wanted).abs().max() <= _NEAR * max(1.0, float(wanted.abs().max()))):
        got_words = f"its logits differ by {float((got - wanted).abs().max()):.2g}"
        raise BundleError(where, "the exported model must give the same logits", got_words, "keep the bundle instead")


def _write_tokeniser(coder: TextCoder, template: Template | None, folder: Path) -> None:
    told: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end_name(coder),
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": template is None,  # no text is read as a special token, even one that spells its name
    }
    if template is not None:  # `transformers` writes its marks into the text, and must read them as tokens there
        told["chat_template"] = template.jinja()
    names = {token: name for name, token in coder.special.items()}
    told["bos_token"] = names.get(coder.first, end_name(coder))
    content = json.dumps(as_tokenizers(coder), ensure_ascii=False)
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _hold_same_tokens(where: str, coder: TextCoder, folder: Path) -> None:
    written = FolderCoder.read(folder)
    differs = next((text for text in _TEXTS if not np.array_equal(written.encode(text), coder.encode(text))), None)
    if differs is not None or written.end != coder.end:
        got = f"{differs!r} has others"
        raise BundleError(where, "the exported tokeniser must give the same tokens", got, "keep the bundle instead")

"""The tokeniser of a pretrained model, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.table import Ragged
from yunti.data.tokenisers.blocks import running
from yunti.data.tokenisers.coder import CoderState, TextCoder
from yunti.data.tokenisers.files import FolderFiles
from yunti.data.tokenisers.pairs import byte_letters, pieces_of, tokens_of
from yunti.errors import SourceError
from yunti.words import say

_FILE: Final = "tokenizer.json"
_PROBES: Final = (
    "It's 3.14 o'clock,\n\n  and  \tthat\u2019s all. ",
    " 云梯，攻城之具。\r\n",
    "e\u0301 \u00e9 ﬁ Ⅷ İ \x00 \u2581 \ufffd",
    "한국어 日本語 हिन्दी ไทย 👩🏽‍🚀",
)
_MEND: Final = "name the folder of a model with BPE over bytes, such as GPT-2, Llama, Qwen or SmolLM"
_SPACE_MARK: Final = "\u2581"  # how SentencePiece writes a space
_MARKING: Final = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE_MARK}
_BYTE_NAMES: Final = {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}


@final
class FolderCoder(TextCoder):
    """Byte-level BPE as a pretrained model has it: same pairs, same rules for words, same numbers.

    Where we differ from the package it was made with: normal forms are off, so that every text comes back as it was
    (most text is in normal form C already and reads the same); no token is added at the beginning or the end; and
    special tokens are never read out of a text. BPE of SentencePiece that falls back to bytes, as in Llama 2, is read
    as well: no space is put before a text, and the mark by which it writes spaces is itself written in bytes.

    Args:
        tokenizer: the content of `tokenizer.json`.
        end: the token that ends a document.
        special: special tokens by name, `end` aside.
        name: what the folder is called.
    """

    kind = "folder"

    def __init__(self, tokenizer: str, end: int, special: Mapping[str, int], name: str) -> None:
        self._json, self._name = tokenizer, name
        learned = json.loads(tokenizer)
        added = learned["added_tokens"]
        own = dict(learned["model"]["vocab"].items() - {(each["content"], each["id"]) for each in added})
        self._is_marked = bool(learned["model"].get("byte_fallback"))
        pieces = _marked_pieces(own) if self._is_marked else pieces_of(own, set())
        for each in added:
            pieces += [b""] * (each["id"] + 1 - len(pieces))
            pieces[each["id"]] = b"" if each["special"] else each["content"].encode()  # as it stands in a text
        super().__init__(pieces, end, special)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the tokeniser of a model's folder.

        Args:
            folder: with `tokenizer.json`, and the end's name or number in `tokenizer_config.json`,
                `special_tokens_map.json`, `generation_config.json` or `config.json`.

        Raises:
            SourceError: there is none, it is damaged, or it is not lossless byte-level BPE.
        """
        path = folder / _FILE
        files = FolderFiles(folder)
        learned = files.read(_FILE)
        must = "its tokeniser must be BPE over bytes, which every text comes back from"
        try:
            lossless = _without_losses(learned)
            special = {each["content"]: each["id"] for each in learned["added_tokens"] if each["special"]}
            end = _end(files, {**learned["model"]["vocab"], **special})
            coder = cls(json.dumps(lossless, ensure_ascii=False), end, special, folder.name)
        except (KeyError, TypeError, AttributeError) as error:
            got = f"its model is {_kind(learned)}, or holds no {error}"
            raise SourceError(str(path), must, got, _MEND) from error
        lost = next((text for text in _PROBES if coder.decode(coder.encode(text)) != text), None)
        if lost is not None:
            raise SourceError(str(path), must, f"{lost!r} does not", _MEND)
        return coder

    @property
    def first(self) -> int:
        """The token that a document begins from: the one that the package would put before it, else the end."""
        for part in _parts(json.loads(self._json).get("post_processor")):
            if part.get("type") == "TemplateProcessing" and "SpecialToken" in (part["single"] or [{}])[0]:
                name = part["single"][0]["SpecialToken"]["id"]
                return int(part["special_tokens"][name]["ids"][0])
        return self.end

    def describe(self) -> str:
        """Say what it is."""
        return say("coder.folder", name=self._name, size=self.size)

    def state(self) -> CoderState:
        """Return all of it."""
        facts = {"kind": self.kind, "end": self.end, "special": self.special, "name": self._name}
        return CoderState(facts, {"tokenizer": self._json})

    @classmethod
    def restored(cls, state: CoderState) -> Self:
        """Make a coder of a state."""
        facts = state.facts
        return cls(state.texts["tokenizer"], facts["end"], facts["special"], facts["name"])

    @cached_property
    def _rust(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self._json)
        tokenizer.encode_special_tokens = True
        return tokenizer

    def _encode(self, texts: pa.LargeStringArray) -> Ragged:
        rows = texts.to_pylist()
        if not self._is_marked or not any(_SPACE_MARK in text for text in rows):
            return tokens_of(self._rust, rows)
        mark = [self.pieces.index(bytes([byte])) for byte in _SPACE_MARK.encode()]
        between = [self._around(text.split(_SPACE_MARK), mark) for text in rows]
        return Ragged(np.concatenate(between), running(np.array([len(each) for each in between])))

    def _around(self, parts: list[str], mark: list[int]) -> NDArray[np.uint32]:
        """Return the tokens of a text's parts with a mark between them."""
        found = tokens_of(self._rust, parts)
        cuts = np.repeat(found.offsets[1:-1], len(mark))
        return np.insert(found.values, cuts, np.tile(np.array(mark, dtype=np.uint32), len(parts) - 1))


def _without_losses(learned: dict[str, Any]) -> dict[str, Any]:
    """Switch off what changes a text: normal forms, spaces put before it, spaces taken around a token."""
    alphabet, is_marked = learned["model"]["vocab"].keys(), bool(learned["model"].get("byte_fallback"))
    if _kind(learned) != "BPE" or not (_BYTE_NAMES if is_marked else byte_letters()).keys() <= alphabet:
        raise KeyError("token for each byte")
    off = {"normalizer": _MARKING if is_marked else None, "truncation": None, "padding": None}
    plain = {"lstrip": False, "rstrip": False, "normalized": False}
    added = [{**each, **plain} for each in learned["added_tokens"]]
    model = {**learned["model"], "dropout": None}
    return {**_no_first_space(learned), **off, "added_tokens": added, "model": model}


def _marked_pieces(vocabulary: Mapping[str, int]) -> list[bytes]:
    """Return the bytes of each token of SentencePiece."""
    pieces = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for name, token in vocabulary.items():
        pieces[token] = _BYTE_NAMES[name] if name in _BYTE_NAMES else name.replace(_SPACE_MARK, " ").encode()
    return pieces


def _no_first_space(part: Any) -> Any:
    if isinstance(part, list):
        return [_no_first_space(each) for each in part]
    if not isinstance(part, dict) or "vocab" in part:
        return part
    off = {"add_prefix_space": False, "prepend_scheme": "never"}
    return {name: off.get(name) if name in off else _no_first_space(each) for name, each in part.items()}


def _parts(processor: Any) -> list[dict[str, Any]]:
    """Return a post-processor's parts: itself, where it has none."""
    return (
        processor["processors"] if processor and processor["type"] == "Sequence" else [processor] if processor else []
    )


def _kind(learned: Any) -> str:
    """Name the model of a tokeniser; old files leave the name of BPE out."""
    model = learned.get("model", {}) if isinstance(learned, dict) else {}
    return str(model.get("type") or ("BPE" if "merges" in model else "of an unknown kind"))


def _end(files: FolderFiles, tokens: Mapping[str, int]) -> int:
    """Return the token that ends a document."""
    for told in files.named("eos_token"):
        if told in tokens:
            return tokens[told]
    for name in ("generation_config.json", "config.json"):
        number = files.told(name).get("eos_token_id")
        number = number[0] if isinstance(number, list) and number else number
        if isinstance(number, int):
            return number
    raise KeyError("eos_token")

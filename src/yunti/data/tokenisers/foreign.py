"""Tokenisers in the form that the package `tokenizers` reads: same texts, same tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from yunti.data.tokenisers.bytewise import ByteCoder
from yunti.data.tokenisers.characters import CharacterCoder
from yunti.data.tokenisers.coder import TextCoder
from yunti.data.tokenisers.pairs import byte_letters
from yunti.data.tokenisers.words import DIGIT, IDEOGRAPH, LETTER, LINE, LONGEST_RUN, SPACE, classes_of_characters

END_NAME: Final = "<|end|>"
_SPELT: Final = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
_EACH_CHARACTER: Final = r"[\s\S]"


def as_tokenizers(coder: TextCoder) -> dict[str, Any]:
    """Return a coder as the content of a `tokenizer.json`; what begins a text is put before it.

    Bytes are BPE without pairs. Characters are BPE over single characters, of which those that are known are looked up
    whole and all others fall into their bytes. Learned pairs keep theirs, with a pattern that cuts words as
    `yunti.data.tokenisers.words` does.

    Args:
        coder: of any kind.

    Example:
        >>> from tokenizers import Tokenizer
        >>> coder = CharacterCoder.fit(["上云梯", "下云梯"])
        >>> made = Tokenizer.from_str(json.dumps(as_tokenizers(coder)))
        >>> made.encode("云a上", add_special_tokens=False).ids == coder.encode("云a上").tolist()
        True
    """
    state = coder.state()
    if "tokenizer" not in state.texts:
        pattern = _EACH_CHARACTER if isinstance(coder, CharacterCoder) else None
        assert isinstance(coder, ByteCoder | CharacterCoder)
        return _put_together(_model(coder), pattern, _special(coder))
    learned: dict[str, Any] = json.loads(state.texts["tokenizer"])
    if coder.kind == "folder":
        known = {each["content"] for each in learned["added_tokens"]}
        more = [each for each in _added(coder.special) if each["content"] not in known]
        return {**learned, "added_tokens": [*learned["added_tokens"], *more]}
    return _put_together(learned["model"], word_pattern(), _special(coder))


def end_name(coder: TextCoder) -> str:
    """Return what the token is called that ends a document."""
    return next((name for name, token in coder.special.items() if token == coder.end), END_NAME)


@cache
def word_pattern() -> str:
    """Return the pattern that cuts texts as `words_in` does, one match after the other.

    Classes are written out as ranges: packages know different versions of Unicode.
    """
    letter, digit, ideograph = _ranges([LETTER]), _ranges([DIGIT]), _ranges([IDEOGRAPH])
    space, line = _ranges([SPACE]), _ranges([LINE])
    other = f"^{_ranges([SPACE, LINE, DIGIT, LETTER, IDEOGRAPH])}"
    not_word = _ranges([LINE, DIGIT, IDEOGRAPH])  # what takes no space before it, spaces themselves aside
    run = f"{{1,{LONGEST_RUN}}}"
    takes = f"[{space}][^{space}{not_word}]"
    return "|".join(
        [
            f"(?<=[{letter}])['’][{letter}]{run}",
            f"[{space}]?[{letter}]{run}",
            f"[{space}]?[{other}]{run}",
            f"[{digit}]{{1,2}}",
            f"[{ideograph}]{run}",
            f"[{line}]{run}",
            f"[{space}]{{{LONGEST_RUN}}}(?=[{space}])",
            f"[{space}]{{1,{LONGEST_RUN - 1}}}(?={takes})",
            f"[{space}]{run}",
        ]
    )


def _put_together(model: dict[str, Any], pattern: str | None, special: dict[str, int]) -> dict[str, Any]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(special),
        "normalizer": None,
        "pre_tokenizer": _SPELT if pattern is None else {"type": "Sequence", "pretokenizers": [cut, _SPELT]},
        "post_processor": _beginning(special),
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {**model, "vocab": {**model["vocab"], **special}},
    }


def _beginning(special: dict[str, int]) -> dict[str, Any]:
    """Put the end of a text before each, as it stands there where our models read: the first of the special tokens."""
    name, token = next(iter(special.items()))
    begin, text, more = (
        {"SpecialToken": {"id": name, "type_id": 0}},
        {"id": "A", "type_id": 0},
        {"id": "B", "type_id": 1},
    )
    return {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": text}],
        "pair": [begin, {"Sequence": text}, {"Sequence": more}],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]}},
    }


def _model(coder: TextCoder) -> dict[str, Any]:
    letters = {byte: letter for letter, byte in byte_letters().items()}
    spelt = {"".join(letters[byte] for byte in piece): place for place, piece in enumerate(coder.pieces) if piece}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": isinstance(coder, CharacterCoder),  # one that is known as a whole is looked up
        "vocab": spelt,
        "merges": [],
    }


def _special(coder: TextCoder) -> dict[str, int]:
    return {end_name(coder): coder.end, **coder.special}


def _added(special: dict[str, int]) -> list[dict[str, Any]]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [
        {"id": token, "content": name, **plain} for name, token in sorted(special.items(), key=lambda each: each[1])
    ]


def _ranges(kinds: Sequence[int]) -> str:
    """Return the characters of some classes as ranges of a pattern."""
    inside = np.isin(classes_of_characters(), kinds)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    pairs = edges.reshape(-1, 2)
    return "".join(rf"\x{{{first:X}}}-\x{{{last - 1:X}}}" for first, last in pairs.tolist())

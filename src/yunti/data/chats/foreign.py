"""The template of a pretrained model's own: how it wrote the conversations that it learned from, if it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from yunti.data.chats.template import JinjaTemplate, Lines, Template
from yunti.data.chats.turns import Turn
from yunti.errors import SourceError

_ASKED: Final = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d")]
_CONFIG, _FILE = "tokenizer_config.json", "chat_template.jinja"
_NAMED: Final = ("bos_token", "eos_token", "unk_token", "pad_token")
_MEND: Final = "give another model, or take its chat template away"


def template_of(folder: Path, special: Mapping[str, int], first: int, end: int) -> Template:
    """Return the template that stands in a model's folder; where there is none, who speaks is told in plain words.

    Args:
        folder: of the model.
        special: its special tokens by name.
        first: the token that a document begins from.
        end: the token that ends one.

    Raises:
        SourceError: the folder has a template that answers do not end in, or no token that could end them.
        OptionError: the template cannot be rendered.
    """
    told = _told(folder / _CONFIG)
    names = {token: name for name, token in special.items()}
    source = _source(folder, told)
    if source is None:
        if end not in names:
            must = "a special token must end its texts, and then answers as well"
            raise SourceError(str(folder), must, f"token {end} is none", "give another model")
        return Lines(names[end])
    variables = {name: text for name in _NAMED if (text := _text(told, name))}
    closing: list[str] = []
    if special:  # any of them serves while it is not known which one ends answers
        tried = JinjaTemplate(source, [*special], next(iter(special)), variables, names.get(first, ""))
        closing = [piece.text for piece in tried.pieces(_ASKED) if piece.special and piece.counts]
    if len(closing) < sum(turn.role == "assistant" for turn in _ASKED):
        must, got = "a special token must end every answer in its chat template", "none does"
        raise SourceError(str(folder), must, got, _MEND)
    return JinjaTemplate(source, [*special], closing[0], variables, names.get(first, ""))


def _source(folder: Path, told: Mapping[str, Any]) -> str | None:
    file = folder / _FILE
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = told.get("chat_template")
    if isinstance(found, list):  # several by name
        named = {each["name"]: each["template"] for each in found}
        found = named.get("default", next(iter(named.values()), None))
    return found if isinstance(found, str) and found.strip() else None


def _text(told: Mapping[str, Any], name: str) -> str | None:
    found = told.get(name)
    found = found.get("content") if isinstance(found, dict) else found
    return found if isinstance(found, str) else None


def _told(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SourceError(
            str(path), "it must be a file of JSON", str(error), "fetch the model's folder again"
        ) from error
    return found if isinstance(found, dict) else {}

"""The template of a pretrained model's own: how it wrote the conversations that it learned from, if it did."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from yunti.data.chats.template import JinjaTemplate, Lines, Template
from yunti.data.chats.turns import Turn
from yunti.data.tokenisers import ChatCoder, FolderCoder, TextCoder
from yunti.data.tokenisers.files import CONFIG, FolderFiles
from yunti.errors import OptionError, SourceError

_ASKED: Final = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d")]
_FILE = "chat_template.jinja"
_NAMED: Final = ("bos_token", "eos_token", "unk_token", "pad_token")
_MEND: Final = "give another model, or take its chat template away"


def coder_in(folder: Path, chats: bool) -> TextCoder:
    """Return the tokeniser of a model's folder; of conversations, with its template or a plain one.

    Raises:
        SourceError: the folder has none that loses nothing, or none for conversations.
        OptionError: its template cannot be rendered.
    """
    coder = FolderCoder.read(folder)
    return ChatCoder(coder, template_of(folder, coder)) if chats else coder


def template_of(folder: Path, coder: FolderCoder) -> Template:
    """Return the template that stands in a model's folder; where there is none, who speaks is told in plain words.

    Args:
        folder: of the model.
        coder: its tokeniser.

    Raises:
        SourceError: the folder has a template that answers do not end in, or no token that could end them.
        OptionError: the template cannot be rendered.
    """
    special, end = coder.special, coder.end
    files = FolderFiles(folder)
    names = {token: name for name, token in special.items()}
    source = _source(files)
    if source is None:
        if end not in names:
            must = "a special token must end its texts, and then answers as well"
            raise SourceError(str(folder), must, f"token {end} is none", "give another model")
        return Lines(names[end])
    variables = {name: text for name in _NAMED if (text := next(files.named(name), ""))}
    closing: list[str] = []
    first = names.get(coder.first, "")
    if special:  # any of them serves while it is not known which one ends answers
        tried = JinjaTemplate(source, [*special], next(iter(special)), variables)
        first = _begun(tried) or first
        closing = [piece.text for piece in tried.pieces(_ASKED) if piece.special and piece.counts]
    if len(closing) < sum(turn.role == "assistant" for turn in _ASKED):
        must, got = "a special token must end every answer in its chat template", "none does"
        raise SourceError(str(folder), must, got, _MEND)
    return JinjaTemplate(source, [*special], closing[0], variables, first)


def _begun(template: JinjaTemplate) -> str:
    """Return the special token that a template begins every conversation from; "" where it writes none, or several."""
    begun = set[str]()
    for turns in (_ASKED, [Turn("system", "s"), *_ASKED]):
        try:
            piece = next(iter(template.pieces(turns)))
        except OptionError:  # nothing is said by the system to this model
            continue
        begun.add(piece.text if piece.special else "")
    return begun.pop() if len(begun) == 1 else ""


def _source(files: FolderFiles) -> str | None:
    file = files.folder / _FILE
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = files.told(CONFIG).get("chat_template")
    if isinstance(found, list):  # several by name
        named = {each["name"]: each["template"] for each in found}
        found = named.get("default", next(iter(named.values()), None))
    return found if isinstance(found, str) and found.strip() else None

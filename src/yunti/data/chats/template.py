"""What stands between the turns of a conversation when a model reads it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

from yunti.data.chats.turns import Turn
from yunti.errors import OptionError, nearest


@final
@dataclass(frozen=True)
class Piece:
    """A part of a conversation as a model reads it.

    Args:
        text: what is written; of a special token its name.
        special: whether it is a special token: no text is ever read as one.
        counts: whether a model learns to write it: what the assistant says, and the end of that.
    """

    text: str
    special: bool = False
    counts: bool = False


class Template(ABC):
    """Turns as pieces.

    Attributes:
        special: names of the special tokens that the tokeniser must have.
        ends: those of them that end an answer.
        first: the one that every conversation begins from, and that its pieces leave out, since it keeps conversations
            apart as well; "" where they begin from what the tokeniser puts before a text.
    """

    kind: ClassVar[str]
    special: tuple[str, ...]
    ends: tuple[str, ...]
    first: str = ""

    @abstractmethod
    def pieces(self, turns: Sequence[Turn], ask: bool = False) -> list[Piece]:
        """Return a conversation in pieces.

        Args:
            turns: of the conversation.
            ask: whether to end with what the assistant's next answer begins from.
        """

    @abstractmethod
    def jinja(self) -> str:
        """Return it as other programs read it: the `chat_template` of a model's folder."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return all of it in plain JSON values."""


@final
class Marks(Template):
    """A mark for who speaks, what is said, and a mark for its end; the letters of what is said stay as they are.

    Example:
        >>> [piece.text for piece in Marks().pieces([Turn("user", "1 + 1?")], ask=True)]
        ['<|user|>', '1 + 1?', '<|over|>', '<|assistant|>']
    """

    kind = "marks"
    special = ("<|system|>", "<|user|>", "<|assistant|>", "<|over|>")
    ends = ("<|over|>",)

    def pieces(self, turns: Sequence[Turn], ask: bool = False) -> list[Piece]:
        """Return a conversation in pieces."""
        found = []
        for turn in turns:
            counts = turn.role == "assistant"
            found.append(Piece(f"<|{turn.role}|>", special=True))
            found.append(Piece(turn.content, counts=counts))
            found.append(Piece(self.ends[0], special=True, counts=counts))
        return [*found, Piece("<|assistant|>", special=True)] if ask else found

    def jinja(self) -> str:
        """Return it as other programs read it."""
        turns = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|over|>{% endfor %}"
        return "{{ bos_token }}" + turns + "{% if add_generation_prompt %}<|assistant|>{% endif %}"

    def facts(self) -> dict[str, Any]:
        """Return which it is."""
        return {"kind": self.kind}


@final
class Lines(Template):
    """Who speaks on a line of its own, what is said below, and an answer's end: for models that know no marks.

    Args:
        end: the token that ends an answer, one that the model has: mostly that which ends its texts.

    Example:
        >>> pieces = Lines("<end>").pieces([Turn("user", "1 + 1?"), Turn("assistant", "2")])
        >>> "".join(piece.text for piece in pieces)
        'User:\\n1 + 1?\\n\\nAssistant:\\n2<end>\\n\\n'
    """

    kind = "lines"

    def __init__(self, end: str) -> None:
        self.special = self.ends = (end,)

    def pieces(self, turns: Sequence[Turn], ask: bool = False) -> list[Piece]:
        """Return a conversation in pieces."""
        found = []
        for turn in turns:
            answers = turn.role == "assistant"
            found += [Piece(f"{turn.role.title()}:\n"), Piece(turn.content, counts=answers)]
            found += [Piece(self.ends[0], special=True, counts=True)] if answers else []
            found.append(Piece("\n\n"))
        return [*found, Piece("Assistant:\n")] if ask else found

    def jinja(self) -> str:
        """Return it as other programs read it."""
        end = f"{{% if message.role == 'assistant' %}}{self.ends[0]}{{% endif %}}"
        turns = "{{ bos_token }}{% for message in messages %}{{ message.role.title() + ':\n' + message.content }}"
        asking = "{% if add_generation_prompt %}{{ 'Assistant:\n' }}{% endif %}"
        return f"{turns}{end}{{{{ '\n\n' }}}}{{% endfor %}}{asking}"

    def facts(self) -> dict[str, Any]:
        """Return all of it."""
        return {"kind": self.kind, "end": self.ends[0]}


@final
class JinjaTemplate(Template):
    """The `chat_template` of a pretrained model, rendered in a sandbox.

    What is said is put in only after the template was rendered and cut at its special tokens: so no text is read as a
    token, and it is known which letters are an answer's. Special tokens in the template's own text are tokens.

    Args:
        source: the template, as in the `tokenizer_config.json` of a model.
        special: names of the special tokens of its tokeniser.
        end: the one that ends an answer.
        variables: further names that the template knows, such as `bos_token` and `eos_token`.
        first: the special token that every conversation begins from, which pieces leave out.

    Example:
        >>> source = "{% for m in messages %}{{ m.role }}: {{ m.content }}<end>{% endfor %}"
        >>> template = JinjaTemplate(source, ["<end>"], "<end>")
        >>> [piece.text for piece in template.pieces([Turn("user", "Is <end> the end?")])]
        ['user: ', 'Is <end> the end?', '<end>']

    Source: https://huggingface.co/docs/transformers/chat_templating
    """

    kind = "jinja"

    def __init__(
        self,
        source: str,
        special: Sequence[str],
        end: str,
        variables: Mapping[str, str] | None = None,
        first: str = "",
    ) -> None:
        self.source, self.special, self.ends, self.variables = source, tuple(special), (end,), dict(variables or {})
        self.first = first
        if end not in self.special:
            raise OptionError(
                "chat_template", "its end must be a special token", f"{end!r} is none", nearest(end, special)
            )

    def pieces(self, turns: Sequence[Turn], ask: bool = False) -> list[Piece]:
        """Return a conversation in pieces.

        Raises:
            OptionError: the template cannot be rendered, or does not write every message once and in order.
        """
        parts = _STANDS.split(self._rendered(turns, ask))
        if [int(each) for each in parts[1::2]] != list(range(len(turns))):
            mend = "give a model whose template does"
            raise OptionError("chat_template", "it must write every message once, in their order", "it does not", mend)
        found, answers = [], False
        for place, part in enumerate(parts):
            if place % 2:
                answers = turns[int(part)].role == "assistant"
                found.append(Piece(turns[int(part)].content, counts=answers))
                continue
            for piece in self._cut(part):
                found.append(Piece(piece.text, piece.special, counts=answers))
                answers = answers and not piece.special  # an answer ends with the first special token
        return found[1:] if found and found[0].special and found[0].text == self.first else found

    def jinja(self) -> str:
        """Return it as other programs read it."""
        return self.source

    def facts(self) -> dict[str, Any]:
        """Return all of it."""
        own = {"source": self.source, "special": [*self.special], "end": self.ends[0], "variables": self.variables}
        return {"kind": self.kind, **own, "first": self.first}

    def _rendered(self, turns: Sequence[Turn], ask: bool) -> str:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: str) -> str:
            raise TemplateError(message)

        room = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        messages = [{"role": turn.role, "content": f"\0{place}\0"} for place, turn in enumerate(turns)]
        absent = {"tools": None, "documents": None}  # templates ask whether they are none
        given = {"messages": messages, "add_generation_prompt": ask, "raise_exception": refuse}
        try:
            return room.from_string(_GENERATION.sub(_as_block, self.source)).render(
                {**absent, **self.variables, **given}
            )
        except (TemplateError, TypeError, ValueError) as error:
            mend = "change the conversation, or give a model with another template"
            raise OptionError("chat_template", "it must render the conversation", str(error), mend) from error

    def _cut(self, text: str) -> Iterator[Piece]:
        longest = sorted(self.special, key=len, reverse=True)
        for part in re.split(f"({'|'.join(map(re.escape, longest))})", text):
            if part:
                yield Piece(part, special=part in self.special)


# a tag of `transformers` that marks answers, which we find by their place: what stands in it is rendered as any block
_GENERATION: Final = re.compile(r"{%([-+]?)\s*(end)?generation\s*([-+]?)%}")
_STANDS: Final = re.compile("\0([0-9]+)\0")


def _as_block(tag: re.Match[str]) -> str:
    before, ends, after = tag.groups()
    return f"{{%{before} {'endif' if ends else 'if true'} {after}%}}"


def restore_template(facts: Mapping[str, Any]) -> Template:
    """Make the template that told its facts.

    Raises:
        OptionError: they are of no known kind.

    Example:
        >>> restore_template(Marks().facts()).ends
        ('<|over|>',)
    """
    if facts.get("kind") == Marks.kind:
        return Marks()
    if facts.get("kind") == JinjaTemplate.kind:
        source, special, end = facts["source"], facts["special"], facts["end"]
        return JinjaTemplate(source, special, end, facts["variables"], facts.get("first", ""))
    if facts.get("kind") == Lines.kind:
        return Lines(facts["end"])
    got, mend = f"{facts.get('kind')!r} is none", "use the version that wrote it"
    raise OptionError("chat template", "it must be a known one", got, mend)

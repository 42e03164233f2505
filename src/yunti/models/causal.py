"""Causal language models of others as networks of tokens: one class for every architecture of `transformers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast, final

import torch
from torch import Tensor, nn

from yunti.errors import RungError
from yunti.models.hub import causal_from, config_of
from yunti.models.lora import Adapted, add_adapters, turn
from yunti.models.token_module import Reading, TokenModule

Learns = Literal["nothing", "adapters", "all"]

_AT_ONCE: Final = 1 << 12  # tokens that are read at once where nothing is learned: bounds the memory of wide layers
_PROBE: Final = 12  # tokens by which a model is tried out
_NEAR: Final = 1e-4
_LONGEST: Final = 4096  # tokens of a context where the model names none
_CONTEXTS: Final = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length")
_WIDTHS: Final = ("hidden_size", "n_embd", "d_model")


@final
class CausalLanguage(TokenModule):
    """A pretrained causal language model.

    Its state is what learns and nothing else: adapters alone, or every weight once, however often it is tied. What
    stays as it was is left where it was loaded from.

    Args:
        model: as `yunti.models.hub.load_causal` returns it.
        first: the token that a document begins from.
        end: the token that ends one. Where a row of tokens is read, an end stands only before a document, so the first
            token takes its place there.
        learns: nothing; adapters beside all linear layers but the head; or all weights.
        rank: of the adapters.

    Raises:
        RungError: its logits are no product of its states, or it reads what comes after: it would be scored wrongly.
    """

    def __init__(self, model: nn.Module, first: int, end: int, learns: Learns = "nothing", rank: int = 0) -> None:
        config = _config(model)
        with torch.device("meta"):  # the model has an embedding
            cap = float(getattr(config, "final_logit_softcapping", None) or 0.0)
            super().__init__(1, 1, cap, longest_of(config.to_dict()))
        self.first, self.end = first, end
        self.factor = _factor(config)
        self.model = model
        self.tokens = cast(Any, model).get_input_embeddings()
        _hold_causal(self)
        self.packs = _keeps_apart(self)
        self.turned: tuple[str, ...] = ()
        model.requires_grad_(learns == "all")
        if learns == "adapters":
            self.turned = turn(self.base)
            add_adapters(self.base, rank)
        self._kept = self._names_that_learn()
        self._stays = frozenset(self.state_dict()) - self._kept
        self.register_state_dict_post_hook(_leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back)  # type: ignore[no-untyped-call]

    @property
    def base(self) -> nn.Module:
        """The model without its head."""
        return cast(nn.Module, self.model.base_model)

    @property
    def head_weight(self) -> Tensor:
        """From states to logits, shape (vocabulary, width)."""
        return cast(Tensor, cast(Any, self.model).get_output_embeddings().weight)

    def states(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return what the model makes of each token and those before it, shape (rows, steps, width)."""
        places = None if documents is None else places_in(documents)
        if self.training:
            return self._read(tokens, places)
        rows = max(1, _AT_ONCE // tokens.shape[1])
        starts = range(0, len(tokens), rows)
        parts = [
            (tokens[each : each + rows], None if places is None else places[each : each + rows]) for each in starts
        ]
        return torch.cat([self._read(*part) for part in parts])

    def begin(self, tokens: Tensor) -> Held:
        """Read the start of texts that are to be written on, shape (rows, steps), with at least one step."""
        return Held(self, tokens)

    def read(self, tokens: Tensor, kept: Any = None) -> tuple[Tensor, Any]:
        """Return the logits after tokens, shape (rows, vocabulary), and what the model keeps of all so far.

        Args:
            tokens: shape (rows, steps), behind those that are kept.
            kept: of the tokens before; None where there are none.
        """
        made = self.base(input_ids=self._begun(tokens), past_key_values=kept, use_cache=True)
        return self.logits(made.last_hidden_state[:, -1] * self.factor), getattr(made, "past_key_values", None)

    def plain(self) -> nn.Module:
        """Return the model as its own architecture has it, adapters merged into its weights; a copy where there are."""
        adapted = {name: each for name, each in self.model.named_modules() if isinstance(each, Adapted)}
        if not adapted:
            return self.model
        model = causal_from(config_of(self.model))
        model.load_state_dict(dict(_merged(self.model, adapted, self.turned)))
        return model

    def _read(self, tokens: Tensor, places: Tensor | None = None) -> Tensor:
        more = {} if places is None else {"position_ids": places}
        states: Tensor = self.base(input_ids=self._begun(tokens), use_cache=False, **more).last_hidden_state
        return states * self.factor if self.factor != 1 else states

    def _begun(self, tokens: Tensor) -> Tensor:
        return tokens if self.first == self.end else tokens.masked_fill(tokens == self.end, self.first)

    def _names_that_learn(self) -> frozenset[str]:
        learns = {name for name, each in self.named_parameters() if each.requires_grad}
        weights = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        whole = all(each.requires_grad for each in self.parameters())
        return frozenset(learns | (set(self.state_dict()) - weights if whole else set()))


@final
class Held(Reading):
    """What a model keeps of the tokens so far: its own cache, or the tokens where its architecture has none.

    Once as many tokens as the model can read are in, the latter half of them is read anew, as with a `Decoder`.

    Args:
        language: whose tokens these are.
        tokens: shape (rows, steps); of more than it can read, the last ones are.
    """

    @torch.no_grad()
    def __init__(self, language: CausalLanguage, tokens: Tensor) -> None:
        self._language = language
        self._kept: Any = None
        self._tokens = tokens
        super().__init__(self._read_anew(tokens[:, -language.context :]))

    @torch.no_grad()
    def step(self, token: Tensor) -> Tensor:
        """Read one more token in every row, and return the logits of the one after it, shape (rows, vocabulary)."""
        longest = self._language.context
        full = self._tokens.shape[1] >= longest
        before = self._tokens[:, longest - longest // 2 :] if full else self._tokens
        tokens = torch.cat([before, token[:, None]], dim=1)
        if full or self._kept is None:
            self.logits = self._read_anew(tokens)
        else:
            self._tokens = tokens
            self.logits, self._kept = self._language.read(token[:, None], self._kept)
        return self.logits

    def _read_anew(self, tokens: Tensor) -> Tensor:
        self._tokens = tokens
        logits, self._kept = self._language.read(tokens)
        return logits


def fold(module: nn.Module) -> None:
    """Fold adapters into the weights beside them, so that reading costs no more than with the model alone."""
    for layer in module.modules():
        if isinstance(layer, Adapted):
            layer.fold()


def places_in(documents: Tensor) -> Tensor:
    """Return the place of each token in its document, counted from where that begins in the row.

    Example:
        >>> places_in(torch.tensor([[4, 4, 4, 5, 6, 6]]))
        tensor([[0, 1, 2, 0, 0, 1]])
    """
    steps = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return steps - torch.where(begins, steps, 0).cummax(dim=1).values


def longest_of(config: Mapping[str, Any]) -> int:
    """Return how many tokens a model can read at once, from its `config.json`."""
    return next((int(config[name]) for name in _CONTEXTS if config.get(name)), _LONGEST)


def width_of(config: Mapping[str, Any]) -> int:
    """Return how many numbers a state has, from a model's `config.json`; those of a usual small one if it is silent."""
    return next((int(config[name]) for name in _WIDTHS if config.get(name)), 768)


def _config(model: nn.Module) -> Any:
    return cast(Any, model).config.get_text_config()


def _factor(config: Any) -> float:
    """Return what logits are multiplied with: Cohere's models name it, Granite's name its inverse."""
    scaled = getattr(config, "logit_scale", None)
    divided = getattr(config, "logits_scaling", None)
    return float(scaled) if isinstance(scaled, float) else 1 / float(divided) if divided else 1.0


@torch.no_grad()
def _hold_causal(language: CausalLanguage) -> None:
    """Hold that logits are made of states as `TokenModule` makes them, and that a token knows only of those before."""
    vocabulary, kind = len(language.head_weight), type(language.model).__name__
    tokens = (1 + 7 * torch.arange(_PROBE)[None]) % vocabulary
    try:
        states, other = (language.states(some) for some in (tokens, _changed(tokens, vocabulary)))
        wanted = language.model(input_ids=language._begun(tokens)).logits
    except (AttributeError, TypeError, ValueError) as error:
        raise _refused(kind, f"it cannot be read like one ({' '.join(str(error).split())[:120]})") from error
    if not _near(states[:, :-1], other[:, :-1]):
        raise _refused(kind, "it reads what comes after a token too")
    if not _near(language.logits(states), wanted):
        raise _refused(kind, "its logits are more than a product of its states, such as with a bias of their own")


@torch.no_grad()
def _keeps_apart(language: CausalLanguage) -> bool:
    """Try whether places that begin anew keep two documents of one row apart."""
    tokens = (1 + 7 * torch.arange(_PROBE)[None]) % len(language.head_weight)
    documents, half = torch.arange(_PROBE)[None] // (_PROBE // 2), _PROBE // 2
    try:
        return _near(language.states(tokens, documents)[:, half:], language.states(tokens[:, half:]))
    except (TypeError, ValueError, RuntimeError):  # an architecture that takes no places
        return False


def _changed(tokens: Tensor, vocabulary: int) -> Tensor:
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % vocabulary
    return changed


def _near(one: Tensor, two: Tensor) -> bool:
    return bool((one - two).abs().max() <= _NEAR * max(1.0, float(two.abs().max())))


def _refused(kind: str, got: str) -> RungError:
    must = "it must be a causal language model that can be scored exactly"
    return RungError("--pretrained", must, f"{kind} is none: {got}", "give another, such as GPT-2, Llama or Qwen")


def _merged(model: nn.Module, adapted: Mapping[str, Adapted], turned: tuple[str, ...]) -> list[tuple[str, Tensor]]:
    """Return a model's weights by the names of its own architecture, with what the adapters add to them."""
    found = []
    for name, value in model.state_dict().items():
        layer, _, part = name.rpartition(".")
        owner = layer.removesuffix(".base")
        adapter = adapted.get(owner)
        if adapter is None:
            found.append((name, value))
        elif layer.endswith(".base"):
            is_turned = any(owner.endswith(each) for each in turned)
            found.append((f"{owner}.{part}", _whole(adapter, is_turned) if part == "weight" else value))
    return found


@torch.no_grad()
def _whole(adapter: Adapted, is_turned: bool) -> Tensor:
    return adapter.weight.T if is_turned else adapter.weight


def _leave_out(module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    for name in cast(CausalLanguage, module)._stays:
        state.pop(prefix + name, None)


def _put_back(module: nn.Module, state: dict[str, Tensor], prefix: str, *_rest: Any) -> None:
    """Let what is not in a state stay as it is."""
    own = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    for name in cast(CausalLanguage, module)._stays:
        state.setdefault(prefix + name, own[name].detach())

"""What the rungs have in common that stand on a pretrained language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yunti.ladders.folders import told_by, unfit_place
from yunti.ladders.language.counted import too_few_texts
from yunti.models.contract import Model, Size
from yunti.models.costs import are_chats
from yunti.specs import Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.blueprint import Design, Reader
    from yunti.models.causal import Learns
    from yunti.models.causal_texts import BaseTexts

_WRITES = ("ForCausalLM", "LMHeadModel")  # how `transformers` ends the names of models that write
_USUAL_WIDTH, _USUAL_RATE, _LEAST_RATE, _MOST_RATE = 768, 4e-5, 1e-5, 5e-4
BATCH_TOKENS = 8192


def unfit_for(spec: Spec) -> str | None:
    """Say why no rung on a pretrained model can serve, or None; looks at the folder's files, never at weights."""
    if reason := unfit_place(spec) or too_few_texts(spec):
        return reason
    folder = Path(spec.pretrained or "")
    if not folder.is_dir():
        return None
    told = told_by(folder) or {}
    names = [str(name) for name in told.get("architectures") or []]
    if told.get("is_encoder_decoder") or (names and not any(name.endswith(_WRITES) for name in names)):
        return say("unfit.no causal", name=", ".join(names) or told.get("model_type", "model"))
    tokeniser = folder / "tokenizer.json"
    if not tokeniser.is_file():
        return say("unfit.no tokeniser", folder=folder)
    changed = tuple(sorted((each.name, each.stat().st_mtime_ns) for each in folder.iterdir()))
    return _unfit_tokeniser(folder, are_chats(spec), changed)


@lru_cache(maxsize=8)
def _unfit_tokeniser(folder: Path, chats: bool, _changed: tuple[tuple[str, int], ...]) -> str | None:
    from yunti.data.chats.foreign import template_of
    from yunti.data.tokenisers import FolderCoder
    from yunti.errors import InputError

    try:
        coder = FolderCoder.read(folder)
    except InputError as error:
        return say("unfit.tokeniser", folder=folder, got=error.parts[2])
    try:
        if chats:
            template_of(folder, coder)
    except InputError as error:
        return say("unfit.template", folder=folder, got=error.parts[2])
    return None


def build_on(
    name: str, spec: Spec, size: Size, design: Callable[[Spec, Reader, Size], Design], learns: Learns
) -> Model:
    """Make the untrained network of a rung in which a pretrained model learns.

    Args:
        name: the rung's name.
        spec: one column of texts.
        size: the dial, which changes nothing: the model is as large as it is.
        design: derives rank and recipe.
        learns: adapters, or all weights.
    """
    from yunti.models.blueprint import Blueprint
    from yunti.models.causal import fold
    from yunti.models.causal_texts import BaseTexts
    from yunti.models.language import Documents, NextToken
    from yunti.models.network import Network

    def reader(spec: Spec) -> BaseTexts:
        return BaseTexts(spec, learns)

    return Network(
        spec,
        Blueprint(
            name, reader, design, assemble, objective=NextToken, packing=Documents(), on_base=True, finish=fold
        ),
        size,
    )  # fmt: skip


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module.

    Raises:
        OptionError: the context is longer than the model can read.
    """
    from yunti.errors import OptionError
    from yunti.models.causal import longest_of

    base = base_of(reader)
    longest = longest_of(base.config)
    if shape["context"] > longest:
        must = f"it must be at most the {longest:,} tokens that the pretrained model reads at once"
        raise OptionError("model.context", must, f"it is {shape['context']:,}", f"choose {longest}")
    return base.module(shape.get("rank", 0))


def told_of(reader: Reader) -> dict[str, Any]:
    """Return what the plan tells of the base."""
    base = base_of(reader)
    place, sha256 = base.base.place, base.base.weights_sha256
    return {"base": place, "base_sha256": sha256, "tokeniser": base.coder.describe()}


def whole_rate(reader: Reader) -> float:
    """Return the learning rate at which all weights learn: 4e-5 for the usual width, and less for wider models.

    As 1 / width (Yang et al., 2022, arXiv 2203.03466), within what is published for models of 50 to 5,000 numbers a
    state.

    Args:
        reader: knows the model.
    """
    from yunti.models.causal import width_of

    rate = _USUAL_RATE * _USUAL_WIDTH / width_of(base_of(reader).config)
    return min(_MOST_RATE, max(_LEAST_RATE, rate))


def tuned_epochs(tokens: float) -> float:
    """Return how often every text is seen: three times, and once where there are many.

    Example:
        >>> tuned_epochs(1e5), tuned_epochs(5e6), tuned_epochs(1e9)
        (3.0, 2.0, 1.0)
    """
    return 3.0 if tokens < 2e6 else 2.0 if tokens < 2e7 else 1.0


def tokens_in(spec: Spec) -> float:
    """Return about how many tokens the training texts have."""
    return spec.rows * (spec.of_kind("text")[0].length or 1) / 3


def batch_for(context: int) -> int:
    """Return the windows of a batch, of about 8,192 tokens in all."""
    return max(4, BATCH_TOKENS // context)


def base_of(reader: Reader) -> BaseTexts:
    """Return the reader as the one that these rungs have."""
    from yunti.models.causal_texts import BaseTexts

    assert isinstance(reader, BaseTexts)
    return reader

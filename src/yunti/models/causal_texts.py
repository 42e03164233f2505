"""Texts for pretrained language models: their tokeniser, where they are, and scoring with nothing learned."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from yunti.data.chats.foreign import coder_in
from yunti.data.encode import Encoded, Stream
from yunti.data.table import Examples, Packed, Table
from yunti.data.tokenisers import ChatCoder, CoderState, FolderCoder, TextCoder, restore_coder
from yunti.errors import RungError
from yunti.models.causal import CausalLanguage, Learns, longest_of
from yunti.models.contract import Estimator, Parts, Size, Watch
from yunti.models.costs import are_chats, texts_of
from yunti.models.generation import Writer
from yunti.models.hub import BaseReference, causal_from, folder_of, load_causal
from yunti.models.language import TOKENS, NextToken, Surprise, score_texts
from yunti.models.network import moved
from yunti.models.writing import ModuleWriter
from yunti.specs import Spec

LONGEST_WINDOW: Final = 512  # tokens: twice as many cost a processor more than twice the time and tell little more
_WINDOWS: Final = 64  # that are made at once
_TRIED: Final = 8  # texts by which the time for scoring is foretold


@final
class BaseTexts:
    """The reader of a network that stands on a pretrained language model, and the way to that model.

    Args:
        spec: one column of texts, and the pretrained model that was given.
        learns: what of the model learns; one all of whose weights do needs nothing but them, its configuration and its
            tokeniser once it is trained.
    """

    streams: tuple[Stream, ...] = ()
    cardinalities: tuple[int, ...] = ()
    number_width = 0

    def __init__(self, spec: Spec, learns: Learns) -> None:
        self._spec, self.learns = spec, learns
        self._coder: TextCoder | None = None
        self._base: BaseReference | None = None
        self._folder: Path | None = None
        self._is_restored = False
        self.config: dict[str, Any] = {}

    @property
    def edges(self) -> NDArray[np.float32]:
        """There are no numbers."""
        return np.zeros((0, 2), dtype=np.float32)

    @property
    def coder(self) -> TextCoder:
        """The model's tokeniser; of conversations, with the template by which the model reads them."""
        if self._coder is None:
            raise RungError("pretrained", "the pretrained model must be found first", "it is not", "train the rung")
        return self._coder

    @property
    def base(self) -> BaseReference:
        """Where the model is."""
        assert self._base is not None
        return self._base

    @property
    def context(self) -> int:
        """Tokens that are read at once where nothing else is asked for."""
        return min(LONGEST_WINDOW, longest_of(self.config))

    def fit(self, table: Table) -> None:
        """Find the pretrained model; nothing is learned from the texts."""
        place = self._spec.pretrained or ""
        self._base, self._folder = BaseReference.to(place), folder_of(place)
        self._coder = coder_in(self._folder, are_chats(self._spec))
        self.config = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))

    def module(self, rank: int = 0) -> Surprise:
        """Make the module: with the weights that lie in the model's folder, or without any where they come later.

        Raises:
            RungError: it is no causal language model that can be scored, or its tokeniser is another model's.
            BundleError: the pretrained model is needed again, and is gone or was changed.
        """
        if self.learns == "all" and self._is_restored:
            model = causal_from(self.config)
        else:
            self._folder = self._folder or self.base.folder()  # read whole to compare it: once is enough
            model = load_causal(self._folder)
        language = CausalLanguage(model, self.coder.first, self.coder.end, self.learns, rank)
        _hold_tokens(plain_coder(self.coder), self.coder.first, model)
        return Surprise.of(language, self.coder)

    def encode(self, table: Table) -> Encoded:
        """Return the packed rows."""
        return {TOKENS: table.packed(TOKENS)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return nothing: all that a tokeniser has is JSON."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Return the tokeniser, the configuration, and where the model is."""
        state = self.coder.state()
        return {
            "coder": state.facts,
            "texts": state.texts,
            "config": self.config,
            "base": self.base.place,
            "weights_sha256": self.base.weights_sha256,
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take it back; the model itself is looked for when the module is made."""
        self._coder = restore_coder(CoderState(dict(facts["coder"]), dict(facts["texts"])))
        self._base = BaseReference(facts["base"], facts["weights_sha256"])
        self.config, self._folder, self._is_restored = dict(facts["config"]), None, True


@final
class ZeroShot(Estimator):
    """A pretrained language model as it is: its only cost is scoring.

    Args:
        spec: one column of texts, and the pretrained model.
        size: is not looked at.
    """

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec, size)
        self._texts = BaseTexts(spec, "nothing")
        self._module: Surprise | None = None
        self._plan: dict[str, Any] = {}

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Load the model, and foretell what scoring the validation texts will take.

        Raises:
            RungError: they cannot be scored in the time there is.
        """
        self._texts.fit(train.table)
        self._take()
        watch.tell(0.5)
        began, tried = time.monotonic(), valid.table.take(slice(0, _TRIED))
        self.predict(tried)
        seconds = (time.monotonic() - began) * len(valid) / max(1, len(tried))
        if seconds > watch.left:
            must = "scoring the validation texts must fit the time"
            got = f"it would take about {seconds:,.0f} s where {max(0.0, watch.left):,.0f} s are left"
            raise RungError("pretrained", must, got, "give more time or a smaller model")
        self._plan = {
            "tokeniser": self._texts.coder.describe(),
            "context": self._texts.context,
            "base": self._texts.base.place,
            "base_parameters": sum(each.numel() for each in self.module.language.parameters()),
            "architecture": type(self._language.model).__name__,
        }
        watch.tell(1.0)

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Leave the model as it is: it learns nothing from more texts either."""

    @property
    def module(self) -> Surprise:
        """The torch module."""
        if self._module is None:
            raise RungError("pretrained", "the pretrained model must be loaded first", "it is not", "train the rung")
        return self._module

    @property
    def _language(self) -> CausalLanguage:
        language = self.module.language
        assert isinstance(language, CausalLanguage)
        return language

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Return what each text costs: nats, bytes, characters, tokens and words, shape (rows, 5), float64."""
        texts, chats = texts_of(self.spec, table), are_chats(self.spec)
        return score_texts(texts, self._texts.coder, self._texts.context, self._read, chats)

    @property
    def writer(self) -> Writer:
        """The model as a writer."""
        return ModuleWriter(self.module, self._texts.coder, self.spec.device)

    @property
    def parameters(self) -> int:
        """None of its numbers were learned here; `plan` tells how many there are."""
        return 0

    @property
    def train_flops(self) -> float:
        """Nothing is trained."""
        return 0.0

    @property
    def plan(self) -> dict[str, Any]:
        """Which model it is, and how it is read."""
        return self._plan

    def parts(self) -> Parts:
        """Return the tokeniser, and where the model is."""
        return Parts(facts={"reader": self._texts.facts(), "plan": self._plan})

    def restore(self, parts: Parts) -> None:
        """Find the same model again."""
        self._texts.restore({}, parts.facts["reader"])
        self._plan = dict(parts.facts["plan"])
        self._take()

    def _take(self) -> None:
        self._module = self._texts.module().to(self.spec.device).eval()

    def _read(self, windows: Packed) -> NDArray[Any]:
        made = [np.zeros((0, 1, 3), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(windows), _WINDOWS):
                rows = np.arange(start, min(start + _WINDOWS, len(windows)))
                arrays = windows.arrays(rows)
                batch = {TOKENS + name: torch.from_numpy(each) for name, each in arrays.items()}
                made.append(self.module(moved(batch, self.spec.device)).float().cpu().numpy())
        return NextToken(self.spec.task).decode(np.concatenate(made))


def plain_coder(coder: TextCoder) -> FolderCoder:
    """Return the model's own tokeniser, by which all is read that is said."""
    own = coder.inner if isinstance(coder, ChatCoder) else coder
    assert isinstance(own, FolderCoder)
    return own


def _hold_tokens(coder: FolderCoder, first: int, model: nn.Module) -> None:
    """Hold that the model has a row for each token that a text can be written in, and for the end of one."""
    embedding: Any = model
    rows = len(embedding.get_input_embeddings().weight)
    most = max(coder.end, first, *(place for place, piece in enumerate(coder.pieces) if piece))
    if most >= rows:
        got = f"its token {most:,} has none among {rows:,}"
        raise RungError("--pretrained", "each token must have a vector in the model", got, "give a whole model folder")

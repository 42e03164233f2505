"""What the rungs share that count tokens: a tokeniser learned from the training texts, counts, and what texts cost."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.table import Examples, Ragged, Table
from yunti.data.token_file import TokenFile, write_tokens
from yunti.data.tokenisers import CoderState, TextCoder, every_nth, restore_coder
from yunti.devices import available_bytes
from yunti.errors import RungError
from yunti.ladders.rung import too_little
from yunti.models.contract import Estimator, Parts, Size, Watch
from yunti.models.costs import costs, learned_coder, texts_of
from yunti.models.generation import Apart, Together, Writer, Writing
from yunti.models.ngrams import Limits, NgramModel
from yunti.specs import Spec
from yunti.words import say

_ROWS: Final = 2_000  # whose tokens are held at once
_LEARNING: Final = 0.25  # of the time, for the tokeniser
_CODING: Final = 0.3  # and for the tokens of the texts
_MOST_MEMORY: Final = 2 << 30
_SHARE_OF_MEMORY: Final = 0.3  # of what is free


class Counted(Estimator):
    """A model of n-grams with the tokeniser that it counts by.

    Args:
        spec: one column of texts.
        size: is not looked at.
    """

    def __init__(self, spec: Spec, size: Size) -> None:
        super().__init__(spec, size)
        self._coder: TextCoder | None = None
        self._model: NgramModel | None = None
        self._plan: dict[str, Any] = {}

    @abstractmethod
    def count(self, train: TokenFile, valid: TokenFile | None, limits: Limits) -> NgramModel:
        """Return the model of the training tokens; the others may choose its order."""

    @abstractmethod
    def made_of(self, arrays: dict[str, NDArray[Any]]) -> NgramModel:
        """Return the model that gave these arrays."""

    @property
    def coder(self) -> TextCoder:
        """The tokeniser."""
        if self._coder is None:
            raise RungError("n-grams", "they must be counted before they are used", "they are not", "train the rung")
        return self._coder

    @property
    def model(self) -> NgramModel:
        """The counts."""
        assert self._model is not None
        return self._model

    def fit(self, train: Examples, valid: Examples, watch: Watch) -> None:
        """Choose and learn the tokeniser, and count; the validation texts choose the order of n-grams."""
        texts = texts_of(self.spec, train.table)
        self._coder, reason = learned_coder(self.spec, texts, _LEARNING * watch.left)
        watch.tell(0.1)
        self._learn(texts, texts_of(self.spec, valid.table), watch.part(0.1, 1.0))
        self._plan["reasons"] = {**self._plan.get("reasons", {}), "tokeniser": reason}

    def refit(self, rows: Examples, watch: Watch) -> None:
        """Count anew with the tokeniser and the order that were chosen."""
        reasons = self._plan["reasons"]
        self._learn(texts_of(self.spec, rows.table), None, watch)
        if "shortened" in self._plan:
            raise RungError("refit", "all texts must be counted", self._plan["shortened"], "give a larger budget")
        self._plan["reasons"] = {**self._plan.get("reasons", {}), **reasons}

    def _learn(self, texts: pa.LargeStringArray, judged: pa.LargeStringArray | None, watch: Watch) -> None:
        nth = every_nth(texts, _CODING * watch.left)
        texts = texts if nth == 1 else texts.take(pa.array(np.arange(0, len(texts), nth)))
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            train = write_tokens(place, "train", texts, self.coder, lambda done: watch.tell(0.3 * done))
            valid = None if judged is None or not len(judged) else write_tokens(place, "valid", judged, self.coder)
            memory = min(_MOST_MEMORY, int(_SHARE_OF_MEMORY * available_bytes()))
            limits = Limits(memory, folder=place, watch=watch.part(0.3, 1.0))
            self._model = self.count(train, valid, limits)
        self._plan = {"tokeniser": self.coder.describe(), "rows": len(texts), **self._model.plan}
        if nth > 1:
            self._plan["shortened"] = say("shortened.texts", nth=nth)
        watch.tell(1.0)

    def predict(self, table: Table) -> NDArray[np.float64]:
        """Return what each text costs: nats, bytes, characters, tokens and words, shape (rows, 5), float64."""
        texts = texts_of(self.spec, table)
        found = [self._costs(texts.slice(start, _ROWS)) for start in range(0, len(texts), _ROWS)]
        return np.concatenate(found) if found else np.zeros((0, self.spec.outputs))

    def _costs(self, texts: pa.LargeStringArray) -> NDArray[np.float64]:
        tokens, counts = self.coder.encode_counted(texts)
        surprise = self.model.surprise(tokens.values, tokens.offsets)
        if counts is None:
            return costs(_sums(surprise, tokens), tokens.lengths, texts)
        charged = counts & self.coder.written[tokens.values]  # what is asked is read, but costs nothing
        return costs(_sums(surprise * charged, tokens), _sums(charged, tokens), texts, chats=True)

    @property
    def context(self) -> int | None:
        """There is no bound to what it takes, though it looks back a few tokens only."""
        return None

    @property
    def writer(self) -> Writer:
        """Itself."""
        return self

    @property
    def together(self) -> int:
        """One text at a time: looking n-grams up gains nothing from company."""
        return 1

    def begin(self, tokens: NDArray[Any]) -> Writing:
        """Begin to write after these tokens."""
        return _Counting(self.model, tokens)

    def begin_all(self, prompts: Sequence[NDArray[Any]]) -> Together:
        """Begin to write after each of these."""
        return Apart([self.begin(tokens) for tokens in prompts])

    @property
    def parameters(self) -> int:
        """Number of learned numbers."""
        return self.model.parameters

    @property
    def train_flops(self) -> float:
        """Additions to counts, one an order and token, and some operations for every n-gram that was found."""
        return float(self._plan.get("order", 1) * self._plan["tokens"] + 4 * self.parameters)

    @property
    def plan(self) -> dict[str, Any]:
        """The tokeniser, the order, the discounts and why."""
        return self._plan

    def parts(self) -> Parts:
        """Return the tokeniser and the counts."""
        state = self.coder.state()
        arrays = {f"model/{name}": values for name, values in self.model.arrays().items()}
        arrays |= {f"coder/{name}": values for name, values in state.arrays.items()}
        return Parts(arrays, {"coder": state.facts, "plan": self._plan}, dict(state.texts))

    def restore(self, parts: Parts) -> None:
        """Take them back."""
        arrays: dict[str, dict[str, NDArray[Any]]] = {name: {} for name in ("model", "coder")}
        for name, values in parts.arrays.items():
            of, _, own = name.partition("/")
            arrays[of][own] = values
        self._coder = restore_coder(CoderState(parts.facts["coder"], dict(parts.texts), arrays["coder"]))
        self._model = self.made_of(arrays["model"])
        self._plan = dict(parts.facts["plan"])


def _sums(values: NDArray[Any], tokens: Ragged) -> NDArray[np.float64]:
    """Add up the values of each text's tokens."""
    passed = np.append(0.0, np.cumsum(values, dtype=np.float64))
    return np.asarray(passed[tokens.offsets[1:]] - passed[tokens.offsets[:-1]])


@final
class _Counting(Writing):
    def __init__(self, model: NgramModel, tokens: NDArray[Any]) -> None:
        self._model, self._tokens = model, [int(token) for token in tokens]

    def logits(self) -> NDArray[np.floating[Any]]:
        return np.log(self._model.next_probabilities(np.array(self._tokens[-_LONGEST:], dtype=np.int64)))

    def push(self, token: int) -> None:
        self._tokens.append(token)


_LONGEST: Final = 64  # tokens of a context: more than any order


def too_few_texts(spec: Spec) -> str | None:
    """Say that there is too little to count, or None."""
    return too_little(spec, 1, say("purpose.counts"))

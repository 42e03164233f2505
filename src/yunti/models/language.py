"""Networks of tokens in the engine: texts packed into windows, what they cost, and writing."""

from __future__ import annotations

import io
import json
import math
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self, cast, final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded, Stream
from yunti.data.store import StoredColumns
from yunti.data.table import Examples, Packed, Table, Texts
from yunti.data.token_file import write_tokens
from yunti.data.tokenisers import CoderState, TextCoder, every_nth, restore_coder
from yunti.data.tokenisers.blocks import AnyTexts, Reopened
from yunti.data.windows import Passes, Windows
from yunti.errors import RungError
from yunti.models.costs import are_chats, costs, learned_coder, texts_of
from yunti.models.generation import Writer
from yunti.models.layers import Batch
from yunti.models.network import Network
from yunti.models.objective import Objective, Target
from yunti.models.token_loss import IGNORED, token_loss, token_losses
from yunti.models.token_module import TokenModule
from yunti.specs import LANGUAGE_SUMS, Spec
from yunti.storing import write_atomic

TOKENS: Final = "tokens"
_DOCUMENT, _SCORED = ".document", ".scored"
_FACTS: Final = "facts"
_LEARNING, _CODING = 0.2, 0.15  # of the time: for the tokeniser, and for the tokens of the texts
_ROWS: Final = 2_000  # texts whose tokens are written at once when they are scored
_AT_ONCE: Final = 1 << 15  # tokens that are read at once when they are scored


class Coding(Protocol):
    """A reader of texts, which has a tokeniser."""

    @property
    def coder(self) -> TextCoder: ...  # noqa: D102


@final
class TextReader:
    """Learns the tokeniser; the rows that a network learns from were packed before it is asked for them.

    Args:
        spec: one column of texts.
    """

    streams: tuple[Stream, ...] = ()
    cardinalities: tuple[int, ...] = ()
    number_width = 0

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._coder: TextCoder | None = None

    @property
    def edges(self) -> NDArray[np.float32]:
        """There are no numbers."""
        return np.zeros((0, 2), dtype=np.float32)

    @property
    def coder(self) -> TextCoder:
        """The tokeniser."""
        if self._coder is None:
            raise RungError("language", "the tokeniser must be learned first", "it is not", "train the rung")
        return self._coder

    def fit(self, table: Table, seconds: float = math.inf) -> None:
        """Choose and learn the tokeniser, in so many seconds."""
        self._coder, _ = learned_coder(self._spec, texts_of(self._spec, table), seconds)

    def encode(self, table: Table) -> Encoded:
        """Return the packed rows."""
        return {TOKENS: table.packed(TOKENS)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what of the tokeniser is no JSON."""
        return self.coder.state().arrays

    def facts(self) -> dict[str, Any]:
        """Return the rest of it."""
        state = self.coder.state()
        return {"coder": state.facts, "texts": state.texts}

    def restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take it back."""
        self._coder = restore_coder(CoderState(dict(facts["coder"]), dict(facts["texts"]), dict(arrays)))


@final
class NextToken(Objective):
    """The surprise at every next token. The module counts it, so that logits need never be there all at once."""

    def fit(self, target: NDArray[Any], like: Objective | None = None) -> None:
        """Learn nothing: a text is its own answer."""

    def encode(self, target: NDArray[Any]) -> NDArray[Any]:
        """Return zeros, (rows,)."""
        return np.zeros(len(target), dtype=np.float32)

    def loss(self, outputs: Tensor, target: Target) -> Tensor:
        """Return the mean of what the module counted."""
        return outputs.mean()

    def decode(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Return nats, bytes, characters, tokens and words of every window, (rows, 5).

        Windows end anywhere, so their characters and words are only told in proportion: by bytes, and by tokens.
        """
        nats, octets, tokens = (outputs[:, 0, place].astype(np.float64) for place in range(3))
        return np.column_stack([nats, octets, octets, tokens, tokens])

    def calibrate(self, predictions: NDArray[Any], target: NDArray[Any]) -> None:
        """Leave the logits as they are: they were trained for nothing else."""

    def surprise(self, predictions: NDArray[Any], target: NDArray[Any]) -> float:
        """Return bits per byte."""
        nats, octets = predictions[:, 0].sum(), predictions[:, 1].sum()
        return float(nats / max(1.0, octets) / np.log(2))

    def facts(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take nothing back."""


@final
class Surprise(nn.Module):
    """A network of tokens that says what windows cost it.

    Args:
        language: the network.
        lengths: bytes of each token, shape (tokens,).
        end: the token that ends a document: it is learned, but no text is charged for it, nor for special tokens.
    """

    lengths: Tensor

    def __init__(self, language: TokenModule, lengths: NDArray[np.int64], end: int) -> None:
        super().__init__()
        self.language, self.end = language, end
        self.register_buffer("lengths", torch.from_numpy(lengths), persistent=False)

    @classmethod
    def of(cls, language: TokenModule, coder: TextCoder) -> Self:
        """Make it for a tokeniser."""
        return cls(language, np.array([len(piece) for piece in coder.pieces], dtype=np.int64), coder.end)

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean loss, (1, 1, 1), in training; else nats, bytes and tokens of each row, (rows, 1, 3)."""
        rows = max(1, _AT_ONCE // batch[TOKENS].shape[1])
        if self.training or len(batch[TOKENS]) <= rows:
            return self._surprise(batch)
        starts = range(0, len(batch[TOKENS]), rows)
        some = [{name: each[start : start + rows] for name, each in batch.items()} for start in starts]
        return torch.cat([self._surprise(each) for each in some])

    def _surprise(self, batch: Batch) -> Tensor:
        tokens = batch[TOKENS]
        wanted, width = tokens[:, 1:], tokens.shape[1] - 1
        states = self.language.states(tokens[:, :-1], batch.get(TOKENS + _DOCUMENT)).flatten(0, 1)
        weight, cap = self.language.head_weight, self.language.cap
        scored = batch.get(TOKENS + _SCORED)
        if self.training:
            learned = wanted if scored is None else wanted.masked_fill(~scored.bool(), IGNORED)
            return token_loss(states, weight, learned.flatten(), cap).view(1, 1, 1)
        counts = (wanted != self.end) & (self.lengths[wanted] > 0)
        if scored is not None:
            counts &= scored.bool()
        nats = token_losses(states, weight, wanted.masked_fill(~counts, IGNORED).flatten(), cap).view(-1, width).sum(1)
        octets = (self.lengths[wanted] * counts).sum(1)
        return torch.stack([nats, octets.float(), counts.sum(1).float()], dim=1)[:, None]


@final
@dataclass(frozen=True, eq=False)
class _Learned:
    """Windows to learn from.

    Args:
        windows: of a token file.
        apart: whether a token may only look at its own document.
    """

    windows: Windows
    apart: bool

    def __len__(self) -> int:
        return len(self.windows)

    def arrays(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {"": self.windows.take(rows)}
        if (counts := self.windows.counts(rows)) is not None:
            found[_SCORED] = counts
        return found | {_DOCUMENT: self.windows.documents(rows)} if self.apart else found


@final
@dataclass(frozen=True, eq=False)
class _Scored:
    """Windows in which every token is scored once."""

    passes: Passes

    def __len__(self) -> int:
        return len(self.passes)

    def arrays(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        found = self.passes.take(rows)
        return {"": found.tokens, _SCORED: found.scored}


@final
class Documents:
    """Between texts and windows of their tokens; `context` must stand in the network's shape."""

    def learn(self, network: Network, table: Table, seconds: float) -> int:
        """Learn the tokeniser in the time there is; return n if every n-th text is all that the time holds.

        What depends on the time is kept beside the data, so that a training that goes on finds it as it was.
        """
        stored = table.columns
        if not isinstance(stored, StoredColumns):
            return _read_in(network, table, seconds)
        kept = stored.folder / TOKENS / f"{network.blueprint.name}-{len(table)}.npz"
        if kept.is_file():
            return _read_as(network, table, kept)
        nth = _read_in(network, table, seconds)
        reader, arrays = network.reader, dict[str, Any]()
        facts: dict[str, Any] = {"nth": nth}
        if isinstance(reader, TextReader):
            facts["reader"], arrays = reader.facts(), reader.arrays()
        arrays = {**arrays, _FACTS: np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, content.getvalue())
        return nth

    def pack(self, network: Network, examples: Examples) -> Examples:
        """Return windows over all tokens, one after the other, from a file beside the data or a temporary one.

        Documents that the module could not keep apart get windows of their own.
        """
        stored = examples.table.columns
        beside = isinstance(stored, StoredColumns)
        folder = stored.folder / TOKENS if isinstance(stored, StoredColumns) else Path(tempfile.mkdtemp())
        spec, context = network.spec, network.shape["context"]
        file = write_tokens(folder, "rows", _streamed(spec, examples.table), coder_of(network))
        apart = not spec.of_kind("text")[0].holds_passages  # what was cut goes on in the next one
        packs = not apart or cast(Surprise, network.module).language.packs
        windows = _Learned(Windows(file, context), apart) if packs else _Scored(Passes(file, context, context))
        if not beside:
            weakref.finalize(windows, shutil.rmtree, folder, ignore_errors=True)
        rows = np.arange(len(windows), dtype=np.int64)
        return Examples(Table({TOKENS: Packed.all(windows)}), np.zeros(len(windows)), rows)

    def predict(self, network: Network, table: Table) -> NDArray[np.float64]:
        """Return what each text costs: nats, bytes, characters, tokens and words, shape (rows, 5), float64."""
        texts, coder, context = texts_of(network.spec, table), coder_of(network), network.shape["context"]
        read: Callable[[Packed], NDArray[Any]] = lambda windows: network.predict_encoded({TOKENS: windows})  # noqa: E731
        return score_texts(texts, coder, context, read, are_chats(network.spec))

    def writer(self, network: Network) -> Writer:
        """Return the network as a writer."""
        from yunti.models.writing import ModuleWriter  # which needs `Surprise`

        return ModuleWriter(cast(Surprise, network.module), coder_of(network), network.spec.device)


def score_texts(
    texts: pa.LargeStringArray,
    coder: TextCoder,
    context: int,
    read: Callable[[Packed], NDArray[Any]],
    chats: bool = False,
) -> NDArray[np.float64]:
    """Return what each text costs: nats, bytes, characters, tokens and words, shape (texts, 5), float64.

    Tokens are read with at least half a context before them, where the text has so much.

    Args:
        texts: one document each.
        coder: makes their tokens.
        context: tokens that are read at once.
        read: returns what windows cost, as `NextToken.decode` gives it.
        chats: whether they are conversations, of which only the answers are counted.
    """
    found = [np.zeros((0, LANGUAGE_SUMS))]
    for start in range(0, len(texts), _ROWS):
        some = texts.slice(start, _ROWS)
        with tempfile.TemporaryDirectory() as folder:
            passes = Passes(write_tokens(Path(folder), "rows", some, coder), context, max(1, context // 2))
            order = np.argsort(passes.lengths, kind="stable")  # a batch is as wide as its longest window
            windows = read(Packed(_Scored(passes), order))
            documents = passes.documents[order]
            nats, tokens = (np.bincount(documents, weights=windows[:, place], minlength=len(some)) for place in (0, 3))
        found.append(costs(nats, tokens, some, chats))
    return np.concatenate(found)


def _read_in(network: Network, table: Table, seconds: float) -> int:
    """Fit the reader in its part of the time; return how many texts there are for each that the rest holds."""
    reader = network.reader
    if isinstance(reader, TextReader):
        reader.fit(table, _LEARNING * seconds)
    else:
        reader.fit(table)
    return every_nth(texts_of(network.spec, table), _CODING * seconds) if math.isfinite(seconds) else 1


def _read_as(network: Network, table: Table, kept: Path) -> int:
    """Bring the reader to where an earlier training kept it."""
    with np.load(kept, allow_pickle=False) as found:
        facts = json.loads(found[_FACTS].tobytes())
        arrays = {name: found[name] for name in found.files if name != _FACTS}
    if "reader" in facts:
        network.reader.restore(arrays, facts["reader"])
    else:
        network.reader.fit(table)
    return int(facts["nth"])


def _streamed(spec: Spec, table: Table) -> AnyTexts:
    """Return the texts of a table; those in files without all of their pages in memory at once."""
    stored, (column,) = table.columns, spec.of_kind("text")
    if not isinstance(stored, StoredColumns):
        return texts_of(spec, table)
    return Reopened(lambda: cast(Texts, stored.fresh(column.name)).values)


def coder_of(network: Network) -> TextCoder:
    """Return the tokeniser of a network of tokens."""
    return cast(Coding, network.reader).coder

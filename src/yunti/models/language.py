"""Networks of tokens in the engine: texts packed into windows, what they cost, and writing."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from yunti.data.encode import Encoded, Stream
from yunti.data.store import StoredColumns
from yunti.data.table import Examples, Packed, Table
from yunti.data.token_file import write_tokens
from yunti.data.tokenisers import CoderState, TextCoder, restore_coder
from yunti.data.windows import Passes, Windows
from yunti.errors import RungError
from yunti.models.costs import are_chats, costs, learned_coder, texts_of
from yunti.models.generation import Writer, Writing
from yunti.models.layers import Batch
from yunti.models.network import Network
from yunti.models.objective import Objective, Target
from yunti.models.token_loss import token_loss, token_losses
from yunti.models.token_module import Reading, TokenModule
from yunti.specs import Spec

TOKENS: Final = "tokens"
_DOCUMENT, _SCORED = ".document", ".scored"
_TOKENS: Final = 1 << 15  # that are read at once when texts are scored: memory stays what it is in longer contexts
_ROWS: Final = 2_000  # texts whose tokens are written at once when they are scored


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

    def fit(self, table: Table) -> None:
        """Choose and learn the tokeniser."""
        self._coder, _ = learned_coder(self._spec, texts_of(self._spec, table))

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

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean loss, (1, 1, 1), in training; else nats, bytes and tokens of each row, (rows, 1, 3)."""
        tokens = batch[TOKENS]
        wanted, width = tokens[:, 1:], tokens.shape[1] - 1
        states = self.language.states(tokens[:, :-1], batch.get(TOKENS + _DOCUMENT)).flatten(0, 1)
        weight, cap = self.language.head_weight, self.language.cap
        scored = batch.get(TOKENS + _SCORED)
        if self.training:
            learned = wanted if scored is None else wanted.masked_fill(~scored.bool(), -1)
            return token_loss(states, weight, learned.flatten(), cap).view(1, 1, 1)
        counts = (wanted != self.end) & (self.lengths[wanted] > 0)
        if scored is not None:
            counts &= scored.bool()
        nats = token_losses(states, weight, wanted.masked_fill(~counts, -1).flatten(), cap).view(-1, width).sum(1)
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

    def pack(self, network: Network, examples: Examples) -> Examples:
        """Return windows over all tokens, one after the other, from a file beside the data or a temporary one."""
        stored = examples.table.columns
        beside = isinstance(stored, StoredColumns)
        folder = stored.folder / TOKENS if isinstance(stored, StoredColumns) else Path(tempfile.mkdtemp())
        spec, reader = network.spec, cast(TextReader, network.reader)
        file = write_tokens(folder, "rows", texts_of(spec, examples.table), reader.coder)
        apart = not spec.of_kind("text")[0].parsing.get("passages", False)  # what was cut goes on in the next one
        windows = _Learned(Windows(file, network.shape["context"]), apart)
        if not beside:
            weakref.finalize(windows, shutil.rmtree, folder, ignore_errors=True)
        rows = np.arange(len(windows), dtype=np.int64)
        return Examples(Table({TOKENS: Packed.all(windows)}), np.zeros(len(windows)), rows)

    def predict(self, network: Network, table: Table) -> NDArray[np.float64]:
        """Return what each text costs: nats, bytes, characters, tokens and words, shape (rows, 5), float64.

        Tokens are read with at least half a context before them, where the text has so much.
        """
        texts = texts_of(network.spec, table)
        found = [self._costs(network, texts.slice(start, _ROWS)) for start in range(0, len(texts), _ROWS)]
        return np.concatenate(found) if found else np.zeros((0, network.spec.outputs))

    def writer(self, network: Network) -> Writer:
        """Return the network as a writer."""
        return _Writer(network)

    def _costs(self, network: Network, texts: pa.LargeStringArray) -> NDArray[np.float64]:
        context = network.shape["context"]
        with tempfile.TemporaryDirectory() as folder:
            file = write_tokens(Path(folder), "rows", texts, cast(TextReader, network.reader).coder)
            passes = Passes(file, context, max(1, context // 2))
            order, step = np.argsort(passes.lengths, kind="stable"), max(1, _TOKENS // context)
            parts = [Packed(_Scored(passes), order[start : start + step]) for start in range(0, len(order), step)]
            windows = np.concatenate([network.predict_encoded({TOKENS: part}) for part in parts])
            nats, tokens = (
                np.bincount(passes.documents[order], weights=windows[:, place], minlength=len(texts))
                for place in (0, 3)
            )
        return costs(nats, tokens, texts, are_chats(network.spec))


@final
@dataclass(frozen=True)
class _Writer:
    network: Network

    @property
    def coder(self) -> TextCoder:
        return cast(TextReader, self.network.reader).coder

    @property
    def context(self) -> int | None:
        return int(self.network.shape["context"])

    def begin(self, tokens: NDArray[Any]) -> Writing:
        return _Reading(self.network, tokens)


@final
class _Reading(Writing):
    """A network of tokens reads what was written so far."""

    def __init__(self, network: Network, tokens: NDArray[Any]) -> None:
        module = cast(Surprise, network.module).eval()
        begins = np.append(module.end, np.asarray(tokens, dtype=np.int64))
        with torch.inference_mode():
            self._reading: Reading = module.language.begin(torch.from_numpy(begins)[None].to(network.spec.device))

    def logits(self) -> NDArray[np.floating[Any]]:
        """Return the logits of the next token."""
        found: NDArray[np.float32] = self._reading.logits[0].float().cpu().numpy()
        return found

    def push(self, token: int) -> None:
        """Read one more token."""
        with torch.inference_mode():
            self._reading.step(torch.tensor([token], device=self._reading.logits.device))

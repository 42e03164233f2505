"""Networks of tokens write: one text, or several whose tokens go through the network side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from yunti.data.tokenisers import TextCoder
from yunti.models.generation import Together, Writing
from yunti.models.language import Surprise

_TOGETHER: Final = 32  # rows of a step: a product of so few costs little more than that of one


@final
@dataclass(frozen=True)
class ModuleWriter:
    """A network of tokens as a writer.

    Args:
        module: the network, with what it says of tokens.
        coder: makes its tokens.
        device: where it runs.
    """

    module: Surprise
    coder: TextCoder
    device: str

    @property
    def context(self) -> int | None:
        """How many tokens it reads at once."""
        return self.module.language.context or None

    @property
    def together(self) -> int:
        """How many texts go through the network at once."""
        return _TOGETHER

    def begin(self, tokens: NDArray[Any]) -> Writing:
        """Begin to write after these tokens."""
        return _One(_Rows(self, [tokens]))

    def begin_all(self, prompts: Sequence[NDArray[Any]]) -> Together:
        """Begin to write after each of these."""
        return _Rows(self, prompts)


@final
class _Rows(Together):
    """A network reads what was written so far of several texts.

    Prompts of unequal length need no padding: all are read up to the end of the shortest one, and the longer ones read
    on in themselves while the shorter ones are written already. So every text has as many tokens as the others at any
    time, and a cache that is full is full in all of them at once, as it would be in each alone.
    """

    def __init__(self, writer: ModuleWriter, prompts: Sequence[NDArray[Any]]) -> None:
        self._size, module = writer.coder.size, writer.module.eval()
        most = module.language.context
        whole = [np.append(module.end, np.asarray(tokens, dtype=np.int64))[-most:] for tokens in prompts]
        shortest = min(len(each) for each in whole)
        self._waiting = [each[shortest:].tolist() for each in whole]
        begins = torch.from_numpy(np.stack([each[:shortest] for each in whole]))
        with torch.inference_mode():
            self._reading = module.language.begin(begins.to(writer.device))

    @property
    def ready(self) -> NDArray[np.bool_]:
        return np.array([not each for each in self._waiting])

    def logits(self) -> NDArray[np.floating[Any]]:
        """Return the logits of the tokens that the tokeniser has: a pretrained model may have others."""
        found: NDArray[np.float32] = self._reading.logits[:, : self._size].float().cpu().numpy()
        missing = self._size - found.shape[1]
        return np.pad(found, ((0, 0), (0, missing)), constant_values=-np.inf) if missing else found

    def push(self, tokens: Sequence[int]) -> None:
        read = [own.pop(0) if own else token for own, token in zip(self._waiting, tokens, strict=True)]
        with torch.inference_mode():
            self._reading.step(torch.tensor(read, device=self._reading.logits.device))


@final
class _One(Writing):
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def logits(self) -> NDArray[np.floating[Any]]:
        return self._rows.logits()[0]

    def push(self, token: int) -> None:
        self._rows.push([token])

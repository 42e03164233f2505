"""What texts cost a language model: the five numbers that every score of language is made of."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.chats.template import Marks
from yunti.data.chats.turns import answer_lengths, plain
from yunti.data.lengths import lengths_of
from yunti.data.table import Table, Texts
from yunti.data.tokenisers import ChatCoder, TextCoder, learn_coder
from yunti.seeds import seed_for
from yunti.specs import Spec


def texts_of(spec: Spec, table: Table) -> pa.LargeStringArray:
    """Return the texts of the column that a spec speaks of."""
    (column,) = spec.of_kind("text")
    return cast(Texts, table[column.name]).values


def are_chats(spec: Spec) -> bool:
    """Say whether the texts that a spec speaks of are conversations."""
    return spec.of_kind("text")[0].holds_chats


def learned_coder(spec: Spec, texts: pa.LargeStringArray, seconds: float = math.inf) -> tuple[TextCoder, str]:
    """Choose and learn the tokeniser of texts, or of what is said in conversations, and say why it is so.

    Args:
        spec: one column of texts.
        texts: the training texts.
        seconds: that it may take.
    """
    chats = are_chats(spec)
    coder, reason = learn_coder(plain(texts) if chats else texts, seed_for(spec.seed, "tokeniser"), seconds)
    return ChatCoder(coder, Marks()) if chats else coder, reason


def costs(
    nats: NDArray[Any], tokens: NDArray[Any], texts: pa.LargeStringArray, chats: bool = False
) -> NDArray[np.float64]:
    """Put together what predictions of language are made of, see `yunti.tasks.language`.

    Args:
        nats: what each text costs; of a conversation, what its answers do.
        tokens: how many tokens that was.
        texts: the texts.
        chats: whether they are conversations, of which only the answers are counted.
    """
    octets, characters, words = (answer_lengths(texts) if chats else lengths_of(texts)).T
    return np.column_stack([nats, octets, characters, tokens, words]).astype(np.float64)

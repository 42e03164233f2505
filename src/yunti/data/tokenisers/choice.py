"""Which coder suits some training texts, and how many tokens it should have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Literal, final

import numpy as np
from numpy.typing import NDArray

from yunti.data.tokenisers.blocks import AnyTexts, as_texts, blocks, bytes_of, code_points, text_bytes
from yunti.data.tokenisers.bytewise import ByteCoder
from yunti.data.tokenisers.characters import CharacterCoder
from yunti.data.tokenisers.chat import ChatCoder
from yunti.data.tokenisers.coder import CoderState, TextCoder
from yunti.data.tokenisers.folder import FolderCoder
from yunti.data.tokenisers.pairs import SAMPLE_BYTES, PairCoder
from yunti.errors import OptionError, nearest
from yunti.words import say
from yunti.words.units import bytes_text

CoderKind = Literal["bytes", "characters", "bpe"]

CODERS: Final[tuple[type[TextCoder], ...]] = (ByteCoder, CharacterCoder, PairCoder, FolderCoder, ChatCoder)

FEW_BYTES: Final = 5_000_000  # below, pairs beyond a thousand are too rare to learn from
FEW_CHARACTERS: Final = 500  # alphabets have fewer; Chinese, Japanese and Korean texts have more
LEAST, MOST = 512, 32_768
LEAST_SAMPLE: Final = 1 << 20
LEARNED_A_SECOND: Final = 5e5  # bytes: half of what was measured on one core, as others may work beside
CODED_A_SECOND: Final = 2e6  # bytes: a third of what was measured
_EXAMPLES: Final = 100  # of a token, to learn it well (Gowda and May, 2020)
_COMMON: Final = 0.95  # share of the tokens that should have as many
_BYTES_A_TOKEN: Final = 4.0  # of English and Chinese alike, at a few thousand tokens
_EULER: Final = 0.5772


@final
@dataclass(frozen=True)
class Suggestion:
    """What suits some texts.

    Args:
        kind: of the coder.
        size: tokens it should have at most; 0 where that is not to be chosen.
        reason: why.
    """

    kind: CoderKind
    size: int
    reason: str


def suggest(texts: AnyTexts) -> Suggestion:
    """Suggest a coder: characters for little text of few letters, else byte-level BPE.

    Args:
        texts: the training texts.

    Example:
        >>> suggest(["To be, or not to be"]).kind, suggest([chr(0x4E00 + each % 600) for each in range(9000)]).kind
        ('characters', 'bpe')
    """
    total = sum(text_bytes(array) for array in as_texts(texts))
    seen = _characters(texts)
    distinct = int((seen > 0).sum())
    if total < FEW_BYTES and distinct < FEW_CHARACTERS:
        values = {"size": bytes_text(total), "distinct": distinct}
        return Suggestion("characters", 0, say("choice.characters", **values))
    scale = max(1.0, total / max(1, FEW_BYTES))
    common = int((seen[128:] * scale >= _EXAMPLES).sum())
    size = vocabulary_for(total, common)
    values = {"tokens": size, "size": bytes_text(total), "times": _EXAMPLES}
    if size > vocabulary_for(total):
        return Suggestion("bpe", size, say("choice.script", common=common, **values))
    return Suggestion("bpe", size, say("choice.pairs", **values))


def vocabulary_for(size: float, characters: int = 0) -> int:
    """Return how many tokens byte-level BPE should have.

    A vocabulary may be as large as leaves 95 % of its tokens a hundred examples (Gowda and May, 2020, Finding the
    optimal vocabulary size for neural machine translation, arXiv 2004.02334). By Zipf's law the token of rank r is
    seen T / (r (ln V + 0.577)) times among T tokens of V kinds, and T is about a quarter of the bytes; so V is the
    largest power of two (matrices like them) with 95 V (ln V + 0.577) <= T. Where we differ: characters that are
    seen a hundred times have these examples already, so each gets a token, and half a one for the step towards it. On
    330 kB of Chinese the 1,024 tokens that follow need 2.89 bits a byte instead of the 2.94 of 512 (a smoothed 4-gram
    on unseen texts).

    Args:
        size: bytes of the training texts.
        characters: distinct characters beyond ASCII that are seen a hundred times.

    Returns:
        512 to 32,768.

    Example:
        >>> [vocabulary_for(size) for size in (1e6, 1e7, 1e8, 1e10)], vocabulary_for(1e6, 1200)
        ([512, 2048, 16384, 32768], 4096)
    """
    tokens = size / _BYTES_A_TOKEN
    doubled = (1 << power for power in range(int(math.log2(LEAST)), int(math.log2(MOST)) + 1))
    fitting = takewhile(lambda kinds: _COMMON * kinds * (math.log(kinds) + _EULER) * _EXAMPLES <= tokens, doubled)
    script = 1 << math.ceil(math.log2(257 + 1.5 * characters))
    return min(MOST, max(LEAST, script, *fitting))


def fit_coder(kind: CoderKind, texts: AnyTexts, size: int, seed: int) -> TextCoder:
    """Make a coder for some training texts.

    Args:
        kind: "bytes", "characters" or "bpe".
        texts: the training texts.
        size: most tokens that BPE may have; 0 derives it from the texts (see `vocabulary_for`).
        seed: decides which part of many texts BPE learns from.

    Raises:
        OptionError: there is no such kind.

    Example:
        >>> fit_coder("characters", ["To be, or not to be"], size=0, seed=0).describe()
        'characters: 257 tokens, 0 of them beyond ASCII; a character not among them is written in bytes'
    """
    if kind == "bytes":
        return ByteCoder()
    if kind == "characters":
        return CharacterCoder.fit(texts)
    if kind == "bpe":
        return PairCoder.fit(texts, size or suggest(texts).size or LEAST, seed)
    raise OptionError(
        "tokeniser", "it must be a known one", f"{kind!r} is none", nearest(kind, ("bytes", "characters", "bpe"))
    )


def learn_coder(texts: AnyTexts, seed: int, seconds: float = math.inf) -> tuple[TextCoder, str]:
    """Choose a coder for some training texts and learn it, from no more of them than the time holds.

    Args:
        texts: the training texts.
        seed: decides which part of many texts BPE learns from.
        seconds: that it may take; of little time the power of two below counts, so that it says the same again.

    Returns:
        The coder, and why it was chosen.

    Example:
        >>> learn_coder(["To be, or not to be"], seed=0)[0].kind
        'characters'
    """
    wanted = suggest(texts)
    if wanted.kind != "bpe":
        return fit_coder(wanted.kind, texts, wanted.size, seed), wanted.reason
    affordable = max(float(LEAST_SAMPLE), min(float(SAMPLE_BYTES), seconds * LEARNED_A_SECOND))
    sample = 1 << int(math.log2(affordable))
    size = wanted.size if sample == SAMPLE_BYTES else min(wanted.size, max(LEAST, sample >> 9))
    return PairCoder.fit(texts, size, seed, sample), wanted.reason


_LEAST_TEXTS = 8


def every_nth(texts: AnyTexts, seconds: float) -> int:
    """Return n where every n-th text is as much as the time holds to turn into tokens: a power of two.

    However short the time is, eight texts stay.

    Example:
        >>> every_nth(["to be"] * 1000, 1.0), every_nth(["to be"] * 1000, 0.0004)
        (1, 8)
    """
    total = rows = 0
    for array in as_texts(texts):
        total, rows = total + text_bytes(array), rows + len(array)
    wanted = math.ceil(math.log2(max(1.0, total / max(1.0, seconds * CODED_A_SECOND))))
    return 1 << max(0, min(wanted, max(1, rows // _LEAST_TEXTS).bit_length() - 1))


def restore_coder(state: CoderState) -> TextCoder:
    """Make the coder that gave a state.

    Raises:
        OptionError: the state is of no known kind.

    Example:
        >>> restore_coder(ByteCoder().with_special(["<user>"]).state()).size
        258
    """
    kind = state.facts.get("kind")
    for coder in CODERS:
        if coder.kind == kind:
            return coder.restored(state)
    raise OptionError("tokeniser", "it must be a known one", f"{kind!r} is none", "use the version that wrote it")


def _characters(texts: AnyTexts) -> NDArray[np.int64]:
    """Count characters in as many texts from the beginning as decide."""
    counts = np.zeros(0x110000, dtype=np.int64)
    read = 0
    for block in blocks(texts):
        data = bytes_of(block.texts)
        found = np.bincount(code_points(data))
        counts[: len(found)] += found
        read += len(data)
        if read >= FEW_BYTES:
            break
    return counts

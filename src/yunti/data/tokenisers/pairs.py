"""Byte-level BPE: the pairs of tokens that stand together most often become tokens themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from itertools import chain, pairwise
from typing import Any, Final, Self, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yunti.data.table import Ragged
from yunti.data.tokenisers.blocks import AnyTexts, as_texts, blocks, bytes_of, offsets_of, running, text_bytes
from yunti.data.tokenisers.coder import END, CoderState, TextCoder
from yunti.data.tokenisers.words import words_in
from yunti.seeds import generator
from yunti.words import say

# pairs are counted in as much text: their order hardly changes beyond, while distinct words fill the memory
SAMPLE_BYTES: Final = 32 << 20
LEAST_PAIRS: Final = 2  # a pair seen once says nothing about other texts
_END_NAME: Final = "<|end|>"
_BETWEEN: Final = "\x00"
_PART_BYTES: Final = 1 << 16  # of words at once, so that all processors have some


@final
class PairCoder(TextCoder):
    """Token 0 ends a document, 1 to 256 are the bytes, and the others are joined from two before them.

    Words (see `words_in`) are joined alone, so each distinct word of a block is looked up once.

    Args:
        tokenizer: what the package `tokenizers` calls a tokenizer, as JSON; its model is all that is used.
        special: special tokens by name.

    Example:
        >>> coder = PairCoder.fit(["the cat and the hat", "the mat and the rat"], size=270, seed=0)
        >>> coder.size, coder.decode(coder.encode("the bat 云"))
        (264, 'the bat 云')
        >>> [coder.decode([token]) for token in coder.encode("the hat")]
        ['the', ' ', 'h', 'at']

    Source: Sennrich et al., 2016, arXiv 1508.07909; over bytes: Radford et al., 2019 (GPT-2).
    """

    kind = "bpe"

    def __init__(self, tokenizer: str, special: Mapping[str, int] | None = None) -> None:
        self._json = tokenizer
        vocabulary: dict[str, int] = json.loads(tokenizer)["model"]["vocab"]
        super().__init__(pieces_of(vocabulary, {_END_NAME}), END, special or {})

    @classmethod
    def fit(cls, texts: AnyTexts, size: int, seed: int, sample: int | None = None) -> Self:
        """Learn the pairs.

        Args:
            texts: the training texts.
            size: tokens, the end and the 256 bytes included; fewer where no pair is seen twice any more.
            seed: decides which blocks are read.
            sample: bytes to learn from, 32 MiB if not given; of more text, blocks are drawn at random.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        cut = pre_tokenizers.CharDelimiterSplit(_BETWEEN)
        spelt = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, spelt])
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=LEAST_PAIRS,
            special_tokens=[_END_NAME],
            initial_alphabet=sorted(byte_letters()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(_sample(texts, seed, sample or SAMPLE_BYTES), trainer)
        learned = json.loads(tokenizer.to_str())
        learned["added_tokens"] = []  # else a text that spells the end's name would end the document
        learned["pre_tokenizer"] = learned["pre_tokenizer"]["pretokenizers"][1]
        return cls(json.dumps(learned, ensure_ascii=False))

    def describe(self) -> str:
        """Say what it is."""
        return say("coder.pairs", size=self.size)

    def state(self) -> CoderState:
        """Return the pairs and the special tokens."""
        return CoderState({"kind": self.kind, "special": self.special}, {"tokenizer": self._json})

    @classmethod
    def restored(cls, state: CoderState) -> Self:
        """Make a coder of a state."""
        return cls(state.texts["tokenizer"], state.facts["special"])

    @cached_property
    def _rust(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self._json)

    @cached_property
    def _rust_apart(self) -> Any:
        """The same for words with a mark between them."""
        from tokenizers import Tokenizer, pre_tokenizers

        tokenizer = Tokenizer.from_str(self._json)
        cut = pre_tokenizers.CharDelimiterSplit(_BETWEEN)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, tokenizer.pre_tokenizer])
        return tokenizer

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        """Bytes of each token."""
        return np.fromiter(map(len, self.pieces), dtype=np.int64, count=self.size)

    def _encode(self, texts: pa.LargeStringArray) -> Ragged:
        cut = words_in(texts)
        distinct = cut.words.dictionary_encode()
        found = self._words(distinct.dictionary).take(distinct.indices.to_numpy().astype(np.int64))
        return Ragged(found.values, found.offsets[cut.offsets])

    def _words(self, words: pa.LargeStringArray) -> Ragged:
        """Return the tokens of words: of many at once, since one at a time takes three times as long."""
        if not len(words) or (bytes_of(words) == ord(_BETWEEN)).any():
            return tokens_of(self._rust, words.to_pylist())
        ends = offsets_of(words) - offsets_of(words)[0]
        parts = np.unique(np.searchsorted(ends, np.arange(0, ends[-1] + _PART_BYTES, _PART_BYTES)).clip(max=len(words)))
        texts = [_apart(words.slice(start, stop - start)) for start, stop in pairwise(parts.tolist())]
        tokens = tokens_of(self._rust_apart, texts).values
        stops = np.cumsum(self._lengths[tokens])  # where each token's bytes end says which word it is of
        return Ragged(tokens, np.searchsorted(stops, ends, side="right").astype(np.int64))


def tokens_of(tokenizer: Any, texts: list[str]) -> Ragged:
    """Return what a tokenizer of the package `tokenizers` makes of texts, special tokens neither read nor added."""
    rows = [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    offsets = running(np.fromiter(map(len, rows), dtype=np.int64, count=len(rows)))
    values = np.fromiter(chain.from_iterable(rows), dtype=np.uint32, count=int(offsets[-1]))
    return Ragged(values, offsets)


@cache
def byte_letters() -> dict[str, int]:
    """Return the letters by which byte-level BPE writes bytes: printable ones stand for themselves (GPT-2)."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in kept]
    return {chr(byte): byte for byte in kept} | {chr(256 + place): byte for place, byte in enumerate(others)}


def pieces_of(vocabulary: Mapping[str, int], special: set[str]) -> list[bytes]:
    """Return the bytes of each token that is written in byte letters; special ones and gaps have none.

    Raises:
        KeyError: a token is written in other letters.
    """
    letters = byte_letters()
    pieces = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for name, token in vocabulary.items():
        if name not in special:
            pieces[token] = bytes([letters[letter] for letter in name])
    return pieces


def _sample(texts: AnyTexts, seed: int, sample: int) -> Iterator[str]:
    """Give blocks to learn from, with a mark between words, which the trainer can cut without a pattern."""
    random = generator(seed, "tokeniser")
    share = sample / max(1, sum(text_bytes(array) for array in as_texts(texts)))
    for block in blocks(texts):
        if share >= 1 or random.random() < share:
            yield _apart(words_in(block.texts).words)


def _apart(words: pa.LargeStringArray) -> str:
    """Return words with a mark between them."""
    ends = offsets_of(words)
    return np.insert(bytes_of(words), ends[1:-1] - ends[0], ord(_BETWEEN)).tobytes().decode()

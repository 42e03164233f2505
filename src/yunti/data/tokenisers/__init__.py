"""Texts as numbers and back, exactly: what models that write text are trained on.

A `TextCoder` loses nothing: every text comes back letter by letter, and every text costs a finite number of bits. The
`Tokeniser` of `yunti.data.tokens` is another thing: it reads texts for a classifier, folds case, cuts long rows and
forgets spaces, so it can never write one. The names are kept apart for that reason.

From simple to dear: `ByteCoder`, `CharacterCoder`, `PairCoder` (byte-level BPE learned here), `FolderCoder` (that of a
pretrained model); `ChatCoder` reads conversations by one of them. `suggest` says which suits some training texts,
`fit_coder` makes it, and `learn_coder` does both within a time.
"""

from yunti.data.tokenisers.bytewise import ByteCoder
from yunti.data.tokenisers.characters import CharacterCoder
from yunti.data.tokenisers.chat import ChatCoder
from yunti.data.tokenisers.choice import (
    CODERS,
    Suggestion,
    every_nth,
    fit_coder,
    learn_coder,
    restore_coder,
    suggest,
    vocabulary_for,
)
from yunti.data.tokenisers.coder import CoderState, StreamingText, TextCoder
from yunti.data.tokenisers.folder import FolderCoder
from yunti.data.tokenisers.pairs import PairCoder

__all__ = [
    "CODERS",
    "ByteCoder",
    "CharacterCoder",
    "ChatCoder",
    "CoderState",
    "FolderCoder",
    "PairCoder",
    "StreamingText",
    "Suggestion",
    "TextCoder",
    "every_nth",
    "fit_coder",
    "learn_coder",
    "restore_coder",
    "suggest",
    "vocabulary_for",
]

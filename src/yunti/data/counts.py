"""How long texts are, in the units that scores of language models are told in: bytes, characters, words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yunti.data.tokenisers.blocks import AnyTexts, as_texts
from yunti.data.tokens import IDEOGRAPHS

# what `str.split` divides at; RE2's \s knows ASCII alone
_SPACES: Final = "\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WORD: Final = f"[{IDEOGRAPHS}]|[^{_SPACES}{IDEOGRAPHS}]+"


@final
@dataclass(frozen=True, eq=False)
class TextCounts:
    """Lengths of texts.

    Args:
        bytes: shape (texts,), int64, in UTF-8.
        characters: shape (texts,), int64, Unicode code points.
        words: shape (texts,), int64; what stands between white space, and every Chinese, Japanese or Korean character.
    """

    bytes: NDArray[np.int64]
    characters: NDArray[np.int64]
    words: NDArray[np.int64]


def count_texts(texts: AnyTexts) -> TextCounts:
    """Count bytes, characters and words of every text; a missing one has none.

    Example:
        >>> counts = count_texts(["Don't stop.", "学习 AI", None])
        >>> counts.bytes.tolist(), counts.characters.tolist(), counts.words.tolist()
        ([11, 9, 0], [11, 5, 0], [2, 3, 0])
    """
    arrays = as_texts(texts)
    words = [pc.count_substring_regex(array, pattern=_WORD) for array in arrays]
    return TextCounts(
        _together(list(map(pc.binary_length, arrays))), _together(list(map(pc.utf8_length, arrays))), _together(words)
    )


def _together(parts: list[pa.Array]) -> NDArray[Any]:
    plain = [pc.fill_null(part, 0).to_numpy(zero_copy_only=False).astype(np.int64) for part in parts]
    return np.concatenate(plain) if plain else np.zeros(0, dtype=np.int64)

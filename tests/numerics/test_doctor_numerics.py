"""The doctor's measures against independent references."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from yunti.data.doctor import minhash
from yunti.data.doctor.leaks import area_under_curve
from yunti.seeds import generator

LETTERS = "abcdefghij klmno"


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=60))
@settings(max_examples=80, deadline=None)
def test_area_under_the_curve(rows: list[tuple[int, bool]]) -> None:
    scores, positive = np.array([row[0] for row in rows]) / 5, np.array([row[1] for row in rows])
    if positive.all() or not positive.any():
        assert area_under_curve(scores, positive) == 0.5
    else:
        assert area_under_curve(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def texts_with_copies(count: int) -> list[str]:
    """Random texts, and copies of some of them with more and more letters changed."""
    random = generator(0, "texts")
    texts = ["".join(random.choice(list(LETTERS), random.integers(60, 200))) for _ in range(count)]
    for number in range(count // 2):
        letters = list(texts[number])
        for place in random.integers(0, len(letters), number % 4):
            letters[place] = "z"
        texts.append("".join(letters))
    return texts


def grams_of(text: str) -> set[str]:
    return {text[place : place + 5] for place in range(max(1, len(text) - 4))}


def jaccard(first: str, second: str) -> float:
    return len(grams_of(first) & grams_of(second)) / len(grams_of(first) | grams_of(second))


def test_near_pairs_agree_with_all_pairs() -> None:
    texts = sorted(set(texts_with_copies(160)))
    wanted = {(a, b) for a in range(len(texts)) for b in range(a + 1, len(texts)) if jaccard(texts[a], texts[b]) >= 0.8}
    first, second = minhash.near_pairs(pa.array(texts, pa.large_string()))
    found = {(min(pair), max(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    assert len(wanted) > 40
    assert len(found & wanted) >= 0.97 * len(wanted)  # a pair at 0.8 is missed with probability 0.01
    assert len(found - wanted) <= 0.03 * len(wanted)  # only pairs whose signatures leave no doubt are not compared


def test_similarity_of_hashes_is_the_similarity_of_sets() -> None:
    texts = texts_with_copies(40)
    first, second = np.arange(20), np.arange(40, 60)
    array = pa.array(texts, pa.large_string())
    exact = [jaccard(texts[a], texts[b]) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(minhash._similarities(array, first, second), exact, atol=1e-3)


@pytest.mark.parametrize("text", ["", "ab", "云梯", "一二三四五六七八九十", "🪜" * 7])
def test_short_and_chinese_texts_have_signatures(text: str) -> None:
    other = "something else entirely"
    first, second = minhash.near_pairs(pa.array([text, other, text + "!" * 0], pa.large_string()))
    assert {0, 2} in [{a, b} for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    assert all(1 not in pair for pair in zip(first.tolist(), second.tolist(), strict=True))


def test_texts_are_normalised() -> None:
    texts = pa.array(["  A  Small\n Cat ", None, "\u3000云 梯"], pa.large_string())
    assert minhash.normalised(texts).to_pylist() == ["a small cat", "", "云 梯"]

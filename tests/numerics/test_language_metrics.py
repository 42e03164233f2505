"""The scores of language against plain loops over the tokens of a text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yunti.errors import RungError
from yunti.tasks.intervals import interval, paired
from yunti.tasks.language import COLUMNS
from yunti.tasks.metrics import metric_named, metrics_of
from yunti.tasks.task import DEFAULT_METRIC, decode, infer_task, score, scores

TEXTS = ["To be, or not to be", "云梯训练模型。", "a", "  two  words\n", "naïve café"]


def by_characters(text: str, chances: dict[str, float]) -> list[float]:
    """A model of single characters: the probability of each token of a text."""
    return [chances.get(letter, 0.01) for letter in text]


def sums_of(text: str, tokens: list[float]) -> list[float]:
    words = sum(len(part) if "\u4e00" <= part[0] <= "\u9fff" else 1 for part in text.replace("。", " ").split())
    return [-sum(math.log(each) for each in tokens), len(text.encode()), len(text), len(tokens), words]


def plainly(name: str, texts: list[str], chances: dict[str, float]) -> float:
    """Score without sums a row: all tokens of all texts in one list."""
    tokens = [each for text in texts for each in by_characters(text, chances)]
    whole = " ".join(texts)
    surprise = [-math.log2(each) for each in tokens]
    if name == "bits_per_byte":
        return sum(surprise) / sum(len(text.encode()) for text in texts)
    if name == "bits_per_character":
        return sum(surprise) / sum(len(text) for text in texts)
    if name == "perplexity_per_token":
        return math.prod(each ** (-1 / len(tokens)) for each in tokens)
    words = sum(len(part) if "\u4e00" <= part[0] <= "\u9fff" else 1 for part in whole.replace("。", " ").split())
    return math.prod(each ** (-1 / words) for each in tokens)


@pytest.mark.parametrize("name", [metric.name for metric in metrics_of("language")])
def test_a_score_is_that_of_all_tokens_together(name: str) -> None:
    chances = {"e": 0.2, "o": 0.1, " ": 0.15, "云": 0.003, "梯": 0.5}
    rows = np.array([sums_of(text, by_characters(text, chances)) for text in TEXTS])
    found = metric_named(name).score(np.zeros(len(rows)), rows)
    assert found == pytest.approx(plainly(name, TEXTS, chances), rel=1e-12)


def test_bits_per_byte_decides_and_every_score_is_better_when_lower() -> None:
    assert DEFAULT_METRIC["language"] == "bits_per_byte"
    task = infer_task("language", "text")
    assert (task.name, task.target, task.metric, task.direction, task.classes) == (
        "language", "text", "bits_per_byte", "lower", ()
    )  # fmt: skip
    assert {metric.direction for metric in metrics_of("language")} == {"lower"}
    assert all(metric.as_error(1.7) == 1.7 for metric in metrics_of("language"))


def test_a_byte_guessed_blindly_costs_eight_bits() -> None:
    octets = np.array([[100 * math.log(256), 100, 90, 100, 20], [7 * math.log(256), 7, 7, 7, 1]])
    every = scores(infer_task("language", "text"), np.zeros(2), octets)
    assert every["bits_per_byte"] == pytest.approx(8)
    assert every["perplexity_per_token"] == pytest.approx(256)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.integers(1, 10**6)), min_size=1, max_size=20))
def test_rows_may_be_joined_or_parted_without_changing_a_score(rows: list[tuple[float, int]]) -> None:
    parted = np.array([[nats, octets, octets, octets, octets] for nats, octets in rows], dtype=np.float64)
    joined = parted.sum(axis=0, keepdims=True)
    for metric in metrics_of("language"):
        one, other = metric.score(np.zeros(len(rows)), parted), metric.score(np.zeros(1), joined)
        assert one == pytest.approx(other, rel=1e-9)


def test_a_hopeless_model_has_a_finite_perplexity() -> None:
    rows = np.array([[1e6, 10.0, 10.0, 1.0, 0.0]])
    every = scores(infer_task("language", "text"), np.zeros(1), rows)
    assert all(math.isfinite(value) for value in every.values())


def test_the_answer_of_a_row_is_its_bits_per_byte() -> None:
    rows = np.array([[8 * math.log(2), 4, 4, 4, 1], [0, 0, 0, 0, 0]], dtype=np.float64)
    answers = decode(infer_task("language", "text"), rows)
    assert answers[0] == pytest.approx(2)
    assert math.isnan(answers[1])


def drawn(seed: int, rows: int, per_byte: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    octets = random.integers(500, 4_000, rows).astype(np.float64)
    nats = octets * (per_byte + 0.1 * random.normal(size=rows))
    return np.column_stack([nats, octets, octets, octets, octets / 6])


def test_a_model_that_is_a_little_better_everywhere_is_told_apart_on_the_same_rows() -> None:
    task = infer_task("language", "text")
    one = drawn(0, 60, 1.4)
    two = one * [0.99, 1, 1, 1, 1]
    target = np.zeros(60)
    low, high = interval(task, target, one, seed=0)
    assert low < score(task, target, two) < high
    seen = paired(task, target, one, two, seed=0)
    assert 0 < seen.low <= seen.difference <= seen.high
    grouped = paired(task, target, one, two, seed=0, clusters=np.arange(60) // 6)
    assert grouped.low > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[:, :4], "its shape must be (3, 5), but it is (3, 4)"),
        (lambda rows: rows * np.nan, "every number must be finite, but row 1 is not"),
        (lambda rows: rows * [1, 1, -1, 1, 1], "no sum may be below 0, but row 1 has -"),
        (lambda rows: rows * [1, 0, 1, 1, 1], "the rows must hold text, but they have no byte"),
    ],
)
def test_sums_that_cannot_be_are_refused(change, said: str) -> None:
    with pytest.raises(RungError) as caught:
        score(infer_task("language", "text"), np.zeros(3), change(drawn(1, 3, 1.0)))
    assert said in str(caught.value)
    assert len(COLUMNS) == 5

"""n-gram models: the published formulas as dictionaries write them down, whatever the data, the memory and the time."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yunti.errors import OptionError, RungError
from yunti.models.contract import Watch
from yunti.models.ngrams import (
    KneserNey,
    Limits,
    Unigram,
    fit,
    fit_kneser_ney,
    fit_unigram,
    usual_order,
)
from yunti.models.ngrams.counting import count_ngrams
from yunti.models.ngrams.estimate import bytes_of, estimate, thresholds_for
from yunti.models.ngrams.grams import greatest_order
from yunti.models.ngrams.order import best_order
from yunti.models.ngrams.runs import Store

TEXT = (
    "the cat sat on the mat. the cat ate the rat. a rat sat on a cat. the mat was flat and the rat was fat. "
    "she sells sea shells on the sea shore. the shells she sells are sea shells, to be sure.\n"
    "how much wood would a wood chuck chuck if a wood chuck could chuck wood? as much as it could.\n"
)
LIMITS = Limits()


class Dictionary:
    """Interpolated modified Kneser–Ney, from Chen and Goodman (1998), written with dictionaries and nothing shared."""

    def __init__(self, documents, vocabulary, order, thresholds=None):
        self.vocabulary, self.order = vocabulary, order
        self.thresholds = thresholds or [0] * order
        self.raw = {n: Counter() for n in range(1, order + 1)}
        for document in documents:
            words = ["<s>", *document]
            for n in range(1, order + 1):
                self.raw[n].update(tuple(words[end - n : end]) for end in range(n, len(words) + 1) if end > 1)
        self.counts = {order: dict(self.raw[order])}
        for n in range(1, order):
            left = defaultdict(set)
            for gram in self.raw[n + 1]:
                left[gram[1:]].add(gram[0])
            starts = {gram: count for gram, count in self.raw[n].items() if gram[0] == "<s>"}
            self.counts[n] = {gram: len(words) for gram, words in left.items()} | starts
        self.after = {n: defaultdict(dict) for n in self.counts}
        for n, counts in self.counts.items():
            for gram, count in counts.items():
                self.after[n][gram[:-1]][gram[-1]] = count
        self.discounts = {n: self.discounts_of(counts) for n, counts in self.counts.items()}

    @staticmethod
    def discounts_of(counts):
        t = Counter(counts.values())
        if t[1] == 0 or t[2] == 0:
            return 0, 0.5, 1.0, 1.5
        y = t[1] / (t[1] + 2 * t[2])
        one = 1 - 2 * y * t[2] / t[1]
        two = 2 - 3 * y * t[3] / t[2] if t[3] else 0
        two = two if two > 0 else one
        three = 3 - 4 * y * t[4] / t[3] if t[3] and t[4] else 0
        return 0, one, two, three if three > 0 else two

    def probability(self, word, context):
        n = len(context) + 1
        lower = self.probability(word, context[1:]) if n > 1 else 1 / self.vocabulary
        seen = self.after[n].get(context)
        if not seen:
            return lower
        total, d = sum(seen.values()), self.discounts[n]
        stays = {x for x in seen if self.raw[n][(*context, x)] > self.thresholds[n - 1]}
        rest = sum(d[min(count, 3)] if x in stays else count for x, count in seen.items()) / total
        return (seen[word] - d[min(seen[word], 3)] if word in stays else 0) / total + rest * lower

    def context(self, document, place):
        return tuple(["<s>", *document[:place]][-(self.order - 1) :]) if self.order > 1 else ()

    def surprise(self, document):
        places = range(len(document))
        return [-math.log(self.probability(document[each], self.context(document, each))) for each in places]


def corpus(documents):
    """Lay documents one after the other."""
    lengths = [len(each) for each in documents]
    return np.array([each for document in documents for each in document], np.uint16), np.cumsum([0, *lengths])


def characters(text=TEXT):
    """One document a sentence, each with its end."""
    letters = sorted(set(text))
    return [[letters.index(each) + 1 for each in sentence] + [0] for sentence in text.split(".")], len(letters) + 1


def drawn(seed, documents, length, vocabulary, ends=True):
    """Documents of tokens that are as unevenly frequent as words."""
    source = np.random.default_rng(seed)
    words = [np.minimum(source.zipf(1.3, source.integers(0, length + 1)), vocabulary - 1) for _ in range(documents)]
    return [[*map(int, each)] + [0] * ends for each in words]


def counted(tokens, offsets, vocabulary, order, folder, room=1 << 30, size=1 << 20):
    store = Store(folder, room)
    return count_ngrams(tokens, offsets, (vocabulary, order), store, size, lambda _done: None), store


def same_arrays(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        assert array.tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 7])
def test_characters_have_the_probabilities_of_the_formula(order):
    documents, vocabulary = characters()
    model, expected = fit_kneser_ney(*corpus(documents), vocabulary, order), Dictionary(documents, vocabulary, order)
    others = [*documents[:3], documents[1][::-1][1:], [3, 3, 3, 9, 0], [0], [vocabulary - 1]]
    found = model.surprise(*corpus(others))
    assert found == pytest.approx([each for document in others for each in expected.surprise(document)], abs=1e-6)


@pytest.mark.parametrize("vocabulary", [2, 5, 60, 8_000, 60_000])
@pytest.mark.parametrize("ends", [True, False])
def test_tokens_have_the_probabilities_of_the_formula(vocabulary, ends):
    documents = drawn(vocabulary, 60, 40, vocabulary, ends)
    for order in (2, 4, 5):
        model = fit_kneser_ney(*corpus(documents), vocabulary, order)
        expected = Dictionary(documents, vocabulary, order)
        others = [*documents[:8], *drawn(1, 8, 30, vocabulary)]
        found = model.surprise(*corpus(others))
        assert found == pytest.approx([each for document in others for each in expected.surprise(document)], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 6).flatmap(
        lambda v: st.tuples(st.just(v), st.lists(st.lists(st.integers(1, v - 1), max_size=12), min_size=1, max_size=8))
    ),
    st.integers(1, 6),
    st.booleans(),
)
def test_whatever_the_documents_the_probabilities_are_those_of_the_formula(content, order, ends):
    vocabulary, documents = content
    documents = [document + [0] * ends for document in documents]
    if not any(documents):
        return
    model, expected = fit_kneser_ney(*corpus(documents), vocabulary, order), Dictionary(documents, vocabulary, order)
    for document in [*documents, [1], [0], [1] * 9]:
        assert model.surprise(*corpus([document])) == pytest.approx(expected.surprise(document), abs=1e-6)
        for place in range(len(document)):
            found = model.next_probabilities(np.array(document[:place], np.uint16))
            context = expected.context(document, place)
            assert found == pytest.approx([expected.probability(w, context) for w in range(vocabulary)], abs=1e-6)
            assert found.sum() == pytest.approx(1, abs=1e-12)
            assert found.min() > 0


@pytest.mark.parametrize("most_bytes", [1 << 30, 30_000, 9_000, 0])
def test_before_it_is_normalised_each_distribution_sums_to_one(most_bytes):
    documents, vocabulary = drawn(3, 300, 40, 50), 50
    model = fit_kneser_ney(*corpus(documents), vocabulary, 5, limits=replace(LIMITS, most_bytes=most_bytes))
    contexts = [[], [1], [7, 3, 1, 1], *(document[:8] for document in documents[:5]), [49, 48, 47, 46, 45]]
    for context in contexts:
        ways = [[*context, token] for token in range(vocabulary)]
        places = np.cumsum([len(each) for each in ways]) - 1
        probabilities = np.exp(-model.surprise(*corpus(ways))[places])
        assert probabilities.sum() == pytest.approx(1, abs=1e-6)
        assert model.next_probabilities(np.array(context, int)) == pytest.approx(probabilities, rel=1e-6)


def test_a_context_reaches_no_further_back_than_its_document():
    documents, vocabulary = characters()
    model = fit_kneser_ney(*corpus(documents), vocabulary, 4)
    first, second = documents[0], documents[1]
    alone = model.surprise(*corpus([second]))
    tokens, offsets = corpus([first, second])
    assert model.surprise(tokens, offsets)[len(first) :].tolist() == alone.tolist()
    assert model.surprise(tokens, offsets[[0, 2]])[len(first) :].tolist() == alone.tolist()  # the end token tells it
    assert model.surprise(tokens, offsets[[1, 2]]).tolist() == alone.tolist()
    whole = model.next_probabilities(np.array([*first, *second[:2]]))
    assert whole.tolist() == model.next_probabilities(np.array(second[:2])).tolist()


def test_the_order_of_documents_does_not_matter():
    documents, vocabulary = characters()
    same_arrays(
        fit_kneser_ney(*corpus(documents), vocabulary, 4).arrays(),
        fit_kneser_ney(*corpus(documents[::-1]), vocabulary, 4).arrays(),
    )


@pytest.mark.parametrize(("vocabulary", "order"), [(60, 6), (8_000, 5)])
def test_counts_in_files_give_the_same_bits_as_counts_in_memory(tmp_path, vocabulary, order):
    tokens, offsets = corpus(drawn(5, 800, 100, vocabulary))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    inside, kept = counted(tokens, offsets, vocabulary, order, tmp_path / "a")
    outside, spilled = counted(tokens, offsets, vocabulary, order, tmp_path / "b", room=100_000, size=4096)
    assert (kept.spilled_bytes, spilled.spilled_bytes > 1_000_000) == (0, True)
    assert inside.frequencies.tolist() == outside.frequencies.tolist()
    assert inside.continuations.tolist() == outside.continuations.tolist()
    for thresholds in ([0] * order, [0, 0, 1, *[1] * (order - 3)]):
        same_arrays(estimate(inside, thresholds)[0], estimate(outside, thresholds)[0])


def test_memory_stays_within_its_limit_and_nothing_is_left_behind(tmp_path):
    source = np.random.default_rng(0)
    tokens = np.minimum(source.zipf(1.2, 1_500_000), 5_000).astype(np.uint16)
    np.save(tmp_path / "tokens.npy", tokens)
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    offsets = np.arange(0, len(tokens) + 1, 1_000)
    limits = Limits(memory_bytes=24 << 20, folder=tmp_path)
    del tokens
    tracemalloc.start()
    try:
        model = fit_kneser_ney(mapped, offsets, 5_001, 4, limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert model.plan["spilled_bytes"] > 24 << 20
    assert peak < 24 << 20
    assert sum(array.nbytes for array in model.arrays().values()) == model.plan["bytes"] <= 10 << 20
    assert [each.name for each in tmp_path.iterdir()] == ["tokens.npy"]


def test_rare_long_ngrams_are_dropped_first_as_in_the_formula(tmp_path):
    documents, vocabulary = drawn(9, 200, 60, 40), 40
    tokens, offsets = corpus(documents)
    counts, _ = counted(tokens, offsets, vocabulary, 4, tmp_path)
    whole = bytes_of(counts, [0] * 4)
    assert thresholds_for(counts, 4, whole) == [0] * 4
    assert thresholds_for(counts, 4, whole - 1) == [0, 0, 0, 1]
    assert thresholds_for(counts, 4, bytes_of(counts, [0, 0, 0, 1]) - 1) == [0, 0, 1, 1]
    for most_bytes in (whole // 2, whole // 8, whole // 30):
        model = fit_kneser_ney(tokens, offsets, vocabulary, 4, limits=replace(LIMITS, most_bytes=most_bytes))
        thresholds = [each - 1 for each in model.plan["least counts"]]
        expected = Dictionary(documents, vocabulary, 4, thresholds)
        found = model.surprise(*corpus(documents[:10]))
        assert found == pytest.approx([each for d in documents[:10] for each in expected.surprise(d)], abs=1e-6)
        assert sum(array.nbytes for array in model.arrays().values()) == model.plan["bytes"] <= most_bytes


def test_a_model_is_the_same_from_arrays_in_files(tmp_path):
    documents, vocabulary = characters()
    model = fit_kneser_ney(*corpus(documents), vocabulary, 4)
    for name, array in model.arrays().items():
        np.save(tmp_path / name, array)
    again = KneserNey.from_arrays({each.stem: np.load(each, mmap_mode="r") for each in tmp_path.iterdir()})
    assert (again.order, again.vocabulary, again.parameters) == (4, vocabulary, model.parameters)
    assert again.surprise(*corpus(documents)).tolist() == model.surprise(*corpus(documents)).tolist()
    context = np.array(documents[0][:5])
    assert again.next_probabilities(context).tolist() == model.next_probabilities(context).tolist()


def test_long_documents_are_scored_without_a_seam():
    source = np.random.default_rng(2)
    tokens = source.integers(1, 30, 270_000).astype(np.int32)
    model = fit_kneser_ney(tokens[:20_000], np.array([0, 20_000]), 30, 4)
    found = model.surprise(tokens, np.array([0, len(tokens)]))
    for place in (0, 1, 2, 3, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, (1 << 18) + 3):
        expected = model.next_probabilities(tokens[max(0, place - 9) : place])[tokens[place]]
        assert math.exp(-found[place]) == pytest.approx(expected, rel=1e-6)


def test_a_deadline_leaves_out_tokens_and_says_so(monkeypatch):
    monkeypatch.setattr(fit, "_PILOT", 2_000)
    tokens, offsets = corpus(drawn(4, 3_000, 60, 500))
    told = []
    watch = Watch(deadline=time.monotonic(), report=lambda done, _numbers: told.append(done))
    model = fit_kneser_ney(tokens, offsets, 500, 3, limits=Limits(watch=watch))
    assert model.plan["tokens"] == 2_000
    sentence = f"shortened to fit the time: learned from the first 2,000 of {len(tokens):,} tokens"
    assert model.plan["shortened"] == sentence
    same_arrays(model.arrays(), fit_kneser_ney(tokens[:2_000], np.minimum(offsets, 2_000), 500, 3).arrays())
    assert told == [1.0]
    whole = fit_kneser_ney(tokens, offsets, 500, 3, limits=Limits(watch=Watch(deadline=time.monotonic() + 600)))
    assert whole.plan["tokens"] == len(tokens)
    assert "shortened" not in whole.plan


def test_a_fit_that_is_slower_than_foretold_ends_with_the_first_model(monkeypatch):
    monkeypatch.setattr(fit, "_PILOT", 2_000)
    monkeypatch.setattr(fit, "_SLOWER", 1e9)
    tokens, offsets = corpus(drawn(4, 9_000, 60, 500))
    begun = time.monotonic()
    model = fit_kneser_ney(tokens, offsets, 500, 5, limits=Limits(watch=Watch(deadline=begun + 0.05)))
    assert model.plan["tokens"] == 2_000
    assert time.monotonic() - begun < 10


def test_orders_are_tried_while_there_is_time(tmp_path):
    tokens, offsets = corpus(drawn(4, 300, 60, 500))
    counts, _ = counted(tokens, offsets, 500, 4, tmp_path)

    def tick(done):
        if done > 0.5:
            raise TimeoutError

    model = fit._chosen(counts, usual_order(500, len(tokens)), 1 << 30, (tokens, offsets), tick)
    assert model.order == 2
    assert model.plan["bits"].keys() == {"1", "2"}


@pytest.mark.parametrize("valid", [None, corpus(drawn(8, 3, 60, 500))])
def test_progress_rises_to_the_end(valid):
    told = []
    tokens, offsets = corpus(drawn(4, 300, 60, 500))
    watch = Watch(report=lambda done, _numbers: told.append(done))
    fit_kneser_ney(tokens, offsets, 500, 4, valid, Limits(watch=watch))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_order_is_chosen_by_the_bits_on_other_text():
    documents, vocabulary = characters()
    valid = corpus(documents[1::3])
    model = fit_kneser_ney(*corpus(documents[::3] + documents[2::3]), vocabulary, 5, valid)
    bits = {}
    for order in range(1, 6):
        alone = fit_kneser_ney(*corpus(documents[::3] + documents[2::3]), vocabulary, order)
        bits[order] = alone.surprise(*valid).mean() / math.log(2)
    assert model.order == best_order(bits).order == min(bits, key=bits.__getitem__)
    assert model.plan["bits"] == {str(order): pytest.approx(value, abs=1e-4) for order, value in bits.items()}
    assert model.plan["reasons"]["order"].startswith("the fewest bits a token on validation text, by order: 1: ")


def test_the_usual_order_grows_with_the_data_and_falls_with_the_vocabulary():
    sizes = [10**power for power in range(2, 10)]
    for vocabulary in (2, 66, 256, 8_000, 50_257, 1_000_000):
        orders = [usual_order(vocabulary, size).order for size in sizes]
        assert orders == sorted(orders)
        assert orders[0] >= 3
        assert orders[-1] <= greatest_order(vocabulary)
    assert [usual_order(66, 10**6).order, usual_order(8_000, 10**8).order, usual_order(50_257, 10**9).order] == [
        8,
        5,
        5,
    ]
    assert usual_order(256, 10**9).order <= 10


def test_a_unigram_model_adds_one_half():
    documents, vocabulary = characters()
    tokens, offsets = corpus(documents)
    model = fit_unigram(tokens, offsets, vocabulary + 2)
    frequent = Counter(tokens.tolist())
    expected = [(frequent[each] + 0.5) / (len(tokens) + 0.5 * (vocabulary + 2)) for each in range(vocabulary + 2)]
    assert model.next_probabilities(np.array([3])) == pytest.approx(expected)
    assert np.exp(-model.surprise(tokens, offsets)) == pytest.approx([expected[each] for each in tokens])
    again = Unigram.from_arrays(model.arrays())
    assert again.surprise(tokens, offsets).tolist() == model.surprise(tokens, offsets).tolist()
    late = fit_unigram(np.ones(5_000_000, np.uint16), np.array([0, 5_000_000]), 3, Limits(watch=Watch(deadline=0)))
    assert late.plan["tokens"] < 5_000_000
    assert "shortened" in late.plan


@cache
def small():
    documents, vocabulary = characters()
    return fit_kneser_ney(*corpus(documents), vocabulary, 3), vocabulary


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (
            lambda: fit_kneser_ney(np.array([1, 9]), np.array([0, 2]), 9, 2),
            "tokens, place 1: each must be an integer from 0 to 8, but there is 9; "
            "give the vocabulary that the tokens were made with.",
        ),
        (
            lambda: small()[0].next_probabilities(np.array([1, -1])),
            f"tokens, place 1: each must be an integer from 0 to {small()[1] - 1}, but there is -1; "
            "give the vocabulary that the tokens were made with.",
        ),
        (
            lambda: small()[0].surprise(np.array([1, 2]), np.array([0, 3])),
            "offsets: they must rise from 0 or more to at most the number of tokens, 2, but they run from 0 to 3; "
            "give the place of each document's first token, and the end.",
        ),
        (
            lambda: fit_kneser_ney(np.array([1, 2]), np.array([0, 2]), 8_000, 6),
            "order: it must be from 1 to 5 with 8,000 different tokens, so that 64 bits hold a context, "
            "but it is 6; choose one of these.",
        ),
        (
            lambda: fit_kneser_ney(np.array([], int), np.array([0]), 9),
            "tokens: there must be at least one token, but there is none; give a text that is not empty.",
        ),
        (
            lambda: fit_kneser_ney(np.array([1]), np.array([0, 1]), 9, valid=(np.array([1]), np.array([1, 1]))),
            "valid: there must be at least one token, but there is none; give a text that is not empty.",
        ),
        (
            lambda: fit_unigram(np.array([1]), np.array([0, 1]), 0),
            "vocabulary: it must hold at least the end token, but it is 0; give its size.",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(do, expected):
    with pytest.raises(OptionError) as caught:
        do()
    assert str(caught.value) == expected


def test_a_full_disk_is_told(tmp_path):
    tokens, offsets = corpus(drawn(4, 30, 60, 500))
    with pytest.raises(RungError, match=r"it must hold the counted n-grams, but .* give another folder"):
        counted(tokens, offsets, 500, 3, tmp_path / "absent", room=0)

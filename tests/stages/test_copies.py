"""What texts have in common with others, against a search that tries everything."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from yunti.climbing import copying
from yunti.data import copies
from yunti.data.copies import find_copies
from yunti.data.lengths import words_in
from yunti.data.rolling import Rolling, mixed

ALPHABETS = {"latin": "aab b\n", "han": "云梯很。高 a", "mixed": "ab 云，\U00020000\u3000é\x1c"}


def made(alphabet, lengths, seed):
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list(ALPHABETS[alphabet]), length)) for length in lengths]


def words_of(text):
    """Split as `words_in` counts, the plain way."""
    found, word = [], ""
    for letter in text + " ":
        alone = words_in(letter + letter) == 2
        if alone or not words_in(letter):
            found += [word] if word else []
            found += [letter] if alone else []
            word = ""
        else:
            word += letter
    return found


def runs_of(text, length):
    words = words_of(text)
    return [tuple(words[place : place + length]) for place in range(len(words) - length + 1)]


def spans_of(text, length):
    return [text[place : place + length] for place in range(len(text) - length + 1)]


def by_trying(texts, others, words, characters):
    """Return the four counts, and the length of the longest span."""
    known_runs = {run for other in others for run in runs_of(other, words)}
    known_spans = {span for other in others for span in spans_of(other, characters)}
    runs = [run for text in texts for run in runs_of(text, words)]
    spans = [span for text in texts for span in spans_of(text, characters)]
    longest = 0
    while any(span in other for text in texts for span in spans_of(text, longest + 1) for other in others):
        longest += 1
    counts = (len(runs), sum(run in known_runs for run in runs), len(spans), sum(span in known_spans for span in spans))
    return counts, longest


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
def test_it_is_what_a_search_finds_that_tries_everything(alphabet, joined, piece, monkeypatch):
    monkeypatch.setattr(copies, "WORDS", 3)
    monkeypatch.setattr(copies, "CHARACTERS", 6)
    monkeypatch.setattr(copies, "_AT_ONCE", piece)
    for seed in range(4):
        others = made(alphabet, [40, 0, 90, 3, 30], seed)
        texts, held = made(alphabet, [50, 2, 40], seed + 100), made(alphabet, [35], seed + 200)
        texts.append(others[2][10:50] + "é")
        found = find_copies([texts, held], pa.array(others, pa.large_string()), joined=joined)
        where = ["".join(others)] if joined else others
        for shares, group in zip(found.shares, (texts, held), strict=True):
            counts, longest = by_trying(group, where, 3, 6)
            assert (shares.runs, shares.copied_runs, shares.spans, shares.copied_spans) == counts
            if group is texts:
                assert len(found.longest) == longest
                assert any(found.longest in other for other in where)
                assert any(found.longest in text for text in texts)
        assert found.searched == 1


def test_words_are_counted_as_elsewhere():
    for alphabet in ALPHABETS:
        for text in made(alphabet, [200, 17, 1, 0], 5):
            assert len(copies._words_of(copies._codes_of(text))[0]) == words_in(text)


def test_texts_without_anything_and_a_search_without_time():
    where = pa.array(["a text", None, ""], pa.large_string())
    nothing = find_copies([[], [""]], where)
    assert (nothing.longest, nothing.searched) == ("", 1)
    assert nothing.shares[0] == copies.Shares(0, 0, 0, 0)
    late = find_copies([["a text"]], where, until=time.monotonic())
    assert (late.longest, late.searched) == ("", 0)


def test_hashes_of_runs_are_those_of_the_runs_alone():
    values = mixed(np.random.default_rng(0).integers(5, size=200))
    whole = Rolling(values)
    for length in (1, 2, 50, 200):
        alone = [int(Rolling(values[start : start + length]).runs(length)[0]) for start in range(201 - length)]
        assert whole.runs(length).tolist() == alone
    starts, stops = np.array([0, 10, 150]), np.array([1, 90, 200])
    pieces = [int(Rolling(values[a:b]).runs(b - a)[0]) for a, b in zip(starts, stops, strict=True)]
    assert whole.pieces(starts, stops).tolist() == pieces


def test_how_far_the_writing_is_is_not_told_after_every_token(monkeypatch):
    clock = iter([0.0, 0.1, 0.3, 0.6, 0.6, 0.7, 1.2, 1.2])
    monkeypatch.setattr(copying.time, "monotonic", lambda: next(clock))
    sent = []
    tell = copying._now_and_then(sent.append)
    for done in (0.1, 0.2, 0.3, 0.4, 0.5):
        tell(done)
    assert sent == [{"fraction": pytest.approx(copying.WRITING_SHARE * done)} for done in (0.3, 0.5)]

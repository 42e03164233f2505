"""Splits: sizes, strata, groups, times, copies and ready parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yunti.data.split import ASIDE, TEST, TRAIN, VALID, Wish, ready_parts, share_of, split
from yunti.errors import ColumnError, SourceError


def wish(rows: int, strata: NDArray[np.int64] | None = None, **more: NDArray[np.generic] | str | bool | None) -> Wish:
    fields = {
        "source": "table.csv",
        "usable": np.ones(rows, dtype=np.bool_),
        "strata": np.zeros(rows, dtype=np.int64) if strata is None else strata,
        "clusters": np.arange(rows, dtype=np.int64),
    }
    return Wish(**{**fields, **more})  # type: ignore[arg-type]


@given(st.integers(60, 3_000), st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_every_class_gives_its_share(rows: int, weights: list[int], seed: int) -> None:
    random = np.random.default_rng(rows)
    strata = random.choice(len(weights), rows, p=np.array(weights) / sum(weights))
    part = split(wish(rows, strata), seed).part
    share = share_of(rows)
    for each in (TEST, VALID):
        assert abs((part == each).sum() - share * rows) <= len(weights) + 2
        for stratum in np.unique(strata):
            of_class = int((strata == stratum).sum())
            assert abs(((part == each) & (strata == stratum)).sum() - share * of_class) <= 2
    assert set(np.unique(strata)) == set(np.unique(strata[part == TRAIN]))


def test_sizes_follow_the_rows() -> None:
    assert [share_of(rows) for rows in (100, 5_000, 50_000)] == [0.2, 0.15, 0.1]
    parts = split(wish(1_000_000), 0)
    assert [(parts.part == each).sum() for each in (TRAIN, VALID, TEST)] == [960_000, 20_000, 20_000]


@pytest.mark.parametrize("by_place", [False, True])
def test_of_much_text_a_megabyte_validates_and_as_much_tests(by_place: bool) -> None:
    for rows, length, share in ((20_000, 3_600, 1e6 / 72e6), (2_000, 50_000, 50 / 2_000), (2_500, 400, 0.1)):
        lengths = np.full(rows, length, dtype=np.int64)
        part = split(wish(rows, lengths=lengths, by_place=by_place), 0).part
        expected = share if by_place or share < 0.1 else share_of(rows)
        for each in (TEST, VALID):
            assert (part == each).mean() == pytest.approx(expected, abs=3 / rows)


def test_the_same_seed_gives_the_same_parts() -> None:
    strata = np.arange(500) % 3
    assert np.array_equal(split(wish(500, strata), 7).part, split(wish(500, strata), 7).part)
    assert not np.array_equal(split(wish(500, strata), 7).part, split(wish(500, strata), 8).part)


@given(st.integers(100, 1_000), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_copies_stay_on_one_side(rows: int, seed: int) -> None:
    clusters = np.random.default_rng(rows).integers(0, rows // 2, rows)
    part = split(wish(rows, np.arange(rows) % 2, clusters=clusters), seed).part
    for cluster in np.unique(clusters):
        assert len(np.unique(part[clusters == cluster])) == 1
    for each in (VALID, TEST):
        assert (part == each).sum() >= 0.5 * share_of(rows) * rows


def test_a_crowd_of_copies_trains() -> None:
    clusters = np.where(np.arange(1_000) < 400, 0, np.arange(1_000))
    part = split(wish(1_000, clusters=clusters), 0).part
    assert set(part[:400]) == {TRAIN}
    assert abs((part == TEST).sum() - 200) <= 2


@given(st.integers(3, 40), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_groups_stay_whole(groups: int, seed: int) -> None:
    random = np.random.default_rng(groups)
    codes = random.integers(0, groups, 600)
    codes[:groups] = np.arange(groups)
    part = split(wish(600, np.arange(600) % 2, groups=codes, group_name="speaker"), seed).part
    for group in range(groups):
        assert len(np.unique(part[codes == group])) == 1
    assert {TRAIN, VALID, TEST} == set(part.tolist())


def test_four_speakers_leave_one_out_each() -> None:
    codes = np.repeat(np.arange(4), 500)
    parts = split(wish(2_000, np.arange(2_000) % 10, groups=codes, group_name="speaker"), 0)
    assert sorted((parts.part == each).sum() for each in (TRAIN, VALID, TEST)) == [500, 500, 1_000]
    assert parts.how == "by group (speaker)"


def test_groups_that_share_copies_stay_together() -> None:
    codes = np.repeat(np.arange(20), 30)
    clusters = np.arange(600)
    clusters[30] = clusters[0]  # the second group repeats a row of the first
    for seed in range(5):
        part = split(wish(600, groups=codes, clusters=clusters, group_name="g"), seed).part
        assert part[0] == part[30]


def test_later_rows_test() -> None:
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(300.0), 3))
    parts = split(wish(900, times=times, time_name="day"), 0)
    train, valid, test = (times[parts.part == each] for each in (TRAIN, VALID, TEST))
    assert train.max() < valid.min() <= valid.max() < test.min()
    assert (len(valid), len(test)) == (180, 180)
    assert parts.how == "by time (day): the latest rows test"


def test_rows_without_a_time_train() -> None:
    times = np.where(np.arange(200) % 10 == 0, np.nan, np.arange(200.0))
    part = split(wish(200, times=times, time_name="day"), 0).part
    assert set(part[np.isnan(times)]) == {TRAIN}


def test_a_ready_split_is_respected_and_completed() -> None:
    ready = np.array(["train"] * 300 + ["test"] * 100)
    parts = split(wish(400, np.arange(400) % 2, ready=ready), 0)
    assert set(parts.part[300:]) == {TEST}
    assert (parts.part == VALID).sum() == 60
    assert parts.how == "ready split, valid stratified by target"
    whole = np.array(["train"] * 300 + ["test"] * 50 + ["valid"] * 50)
    assert split(wish(400, ready=whole), 0).how == "ready split"
    groups = np.arange(400) // 10
    by_group = split(wish(400, ready=ready, groups=groups, group_name="g"), 0)
    assert by_group.how == "ready split, valid by group (g)"


def test_unusable_rows_stand_aside() -> None:
    usable = np.arange(100) % 10 != 0
    part = split(wish(100, usable=usable), 0).part
    assert np.array_equal(part == ASIDE, ~usable)


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("Train", "TEST", "dev"), ["train", "test", "valid"]),
        (("训练", "测试", "验证"), ["train", "test", "valid"]),
        (("training", "holdout", "validation"), ["train", "test", "valid"]),
    ],
)
def test_words_of_a_ready_split(names: tuple[str, ...], parts: list[str]) -> None:
    read = ready_parts(names, np.array([0, 1, 2, -1], dtype=np.int32), "table.csv", "part")
    assert read.tolist() == [*parts, "train"]


def test_marks_of_a_ready_split() -> None:
    assert ready_parts(("0", "1"), np.array([0, 1], dtype=np.int32), "t", "is_test").tolist() == ["train", "test"]
    assert ready_parts(("true", "false"), np.array([0, 1], dtype=np.int32), "t", "train").tolist() == ["train", "test"]


def test_what_cannot_be_split() -> None:
    with pytest.raises(SourceError, match="at least 10 rows must be usable, but there are 5"):
        split(wish(5), 0)
    with pytest.raises(ColumnError, match="--group g needs at least 3 different groups, but it holds 2"):
        split(wish(40, groups=np.arange(40) % 2, group_name="g"), 0)
    with pytest.raises(ColumnError, match="--time t needs at least 3 different times, but it holds 1"):
        split(wish(40, times=np.zeros(40), time_name="t"), 0)
    with pytest.raises(ColumnError, match="must hold train, valid"):
        ready_parts(("train", "fold2"), np.array([0, 1], dtype=np.int32), "t", "fold")
    with pytest.raises(ColumnError, match="must mark training rows and others"):
        ready_parts(("train",), np.array([0, 0], dtype=np.int32), "t", "part")

"""Features of numbers, categories, times and texts, and of all of them together."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from contract.rows import KINDS, make_rows, make_spec, task_spec
from yunti.data.table import Categories, Numbers, Table, Texts
from yunti.models.features import Features
from yunti.models.features.grams import END, clean
from yunti.models.features.scaling import Scaled
from yunti.models.features.tabular import Codes, Number, NumberAndLogarithm, OneHot, Time
from yunti.models.features.text import DenseText, SparseText
from yunti.specs import ColumnSpec, Spec

NOBODY = np.zeros(0)


def numbers(*values, kind=np.float32):
    return Numbers(np.array(values, dtype=kind))


def texts(*values):
    return Texts(pa.array(values, pa.large_string()))


def mixed_spec(task):
    columns = [column for kind in KINDS for column in make_spec(kind, task, 60).columns]
    return Spec((*columns, ColumnSpec("when", "time")), task_spec(task), 60)


def mixed_table(rows, seed=0):
    columns = {}
    for kind in KINDS:
        columns |= make_rows(kind, "classification", rows, seed).table.columns
    days = np.random.default_rng(seed).integers(0, 700, rows) * 86400.0
    return Table({**columns, "when": Numbers(days)})


# Numbers


def test_a_missing_number_becomes_the_middle_and_raises_a_flag():
    block = Scaled(Number("age"))
    block.fit(numbers(1, 2, 3, np.nan), NOBODY, 0)
    values = block.transform(numbers(2, np.nan))
    assert block.names == ("age", "age is missing")
    np.testing.assert_allclose(values[1], [0, 1])
    assert values[0, 1] == 0


def test_an_outlier_moves_a_scaled_number_a_little():
    block = Scaled(Number("x"))
    block.fit(Numbers(np.linspace(0, 1, 1000, dtype=np.float32)), NOBODY, 0)
    near, far, below = block.transform(numbers(1.0, 1e6, -1e6))[:, 0]
    assert 1 < near < 2
    assert 6 < far < 30
    assert below < -6


def test_infinity_counts_as_missing():
    block = Scaled(Number("x"))
    block.fit(numbers(1, 2, 3, 4), NOBODY, 0)
    np.testing.assert_array_equal(block.transform(numbers(np.inf, -np.inf))[:, 0], [0, 0])


@pytest.mark.parametrize("column", [numbers(5, 5, 5), numbers(np.nan, np.nan)])
def test_a_constant_number_gives_no_feature(column):
    block = Number("x")
    block.fit(column, NOBODY, 0)
    assert block.names == ()
    assert block.transform(column).shape == (len(column), 0)


def test_neighbouring_large_numbers_stay_apart():
    values = 1.7e9 + np.arange(50.0)
    block = Number("stamp")
    block.fit(Numbers(values), NOBODY, 0)
    assert len(np.unique(block.transform(Numbers(values)))) == 50


def test_the_logarithm_is_added_where_there_are_many_values():
    block = NumberAndLogarithm("price")
    block.fit(Numbers(np.geomspace(1, 1e4, 100).astype(np.float32)), NOBODY, 0)
    assert block.names == ("price", "logarithm of price")
    least, below = block.transform(numbers(1, -8))[:, 1]
    assert least == 0
    assert below < 0
    few = NumberAndLogarithm("rooms")
    few.fit(numbers(1, 2, 3), NOBODY, 0)
    assert few.names == ("rooms",)


# Times and categories


def test_a_time_knows_its_hour_its_weekday_and_its_month():
    monday = np.datetime64("2024-01-01T00:00:00").astype("datetime64[s]").astype(np.float64)
    hours = np.arange(0, 400 * 24, 7) * 3600.0
    block = Time("when", circular=False)
    block.fit(Numbers(monday + hours), NOBODY, 0)
    assert block.names == ("when", "when: hour", "when: weekday", "when: day of the year", "when: month")
    row = block.transform(Numbers(np.array([monday + 2 * 86400 + 5 * 3600, np.nan])))
    np.testing.assert_allclose(row[0, [1, 2, 4]], [5, 2, 0], atol=1e-3)
    assert np.isnan(row[1]).all()


def test_midnight_is_near_midnight():
    block = Time("when", circular=True)
    block.fit(Numbers(np.arange(0, 90 * 24) * 3600.0), NOBODY, 0)
    late, early = block.transform(Numbers(np.array([86399.0, 86401.0])))[:, 1:3]
    np.testing.assert_allclose(late, early, atol=1e-3)


def test_one_hot_gathers_the_rare_and_the_unseen():
    column = Categories(np.array([0] * 60 + [1] * 30 + [2, -1], dtype=np.int32), ("a", "b", "c"))
    block = OneHot("colour")
    block.fit(column, NOBODY, 0)
    assert block.names == ("colour = 'a'", "colour = 'b'", "colour is rare", "colour is missing")
    fresh = Categories(np.array([0, 1, 2, 3, -1], dtype=np.int32), ("unseen", "b", "a", "c"))
    expected = [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(block.transform(fresh).toarray(), expected)


def test_codes_follow_the_frequency_and_leave_missing_open():
    column = Categories(np.array([1] * 40 + [0] * 20 + [-1], dtype=np.int32), ("few", "many"))
    block = Codes("size", unordered=True)
    block.fit(column, NOBODY, 0)
    values = block.transform(Categories(np.array([0, 1, -1, 2], dtype=np.int32), ("few", "many", "new")))[:, 0]
    np.testing.assert_array_equal(values, [1, 0, np.nan, 2])
    assert block.levels == (3,)


# Texts


def test_html_case_and_width_are_cleaned_away():
    assert clean(["One<br />TWO &lt;3", "Ｆｕｌｌ", "a < b > c"]).split(chr(END)) == ["one two <3", "full", "a < b > c"]
    assert clean(["nul\0inside", "next"]).count(chr(END)) == 1


def test_chinese_words_are_found_without_spaces():
    block = SparseText("note")
    column = texts("我爱北京", "北京很大", "上海很大", "我爱上海")
    block.fit(column, NOBODY, 0)
    assert {"note: words '北京'", "note: words '爱'"} <= set(block.names)
    assert block.transform(column).shape == (4, block.width)


def test_missing_empty_and_unknown_texts_have_no_grams():
    block = SparseText("note")
    block.fit(texts("red fox", "red hen", None), NOBODY, 0)
    assert block.transform(texts(None, "", "zzzzz qqqqq")).nnz == 0


def test_rows_of_a_bag_have_length_one_and_do_not_depend_on_their_company():
    block = SparseText("note")
    column = texts("the red fox", "a red hen and a fox", "hen", "fox fox fox")
    block.fit(column, NOBODY, 0)
    whole = block.transform(column)
    np.testing.assert_allclose(np.asarray(whole.multiply(whole).sum(axis=1))[0], 2, rtol=1e-5)  # one for each bag
    alone = block.transform(column.take(slice(1, 2)))
    assert abs(whole[1] - alone).max() < 1e-6


def test_long_columns_are_read_in_pieces(monkeypatch):
    column = texts(*(f"word{row % 7} and word{row % 11} again" for row in range(200)))
    block = SparseText("note")
    block.fit(column, NOBODY, 0)
    whole = block.transform(column)
    monkeypatch.setattr("yunti.models.features.tfidf.CHUNK_CHARACTERS", 300)
    assert abs(whole - block.transform(column)).max() < 1e-6


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_dense_texts_hold_the_word_that_tells(task):
    random = np.random.default_rng(0)
    rows = [f"{random.choice(['alpha', 'beta'])} {' '.join(random.choice(list('uvwxyz'), 5))}" for _ in range(120)]
    target = np.array([row.startswith("alpha") for row in rows]).astype(np.int32 if task == "classification" else float)
    block = DenseText("note", task)
    block.fit(texts(*rows), target, 0)
    assert "note: word 'alpha'" in block.names
    values = block.transform(texts("alpha u", None))
    assert values.shape == (2, block.width)
    assert values[0, block.names.index("note: word 'alpha'")] > 0
    assert np.isnan(values[1, 0])


# All together


@pytest.mark.parametrize("flavour", ["scaled", "raw"])
def test_a_mixture_of_all_kinds_becomes_one_matrix_and_comes_back(flavour):
    spec, table = mixed_spec("classification"), mixed_table(60)
    features = Features(spec, flavour)
    features.fit(table, np.arange(60, dtype=np.int32) % 3)
    matrix = features.transform(table)
    assert matrix.shape == (60, len(features.names)) == (60, features.width)
    assert matrix.dtype == np.float32
    assert len(features.levels) == features.width
    assert len(set(features.names)) == features.width
    parts = features.parts()
    json.dumps(parts.facts)
    assert all(isinstance(array, np.ndarray) for array in parts.arrays.values())
    copy = Features(spec, flavour)
    copy.restore(parts)
    assert copy.names == features.names
    fresh = mixed_table(9, seed=1)
    first, second = (each.transform(fresh) for each in (features, copy))
    if features.sparse:
        first, second = first.toarray(), second.toarray()
    np.testing.assert_array_equal(first, second)
    if flavour == "scaled":
        assert np.isfinite(first).all()


def test_only_training_rows_are_learned_from():
    spec = make_spec("number", "regression", 50)
    rows = make_rows("number", "regression", 50)
    features = Features(spec, "scaled")
    features.fit(rows.table, rows.target)
    before = features.parts()
    features.transform(make_rows("number", "regression", 50, seed=5).table)
    after = features.parts()
    assert before.facts == after.facts
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(array, after.arrays[name])


@pytest.mark.parametrize("flavour", ["scaled", "raw"])
def test_no_rows_give_no_features_and_no_error(flavour):
    spec, table = mixed_spec("classification"), mixed_table(40)
    features = Features(replace(spec, rows=40), flavour)
    features.fit(table, np.arange(40, dtype=np.int32) % 2)
    assert features.transform(table.take(slice(0, 0))).shape == (0, features.width)
    assert features.transform(table.take(slice(0, 1))).shape == (1, features.width)

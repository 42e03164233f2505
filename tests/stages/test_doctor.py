"""The doctor: what is wrong is found, and what is right is left in peace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import yunti
from raws import found, looked, write_csv
from yunti.data.doctor.copies import one_to_one
from yunti.data.doctor.leaks import find_sum
from yunti.errors import ColumnError

ROWS = 400
RANDOM = np.random.default_rng(0)
SIGNAL = RANDOM.normal(size=ROWS)
LABEL = np.where(SIGNAL + RANDOM.normal(size=ROWS) > 0, "good", "bad")
WORDS = [start + end for start in ("dar", "col", "riv", "sto", "hou") for end in ("k", "d", "er", "ne", "my")]


def table(**more: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
    """A sound table with a signal, noise and a category, and more."""
    return {
        "signal": np.round(SIGNAL, 4).tolist(),
        "noise": np.round(np.random.default_rng(1).normal(size=ROWS), 4).tolist(),
        "colour": [["red", "green", "blue"][number % 3] for number in range(ROWS)],
        **more,
        "label": LABEL.tolist(),
    }


@pytest.fixture
def csv(tmp_path: Path) -> Any:
    return lambda **more: write_csv(tmp_path / "table.csv", table(**more))


def left_out(look: Any) -> dict[str, str]:
    return {each.column: each.code for each in look.data.findings if each.severity == "left out"}


def roles(look: Any) -> dict[str, str]:
    return {column.name: column.role for column in look.data.columns}


def test_a_sound_table_has_nothing_to_tell(csv: Any) -> None:
    look = looked(csv(), target="label")
    assert look.data.findings == ()
    assert roles(look) == {"signal": "input", "noise": "input", "colour": "input", "label": "target"}


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("rownames", list(range(1, ROWS + 1)), "index"),
        ("Unnamed: 0", list(range(ROWS)), "index"),
        ("shuffled", np.random.default_rng(2).permutation(ROWS).tolist(), "index"),
        ("customer_id", np.random.default_rng(3).choice(10**6, ROWS, replace=False).tolist(), "id"),
        ("ticket", [f"T-{number * 7 % 1009:04d}" for number in range(ROWS)], "id"),
        ("constant", ["same"] * ROWS, "constant"),
        ("zero", [0] * ROWS, "constant"),
        ("empty", [None] * ROWS, "empty"),
        ("part", ["train", "test", "valid", "train"] * (ROWS // 4), "split_column"),
        ("outcome_code", (LABEL == "good").astype(int).tolist(), "leak"),
        ("verdict", np.where(LABEL == "good", "kept", "returned").tolist(), "leak"),
        ("later", (np.where(LABEL == "good", 100, 0) + np.random.default_rng(4).normal(size=ROWS)).tolist(), "leak"),
        ("tint", [["rouge", "vert", "bleu"][number % 3] for number in range(ROWS)], "copy"),
        ("signal_in_cents", np.round(SIGNAL * 100, 2).tolist(), "copy"),
        ("turned", np.round(5 - SIGNAL, 4).tolist(), "copy"),
    ],
)
def test_columns_that_are_left_out(csv: Any, name: str, values: Sequence[Any], code: str) -> None:
    look = looked(csv(**{name: values}), target="label")
    assert left_out(look) == {name: code}
    assert roles(look)[name] == "left out"
    kept = looked(csv(**{name: values}), target="label", keep=(name,))
    if code != "empty":
        assert roles(kept)[name] == "input"
    if code not in ("empty", "id"):  # a kept key is a category or a number like any other
        assert found(kept, code, name)[0].severity == "warning"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", [1900 + number % 120 for number in range(ROWS)]),
        ("counts", [number // 3 for number in range(ROWS)]),
        ("curve", np.exp(SIGNAL).tolist()),
        ("presence", ["x" if number % 5 == 0 else None for number in range(ROWS)]),
        ("strong", np.where(RANDOM.random(ROWS) < 0.93, LABEL == "good", LABEL == "bad").astype(int).tolist()),
        ("balance", RANDOM.normal(size=ROWS).tolist()),
        ("paid", RANDOM.normal(size=ROWS).tolist()),
    ],
)
def test_columns_that_stay(csv: Any, name: str, values: Sequence[Any]) -> None:
    look = looked(csv(**{name: values}), target="label")
    assert roles(look)[name] == "input"


def test_a_counter_is_kept_where_nothing_else_is_left(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "line.csv", {"x": list(range(100)), "y": [number**2 % 37 for number in range(100)]})
    look = looked(file, target="y", task="regression")
    assert roles(look)["x"] == "input"
    assert "no other column is left" in found(look, "index", "x")[0].message


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "bare.csv", {"x": ["same"] * 60, "y": ["a", "b"] * 30})
    with pytest.raises(ColumnError, match="at least one column must be left"):
        looked(file, target="y")


def test_accounts_of_the_target_are_left_out(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    casual, registered = random.integers(0, 300, 500), random.integers(0, 900, 500)
    columns = {
        "temperature": random.normal(size=500).tolist(),
        "casual": casual.tolist(),
        "registered": registered.tolist(),
        "total": (casual + registered).tolist(),
    }
    look = looked(write_csv(tmp_path / "rides.csv", columns), target="total")
    assert left_out(look) == {"casual": "leak", "registered": "leak"}
    assert "total = casual + registered" in found(look, "leak", "casual")[0].message


def test_books_kept_afterwards_are_left_out(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    lent, paid, interest = random.integers(10, 400, 600) * 100, random.random(600), random.random(600) * 500
    columns = {
        "lent": lent.tolist(),
        "income": random.integers(10_000, 90_000, 600).tolist(),
        "balance": np.round(lent * (1 - paid), 2).tolist(),
        "paid_principal": np.round(lent - np.round(lent * (1 - paid), 2), 2).tolist(),
        "paid_interest": np.round(interest, 2).tolist(),
        "paid_fees": np.where(random.random(600) < 0.005, 15.0, 0.0).tolist(),
    }
    fees, principal = np.array(columns["paid_fees"]), np.array(columns["paid_principal"])
    columns["paid_total"] = np.round(principal + np.array(columns["paid_interest"]) + fees, 2).tolist()
    columns["late"] = np.where(random.random(600) < 0.4, "yes", "no").tolist()
    look = looked(write_csv(tmp_path / "loans.csv", columns), target="late")
    assert set(left_out(look)) == {"balance", "paid_principal", "paid_interest", "paid_total", "paid_fees"}
    assert roles(look)["lent"] == "input"


def test_sums_are_found_among_many_columns() -> None:
    random = np.random.default_rng(7)
    parts = random.normal(size=(500, 40)) * 100
    assert find_sum(parts[:, 3] - parts[:, 17], parts) == [(3, 1), (17, -1)]
    assert sorted(find_sum(parts[:, 3] + parts[:, 9] + parts[:, 30], parts)) == [(3, 1), (9, 1), (30, 1)]
    assert find_sum(2.5 * parts[:, 3] + parts[:, 9], parts) == []
    assert find_sum(parts[:, 3] + random.normal(size=500), parts) == []


def test_one_to_one() -> None:
    left = np.array([1.0, 2.0, np.nan, 1.0])
    assert one_to_one(left, np.array([7.0, 3.0, 5.0, 7.0]))
    assert not one_to_one(left, np.array([7.0, 3.0, 7.0, 7.0]))
    assert not one_to_one(left, np.array([7.0, 3.0, 5.0, 4.0]))


def test_a_number_that_all_but_equals_the_target(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    price = np.exp(random.normal(size=800) * 2)
    columns = {"size": random.normal(size=800).tolist(), "price_with_tax": (price * 1.19 + 3).tolist()}
    look = looked(write_csv(tmp_path / "prices.csv", {**columns, "price": price.tolist()}), target="price")
    assert left_out(look) == {"price_with_tax": "leak"}


def test_irises_keep_their_petals() -> None:
    from sklearn.datasets import load_iris

    frame = load_iris(as_frame=True).frame
    look = looked(frame, target="target")
    assert left_out(look) == {}


def test_missing_values_are_counted(csv: Any) -> None:
    half = [None if number % 3 else number * 1.5 for number in range(ROWS)]
    some = [None if number % 4 == 0 else number % 50 * 0.5 for number in range(ROWS)]
    few = [None if number == 6 else number % 70 * 0.25 for number in range(ROWS)]
    look = looked(csv(half=half, some=some, few=few), target="label")
    assert [(each.severity, each.count) for each in found(look, "missing", "half")] == [("warning", 266)]
    assert [(each.severity, each.count) for each in found(look, "missing", "some")] == [("note", 100)]
    assert "'few' in 1" in found(look, "missing", "few")[0].message
    assert look.missing["some"] == pytest.approx(0.25)


def test_exact_duplicates_and_conflicts(tmp_path: Path) -> None:
    columns = {name: list(values) for name, values in table().items()}
    other = {"good": "bad", "bad": "good"}
    for name, values in columns.items():
        values.extend([values[10], other[values[20]] if name == "label" else values[20]])
    look = looked(write_csv(tmp_path / "table.csv", columns), target="label")
    duplicate, conflict = found(look, "duplicates")[0], found(look, "conflicts")[0]
    assert (duplicate.count, duplicate.row) == (2, 401)
    assert "row 401, as row 11" in duplicate.message
    assert (conflict.count, conflict.row) == (1, 402)


def test_rows_that_are_equal_by_chance_are_no_copies(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    columns = {name: random.choice(["a", "b"], 500).tolist() for name in ("p", "q", "r", "y")}
    look = looked(write_csv(tmp_path / "coarse.csv", columns), target="y")
    assert "chance" in found(look, "duplicates")[0].message


def sentence(random: np.random.Generator, words: int) -> str:
    return " ".join(random.choice(WORDS, words))


def test_near_duplicate_texts(tmp_path: Path) -> None:
    random = np.random.default_rng(10)
    texts = [sentence(random, 30) for _ in range(300)]
    texts += [texts[4].replace(" ", "  ").upper(), texts[5] + " indeed", sentence(random, 30)]
    file = write_csv(tmp_path / "texts.csv", {"text": texts, "y": random.choice(["a", "b"], 303).tolist()})
    look = looked(file, target="y")
    near = found(look, "near_duplicates")[0]
    assert (near.count, near.row) == (2, 301)
    assert "row 301, like row 5" in near.message


def test_short_texts_do_not_make_rows_equal(csv: Any) -> None:
    jobs = [f"{WORDS[number % 9]} {WORDS[number % 7]} {number % 40}" for number in range(ROWS)]
    look = looked(csv(job=jobs), target="label", kinds={"job": "text"})
    assert found(look, "near_duplicates") == found(look, "duplicates") == []


def test_rare_classes_and_imbalance(csv: Any, tmp_path: Path) -> None:
    columns = dict(table())
    columns["label"] = ["odd", "odd", "strange"] + ["usual"] * 380 + ["other"] * (ROWS - 383)
    look = looked(write_csv(tmp_path / "rare.csv", columns), target="label")
    assert found(look, "rare_classes")[0].count == 3
    assert "usual" in found(look, "imbalance")[0].message


def test_rows_without_an_answer_are_set_aside(tmp_path: Path) -> None:
    columns = {name: list(values) for name, values in table().items()}
    columns["label"][2] = columns["label"][7] = None
    look = looked(write_csv(tmp_path / "open.csv", columns), target="label")
    lost = found(look, "target_missing")[0]
    assert (lost.severity, lost.row, lost.count) == ("broken", 3, 2)
    assert sum((look.data.split.train, look.data.split.valid, look.data.split.test)) == ROWS - 2


def test_times_and_groups_are_pointed_out(csv: Any) -> None:
    days = [f"2021-{1 + number % 12:02d}-{1 + number % 28:02d}" for number in range(ROWS)]
    look = looked(csv(day=days, patient=[f"p{number % 40}" for number in range(ROWS)]), target="label")
    assert "--time day" in found(look, "time", "day")[0].message
    assert "--group patient" in found(look, "group", "patient")[0].message
    look = looked(csv(customer_type=[f"p{number % 4}" for number in range(ROWS)]), target="label")
    assert found(look, "group") == []


@pytest.mark.parametrize(("count", "told"), [(4, True), (200, False)])
def test_few_groups_are_pointed_out(csv: Any, count: int, told: bool) -> None:
    look = looked(csv(speaker=[f"p{number % count}" for number in range(ROWS)]), target="label", group="speaker")
    messages = [each.message for each in found(look, "few_groups", "speaker")]
    assert [("1 group to choose by and 1 group to test" in each) for each in messages] == [True] * told


def test_what_was_assumed_while_reading_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b"a;b;label\n"
        + "".join(f"{number};café {number % 7};{'xy'[number % 2]}\n" for number in range(60)).encode("cp1252")
    )
    messages = [each.message for each in found(looked(tmp_path / "a.csv", target="label"), "reading")]
    assert any("semicolon" in each for each in messages)
    assert any("cp1252" in each for each in messages)


def test_many_levels_are_pointed_out(csv: Any) -> None:
    towns = [f"{WORDS[number % 18]} {WORDS[number // 18 % 18]}" for number in range(ROWS // 2)] * 2
    look = looked(csv(town=towns), target="label", kinds={"town": "category"})
    assert found(look, "many_levels", "town")[0].count == 200


def test_paths_without_files(csv: Any) -> None:
    look = looked(csv(photo=[f"images/{number // 2}.png" for number in range(ROWS)]), target="label")
    assert "paths of pictures" in found(look, "paths", "photo")[0].message


def test_findings_stand_with_the_gravest_first(csv: Any) -> None:
    columns = {"index": list(range(ROWS)), "half": [None if number % 3 else number * 0.5 for number in range(ROWS)]}
    severities = [each.severity for each in looked(csv(**columns), target="label").data.findings]
    order = ["broken", "left out", "warning", "note"]
    assert severities == sorted(severities, key=order.index)


@pytest.mark.parametrize("target", ["loan_status", "loan_amount", "interest_rate"])
def test_the_traps_of_the_loans(shared_data: Path, target: str) -> None:
    look = looked(shared_data / "tables" / "loans_full_schema.csv.gz", target=target)
    gone = left_out(look)
    books = {"rownames", "balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees"}
    assert set(gone) == books - {target}
    assert roles(look)["annual_income"] == "input"


def test_the_traps_of_the_titanic(shared_data: Path) -> None:
    look = looked(shared_data / "tables" / "Titanic.csv.gz", target="Survived")
    assert left_out(look) == {"rownames": "index", "SexCode": "copy"}
    kinds = {column.name: column.kind for column in look.data.columns}
    assert kinds == {
        "rownames": "id", "Name": "text", "PClass": "category", "Age": "number", "Sex": "flag",
        "Survived": "flag", "SexCode": "flag",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "target", "gone"),
    [
        ("diamonds", "price", {"rownames"}),
        ("hotel_rates", "avg_price_per_room", {"rownames", "arrival_date_num"}),
        ("credit_data", "Status", {"rownames"}),
        ("Boston", "medv", {"rownames"}),
        ("cells", "class", {"rownames", "case", "eq_sphere_area_ch_1"}),
    ],
)
def test_real_tables_lose_nothing_else(shared_data: Path, name: str, target: str, gone: set[str]) -> None:
    assert set(left_out(looked(shared_data / "tables" / f"{name}.csv.gz", target=target))) == gone


def long_texts(rows, common, own):
    random = np.random.default_rng(0)
    words = np.array([f"w{each}x" for each in range(5000)])
    shared = " ".join(random.choice(words, common))
    return [f"{shared} {' '.join(random.choice(words, own))}" for _ in range(rows)]


def test_texts_that_only_begin_alike_are_not_alike_and_those_that_only_begin_otherwise_are(tmp_path):
    begun = tmp_path / "begun.jsonl"
    begun.write_text("".join(json.dumps({"text": each}) + "\n" for each in long_texts(120, 500, 1500)))
    split = yunti.look(str(begun), task="language", target="text").data.split
    assert (split.train, split.valid, split.test) == (72, 24, 24)
    random = np.random.default_rng(1)
    pairs = [
        f"{' '.join(map(str, random.integers(1e6, size=40)))} {text}" for text in long_texts(60, 0, 3000) for _ in "ab"
    ]
    twins = tmp_path / "twins.jsonl"
    twins.write_text("".join(json.dumps({"text": each}) + "\n" for each in pairs))
    seen = yunti.look(str(twins), task="language", target="text")
    assert [each.count for each in seen.data.findings if each.code == "near_duplicates"] == [60]


def test_where_nearly_all_rows_are_alike_they_are_divided_all_the_same_and_that_is_told(tmp_path):
    source = tmp_path / "alike.jsonl"
    rows = [f"fine weather today and {row} clouds over the hills as far as I can see" for row in range(200)]
    source.write_text("".join(json.dumps({"text": each}) + "\n" for each in rows))
    seen = yunti.look(str(source), task="language", target="text")
    assert min(seen.data.split.valid, seen.data.split.test) >= 30
    codes = [each.code for each in seen.data.findings]
    assert "crossing" in codes
    assert "near_duplicates" not in codes

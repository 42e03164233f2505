"""Bundles come back as they were saved, whole or not at all, and answer in the order of the rows."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stages.bundle_model import CLASSES, LABELS, VALUES, Tilt, about, fitted, frame, know, loaded, rows_of
from stages.bundle_model import saved as save_tilt
from yunti.bundle import objects
from yunti.bundle.bundle import load_bundle
from yunti.bundle.card import card
from yunti.bundle.format import save_bundle
from yunti.bundle.guard import Part
from yunti.bundle.probe import read_probe, write_probe
from yunti.bundle.state import read_parts, shapes_of, write_parts
from yunti.data.table import Categories, Images, Numbers, Ragged, Table, Texts
from yunti.errors import BundleError
from yunti.models.contract import Parts, Size
from yunti.specs import TaskSpec
from yunti.tasks.task import scores

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def known_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that tests read and copy, saved once."""
    with pytest.MonkeyPatch.context() as patch:
        know(patch)
        return save_tilt(tmp_path_factory.mktemp("whole") / "bundle")


@pytest.fixture(scope="module")
def file(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle as one file."""
    with pytest.MonkeyPatch.context() as patch:
        know(patch)
        path = tmp_path_factory.mktemp("file") / "tilt.yunti"
        load_bundle(whole).save(path)
        return path


def contents(folder: Path) -> dict[str, bytes]:
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("task", [CLASSES, VALUES], ids=lambda task: task.name)
def test_a_saved_bundle_comes_back_the_same(tmp_path: Path, task: TaskSpec) -> None:
    model, told = fitted(task), about(task)
    size = save_bundle(tmp_path / "bundle", model, "tilt", Size(0.5), told, rows_of(frame(8)))
    bundle = load_bundle(tmp_path / "bundle")
    rows = rows_of(frame(50, seed=1))
    assert np.array_equal(bundle.predict_table(rows), model.predict(rows))
    assert (bundle.spec, bundle.about, bundle.rung, bundle.size) == (model.spec, told, "tilt", Size(0.5))
    assert isinstance(bundle.model, Tilt)
    assert (bundle.model.words, bundle.model.title) == (model.words, model.title)
    assert size == sum(map(len, contents(tmp_path / "bundle").values()))
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]


def test_a_file_and_a_folder_hold_the_same_bytes(whole: Path, file: Path, tmp_path: Path) -> None:
    bundle = load_bundle(file)
    bundle.save(tmp_path / "folder")
    bundle.save(tmp_path / "again.yunti")
    assert contents(tmp_path / "folder") == contents(whole)
    assert (tmp_path / "again.yunti").read_bytes() == file.read_bytes()
    rows = rows_of(frame(9))
    assert np.array_equal(bundle.predict_table(rows), load_bundle(whole).predict_table(rows))


def test_a_bundle_outlives_the_file_that_it_came_from(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "copy")
    bundle = load_bundle(tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")
    assert np.array_equal(bundle.predict_table(bundle.probe), load_bundle(whole).predict_table(bundle.probe))


@FEW
@given(data=st.data())
def test_one_changed_byte_of_any_part_is_found(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(contents(whole))))
    folder = tmp_path / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    content = bytearray((folder / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError):
        load_bundle(folder)


@FEW
@given(data=st.data())
def test_one_changed_byte_of_a_file_is_found_or_does_no_harm(file: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = tmp_path / "changed.yunti"
    changed.write_bytes(content)
    try:
        bundle = load_bundle(changed)
    except BundleError:
        return
    sound = load_bundle(file)  # what changed lies between the parts: a time stamp, or who may read the file
    assert np.array_equal(bundle.predict_table(sound.probe), sound.predict_table(sound.probe))
    assert bundle.about == sound.about


@FEW
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_anywhere_is_refused(file: Path, tmp_path: Path, share: float) -> None:
    content = file.read_bytes()
    (tmp_path / "short.yunti").write_bytes(content[: int(share * len(content))])
    with pytest.raises(BundleError):
        load_bundle(tmp_path / "short.yunti")


@FEW
@given(content=st.binary(max_size=3000))
def test_any_bytes_as_a_header_are_refused(whole: Path, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "strange"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError):
        load_bundle(folder)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name != "__metadata__"
)
numbers = arrays_of.arrays(
    st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.uint8, np.uint64, np.bool_]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
texts = st.text(st.characters(exclude_categories=["Cs"]))


@FEW
@given(
    st.dictionaries(names, numbers, max_size=4),
    st.dictionaries(names, plain, max_size=4),
    st.dictionaries(names, texts),
)
def test_any_state_comes_back_the_same(
    tmp_path: Path, stored: dict[str, Any], facts: dict[str, Any], words: dict[str, str]
) -> None:
    folder = tmp_path / "state"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    holds = write_parts("here", Parts(stored, facts, words), folder)
    found = read_parts("here", folder, {name: Part(0, "", held) for name, held in holds.items()}, shapes_of(stored))
    assert found.facts == facts
    assert found.texts == words
    assert set(found.arrays) == set(stored)
    for name, value in stored.items():
        assert found.arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(found.arrays[name], value)
        assert found.arrays[name].flags.writeable


def test_arrays_of_any_layout_come_back_the_same(tmp_path: Path) -> None:
    square = np.arange(12.0).reshape(3, 4)
    stored = {
        "turned": square.T,
        "every other": square[:, ::2],
        "back to front": square[::-1],
        "big": square.astype(">f8"),
    }
    write_parts("here", Parts(stored), tmp_path)
    found = read_parts("here", tmp_path, {}, shapes_of(stored)).arrays
    for name, value in stored.items():
        np.testing.assert_array_equal(found[name], value)


def probe_of_all_kinds() -> Table:
    notes = pa.array(["云梯", None, "", 'tab\tquote"', "x"], pa.large_string())
    ragged = Ragged(np.arange(24, dtype=np.int16).reshape(12, 2), np.array([2, 4, 4, 9, 10, 12], dtype=np.int64))
    return Table(
        {
            "n": Numbers(np.array([1, np.nan, np.inf, -0.0, 1e300])),
            "c": Categories(np.array([0, -1, 1, 1, 0], dtype=np.int32), ("红", "")),
            "t": Texts(notes),
            "i": Images(np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3), np.array([1, 0, 1, 1, 1], dtype=bool)),
            "r": ragged,
        }
    )


def test_rows_of_every_kind_come_back_in_a_probe(tmp_path: Path) -> None:
    table = probe_of_all_kinds()
    write_probe("here", table, np.eye(5, dtype=np.float32), tmp_path)
    found, expected = read_probe("here", tmp_path)
    np.testing.assert_array_equal(expected, np.eye(5))
    assert list(found.columns) == list(table.columns)
    np.testing.assert_array_equal(found["n"].values, table["n"].values)
    np.testing.assert_array_equal(found["c"].codes, table["c"].codes)
    assert found["c"].names == table["c"].names
    assert found["t"].values.equals(table["t"].values)
    np.testing.assert_array_equal(found["i"].pixels, table["i"].pixels)
    np.testing.assert_array_equal(found["i"].present, table["i"].present)
    for row in range(5):
        np.testing.assert_array_equal(found["r"].row(row), table["r"].row(row))


def test_a_probe_holds_its_own_rows_only(tmp_path: Path) -> None:
    sounds = Ragged(np.zeros((100_000, 1), dtype=np.float32), np.arange(0, 100_001, 10, dtype=np.int64))
    write_probe("here", Table({"sound": sounds}).take(slice(0, 4)), np.zeros(4), tmp_path)
    assert (tmp_path / "probe/rows.safetensors").stat().st_size < 2000


def test_the_same_model_gives_the_same_bytes() -> None:
    model = fitted()
    assert objects.dump("here", model.tree) == objects.dump("here", fitted().tree)


def test_estimators_of_all_listed_types_come_back() -> None:
    import sklearn.utils

    random = np.random.default_rng(0)
    inputs, labels, values = random.normal(size=(150, 4)), np.arange(150) % 3, random.normal(size=150)
    listed = {name.rpartition(".")[2] for name in objects.ESTIMATORS}
    found = {name: kind for name, kind in sklearn.utils.all_estimators() if name in listed}
    for name, kind in found.items():
        estimator = kind().fit(inputs, values if name.endswith(("Regressor", "SVR", "Ridge")) else labels)
        copy = objects.load("here", objects.dump("here", estimator))
        ask = "predict" if hasattr(estimator, "predict") else "transform"
        np.testing.assert_array_equal(getattr(copy, ask)(inputs), getattr(estimator, ask)(inputs))
    assert set(found) == listed


def test_a_model_that_comes_back_changed_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tilt(tmp_path / "bundle")
    before = contents(tmp_path / "bundle")

    def shifted(self: Tilt, parts: Parts) -> None:
        self.weights = parts.arrays["weights"] * np.float32(1 + 1e-3)

    monkeypatch.setattr(Tilt, "restore", shifted)
    with pytest.raises(BundleError, match="answer the probe as it was tested"):
        save_tilt(tmp_path / "bundle")
    assert contents(tmp_path / "bundle") == before
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]


def test_a_save_that_is_killed_leaves_no_bundle_or_a_whole_one(tmp_path: Path) -> None:
    code = (
        "import sys, os; sys.path.insert(0, sys.argv[2])\n"
        "import pytest; from pathlib import Path; from stages.bundle_model import *\n"
        "import yunti.bundle.format as f\n"
        "patch = pytest.MonkeyPatch(); know(patch)\n"
        "whole = f.open_folder\n"
        "def killed(*a, **k):\n    whole(*a, **k); os.kill(os.getpid(), 9)\n"
        "f.open_folder = killed\n"
        "saved(Path(sys.argv[1]))\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bundle"), tests], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "bundle").exists()
    save_tilt(tmp_path / "bundle")
    assert [each.name for each in tmp_path.iterdir()] == ["bundle"]


def test_answers_stand_in_the_order_of_the_rows(whole: Path) -> None:
    rows = frame(40, seed=3)
    bundle = load_bundle(whole)
    answers = bundle.predict(rows)
    found = bundle.predict_table(rows_of(rows))
    assert answers.column_names == ["prediction", *(f"probability_{label}" for label in LABELS)]
    assert answers["prediction"].to_pylist() == [LABELS[place] for place in found.argmax(axis=1)]
    for place, label in enumerate(LABELS):
        np.testing.assert_array_equal(answers[f"probability_{label}"].to_numpy(), found[:, place])


def test_values_are_answered_in_one_column(tmp_path: Path) -> None:
    answers = loaded(tmp_path / "bundle", VALUES).predict(frame(7))
    assert answers.schema == pa.schema({"prediction": pa.float64()})
    assert answers.num_rows == 7


def test_pandas_gives_pandas_and_polars_gives_polars(whole: Path) -> None:
    import pandas
    import polars

    bundle = load_bundle(whole)
    index = pandas.Index(range(100, 112), name="key")
    answers = bundle.predict(frame(12).to_pandas().set_index(index))
    assert isinstance(answers, pandas.DataFrame)
    assert answers.index.equals(index)
    assert answers["prediction"].tolist() == bundle.predict(frame(12))["prediction"].to_pylist()
    assert isinstance(bundle.predict(polars.from_arrow(frame(12))), polars.DataFrame)


def test_a_broken_row_has_a_null_answer_and_its_reason(whole: Path, tmp_path: Path) -> None:
    lines = ["width,note | 记", *(f"{row}.5,云" for row in range(60))]
    lines[11] = "1,2,3,4,5"
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = load_bundle(whole).predict(str(tmp_path / "rows.csv"))
    assert answers.num_rows == 60
    assert [row for row, answer in enumerate(answers["prediction"].to_pylist()) if answer is None] == [10]
    assert [row for row, reason in enumerate(answers["problem"].to_pylist()) if reason] == [10]
    sound = load_bundle(whole).predict(pa.table({"width": [row + 0.5 for row in range(60)], "note | 记": ["云"] * 60}))
    kept = [row for row in range(60) if row != 10]
    assert answers.take(kept).drop(["problem"]).equals(sound.take(kept))


def test_evaluate_gives_the_scores_of_the_same_rows(whole: Path) -> None:
    rows = frame(80, seed=5)
    bundle = load_bundle(whole)
    result = bundle.evaluate(rows)
    target = np.array([LABELS.index(label) for label in rows["answer"].to_pylist()])
    assert result["scores"] == scores(CLASSES, target, bundle.predict_table(rows_of(rows)))
    assert result["score"] == result["scores"]["accuracy"]
    assert result["low"] <= result["score"] <= result["high"]
    assert [result["low"], result["high"]] == result["intervals"]["accuracy"]
    assert (result["rows"], result["metric"], result["findings"]) == (80, "accuracy", [])
    json.dumps(result, allow_nan=False)


def test_evaluate_says_which_rows_it_does_not_score(whole: Path) -> None:
    rows = frame(40)
    answers = rows["answer"].to_pylist()
    answers[3], answers[7], answers[9] = None, "new", "new"
    result = load_bundle(whole).evaluate(rows.set_column(2, "answer", pa.array(answers)))
    assert result["rows"] == 37
    assert result["findings"] == [
        "1 row has no 'answer' and is not scored.",
        "2 rows have a label in 'answer' that the model has not learned, such as 'new' (row 8), and are not scored.",
    ]


def test_evaluate_of_values(tmp_path: Path) -> None:
    rows = frame(30)
    bundle = loaded(tmp_path / "bundle", VALUES)
    truth = bundle.predict_table(rows_of(rows))
    result = bundle.evaluate(rows.set_column(2, "answer", pa.array([None, *truth[1:]])))
    assert result["rows"] == 29
    assert result["score"] == pytest.approx(1)
    assert result["findings"] == ["1 row has no 'answer' and is not scored."]


def test_the_card_tells_scores_data_columns_and_limits(whole: Path) -> None:
    text = load_bundle(whole).card
    assert text.startswith("# answer: a tilt by yunti\n")
    assert "| `accuracy` | 0.7500 | 0.6500 to 0.8500 | higher |" in text
    assert "`rows.csv`, 30 rows." in text
    assert "Rows: 20 train, 5 valid, 5 test; at random." in text
    assert "| `note \\| 记` | text |" in text
    for heading in (
        "How good it is",
        "What it learned from",
        "What it reads",
        "How it was made",
        "Limits",
        "How to use it",
    ):
        assert f"\n## {heading}\n" in text


def test_a_card_can_be_written_of_little(tmp_path: Path) -> None:
    text = card(replace(about(VALUES), data={}, scores={}, rung={}, intervals={}), "yunti 0")
    assert "It tells the value of `answer` of a row." in text


def test_a_card_cannot_be_broken_by_what_columns_are_called() -> None:
    column = replace(about().columns[0], name="a`b|c\n# d", evidence="<script>alert(1)</script>\n# e")
    text = card(replace(about(), columns=(column,)), "yunti 0")
    assert "<script>" not in text
    assert "\n# d" not in text
    assert "\n# e" not in text


def test_loading_never_unpickles(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_names: Any) -> Any:
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    load_bundle(whole)


def reseal(folder: Path, changes: dict[str, bytes]) -> None:
    """Forge a bundle: change parts and make sizes, hashes and seal fit again, as an attacker can."""
    header = json.loads((folder / "bundle.json").read_text())
    for name, content in changes.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        held = header["parts"].get(name, {"holds": "a/tree"})["holds"]
        header["parts"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "holds": held}
    header["seal"] = "0" * 64
    text = json.dumps(header)
    seal = hashlib.sha256(text.encode()).hexdigest()
    (folder / "bundle.json").write_text(text.replace("0" * 64, seal))


def test_forged_parts_are_refused_though_their_hashes_fit(whole: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (exec, ("raise SystemExit('code of the bundle ran')",))

    pickled = pickle.dumps(Evil())
    forged = {
        "weights.safetensors": pickled,
        "facts.json": b"[1]",
        "probe/rows.safetensors": pickled,
        "probe/columns.json": b'[{"name": "width", "storage": "os.system"}]',
        "objects/0.skops": pickled,
        "texts/0.txt": b"\xff",
    }
    for name, content in forged.items():
        folder = tmp_path / name.replace("/", "-")
        shutil.copytree(whole, folder)
        reseal(folder, {name: content})
        with pytest.raises(BundleError):
            load_bundle(folder)


def test_a_tree_whose_links_lead_out_of_it_is_refused(tmp_path: Path) -> None:
    model = fitted()
    state = model.tree.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 10**6
    model.tree.tree_.__setstate__(state)
    with pytest.raises(BundleError, match="links of its tree"):
        objects.load("here", objects.dump("here", model.tree))


def test_a_forged_zip_that_grows_is_refused(file: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.yunti"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info.filename) + b" " * (50 << 20) * (info.filename == "facts.json"))
    with pytest.raises(BundleError, match="no part may grow more than 100 times"):
        load_bundle(bomb)


def test_text_that_packs_very_well_can_still_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted()
    model.title = "=" * (4 << 20)
    save_bundle(tmp_path / "bundle", model, "tilt", Size(0.5), about(), rows_of(frame(8)))
    load_bundle(tmp_path / "bundle").save(tmp_path / "long.yunti")
    again = load_bundle(tmp_path / "long.yunti")
    assert isinstance(again.model, Tilt)
    assert again.model.title == model.title


def test_broken_rows_of_several_files_stand_at_their_places(whole: Path, tmp_path: Path) -> None:
    for name, broken in (("a", 0), ("b", 39), ("c", 20)):
        lines = ["width,note | 记", *(f"{row},{name}" for row in range(40))]
        lines[1 + broken] = "1,2,3"
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = load_bundle(whole).predict(str(tmp_path / "*.csv"))
    assert answers.num_rows == 120
    assert [row for row, answer in enumerate(answers["prediction"].to_pylist()) if answer is None] == [0, 79, 100]
    rows = pa.table({"width": [row % 40 for row in range(120)], "note | 记": ["a"] * 40 + ["b"] * 40 + ["c"] * 40})
    kept = [row for row in range(120) if row not in (0, 79, 100)]
    assert answers.take(kept).drop(["problem"]).equals(load_bundle(whole).predict(rows).take(kept))


def test_evaluate_tells_of_broken_rows(whole: Path, tmp_path: Path) -> None:
    lines = ["width,note | 记,answer", *(f"{row},x,好" for row in range(40))]
    lines[5] = "1,2,3,4"
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = load_bundle(whole).evaluate(tmp_path / "rows.csv")
    assert result["rows"] == 39
    (finding,) = result["findings"]
    assert finding.startswith("1 row could not be read, such as row 5 of ")

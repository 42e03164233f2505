"""Whatever is wrong with a bundle, or with what is given to one, is told in one sentence that says what to do."""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import FunctionTransformer

from stages.bundle_model import CLASSES, VALUES, Tilt, about, fitted, frame, know, rows_of, saved
from yunti.bundle import objects
from yunti.bundle.bundle import load_bundle
from yunti.bundle.format import save_bundle
from yunti.errors import BundleError, ColumnError, OptionError, PackageError, RungError, YuntiError
from yunti.ladders.rung import Rung
from yunti.models.contract import Parts, Size
from yunti.specs import TaskSpec
from yunti.tasks.task import infer_task, score, scores


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        know(patch)
        return saved(tmp_path_factory.mktemp("whole") / "bundle")


@pytest.fixture(autouse=True)
def known_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of a bundle, to be spoiled."""
    return shutil.copytree(whole, tmp_path / "b")


def told(kind: type[YuntiError], do: Callable[[], object]) -> str:
    """Return the sentence of the error, without the place."""
    with pytest.raises(kind) as caught:
        do()
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", "?"))
    return text.partition(": ")[2]


def spoil_header(folder: Path, **changes: Any) -> None:
    header = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(header | changes))


def test_a_place_where_nothing_is(tmp_path: Path) -> None:
    assert told(BundleError, lambda: load_bundle(tmp_path / "no")) == (
        "it must be a folder or a .yunti file, but there is none; check its name."
    )


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    assert told(BundleError, lambda: load_bundle(tmp_path)) == (
        "a bundle has a file 'bundle.json', but there is none; name a folder or a .yunti file that yunti saved."
    )


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "climb.json").touch()
    assert told(BundleError, lambda: load_bundle(tmp_path)) == (
        "a bundle has a file 'bundle.json', but there is none; "
        f"name one of its bundles, such as {tmp_path}/models/RUNG."
    )


def test_a_file_that_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    assert told(BundleError, lambda: load_bundle(tmp_path / "rows.csv")) == (
        "it must be a whole bundle file, but it is damaged or cut off (File is not a zip file); fetch it again."
    )


def test_a_zip_file_that_is_no_bundle(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.yunti", "w") as archive:
        archive.writestr("a.txt", "a")
    assert told(BundleError, lambda: load_bundle(tmp_path / "x.yunti")) == (
        "a bundle has a 'bundle.json', but there is none; name a file that yunti saved."
    )


def test_a_file_that_was_cut_off(folder: Path, tmp_path: Path) -> None:
    load_bundle(folder).save(tmp_path / "x.yunti")
    content = (tmp_path / "x.yunti").read_bytes()
    for size in (1000, len(content) // 2, len(content) - 10, len(content) - 1):
        (tmp_path / "x.yunti").write_bytes(content[:size])
        assert "it must be a whole bundle file, but it is damaged or cut off (" in told(
            BundleError, lambda: load_bundle(tmp_path / "x.yunti")
        )


def test_a_newer_format(folder: Path) -> None:
    spoil_header(folder, format=2, yunti="9.0")
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "this yunti reads format 1, but it has format 2, made by yunti 9.0; install a newer yunti."
    )


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": 1}', '{"format": "1", "parts": {}}', "3"])
def test_a_header_that_describes_no_bundle(folder: Path, content: str) -> None:
    (folder / "bundle.json").write_text(content)
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "'bundle.json' must describe a bundle, but it does not; name a bundle that yunti saved."
    )


def test_a_header_that_is_not_json(folder: Path) -> None:
    (folder / "bundle.json").write_text("{")
    assert told(BundleError, lambda: load_bundle(folder)).startswith(
        "'bundle.json' must be as it was saved, but it is not JSON ("
    )


def test_a_header_that_was_altered(folder: Path) -> None:
    spoil_header(folder, rung="boosting")
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "'bundle.json' must be as it was saved, but its seal does not fit; fetch the bundle again, or make it anew."
    )


def test_a_part_that_is_missing(folder: Path) -> None:
    (folder / "texts/0.txt").unlink()
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "every part must be there, but 'texts/0.txt' is missing; fetch the bundle again, or make it anew."
    )


def test_a_part_that_was_altered(folder: Path) -> None:
    content = (folder / "facts.json").read_bytes()
    (folder / "facts.json").write_bytes(content[:-1] + b" ")
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "no part may change, but 'facts.json' was altered; fetch the bundle again, or make it anew."
    )


def test_a_part_that_is_cut_off(folder: Path) -> None:
    content = (folder / "card.md").read_bytes()
    (folder / "card.md").write_bytes(content[:10])
    assert told(BundleError, lambda: load_bundle(folder)) == (
        f"every part must be whole, but 'card.md' is cut off: it has 10 of {len(content):,} bytes; "
        "fetch the bundle again, or make it anew."
    )


def test_a_part_that_grew(folder: Path) -> None:
    with (folder / "facts.json").open("ab") as file:
        file.write(b" ")
    assert "no part may change, but 'facts.json' was altered: it has" in told(BundleError, lambda: load_bundle(folder))


def test_a_file_that_was_put_there(folder: Path) -> None:
    (folder / "objects/evil.pkl").touch()
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "it must hold nothing but its parts, but 'objects/evil.pkl' was put there; take it out, then load again."
    )


def test_a_part_that_is_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "card.md").rename(tmp_path / "elsewhere")
    (folder / "card.md").symlink_to(tmp_path / "elsewhere")
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "every part must be a plain file, but 'card.md' is a link or a device; do not use it."
    )


def zipped(folder: Path, extra: Callable[[zipfile.ZipFile], None]) -> Path:
    path = folder.parent / "forged.yunti"
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, each.relative_to(folder).as_posix())
        extra(archive)
    return path


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "texts/../../out.txt", "a\\b", "texts/x.txt"])
def test_a_file_whose_parts_would_be_written_elsewhere(folder: Path, name: str) -> None:
    path = zipped(folder, lambda archive: archive.writestr(name, "out"))
    assert told(BundleError, lambda: load_bundle(path)) == (
        f"it must hold nothing but its parts, but {name!r} was put there; do not use it."
    )
    assert not (folder.parent / "out.txt").exists()


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "texts/1.py"])
def test_a_header_that_lists_a_part_elsewhere(folder: Path, name: str) -> None:
    from stages.test_bundle import reseal

    shutil.copy(folder / "bundle.json", folder.parent / "saved.json")
    header = json.loads((folder / "bundle.json").read_text())
    header["parts"][name] = header["parts"]["card.md"]
    (folder / "bundle.json").write_text(json.dumps(header))
    reseal(folder, {})
    assert told(BundleError, lambda: load_bundle(folder)) == (
        f"it must hold only parts of a bundle, but there is {name!r}; do not use it."
    )


def test_a_file_with_a_part_twice(folder: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(folder, lambda archive: archive.writestr("card.md", "other"))
    assert told(BundleError, lambda: load_bundle(path)) == (
        "every part must be there once, but 'card.md' is twice; do not use it."
    )


def test_a_file_with_a_link(folder: Path) -> None:
    link = zipfile.ZipInfo("texts/1.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(folder, lambda archive: archive.writestr(link, "/etc/passwd"))
    assert told(BundleError, lambda: load_bundle(path)) == (
        "every part must be a plain file, but 'texts/1.txt' is a link, a folder, encrypted or packed in another way; "
        "do not use it."
    )


def test_a_file_in_which_a_part_is_missing(folder: Path) -> None:
    (folder / "facts.json").unlink()
    path = zipped(folder, lambda _archive: None)
    assert told(BundleError, lambda: load_bundle(path)) == (
        "every part must be there, but 'facts.json' is missing; fetch the bundle again, or make it anew."
    )


def test_an_object_of_a_type_that_is_not_listed(tmp_path: Path) -> None:
    import skops.io

    transformer = FunctionTransformer(np.log)
    listed = "it may hold only types on yunti's list, but it holds "
    assert told(BundleError, lambda: objects.dump("here", transformer)).startswith(listed)
    assert told(BundleError, lambda: objects.load("here", skops.io.dumps(transformer))).startswith(
        f"{listed}'numpy.log', 'sklearn.preprocessing._function_transformer.FunctionTransformer'"
    )
    assert told(BundleError, lambda: objects.load("here", skops.io.dumps(os.system))).startswith(listed)


def test_an_object_that_is_not_by_skops() -> None:
    assert told(BundleError, lambda: objects.load("here", b"\x80\x04K\x01.")) == (
        "it must be an object written by skops, but File is not a zip file; do not use it."
    )


def test_a_model_that_answers_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Tilt.predict
    monkeypatch.setattr(Tilt, "predict", lambda self, table: plain(self, table) * np.float32(1.001))
    sentence = told(BundleError, lambda: load_bundle(folder))
    assert sentence.startswith("its model must answer the probe as it was tested, but it differs by 0.000")
    assert sentence.endswith("use the versions of yunti and of its packages that made it, or make it anew.")


def test_a_model_that_answers_in_another_shape(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tilt, "predict", lambda _self, _table: np.zeros((8, 2)))
    assert "but the shape is (8, 2) instead of (8, 3); use the versions" in told(
        BundleError, lambda: load_bundle(folder)
    )


def test_a_model_that_answers_with_nothing_finite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tilt, "predict", lambda _self, _table: np.full((8, 3), np.nan))
    assert "but it differs by nan where" in told(BundleError, lambda: load_bundle(folder))


def test_a_state_that_does_not_fit_the_rung(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def restore(_self: Tilt, parts: Parts) -> None:
        parts.arrays["other"]

    monkeypatch.setattr(Tilt, "restore", restore)
    assert told(BundleError, lambda: load_bundle(folder)) == (
        "its state must fit the rung 'tilt', but KeyError: 'other'; fetch the bundle again, or make it anew."
    )


def test_a_rung_that_is_not_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_task: str, name: str) -> Rung:
        raise OptionError("--rungs", "it must name rungs", name, "choose another")

    monkeypatch.setattr("yunti.bundle.format.find_rung", find)
    assert told(BundleError, lambda: load_bundle(folder)).startswith(
        "this yunti must know its rung, but its rung is 'tilt', made by yunti "
    )


def test_a_package_that_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def restore(_self: Tilt, _parts: Parts) -> None:
        import package_that_is_not_there  # type: ignore[import-not-found]  # noqa: F401

    monkeypatch.setattr(Tilt, "restore", restore)
    assert told(PackageError, lambda: load_bundle(folder)) == (
        "its rung 'tilt' needs a package, but No module named 'package_that_is_not_there'; "
        "install it: pip install package_that_is_not_there."
    )


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (Parts({"a": np.array(["x"])}), "its arrays must hold numbers or truth values, but 'a' holds str32"),
        (Parts({"a": np.array([None])}), "its arrays must hold numbers or truth values, but 'a' holds object"),
        (Parts({}, {"a": np.float32(1)}), "its facts must be plain JSON values, but Object of type float32"),
    ],
)
def test_a_state_that_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: Parts, sentence: str
) -> None:
    monkeypatch.setattr(Tilt, "parts", lambda _self: parts)
    assert told(BundleError, lambda: saved(tmp_path / "b")).startswith(sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_place_where_something_else_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    (tmp_path / "file").touch()
    (tmp_path / "folder.yunti").mkdir()
    bundle = load_bundle(folder)
    for name in ("mine", "file"):
        assert told(OptionError, lambda name=name: bundle.save(tmp_path / name)) == (
            "a bundle is saved to a new place, but something else is there; give another name."
        )
    assert told(OptionError, lambda: bundle.save(tmp_path / "folder.yunti")) == (
        "a .yunti bundle is one file, but a folder is there; give another name."
    )
    assert told(OptionError, lambda: saved(tmp_path / "mine")).startswith("a bundle is saved to a new place")
    assert (tmp_path / "mine/thesis.txt").exists()


def test_a_place_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bundle = load_bundle(folder)
    for name in ("file/b", "file/b.yunti"):
        assert told(OptionError, lambda name=name: bundle.save(tmp_path / name)).startswith(
            "a bundle must be writable there, but "
        )


def test_a_bundle_that_changed_since_it_was_loaded(folder: Path, tmp_path: Path) -> None:
    bundle = load_bundle(folder)
    save_bundle(folder, fitted(), "tilt", Size(0.5), replace(about(), limits=("new",)), rows_of(frame(8)))
    assert told(BundleError, lambda: bundle.save(tmp_path / "other")) == (
        "it must be the bundle that was loaded, but another is there now; load it again."
    )
    shutil.rmtree(folder)
    assert "it must be a folder or a .yunti file, but there is none" in told(
        BundleError, lambda: bundle.save(tmp_path / "other")
    )


def test_rows_without_an_input_column(folder: Path) -> None:
    with pytest.raises(ColumnError, match=r"column 'width' must be there"):
        load_bundle(folder).predict(frame(5).drop(["width"]))


def test_rows_with_an_input_of_another_kind(folder: Path) -> None:
    rows = frame(5).set_column(0, "width", pa.array(list("vwxyz")))
    with pytest.raises(ColumnError, match=r"column 'width' must hold numbers"):
        load_bundle(folder).predict(rows)


def test_rows_without_the_target(folder: Path) -> None:
    assert told(
        ColumnError, lambda: load_bundle(folder).evaluate(frame(5).rename_columns(["width", "note | 记", "anser"]))
    ) == ("it must have the target column 'answer', but it has none; did you mean 'anser'?")


def test_rows_whose_answers_are_all_unknown(folder: Path) -> None:
    rows = frame(5).set_column(2, "answer", pa.array(["x"] * 5))
    assert told(ColumnError, lambda: load_bundle(folder).evaluate(rows)) == (
        "the answers in 'answer' must be known, but 5 rows have a label in 'answer' that the model has not learned, "
        "such as 'x' (row 1), and are not scored; give rows with the answers that the model has learned."
    )


def test_rows_without_any_answer(folder: Path) -> None:
    rows = frame(5).set_column(2, "answer", pa.nulls(5, pa.string()))
    assert "but 5 rows have no 'answer' and are not scored; give rows" in told(
        ColumnError, lambda: load_bundle(folder).evaluate(rows)
    )


@pytest.mark.parametrize(
    ("task", "metric", "sentence"),
    [
        ("classification", "acuracy", "'acuracy' is none; did you mean 'accuracy'?"),
        ("regression", "accuracy", "'accuracy' scores classification; choose one of rmse, mae, r2."),
        ("regression", "zzz", "'zzz' is none; choose one of 'rmse', 'mae', 'r2'."),
        ("classification", "", "'' is none; choose one of 'accuracy', 'balanced_accuracy', 'macro_f1', 'log_loss', "
         "'roc_auc', 'calibration_error'."),
    ],
)  # fmt: skip
def test_a_metric_that_does_not_suit(task: Any, metric: str, sentence: str) -> None:
    assert told(OptionError, lambda: infer_task(task, "y", ("a", "b"), metric)) == (
        f"it must be one that scores {task}, but {sentence}"
    )


def test_a_target_with_fewer_than_two_classes() -> None:
    assert told(ColumnError, lambda: infer_task("classification", "y", ("a",))) == (
        "a target of classes must have at least two, but it has only 'a'; choose another one."
    )
    assert "but it has none; choose" in told(ColumnError, lambda: infer_task("classification", "y"))


def test_predictions_that_cannot_be_scored() -> None:
    def of(task: TaskSpec, prediction: Any, target: Any) -> str:
        return told(RungError, lambda: score(task, target, prediction))

    nothing, two = np.zeros(0), np.zeros(2)
    assert of(VALUES, nothing, nothing) == (
        "there must be rows to score, but there is none; give rows whose answer is known."
    )
    assert of(CLASSES, np.zeros((2, 2)), np.zeros(2, dtype=int)) == (
        "its shape must be (2, 3), but it is (2, 2); mend the rung's predict."
    )
    assert of(VALUES, np.array([0, np.inf]), two) == (
        "every number must be finite, but row 2 is not; "
        "train with a lower learning rate, or look for extreme values in the inputs."
    )
    assert "its rmse must be a finite number, but it is inf; look for extreme values." in told(
        RungError, lambda: scores(replace(VALUES, metric="rmse"), two, np.array([0, 1e300]))
    )


def test_metrics_are_found_in_any_writing() -> None:
    assert infer_task("classification", "y", ("a", "b"), " Macro-F1 ").metric == "macro_f1"
    assert infer_task("classification", "y", ("a", "b"), "ROC AUC").metric == "roc_auc"
    assert infer_task("regression", "y", (), "R2").direction == "higher"
    assert infer_task("classification", "y", ("a", "b")).metric == "accuracy"
    assert infer_task("regression", "y").classes == ()

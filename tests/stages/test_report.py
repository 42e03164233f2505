"""The report of a climb: a page that opens alone, in two languages, of whatever is there."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import yunti
from reports import HOSTILE, QUOTED, climbed, foreseen, laid_out, predicted, recorded
from yunti.cli import app
from yunti.climbing import reporting
from yunti.climbing.request import Request
from yunti.climbing.run import RunFolder
from yunti.data.table import Categories, Column, Images, Numbers, Ragged, Texts
from yunti.errors import OptionError
from yunti.records import ClimbRecord, ForecastRecord, RungRecord
from yunti.report import gallery, scales
from yunti.report.cells import value_cell
from yunti.report.command import command_line
from yunti.report.figures import pareto, spent
from yunti.report.material import Material
from yunti.report.page import page, write_report
from yunti.specs import ColumnSpec
from yunti.storing import to_json
from yunti.words import speaking
from yunti.words.chinese.report import REPORT as CHINESE
from yunti.words.english.report import REPORT as ENGLISH

SECTIONS = "ladder quality curves expected next limit confusion calibration classes parts worst data budget again"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return climbed(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return climbed(tmp_path_factory.mktemp("values"), regression=True)


class Reader(html.parser.HTMLParser):
    """Collects tags with their attributes, and the text that is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_data(self, text: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.shown += text


def sections(text: str) -> list[str]:
    return [str(attributes["id"]) for tag, attributes in Reader(text).tags if tag == "section"]


def test_a_whole_climb_has_every_section(whole: Material) -> None:
    text = page(whole)
    assert sections(text) == SECTIONS.split()
    shown = Reader(text).shown
    for expected in ("boosting reaches accuracy", "climb transformer with a budget", "too few data", "prior"):
        assert expected in shown
    assert "yunti climb stones.csv --target answer --budget 60s" in shown
    assert len(text) < 1_500_000


def test_a_regression_shows_values_instead_of_classes(values: Material) -> None:
    there = sections(page(values))
    assert "values" in there
    assert not {"confusion", "calibration", "classes"} & set(there)
    assert "RMSE" in page(values)


def test_the_page_needs_nothing_else(whole: Material) -> None:
    text = page(whole)
    for tag, attributes in Reader(text).tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert "<?xml" not in text
    assert "<metadata" not in text


def test_hostile_names_are_only_text(whole: Material, values: Material) -> None:
    for material in (whole, values):
        reader = Reader(page(material))
        assert "script" not in {tag for tag, _ in reader.tags}
        assert HOSTILE in reader.shown
        assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert QUOTED in Reader(page(whole)).shown


def test_ids_are_unique_and_every_reference_leads_to_one(whole: Material) -> None:
    text = page(whole)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert used <= set(ids)


def test_figures_take_their_colours_from_the_page(whole: Material) -> None:
    figures = re.findall(r'<svg class="figure".*?</svg>', page(whole), re.DOTALL)
    assert len(figures) == 6
    for figure in figures:
        assert re.findall(r"#[0-9a-f]{6}\b", figure) == []
        assert "var(--muted)" in figure
        assert 'role="img" aria-label="' in figure


def test_the_same_climb_gives_the_same_page(whole: Material) -> None:
    assert page(whole) == page(whole)


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    assert list(ENGLISH) == list(CHINESE)
    for key, english in ENGLISH.items():
        names = set(re.findall(r"\{(\w+)", english))
        assert set(re.findall(r"\{(\w+)\}", CHINESE[key])) == names, key


def test_no_two_sentences_are_the_same_in_english() -> None:
    twice = {text for text in ENGLISH.values() if list(ENGLISH.values()).count(text) > 1}
    assert {text: {CHINESE[key] for key, each in ENGLISH.items() if each == text} for text in twice} == {}


CELLS = (
    (ColumnSpec("x", "number"), Numbers(np.array([np.nan, 1234.5678])), ("–", "1235")),
    (ColumnSpec("x", "flag", parsing={"no": "dry", "yes": "wet"}), Numbers(np.array([0.0, 1.0])), ("dry", "wet")),
    (ColumnSpec("x", "time"), Numbers(np.array([86400.0, 90061.0])), ("1970-01-02", "1970-01-02 01:01:01")),
    (ColumnSpec("x", "category"), Categories(np.array([-1, 0], dtype=np.int32), ("东",)), ("–", "东")),
    (ColumnSpec("x", "text"), Texts(pa.array([None, "a  " * 500], pa.large_string())), ("–", "a " * 119 + "a…")),
    (
        ColumnSpec("x", "audio", rate=8000),
        Ragged(np.zeros((16000, 1), dtype=np.int16), np.array([0, 4000, 16000])),
        ("0.5 s of sound", "1.5 s of sound"),
    ),
    (ColumnSpec("x", "sequence"), Ragged(np.zeros((4, 2)), np.array([0, 1, 4])), ("1 step", "3 steps")),
)


@pytest.mark.parametrize(("spec", "column", "expected"), CELLS, ids=lambda each: getattr(each, "kind", ""))
def test_inputs_of_every_kind_are_shown(spec: ColumnSpec, column: Column, expected: tuple[str, str]) -> None:
    assert tuple(value_cell(spec, column, row) for row in (0, 1)) == expected


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_small_and_inside(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 300, 200, channels)).astype(np.uint8)
    column = Images(pixels, np.array([True, False]))
    shown = str(value_cell(ColumnSpec("x", "image"), column, 0))
    found = re.fullmatch(r'<img alt="" src="data:image/png;base64,([^"]+)">', shown)
    assert found
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as picture:
        assert max(picture.size) == 96
    assert value_cell(ColumnSpec("x", "image"), column, 1) == "–"


def test_the_page_is_chinese_for_a_chinese_reader(whole: Material) -> None:
    with speaking("zh"):
        text = page(whole)
    assert '<html lang="zh-Hans">' in text
    shown = Reader(text).shown
    for expected in ("梯级一览", "质量与代价", "准确率", "训练行数", "下一步"):
        assert expected in shown
    assert "The ladder" not in shown


def test_a_climb_without_its_data_has_a_report_without_their_sections(whole: Material) -> None:
    there = sections(page(Material(whole.record)))
    assert there == ["ladder", "quality", "curves", "expected", "next", "limit", "data", "budget", "again"]


@pytest.mark.parametrize("spoilt", ["shape", "nan"])
def test_predictions_that_do_not_fit_are_left_out(whole: Material, spoilt: str) -> None:
    assert whole.predictions is not None
    wrong = whole.predictions[:-1] if spoilt == "shape" else np.full_like(whole.predictions, np.nan)
    assert "confusion" not in sections(page(replace(whole, predictions=wrong)))


def test_an_interrupted_climb_shows_the_best_so_far(whole: Material) -> None:
    record = replace(whole.record, verdict=None, test=None)
    text = page(replace(whole, record=record))
    assert "No rung has been chosen yet. The best so far is boosting" in Reader(text).shown
    assert "worst" in sections(text)


def test_a_climb_in_which_nothing_was_trained_has_a_report(whole: Material) -> None:
    rungs = (RungRecord("constant", "traditional", "skipped", "interrupted"),)
    record = replace(whole.record, rungs=rungs, verdict=None, test=None)
    assert "No rung has been trained yet." in page(Material(record))


@pytest.mark.parametrize("name", gallery.FIGURES)
def test_every_figure_can_be_drawn_and_written(name: str, whole: Material, values: Material, tmp_path: Path) -> None:
    material = values if name in ("predicted", "residuals") else whole
    for ending, head in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        path = tmp_path / f"figure{ending}"
        with speaking("zh"):
            gallery.plot(material, name, path)
        assert path.read_bytes().startswith(head)


def test_a_figure_without_numbers_names_those_that_can_be_drawn(whole: Material) -> None:
    with pytest.raises(
        OptionError, match=r"'residuals': the climb must have numbers.*quality, curves, forecasts, budget, confusion"
    ):
        gallery.plot(whole, "residuals")
    with pytest.raises(OptionError, match=r"figure 'qualty'.*did you mean 'quality'"):
        gallery.plot(whole, "qualty")
    with pytest.raises(OptionError, match=r"ending must be one of .png, .svg, .pdf"):
        gallery.plot(whole, "quality", "figure.bmp")


@pytest.mark.parametrize("metric", [None, "rmse"])
def test_forecasts_are_drawn_beside_what_came_and_pale_by_the_prior(metric: str | None, tmp_path: Path) -> None:
    material = climbed(tmp_path, regression=metric is not None, metric=metric)
    figure = gallery.draw(material, "forecasts")
    assert figure is not None
    [axes] = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[0::2] == ["linear", "boosting", "mlp", "transformer"]  # convnet was refused a forecast
    assert texts[1::2] == ["prior", "pilots", "pilots", "pilots"]
    bars = [line for line in axes.lines if line.get_linewidth() == 9]
    assert [line.get_alpha() for line in bars] == [0.25, 0.5, 0.5, 0.5]
    assert len([line for line in axes.lines if line.get_marker() == "o"]) == 3  # transformer was not trained
    worst, best = axes.get_xlim()
    assert worst > best
    assert gallery.draw(replace(material, record=replace(material.record, rungs=())), "forecasts") is None


def test_names_of_ticks_on_the_axis_of_forecasts_do_not_touch(whole: Material) -> None:
    wide = replace(whole.record.rungs[1].forecast or ForecastRecord(1), low=0.0, high=1.0)
    record = replace(whole.record, rungs=(replace(whole.record.rungs[1], forecast=wide),))
    figure = gallery.draw(replace(whole, record=record), "forecasts")
    assert figure is not None
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(boxes) > 3
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])


def test_a_price_of_an_hour_is_told_wherever_seconds_are(whole: Material) -> None:
    plain = page(whole)
    assert "price" not in Reader(plain).shown
    record = replace(whole.record, settings={**whole.record.settings, "price": 2.5})
    text = page(replace(whole, record=record))
    assert "Training it took 6.0 s, at a price of 0.0042, and at most 200 MiB of memory." in text
    assert "<small>of 60 s allowed</small><small>at a price of 0.036</small>" in text
    assert text.count("Below a time stands what it costs, at 2.5 an hour.") == 3
    for seconds, money in (("6.0 s", "0.0042"), ("38 s (30 s–52 s)", "0.026"), ("15m 00s", "0.62"), ("41 s", "0.028")):
        assert f"{seconds}<small>{money}</small>" in text  # a rung, a forecast, a next step, a part of the climb
    with speaking("zh"):
        assert "训练用时 6.0 s，费用 0.0042，内存峰值 200 MiB。" in page(replace(whole, record=record))


def test_metrics_that_are_better_when_lower_are_drawn_better_upwards(tmp_path: Path) -> None:
    material = climbed(tmp_path, regression=True, metric="rmse")
    figure = gallery.draw(material, "quality")
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert low > high


def test_many_classes_are_told_as_pairs(whole: Material) -> None:
    assert whole.dataset is not None
    names = tuple(f"class {number}" for number in range(30))
    draw = np.random.default_rng(0)
    rows = len(whole.dataset.valid)
    target = draw.integers(0, 30, rows).astype(np.int32)
    valid = replace(whole.dataset.valid, target=target)
    record = replace(whole.record, task=replace(whole.record.task, classes=names))
    odds = draw.random((rows, 30))
    found = Material(record, replace(whole.dataset, valid=valid), odds / odds.sum(1, keepdims=True))
    assert gallery.draw(found, "confusion") is None
    text = page(found)
    assert "The pairs of classes that are confused most, of 30 classes." in text
    assert "All 30 classes" in text


def test_names_beside_points_do_not_cover_each_other() -> None:
    draw = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in draw.uniform(150, 350, (12, 2))]
    names = [f"rung {place}" for place in range(12)]
    corners = scales.place_names(points, names, 11, [], (0, 0, 700, 400))
    boxes = [(x, y, x + scales.text_width(name, 11), y + 11) for (x, y), name in zip(corners, names, strict=True)]
    for one in range(12):
        assert all(scales._overlap(boxes[one], boxes[other]) == 0 for other in range(one))


def test_the_pareto_front_keeps_equals() -> None:
    assert pareto([1.0, 1.0, 2.0], [0.5, 0.5, 0.5]) == {0, 1}


def test_what_was_spent_adds_up_to_the_whole(whole: Material) -> None:
    assert sum(seconds for _, seconds in spent(whole)) == pytest.approx(whole.record.budget.spent_seconds)
    without = dict(spent(replace(whole, spans={})))
    assert without["refit"] == 5.0
    assert without["boosting"] > 6.0  # with its pilots


def test_the_time_of_every_part_is_read_from_the_log() -> None:
    def line(time: float, event: str, name: str = "") -> str:
        return json.dumps({"time": time, "event": event, "name": name})

    first = [line(0, "Stage", "reading"), line(1, "Stage", "examining"), line(3, "Prepared")]
    rung = [line(4, "RungStarted", "linear"), line(5, "RungProgress", "linear"), line(9, "RungEnded")]
    killed = [line(10, "RungStarted", "mlp"), line(12, "RungProgress", "mlp")]
    again = [line(100, "Prepared"), line(101, "RungStarted", "linear"), line(103, "RungEnded")]
    last = [line(104, "RungStarted", "refit"), line(106, "RungProgress", "test"), line(107, "RungProgress", "test")]
    found = reporting.spans([*first, *rung, *killed, *again, *last, line(109, "Decided"), line(110, "Finished")])
    assert found == {"reading": 3.0, "linear": 7.0, "refit": 2.0, "test": 3.0}


COMMANDS: dict[str, Request] = {
    "yunti climb a.csv": Request("a.csv"),
    "yunti climb 'my data.csv' --target 'the answer' --seed 3": Request("my data.csv", target="the answer", seed=3),
    "yunti climb a.csv --kind zip=category --keep id --keep name --rungs linear,tree --no-refit": Request(
        "a.csv", kinds={"zip": "category"}, keep=("id", "name"), rungs=("linear", "tree"), refit=False
    ),
    "yunti climb a.csv --metric log_loss --budget 90s --device cpu": Request(
        "a.csv", metric="log_loss", budget_seconds=90.0, device="cpu"
    ),
    "yunti climb a.csv --worth '1 point = 30 min' --price 2.5": Request("a.csv", worth="1 point = 30 min", price=2.5),
    "yunti climb --target y -- -odd.csv": Request("-odd.csv", target="y"),
    "yunti climb DATA --target y": Request(None, target="y"),
    "yunti train a.csv --rung mlp --set training.epochs=20 --refit": Request(
        "a.csv", rungs=("mlp",), full=True, settings={"training.epochs": 20}
    ),
}


@pytest.mark.parametrize(("line", "request_"), COMMANDS.items())
def test_the_command_asks_for_the_same_again(line: str, request_: Request) -> None:
    assert command_line(json.loads(to_json(request_))) == line
    import typer

    from yunti.cli.app import build

    _, name, *rest = shlex.split(line)
    group: object = typer.main.get_command(build())
    group.commands[name].make_context(name, rest)  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with data, a record and predictions, as an interrupted climb leaves them."""
    path = tmp_path / "run"
    path.mkdir()
    dataset = laid_out(path)
    prediction = predicted(dataset)
    record = replace(foreseen(recorded(dataset, prediction)), verdict=None, test=None)
    run = RunFolder(path)
    (path / "request.json").write_text(to_json(Request("stones.csv")))
    run.save(record)
    run.outcome("boosting").mkdir(parents=True)
    np.save(run.outcome("boosting") / "valid.npy", prediction)
    return path


def told(capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    found = capsys.readouterr()
    yield found.out
    yield found.err


def test_the_command_writes_the_report_of_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert "worst" in sections((folder / "report.html").read_text())
    other = folder.parent / "other.html"
    assert app.run(["report", str(folder), "-o", str(other), "--lang", "zh"]) == 0
    assert "攀登报告" in other.read_text()


def test_the_locale_chooses_the_language(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert app.run(["report", str(folder)]) == 0
    assert "攀登报告" in (folder / "report.html").read_text()


@pytest.mark.parametrize("lost", ["prepared/dataset.json", "outcomes/boosting/valid.npy", "prepared/0000.values.npy"])
@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_damaged_files_cost_only_their_sections(folder: Path, lost: str, how: str) -> None:
    path = folder / lost
    path.unlink() if how == "gone" else path.write_bytes(path.read_bytes()[:100])
    assert app.run(["report", str(folder)]) == 0
    there = sections((folder / "report.html").read_text())
    assert {"ladder", "quality", "data", "again"} <= set(there)
    assert "worst" not in there


MISTAKES = {
    "absent": "it must be the run folder of a climb, but there is no such folder",
    "empty": "it must be the run folder of a climb, but it holds no request.json",
    "begun": "its data must have been read, but there is no climb.json yet; go on with `yunti climb --resume",
}


@pytest.mark.parametrize(("name", "sentence"), MISTAKES.items())
def test_a_folder_that_is_none_is_one_sentence(
    name: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "request.json").write_text(to_json(Request("a.csv")))
    assert app.run(["report", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_place_that_cannot_be_written_and_a_language_that_is_none_are_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["report", str(folder), "-o", str(folder / "no" / "out.html")]) == 2
    assert "the report must be written there" in capsys.readouterr().err
    assert app.run(["report", str(folder), "--lang", "fr"]) == 2
    assert "--lang: it must be one of en, zh, but 'fr'" in capsys.readouterr().err


def test_a_defect_while_drawing_is_a_sentence_and_no_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no ink.")

    run = RunFolder(folder)
    record = run.record
    assert isinstance(record, ClimbRecord)
    assert reporting.write_if_possible(run, record) == ""
    monkeypatch.setattr("yunti.report.page.write_report", broken)
    said = reporting.write_if_possible(run, record)
    assert said == f"the report could not be written: no ink; `yunti report {folder}` tries again"


def test_a_climb_ends_with_its_report_and_draws_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    climb = yunti.climb("sample:penguins", rungs=["constant", "linear"], budget="30s", out=out)
    text = (out / "report.html").read_text()
    assert f"{climb.verdict.chosen} reaches accuracy" in text
    assert "worst" in sections(text)
    assert climb.record.budget.spent_seconds > 0
    figure = climb.plot(path=tmp_path / "quality.svg")
    assert figure.axes
    assert (tmp_path / "quality.svg").is_file()
    with pytest.raises(OptionError, match="these can be drawn: quality, curves, budget, confusion, calibration"):
        climb.plot("residuals")
    (out / "report.html").unlink()
    assert climb.report() == out / "report.html"
    assert climb.report(tmp_path / "again.html").read_text() == (out / "report.html").read_text()
    assert app.run(["climb", "--resume", str(out)]) == 0
    assert f"report     {out / 'report.html'}" in capsys.readouterr().out


def test_a_report_is_whole_or_not_there(whole: Material, tmp_path: Path) -> None:
    write_report(whole, tmp_path / "report.html")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]

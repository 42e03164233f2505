"""Text as data: told from tables, cut without loss, copies left out, divided by place or by document."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raws import found, looked, prepared, write_csv
from yunti.bundle.answers import evaluate_source, predict_source
from yunti.bundle.card import About, card
from yunti.cli import app
from yunti.data.dataset import Dataset, open_dataset
from yunti.data.lengths import characters_of, lengths_of, script_shares, words_in
from yunti.data.passages import Cutter, passage_bytes
from yunti.data.read import read_raw
from yunti.data.table import Examples, Table
from yunti.models.contract import Model, Parts
from yunti.records import BudgetRecord, ClimbRecord
from yunti.report import row_sections
from yunti.report.material import Material
from yunti.report.row_figures import residuals
from yunti.specs import ColumnSpec, Spec
from yunti.tasks.metrics import metrics_of
from yunti.tasks.task import infer_task
from yunti.words import say

SAYING = "the a cat sat on mat and saw that dog ran far from home while rain fell over quiet hills"
WORDS = SAYING.split()


def prose(seed: int, letters: int) -> str:
    """Lines, blank lines and sentences of words drawn at random."""
    random = np.random.default_rng(seed)
    text = ""
    while len(text) < letters:
        line = " ".join(random.choice(WORDS, int(random.integers(4, 14)))).capitalize()
        text += line + str(random.choice([".\n", "! ", ".\n\n", ",\r\n"]))
    return text[:letters]


def texts_of(examples: Examples, name: str = "text") -> list[str]:
    return examples.table[name].values.to_pylist()


def whole(dataset: Dataset, name: str = "text") -> str:
    return "".join(texts_of(dataset.both(), name) + texts_of(dataset.open_test(), name))


# Cutting


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab .\n\r\t云。！”é😀", max_size=400), st.integers(4, 60), st.integers(1, 50))
def test_passages_joined_are_the_text_again(text: str, size: int, piece: int) -> None:
    data, cutter = text.encode(), Cutter(size)
    passages = [each for start in range(0, len(data), piece) for each in cutter.feed(data[start : start + piece])]
    passages += cutter.finish()
    assert b"".join(passages) == data
    assert all(passage.decode() is not None for passage in passages)  # no character is cut in two
    assert all(len(passage) <= size + size // 2 for passage in passages)


def test_a_passage_ends_with_a_paragraph_a_line_or_a_sentence() -> None:
    def first(text: str, size: int = 40) -> str:
        return next(Cutter(size).feed(text.encode())).decode()

    more = "x" * 80
    assert first("one two three four five\n\nsix\n" + more) == "one two three four five\n\n"
    assert first("one two three four\r\nfive six seven\r\n" + more) == "one two three four\r\nfive six seven\r\n"
    assert first('He said "no." Then he went away ' + more) == 'He said "no." Then he went away '
    assert first('And so in the end he said "no." Then' + more) == 'And so in the end he said "no." '
    assert first("今天天气很好。他说：“走吧。”" + "云" * 40, 60) == "今天天气很好。他说：“走吧。”"
    assert len(first("云" * 80).encode()) == 39


def test_short_texts_have_shorter_passages_and_many_documents_stay_whole() -> None:
    assert passage_bytes([10_000_000]) == 4_000
    assert passage_bytes([100_000]) == 1_000
    assert passage_bytes([3_000] * 50) == 1_500
    assert passage_bytes([3_000] * 100) is None
    assert passage_bytes([3_000] * 100 + [40_000]) == 3_400  # one dominates
    assert passage_bytes([20 << 20] * 100) == 4_000  # a row must fit into memory


# Reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_text_comes_back_whatever_its_encoding(tmp_path: Path, encoding: str) -> None:
    text = "".join(f"第{row}天，我们从山下出发，一直走到天黑。\r\n" for row in range(300))
    (tmp_path / "trip.txt").write_bytes(text.encode(encoding))
    dataset = prepared(str(tmp_path / "trip.txt"), tmp_path)
    assert whole(dataset) == text
    noted = "utf-8" not in encoding
    assert any(encoding in each.message for each in dataset.record.findings) == noted


def test_a_packed_text_and_markdown_are_read(tmp_path: Path) -> None:
    text = prose(0, 30_000)
    (tmp_path / "notes.md.gz").write_bytes(gzip.compress(text.encode()))
    assert whole(prepared(str(tmp_path / "notes.md.gz"), tmp_path)) == text


@pytest.mark.parametrize(
    ("content", "is_text"),
    [
        ("age,name\n30,Li\n41,Bo\n", False),
        ("age;name;town\n30;Li;X\n41;Bo;Y\n", False),
        ("ham\tGo until the point, then call.\nspam\tYou have won.\n", False),
        ("a|b\n1|2\n3|4\n", False),
        ("Once, there was a cat.\nIt sat on the mat.\nThen, at last, it slept, and dreamt.\n", True),
        ("one\ntwo\nthree\n", True),
        ("Hello, said he.\nHello, said she.\nGoodbye, said he.\n", True),
        ("云梯，\n训练。\n模型\n", True),
    ],
)
def test_tables_are_told_from_text_by_what_the_file_holds(tmp_path: Path, content: str, is_text: bool) -> None:
    (tmp_path / "a.txt").write_text(content)
    raw = read_raw(str(tmp_path / "a.txt"), tmp_path / "work")
    assert (raw.task == "language") == is_text
    assert read_raw(str(tmp_path / "a.txt"), tmp_path / "work", running=True).task == "language"
    if not is_text:
        assert read_raw(str(tmp_path / "a.txt"), tmp_path / "work", running=False).task is None


def test_a_target_keeps_a_text_file_a_table(tmp_path: Path) -> None:
    rows = "".join(f"fine weather today and {row} clouds over the hills as far as I can see\n" for row in range(120))
    (tmp_path / "a.txt").write_text("note\n" + rows)
    assert looked(str(tmp_path / "a.txt")).task == "language"
    seen = looked(str(tmp_path / "a.txt"), target="note", task="language")
    assert (seen.target.name, seen.data.text.documents) == ("note", 120)


def test_a_folder_at_any_depth_is_a_document_a_file(tmp_path: Path) -> None:
    for place in range(120):
        path = tmp_path / "corpus" / f"part {place % 7}" / "deeper" / f"{place:03}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(prose(place, 600 + place))
    (tmp_path / "corpus" / ".hidden.md").write_text("no")
    (tmp_path / "corpus" / "empty.md").write_text("")
    dataset = prepared(str(tmp_path / "corpus"), tmp_path)
    made = dataset.record.text
    assert (made.documents, made.passages, dataset.train.groups) == (120, 0, None)
    assert dataset.record.split.how == "at random by document"
    assert sorted(texts_of(dataset.both()) + texts_of(dataset.open_test())) == sorted(
        prose(place, 600 + place) for place in range(120)
    )
    assert any("1 empty file was passed over" in each.message for each in dataset.record.findings)


def test_files_called_train_valid_and_test_are_a_ready_split(tmp_path: Path) -> None:
    (tmp_path / "wiki").mkdir()
    parts = {"train": prose(1, 20_000), "valid": prose(2, 4_000), "test": prose(3, 4_000)}
    for name, text in parts.items():
        (tmp_path / "wiki" / f"{name}.txt").write_bytes(text.encode())
    dataset = prepared(str(tmp_path / "wiki"), tmp_path)
    assert ["".join(texts_of(each)) for each in (dataset.train, dataset.valid, dataset.open_test())] == list(
        parts.values()
    )


def test_any_file_is_text_where_the_task_says_so(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text(prose(4, 9_000))
    (tmp_path / "code" / "b.bin").write_bytes(bytes(range(256)) * 20)
    seen = looked(str(tmp_path / "code"), task="language")
    assert seen.data.text.documents == 1
    assert "b.bin" in found(seen, "reading")[0].message


def test_bytes_that_cannot_be_decoded_are_told(tmp_path: Path) -> None:
    text = "Größe und Maß, jeden Tag.\n" * 400
    (tmp_path / "a.txt").write_bytes(text.encode().replace(b"Tag.\n", b"T\xffg.\n", 1))
    dataset = prepared(str(tmp_path / "a.txt"), tmp_path)
    assert whole(dataset) == text.replace("Tag", "T\ufffdg", 1)
    assert any("1 byte of" in each.message for each in dataset.record.findings)


# Dividing


def test_one_text_is_divided_by_place(tmp_path: Path) -> None:
    text = prose(0, 200_000)
    (tmp_path / "book.txt").write_bytes(text.encode())
    dataset = prepared(str(tmp_path / "book.txt"), tmp_path)
    train, valid, test = ("".join(texts_of(each)) for each in (dataset.train, dataset.valid, dataset.open_test()))
    assert train + valid + test == text
    assert [round(len(each) / len(text), 2) for each in (train, valid, test)] == [0.8, 0.1, 0.1]
    assert dataset.record.split.how == "by place: what comes first trains"
    rows = [each.rows for each in (dataset.train, dataset.valid, dataset.open_test())]
    assert np.array_equal(np.concatenate(rows), np.arange(len(np.concatenate(rows))))
    assert set(dataset.train.groups) == {0}
    assert dataset.columns[0].parsing == {"passages": True}


def test_few_documents_are_divided_where_one_ends(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    for place in range(10):
        (tmp_path / "books" / f"{place}.txt").write_text(prose(place, 9_000 + 300 * place))
    dataset = prepared(str(tmp_path / "books"), tmp_path)
    groups = [set(each.groups) for each in (dataset.train, dataset.valid, dataset.open_test())]
    assert groups == [set(range(8)), {8}, {9}]


def test_a_column_of_few_long_documents_is_cut_and_keeps_its_columns(tmp_path: Path) -> None:
    rows = [{"id": place, "part": ["train"] * 8 + ["test"] * 2, "body": prose(place, 20_000)} for place in range(10)]
    rows = [{**row, "part": row["part"][row["id"]]} for row in rows]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = looked(str(tmp_path / "a.jsonl"), task="language")
    assert [each.message for each in found(seen, "split_column")] == [
        "'part' holds a ready split (train 8, test 2): use it with --split part"
    ]
    assert seen.missing == {"body": 0.0}
    dataset = prepared(str(tmp_path / "a.jsonl"), tmp_path, task="language", split="part")
    assert "".join(texts_of(dataset.open_test(), "body")) == rows[8]["body"] + rows[9]["body"]
    assert set(dataset.open_test().groups) == {8, 9}
    assert not set(dataset.train.groups) & {8, 9}
    assert dataset.target.name == "body"


def test_a_test_source_stays_the_test(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(prose(0, 30_000))
    (tmp_path / "b.txt").write_text(prose(1, 6_000))
    dataset = prepared(str(tmp_path / "a.txt"), tmp_path, test=str(tmp_path / "b.txt"))
    assert "".join(texts_of(dataset.open_test())) == prose(1, 6_000)
    assert set(dataset.open_test().groups) == {1}
    assert 0.08 < len(dataset.valid) / (len(dataset.train) + len(dataset.valid)) < 0.12


def documents(count: int = 300) -> list[str | None]:
    return [prose(place, 300) for place in range(count)]


def test_a_column_of_documents_is_divided_at_random_and_stays_in_order(tmp_path: Path) -> None:
    texts = documents()
    texts[7] = None
    source = write_csv(tmp_path / "a.csv", {"text": texts, "stars": list(range(300))})
    dataset = prepared(str(source), tmp_path, task="language", target="text")
    parts = (dataset.train, dataset.valid, dataset.open_test())
    assert [len(each) for each in parts] == [179, 60, 60]
    for part in parts:
        assert np.array_equal(part.rows, np.sort(part.rows))
        assert [texts[row] for row in part.rows] == [each.replace("\r\n", "\r\n") for each in texts_of(part)]
        assert part.target.dtype == np.float64
        assert not part.target.any()
    assert [each.code for each in dataset.record.findings][:1] == ["target_missing"]
    assert (dataset.task, dataset.classes, dataset.target.role) == ("language", (), "target")
    assert [(each.name, each.kind) for each in dataset.columns] == [("text", "text")]
    assert infer_task(dataset.task, dataset.target.name).metric == "bits_per_byte"
    again = open_dataset(dataset.folder)
    assert again.record == dataset.record


def test_copies_are_left_out_of_everything(tmp_path: Path) -> None:
    texts = documents()
    texts[50], texts[60] = texts[3].upper().replace(" ", "\n "), texts[3]
    source = write_csv(tmp_path / "a.csv", {"text": texts})
    dataset = prepared(str(source), tmp_path, task="language")
    used = set(np.concatenate([dataset.train.rows, dataset.valid.rows, dataset.open_test().rows]).tolist())
    assert used == set(range(300)) - {50, 60}
    told = next(each for each in dataset.record.findings if each.code == "duplicates")
    assert (told.count, told.severity) == (2, "left out")
    assert "row 51 repeats row 4, row 61 repeats row 4" in told.message
    assert dataset.record.text.repeated == 2


def test_of_copies_in_a_ready_split_the_one_for_the_test_stays(tmp_path: Path) -> None:
    texts = documents()
    texts[290] = texts[0]
    parts = ["train"] * 200 + ["valid"] * 50 + ["test"] * 50
    source = write_csv(tmp_path / "a.csv", {"text": texts, "part": parts})
    dataset = prepared(str(source), tmp_path, task="language", split="part")
    assert [len(dataset.train), len(dataset.valid), len(dataset.open_test())] == [199, 50, 50]


def test_documents_that_are_nearly_the_same_stay_on_one_side(tmp_path: Path) -> None:
    texts = documents(400)
    for place in range(0, 400, 2):
        texts[place + 1] = texts[place] + " Once."
    source = write_csv(tmp_path / "a.csv", {"text": texts})
    dataset = prepared(str(source), tmp_path, task="language")
    for part in (dataset.train, dataset.valid, dataset.open_test()):
        assert set(part.rows // 2 * 2) | set(part.rows // 2 * 2 + 1) == set(part.rows)


def test_a_copied_file_among_few_is_left_out_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    for place, seed in enumerate([0, 1, 0, 2]):
        (tmp_path / "books" / f"{place}.txt").write_text(prose(seed, 20_000))
    dataset = prepared(str(tmp_path / "books"), tmp_path)
    assert (dataset.record.text.documents, dataset.record.text.repeated) == (3, 1)
    assert whole(dataset).replace("\r", "") == (prose(0, 20_000) + prose(1, 20_000) + prose(2, 20_000)).replace(
        "\r", ""
    )


# What is told


@pytest.mark.parametrize(
    ("text", "words"),
    [("", 0), ("To be, or not", 4), ("你好，世界！", 4), ("用 Python 训练", 4), ("かな naïve\u3000café", 4), ("…", 1)],
)
def test_words_stand_between_blanks_and_a_chinese_character_is_one(text: str, words: int) -> None:
    assert words_in(text) == words


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60) | st.none(), max_size=12))
def test_lengths_and_characters_are_counted_as_python_counts(texts: list[str | None]) -> None:
    texts = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    array = pa.array(texts, pa.large_string())
    plain = [text or "" for text in texts]
    assert lengths_of(array).tolist() == [[len(each.encode()), len(each), words_in(each)] for each in plain]
    counts = characters_of([array.slice(1), array.slice(0, 1)])
    joined = "".join(plain)
    assert {chr(code): int(counts[code]) for code in np.flatnonzero(counts)} == {
        each: joined.count(each) for each in set(joined)
    }


def test_scripts_are_shares_of_the_letters() -> None:
    counts = characters_of([pa.array(["ab 12!", "云梯 Ж", "あ"], pa.large_string())])
    assert script_shares(counts) == {"Latin": 2 / 6, "Han": 2 / 6, "Cyrillic": 1 / 6, "Kana": 1 / 6}


def test_a_look_tells_what_a_text_is_made_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "book.txt").write_text("云梯 is a ladder.\n" * 900)
    assert app.run(["look", str(tmp_path / "book.txt"), "--lang", "en"]) == 0
    told = capsys.readouterr().out
    assert "1 document in" in told
    assert "18,000 bytes, 14,400 characters (12 different), 4,500 words" in told
    assert "Latin 81.8%, Han 18.2%" in told
    assert "by place" in told
    assert "language modelling of 'text'" in told
    assert app.run(["look", str(tmp_path / "book.txt"), "--lang", "zh"]) == 0
    told = capsys.readouterr().out
    assert "拉丁字母 81.8%，汉字 18.2%" in told
    assert "对 'text' 做语言建模" in told
    assert app.run(["look", str(tmp_path / "book.txt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"]["distinct_characters"] == 12


# What a model of texts is asked


class Blind(Model):
    """Guesses every byte blindly."""

    def predict(self, table: Table) -> np.ndarray:
        counts = lengths_of(table[self.spec.columns[0].name].values).astype(np.float64)
        octets, characters, words = counts.T
        return np.column_stack([octets * np.log(256), octets, characters, octets, words])

    parameters, train_flops, plan = 0, 0.0, {}

    def parts(self) -> Parts:
        return Parts()

    def restore(self, parts: Parts) -> None:
        pass


def test_a_text_is_scored_and_its_rows_are_answered(tmp_path: Path) -> None:
    task, column = infer_task("language", "story"), ColumnSpec("story", "text")
    model, about = Blind(Spec((column,), task, 100)), About((column,), column, task)
    (tmp_path / "new.txt").write_text(prose(0, 20_000))
    for source in (str(tmp_path / "new.txt"), pa.table({"story": ["one tale", None, "二"]})):
        seen = evaluate_source(model, about, source)
        assert (seen["metric"], seen["score"], seen["low"]) == ("bits_per_byte", pytest.approx(8), pytest.approx(8))
        assert set(seen["scores"]) == {metric.name for metric in metrics_of("language")}
    assert (seen["rows"], seen["findings"]) == (2, [say("evaluate.no answer", count=1, target="story")])
    answers = predict_source(model, about, pa.table({"story": ["one tale", None]}))
    assert answers.column("prediction").to_pylist()[0] == pytest.approx(8)
    assert np.isnan(answers.column("prediction").to_pylist()[1])


def test_a_report_shows_the_parts_of_a_text(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", {"text": [prose(place, 300) for place in range(400)]})
    dataset = prepared(str(source), tmp_path, task="language")
    task = infer_task("language", "text")
    sums = Blind(Spec(dataset.columns, task, 100)).predict(dataset.valid.table)
    material = Material(ClimbRecord(dataset.record, task, {}, BudgetRecord(9.0)), dataset, sums)
    assert material.scored is not None
    assert (row_sections.worst(material), row_sections.classes(material), residuals(material)) == (None, None, None)
    row_sections.parts(material)
    assert "token after token" in card(About(dataset.columns, dataset.target, task), "yunti")

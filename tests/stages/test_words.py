"""Sentences: both languages have the same, each is found again in what was made from it, and the screen speaks both."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from yunti.cli import app
from yunti.cli.layout import ladder_lines, wrapped
from yunti.errors import OptionError
from yunti.records import (
    BudgetRecord,
    ClimbRecord,
    Cost,
    DataRecord,
    RungRecord,
    Score,
    Severity,
    SplitRecord,
    Status,
)
from yunti.specs import KINDS, Direction, Era, Role, TaskName, TaskSpec
from yunti.tasks.metrics import METRICS
from yunti.words import chinese, choose_language, english, language, say, speaking, spoken, told
from yunti.words.chinese import CHINESE
from yunti.words.english import ENGLISH, RECORDED
from yunti.words.sentences import find, slots

SOURCE = Path(__file__).resolve().parents[2] / "src" / "yunti"
CODE = [path for path in sorted(SOURCE.rglob("*.py")) if "words" not in path.relative_to(SOURCE).parts[:-1]]
HAN = re.compile("[\u4e00-\u9fff]")
SENTENCE = "evidence.none"  # stands for any sentence in another
DERIVED = {  # keys that the code makes from names
    "kind": KINDS,
    "role": get_args(Role),
    "era": get_args(Era),
    "status": get_args(Status),
    "severity": get_args(Severity),
    "task": [*get_args(TaskName), *get_args(Direction)],
    "metric": [metric.name for metric in METRICS],
    "ahead": ("next", "gain", "cost", "chance", "worth it"),
}


def catalogue(package: Any) -> Iterator[tuple[str, str]]:
    """Give the file and the key of every entry as it is written."""
    for module in pkgutil.iter_modules(package.__path__):
        path = Path(str(importlib.import_module(f"{package.__name__}.{module.name}").__file__))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                yield from ((module.name, ast.literal_eval(key)) for key in node.keys if key is not None)


def sample(key: str, number: int) -> dict[str, Any]:
    """Make values for a template."""
    inner = say(SENTENCE)
    kinds = {"said": inner, "each": [inner, inner], "number": f"{number:,}", "": "Some_thing-9"}
    values = {slot.partition("!")[0]: kinds.get(spec, number) for slot, spec in slots(ENGLISH[key]).items()}
    return values | {slot[:-2]: "it's" for slot in slots(ENGLISH[key]) if slot.endswith("!r")}


def test_both_languages_have_the_same_sentences_in_the_same_files_and_no_key_twice() -> None:
    written = list(catalogue(english))
    assert sorted(catalogue(chinese)) == sorted(written)
    assert [key for key, count in Counter(key for _, key in written).items() if count > 1] == []
    assert {key for _, key in written} == set(ENGLISH) == set(CHINESE)


@pytest.mark.parametrize("key", ENGLISH)
def test_a_sentence_names_the_same_values_in_both_languages(key: str) -> None:
    assert set(slots(CHINESE[key])) == set(slots(ENGLISH[key]))
    assert not any(slots(CHINESE[key]).values()), "a value stands there as it was written in English"


@pytest.mark.parametrize("key", RECORDED)
@pytest.mark.parametrize("number", [1, 2345])
def test_a_recorded_sentence_is_found_again_and_told_with_its_values(key: str, number: int) -> None:
    text = say(key, **sample(key, number))
    found = find(text)
    assert found is not None
    assert found[0] == key, text
    with speaking("zh"):
        assert told(text) == spoken(key, **sample(key, number))
    assert told(text) == text


@pytest.mark.parametrize("key", [key for key in CHINESE if re.search("[a-z]{3}", re.sub("{.*?}", "", ENGLISH[key]))])
def test_a_sentence_in_chinese_holds_chinese(key: str) -> None:
    assert HAN.search(CHINESE[key]) or key == "metric.roc_auc"


@pytest.mark.parametrize("other", ["您", "分数", "成绩", "选中", "增益", "提高", "各级", "一级", "价钱", "重训"])
def test_one_thing_has_one_name_in_chinese(other: str) -> None:
    """The names are 你, 得分, 选定, 改善, 梯级, 费用 and 重新训练."""
    assert [key for key, text in CHINESE.items() if other in text] == []


def test_every_key_in_the_code_is_there_and_every_key_is_used() -> None:
    used: set[str] = {f"{prefix}.{name}" for prefix, names in DERIVED.items() for name in names}
    assert used <= set(ENGLISH)
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and node.value in ENGLISH:
                used.add(node.value)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("say", "spoken"):
                used |= keys_of(node.args[0], path)
    for page in SOURCE.rglob("*.j2"):
        for key, more in re.findall(r't\("([^"]+)"( ~ )?', page.read_text()):
            fitting = {each for each in ENGLISH if (each.startswith(key) if more else each == key)}
            assert fitting, f"{page}: there is no sentence {key!r}"
            used |= fitting
    assert set(ENGLISH) - used == set()


def keys_of(argument: ast.expr, path: Path) -> set[str]:
    if isinstance(argument, ast.Constant):
        assert argument.value in ENGLISH, f"{path}: there is no sentence {argument.value!r}"
    if not isinstance(argument, ast.JoinedStr):
        return set()
    parts = [re.escape(str(each.value)) if isinstance(each, ast.Constant) else ".+" for each in argument.values]
    fitting = {key for key in ENGLISH if re.fullmatch("".join(parts), key)}
    assert fitting, f"{path}: there is no sentence {ast.unparse(argument)}"
    return fitting


@given(name=st.text(min_size=1), count=st.integers(0, 10**9), rows=st.integers(0, 10**9))
def test_values_come_back_whatever_a_column_is_called(name: str, count: int, rows: int) -> None:
    text = say("doctor.missing", column=name, count=count, rows=rows, share=0.5)
    found = find(text)
    assert found is not None
    assert (found[0], found[1]["column!r"], found[1]["rows"]) == ("doctor.missing", repr(name), f"{rows:,}")


def test_a_sentence_in_a_sentence_is_told_too() -> None:
    evidence = say("evidence.more", values=say("only.number"), more=[say("evidence.whole"), say("evidence.comma")])
    finding = say("doctor.kept", finding=say("doctor.id", column="a, b", evidence=evidence))
    with speaking("zh"):
        assert told(finding) == (
            "'a, b' 是行的标识，不描述行的内容（唯一的值是数值，整数，以逗号作小数点）；按要求保留使用"
        )


def test_a_text_of_another_origin_stays_as_it_is() -> None:
    with speaking("zh"):
        for text in ("linear", "a and b", "birds.csv: no such thing", "one, two", "No such file or directory"):
            assert told(text) == text


def test_a_long_text_of_another_origin_is_soon_given_up() -> None:
    began = time.process_time()
    with speaking("zh"):
        for text in ("a, b; c: d and e of 5 rows. " * 100, "x: y; " * 500, "'a', " * 500):
            assert told(text) == text
    assert time.process_time() - began < 5


def test_a_word_is_chosen_by_the_number() -> None:
    assert say("doctor.crossing", count=1).startswith("1 row for validation or test repeats")
    assert say("doctor.crossing", count=1200).startswith("1,200 rows for validation or test repeat ")


@pytest.mark.parametrize(
    ("asked", "environment", "chosen"),
    [
        (None, {}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        (None, {"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"),
        (None, {"LANG": "zh_CN", "LC_ALL": ""}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("zh", {"LANG": "C"}, "zh"),
    ],
)
def test_the_language_is_that_asked_for_or_that_of_the_locale(
    asked: str | None, environment: dict[str, str], chosen: str
) -> None:
    assert choose_language(asked, environment) == chosen


def test_a_language_without_sentences_is_refused() -> None:
    with pytest.raises(OptionError, match="--lang: it must be one of en, zh, but 'fr'"):
        choose_language("fr", {})


def test_the_language_holds_as_long_as_its_context() -> None:
    with speaking("zh"):
        assert language() == "zh"
        with speaking("en"):
            assert spoken("label.data") == "data"
        assert spoken("label.data") == "数据"
    assert language() == "en"


def foreign(line: str, allowed: set[str]) -> set[str]:
    """Return the words of a line that are neither Chinese nor allowed."""
    return set(re.findall("[A-Za-z_]{2,}", line)) - allowed


NAMES = {"sample", "penguins", "species", "island", "bill_length_mm", "bill_depth_mm", "flipper_length_mm"}
NAMES |= {"body_mass_g", "sex", "year", "female", "male", "Adelie", "Gentoo", "Chinstrap", "Biscoe", "Dream"}
NAMES |= {"Torgersen"}
UNITS = {"ms", "MiB", "KiB", "GiB"}


def test_a_look_speaks_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["look", "sample:penguins", "--lang", "zh"]) == 0
    lines = list(filter(str.strip, capsys.readouterr().out.splitlines()))
    assert len(lines) > 10
    for line in lines:
        assert HAN.search(line), line
        assert not foreign(line, NAMES), line
    assert language() == "en"


def test_a_look_without_a_target_and_with_findings_speaks_chinese(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{number};{number % 7};same;{number}.5;{number % 3}\n" for number in range(60))
    (tmp_path / "a.csv").write_text(f"nr;b;c;d;b_again\n{rows}too;many;fields;in;this;one\n")
    assert app.run(["look", str(tmp_path / "a.csv"), "--lang", "zh", "--kind", "b=category"]) == 0
    lines = list(filter(str.strip, capsys.readouterr().out.splitlines()))
    found = "\n".join(lines)
    for piece in ("字段以分号分隔", "每一行都是", "由用户指定", "已单独放置", "没有指定"):
        assert piece in found
    allowed = {"nr", "same", "b_again", "quarantine", "jsonl", "target"}
    for line in lines:
        assert not foreign(line.replace(str(tmp_path / "a.csv"), ""), allowed), line


def test_json_is_english_whatever_the_language(capsys: pytest.CaptureFixture[str]) -> None:
    documents = []
    for chosen in ("en", "zh"):
        assert app.run(["look", "sample:penguins", "--json", "--lang", chosen]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    assert not HAN.search(json.dumps(documents[0], ensure_ascii=False))


def test_the_ladder_is_listed_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["rungs", "--lang", "zh"]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "分类与回归"
    assert all(HAN.search(line.split(" [")[0]) for line in lines)


def test_a_climb_speaks_chinese_and_records_english(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rungs", "constant,linear,tree", "--budget", "20s", "--out", str(tmp_path / "run"), "--lang", "zh"]
    assert app.run(["climb", "sample:penguins", *options]) == 0
    lines = list(filter(str.strip, capsys.readouterr().out.splitlines()))
    rungs = {"constant", "linear", "tree"}
    elsewhere = (
        "机器",
        "文件夹",
        "报告",
        "选定",
        "模型包",
        "下一步",
    )  # names, paths, commands, and what the verdict says
    for line in lines:
        assert line.startswith(elsewhere) or not foreign(line, NAMES | UNITS | rungs), line
    assert {line[:2] for line in lines} >= {"数据", "任务", "预算", "机器", "划分", "选定", "测试", "用时"}
    record = json.loads((tmp_path / "run" / "climb.json").read_text())
    assert not HAN.search(json.dumps(record, ensure_ascii=False))


def test_a_language_stands_beside_resume(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("climb", "train"):
        assert app.run([command, "--resume", "absent", "--lang", "zh"]) == 2
        assert "leave it out" not in capsys.readouterr().err


def test_the_columns_of_a_chinese_ladder_line_up() -> None:
    cost = Cost(1.5, 1.0, 0.1, 10**8, 12, 4096, 1e6, 0.1)
    score = Score("accuracy", 0.9, 0.85, 0.95)
    eras: tuple[Era, ...] = ("traditional", "deep", "large")
    rungs = tuple(RungRecord(era, era, "done", score=score, cost=cost) for era in eras)
    task = TaskSpec("classification", "y", "accuracy", "higher", ("a", "b"))
    record = ClimbRecord(DataRecord("x", 9, (), SplitRecord(5, 2, 2)), task, {}, BudgetRecord(9.0), rungs)
    with speaking("zh"):
        lines = [line.plain for line in ladder_lines(record, 100)]
    assert len({cell_len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines] == ["时代", "传统", "深度", "大型"]


@given(st.text(alphabet="训练，。（）ab c", max_size=60), st.integers(8, 20))
def test_a_wrapped_sentence_keeps_its_letters_and_its_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())

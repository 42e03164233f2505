"""What the documents show is true: code runs, commands parse, tables name what there is, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from yunti.cli.app import build
from yunti.data.samples import SAMPLES
from yunti.ladders.prediction import LADDER
from yunti.specs import KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


# The code of the Chinese README is held equal to that of the English one, and not run twice.
EXECUTED = [path for path in DOCUMENTS if blocks(path, "python") and path.name != "README.zh-CN.md"]


def yunti_lines() -> list[tuple[str, str]]:
    lines = []
    for document in DOCUMENTS:
        told = "\n".join(blocks(document, "bash"))
        lines += [(document.name, found) for found in re.findall(r"(?:^|/bin/)(yunti .*)$", told, re.MULTILINE)]
    return lines


def cells(document: Path, head: str) -> list[list[str]]:
    """Rows of the table whose head begins with these cells."""
    lines = document.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


@pytest.mark.parametrize("document", EXECUTED, ids=lambda path: path.name)
def test_python_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in blocks(document, "python"):
        exec(compile(code, document.name, "exec"), names)


@pytest.mark.parametrize(("document", "line"), yunti_lines())
def test_a_command_parses(document: str, line: str) -> None:
    group: Any = typer.main.get_command(build())
    name, *rest = shlex.split(line, comments=True)[1:]
    group.commands[name].make_context(f"{document}: yunti {name}", rest)


@pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)
def test_the_table_of_rungs_is_the_ladder(document: Path) -> None:
    rows = cells(document, "| era |" if document.name == "README.md" else "| 时代 |")
    assert [row[1].strip("`") for row in rows] == [rung.name for rung in LADDER]
    eras = {"traditional": "传统", "deep": "深度", "large": "大型"}
    shown = [rung.era if document.name == "README.md" else eras[rung.era] for rung in LADDER]
    assert [row[0] for row in rows] == shown
    if document.name == "README.md":
        assert [row[2] for row in rows] == [rung.idea.rstrip(".") for rung in LADDER]


@pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)
def test_the_table_of_options_is_that_of_climb(document: Path) -> None:
    group: Any = typer.main.get_command(build())
    options = {each.opts[0] for each in group.commands["climb"].params if each.param_type_name == "option"}
    rows = cells(document, "| option |" if document.name == "README.md" else "| 选项 |")
    told = {flag for row in rows for flag in re.findall(r"--[a-z-]+", row[0])}
    assert told == options


@pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)
def test_the_table_of_samples_is_the_list(document: Path) -> None:
    rows = cells(document, "| sample |" if document.name == "README.md" else "| 样例 |")
    assert [row[0].strip("`") for row in rows] == [f"sample:{sample.name}" for sample in SAMPLES]
    if document.name == "README.md":
        assert [row[1] for row in rows] == [sample.idea for sample in SAMPLES]


@pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)
def test_every_kind_is_named(document: Path) -> None:
    text = document.read_text()
    assert [kind for kind in KINDS if kind not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []
    paths = re.findall(r"`((?:src|tests|docs|scripts|benchmarks|\.ci)/[\w./-]*[\w/])`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []

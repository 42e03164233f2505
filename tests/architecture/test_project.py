"""What pyproject, the constraints and the documents say about each other is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import yunti

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {"torchvision", "torchaudio", "lightning", "pytorch-lightning", "tensorflow"}


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def requirements() -> set[str]:
    told = project()
    lines = [*told["dependencies"], *(each for extra in told["optional-dependencies"].values() for each in extra)]
    return {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in lines}


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


def first_files(document: str) -> list[str]:
    text = (ROOT / document).read_text()
    section = re.search(r"^## (?:First files to read|先读这些文件)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, f"{document} has no list of first files to read"
    return re.findall(r"^\d+\. `([^`]+)`", section[1], re.MULTILINE)


def test_no_requirement_pulls_another_torch() -> None:
    assert not requirements() & FORBIDDEN
    assert not set(constraints()) & FORBIDDEN
    assert [name for name in constraints() if name.startswith(("nvidia", "cuda", "triton"))] == []
    assert "+" not in constraints()["torch"]


def test_every_requirement_has_a_tested_version() -> None:
    assert requirements() - set(constraints()) == set()


def test_the_version_is_told_once() -> None:
    assert project()["version"] == yunti.__version__
    assert f"## {yunti.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("document", ["docs/architecture.md", "README.md", "README.zh-CN.md"])
def test_the_first_files_to_read_are_there(document: str) -> None:
    files = first_files(document)
    assert len(files) >= 5
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert files == first_files("docs/architecture.md")


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    command = next(
        line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("python3 -m venv")
    )
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / "README.zh-CN.md").read_text()


def test_both_readmes_show_the_same_code() -> None:
    blocks = [
        re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
        for name in ("README.md", "README.zh-CN.md")
    ]
    without_comments = [[(language, re.sub(r"\s*#.*", "", code)) for language, code in each] for each in blocks]
    assert without_comments[0] == without_comments[1]

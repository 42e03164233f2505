"""Files and functions stay small, and nothing that rots is let in."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "yunti"
FILES = sorted(SOURCE.rglob("*.py"))
VAGUE = {"utils", "util", "common", "core", "helpers", "misc"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def lines_of(function: ast.FunctionDef) -> int:
    """Lines of the body without the docstring; signatures are counted by their parameters."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_files_are_under_400_lines() -> None:
    sizes = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size >= 400} == {}


def test_functions_are_under_60_lines_and_mostly_under_12() -> None:
    sizes = {f"{path.name}:{each.name}": lines_of(each) for path in FILES for each in functions(path)}
    assert {name: size for name, size in sizes.items() if size >= 60} == {}
    assert statistics.median(sizes.values()) < 12


def test_no_folder_or_file_has_a_name_that_says_nothing() -> None:
    assert [path for path in FILES if VAGUE & {path.stem, *path.relative_to(SOURCE).parts}] == []


@pytest.mark.parametrize("mark", ["TODO", "FIXME", "XXX", "HACK"])
def test_nothing_is_left_for_later(mark: str) -> None:
    assert [path for path in FILES if mark in path.read_text()] == []


def test_no_folder_is_empty_of_code() -> None:
    packages = [path.parent for path in FILES if path.name == "__init__.py" and path.parent != SOURCE]
    assert [each for each in packages if not any(path.name != "__init__.py" for path in each.glob("*.py"))] == []

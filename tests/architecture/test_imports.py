"""What may be imported where, beyond the layers that import-linter holds."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "yunti"
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = ("torch", "sklearn", "lightgbm", "tensorboard", "transformers")
HELP_SECONDS, IMPORT_SECONDS = 0.3, 0.2


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def calls(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def modules_after(code: str) -> tuple[set[str], float]:
    """Run code in a fresh interpreter; return the top-level packages it loaded and its processor seconds."""
    script = f"import sys, json, os\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    before = os.times()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return set(json.loads(done.stdout.splitlines()[-1])), seconds


HELP = "from yunti.cli.app import run\nassert run(['--help']) == 0\nassert run(['climb', '--help']) == 0"


@pytest.mark.parametrize(("code", "limit"), [(HELP, HELP_SECONDS), ("import yunti", IMPORT_SECONDS)])
def test_help_and_import_are_quick_and_load_nothing_heavy(code: str, limit: float) -> None:
    runs = [modules_after(code) for _ in range(3)]
    assert not runs[0][0] & {*HEAVY, "numpy", "pyarrow", "scipy", "pydantic", "pandas", "rich"}
    assert min(seconds for _, seconds in runs) < limit


def test_the_climbing_process_and_the_rungs_files_load_no_training_package() -> None:
    modules = ["yunti.climbing.climb", "yunti.ladders.find", "yunti.data.dataset", "yunti.bundle.bundle"]
    loaded, _ = modules_after("\n".join(f"import {module}" for module in modules))
    assert not loaded & set(HEAVY)


def test_a_report_is_made_without_any_training_package_and_without_pyplot() -> None:
    modules = ["yunti.report.page", "yunti.report.gallery", "yunti.climbing.reporting"]
    loaded, _ = modules_after("\n".join(f"import {module}" for module in modules))
    assert not loaded & set(HEAVY)
    assert [path for path in FILES for name in imports(path) if name == "matplotlib.pyplot"] == []


@pytest.mark.parametrize("folder", ["data", "tasks", "report", "climbing", "cli"])
def test_torch_stays_out_of_what_must_be_light(folder: str) -> None:
    users = [
        path for path in (SOURCE / folder).rglob("*.py") for name in imports(path) if name.split(".")[0] == "torch"
    ]
    assert users == []


@pytest.mark.parametrize("package", ["transformers", "tensorboard.program", "skops.io"])
def test_an_optional_or_delicate_package_is_imported_in_one_module(package: str) -> None:
    users = {path for path in FILES for name in imports(path) if name == package or name.startswith(f"{package}.")}
    assert len(users) <= 1


def test_nothing_loads_pickles_or_runs_text() -> None:
    banned = {"eval", "exec", "hasattr", "compile", "torch.load", "torch.save", "pickle.load", "pickle.loads"}
    found = {f"{path.name}: {call}" for path in FILES for call in calls(path) if call in banned}
    assert found == set()
    modules = {name for path in FILES for name in imports(path)}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}

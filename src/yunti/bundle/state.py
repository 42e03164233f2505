"""A model's `Parts` as files of a bundle, and back: safetensors, JSON, text and skops."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from yunti.bundle import objects
from yunti.bundle.guard import FACTS, WEIGHTS, Part
from yunti.errors import BundleError
from yunti.models.contract import Parts

STORABLE = frozenset(
    ("bool", "float16", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
)


@final
@dataclass(frozen=True)
class ArrayShape:
    """Type and shape of a stored array, told by the header before anything is allocated."""

    dtype: str
    shape: tuple[int, ...]


def write_parts(where: str, parts: Parts, folder: Path) -> dict[str, str]:
    """Write a model's state into a folder.

    Returns:
        For each numbered file the name that the model gave to its content.

    Raises:
        BundleError: an array of a type that cannot be stored, a fact that is not plain JSON, an object of a type that
            is not on the list.
    """
    write_arrays(where, parts.arrays, folder / WEIGHTS)
    write_json(where, parts.facts, folder / FACTS)
    holds = {}
    for number, (name, text) in enumerate(sorted(parts.texts.items())):
        file = f"texts/{number}.txt"
        (folder / "texts").mkdir(exist_ok=True)
        (folder / file).write_bytes(text.encode())
        holds[file] = name
    for number, (name, value) in enumerate(sorted(parts.objects.items())):
        file = f"objects/{number}.skops"
        (folder / "objects").mkdir(exist_ok=True)
        (folder / file).write_bytes(objects.dump(f"{where}: {name}", value))
        holds[file] = name
    return holds


def read_parts(where: str, folder: Path, parts: Mapping[str, Part], shapes: Mapping[str, ArrayShape]) -> Parts:
    """Read a model's state from files whose sizes and hashes were checked.

    Raises:
        BundleError: a file that is not what its name promises.
    """
    texts, things = {}, {}
    for file, part in parts.items():
        if file.startswith("texts/"):
            texts[part.holds] = read_text(where, folder, file)
        elif file.startswith("objects/"):
            things[part.holds] = objects.load(f"{where}: {file}", (folder / file).read_bytes())
    facts = read_json(where, folder, FACTS)
    if not isinstance(facts, dict):
        raise _misread(where, FACTS, "it holds no JSON object")
    return Parts(read_arrays(where, folder, WEIGHTS, shapes), facts, texts, things)


def shapes_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, ArrayShape]:
    """Return type and shape of each array."""
    return {name: ArrayShape(value.dtype.name, tuple(value.shape)) for name, value in arrays.items()}


def write_arrays(where: str, arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write named arrays as safetensors.

    Raises:
        BundleError: an array of a type that safetensors cannot hold.
    """
    from safetensors.numpy import save_file

    for name, value in arrays.items():
        if not isinstance(value, np.ndarray) or value.dtype.name not in STORABLE:
            kind = value.dtype.name if isinstance(value, np.ndarray) else type(value).__name__
            must = "its arrays must hold numbers or truth values"
            raise BundleError(where, must, f"{name!r} holds {kind}", "mend the rung's parts()")
    save_file({name: np.array(value, order="C", copy=None) for name, value in arrays.items()}, path)


def read_arrays(
    where: str, folder: Path, file: str, shapes: Mapping[str, ArrayShape] | None = None
) -> dict[str, NDArray[Any]]:
    """Read named arrays, each into memory of its own.

    Args:
        where: the bundle, for messages.
        folder: where the file stands.
        file: its name.
        shapes: what must be found; None takes what is there.

    Raises:
        BundleError: the file is not safetensors, or its arrays are not the listed ones.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / file, "numpy") as opened:
            names = list(opened.keys())
            if shapes is not None:
                found = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
                _check_shapes(where, file, found, {name: each.shape for name, each in shapes.items()})
            arrays = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise _misread(where, file, str(error)) from error
    if shapes is not None:
        dtypes = {name: value.dtype.name for name, value in arrays.items()}
        _check_shapes(where, file, dtypes, {name: each.dtype for name, each in shapes.items()})
    return arrays


def _check_shapes(where: str, file: str, found: Mapping[str, Any], listed: Mapping[str, Any]) -> None:
    for name in sorted({*found, *listed}):
        if found.get(name) != listed.get(name):
            got = f"{name!r} is {found.get(name, 'absent')} instead of {listed.get(name, 'absent')}"
            raise _misread(where, file, got)


def write_json(where: str, value: Any, path: Path) -> None:
    """Write plain JSON values; numbers keep all their digits.

    Raises:
        BundleError: a value that JSON does not know.
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
        path.write_bytes(text.encode())
    except (TypeError, ValueError) as error:
        raise BundleError(
            where, "its facts must be plain JSON values", str(error), "mend the rung's parts()"
        ) from error


def read_json(where: str, folder: Path, file: str) -> Any:
    """Read a JSON file whose size and hash were checked.

    Raises:
        BundleError: it is not JSON.
    """
    try:
        return json.loads(read_text(where, folder, file))
    except (ValueError, RecursionError) as error:
        raise _misread(where, file, str(error)) from error


def read_text(where: str, folder: Path, file: str) -> str:
    """Read a text file exactly, line ends included.

    Raises:
        BundleError: it is not UTF-8.
    """
    try:
        return (folder / file).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _misread(where, file, str(error)) from error


def _misread(where: str, file: str, got: str) -> BundleError:
    return BundleError(where, f"{file!r} must fit the bundle", got, "fetch the bundle again, or make it anew")

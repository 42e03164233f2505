"""Frozen records as JSON, and files that are there whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from yunti.errors import SourceError

Record = TypeVar("Record")


def to_json(record: Any) -> str:
    """Write a frozen record as indented JSON; NaN and infinities become null."""
    return json.dumps(_finite(asdict(record)), indent=2, ensure_ascii=False) + "\n"


def from_json(kind: type[Record], text: str, where: str = "climb.json") -> Record:
    """Read a record of this kind from JSON text, checking every field.

    Unknown fields are passed over, so that files of later versions can be read.

    Raises:
        SourceError: the text is not JSON, or a field is missing or of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        record: Record = TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SourceError(
            where, f"it must hold a {kind.__name__}", f"{place}: {first['msg']}", "make it anew, or restore the file"
        ) from error
    return record


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def write_atomic(path: Path, text: str | bytes) -> None:
    """Write a whole file or nothing: to a neighbour first, flushed to disk, then renamed over the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = text.encode() if isinstance(text, str) else text
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

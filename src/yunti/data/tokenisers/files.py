"""The files of JSON in a pretrained model's folder that tell of its tokeniser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from yunti.errors import SourceError

CONFIG: Final = "tokenizer_config.json"
_TOKENS: Final = (CONFIG, "special_tokens_map.json")


@final
@dataclass(frozen=True)
class FolderFiles:
    """The files of JSON in a model's folder.

    Args:
        folder: of the model.
    """

    folder: Path

    def read(self, name: str) -> Any:
        """Read a file that must be there.

        Raises:
            SourceError: it cannot be read or is no JSON.
        """
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            reason = "it is not there" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
            mend = "fetch the model's folder again"
            raise SourceError(str(path), "it must be a file of JSON", reason, mend) from error

    def told(self, name: str) -> Mapping[str, Any]:
        """Return what an object says that may be missing; nothing where it is.

        Raises:
            SourceError: it cannot be read or is no JSON.
        """
        found = self.read(name) if (self.folder / name).is_file() else None
        return found if isinstance(found, dict) else {}

    def named(self, role: str) -> Iterator[str]:
        """Yield the tokens that have a role, such as `eos_token`, the one that counts most first.

        Raises:
            SourceError: a file cannot be read or is no JSON.
        """
        for name in _TOKENS:
            found = self.told(name).get(role)
            found = found.get("content") if isinstance(found, dict) else found
            if isinstance(found, str):
                yield found

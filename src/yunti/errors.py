"""One tree of exceptions; every message is one sentence a user can act on.

YuntiError                  the root: catch this to catch all of ours
├── InputError              what was given cannot be used; the command line exits with code 2
│   ├── SourceError         a file or folder that cannot be read as data
│   ├── ColumnError         a column that is missing, of another kind, or unfit for its role
│   └── OptionError         an option or argument outside what it may be
├── BundleError             a bundle that is damaged, altered or made by another format
├── PackageError            an optional package that is needed here is not installed
└── RungError               one rung could not be trained; a climb records it and goes on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def sentence(where: str, must: str, got: str, mend: str) -> str:
    """Build the sentence of an error: where, what must hold, what was found, what to do.

    Example:
        >>> sentence("diamonds.csv", "the target must be one of its columns", "'prize' is none", "use 'price'")
        "diamonds.csv: the target must be one of its columns, but 'prize' is none; use 'price'."
    """
    text = f"{where}: {must}, but {got}; {mend}"
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else text + "."


class YuntiError(Exception):
    """Root of all errors that yunti raises on purpose.

    Args:
        where: the file, folder, option or argument that is at fault, with row and column where known.
        must: what must hold.
        got: what was found instead.
        mend: what the reader can do about it.
    """

    def __init__(self, where: str, must: str, got: str, mend: str) -> None:
        super().__init__(sentence(where, must, got, mend))
        self.parts = (where, must, got, mend)

    def __reduce__(self) -> tuple[type[YuntiError], tuple[str, str, str, str]]:
        return type(self), self.parts


class InputError(YuntiError):
    """What the user gave cannot be used as it is."""


class SourceError(InputError):
    """A source of data that is absent, unreadable or not what its name promises."""


class ColumnError(InputError):
    """A column that is missing, of another kind, or unfit for its role."""


class OptionError(InputError):
    """An option or argument outside what it may be."""


class BundleError(YuntiError):
    """A bundle that is damaged, was altered, or follows another format."""


class PackageError(YuntiError):
    """An optional package that is needed here is not installed."""


class RungError(YuntiError):
    """One rung could not be trained; a climb records it and goes on."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say what the reader may have meant: the nearest known name, else the first few known ones.

    Example:
        >>> nearest("prize", ["price", "carat"])
        "did you mean 'price'?"
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not names:
        return "there is none to choose from"
    shown = ", ".join(repr(each) for each in names[:12])
    return f"choose one of {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")

"""Which language the reader wants: asked for, or that of the locale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal

from yunti.errors import OptionError, nearest

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")

_SPOKEN: ContextVar[Language] = ContextVar("language", default="en")


def choose_language(asked: str | None, environment: Mapping[str, str]) -> Language:
    """Return the language that was asked for; else Chinese where the locale is Chinese, and English anywhere else.

    Args:
        asked: "en", "zh", or None.
        environment: the variables of the process: LC_ALL, LC_MESSAGES and LANG are read in this order.

    Raises:
        OptionError: there are no sentences in that language.

    Example:
        >>> choose_language(None, {"LANG": "zh_CN.UTF-8"}), choose_language("en", {"LANG": "zh_CN.UTF-8"})
        ('zh', 'en')
    """
    if asked is not None:
        for each in LANGUAGES:
            if asked == each:
                return each
        raise OptionError("--lang", f"it must be one of {', '.join(LANGUAGES)}", repr(asked), nearest(asked, LANGUAGES))
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def language() -> Language:
    """Return the language in which sentences are shown here and now."""
    return _SPOKEN.get()


@contextmanager
def speaking(chosen: Language) -> Iterator[None]:
    """Show sentences in a language as long as the context lasts."""
    token = _SPOKEN.set(chosen)
    try:
        yield
    finally:
        _SPOKEN.reset(token)

"""Ctrl-C, taken where it does no harm: never in the middle of an import or of a record that is being written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, final


@final
class _Pending:
    """Whether somebody pressed Ctrl-C and it was not taken yet."""

    def __init__(self) -> None:
        self.is_set = False


_PENDING = _Pending()


@contextlib.contextmanager
def taken_at_safe_places() -> Iterator[None]:
    """Let a Ctrl-C wait for the next call of `take_interrupt`; a second one before that is taken at once.

    Some libraries cannot be imported again after an import of them was broken off, so an interrupt at any place could
    end a climb without its record. Other handlers of the signal, and threads that cannot have one, are left alone.
    """
    usual = threading.current_thread() is threading.main_thread()
    if not usual or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _PENDING.is_set = False
    signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _PENDING.is_set = False


def take_interrupt() -> None:
    """Stop here if somebody pressed Ctrl-C.

    Raises:
        KeyboardInterrupt: somebody did.
    """
    if _PENDING.is_set:
        _PENDING.is_set = False
        raise KeyboardInterrupt


def _note(_number: int, _frame: Any) -> None:
    if _PENDING.is_set:
        _PENDING.is_set = False
        raise KeyboardInterrupt
    _PENDING.is_set = True

"""A Ctrl-C waits for a safe place, and a second one does not."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from yunti.climbing.interrupt import take_interrupt, taken_at_safe_places


def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # Python runs the handler between two instructions


def test_an_interrupt_waits_for_a_safe_place():
    with taken_at_safe_places():
        take_interrupt()
        press()
        with pytest.raises(KeyboardInterrupt):
            take_interrupt()
        take_interrupt()  # it was taken


def test_a_second_interrupt_is_taken_at_once():
    with taken_at_safe_places():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()
        take_interrupt()


def test_what_was_not_taken_is_dropped_and_the_usual_handler_comes_back():
    with taken_at_safe_places():
        press()
    take_interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        press()


def test_other_handlers_and_other_threads_are_left_alone():
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with taken_at_safe_places():
            press()
            take_interrupt()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert heard == [1]

    inside = []

    def climb():
        with taken_at_safe_places():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=climb)
    thread.start()
    thread.join()
    assert inside == [signal.default_int_handler]

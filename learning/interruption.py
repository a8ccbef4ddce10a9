"""Ctrl-C between two steps, not within one."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what batch systems send before they kill


class Interruption:
    """While open, the first Ctrl-C or SIGTERM only sets ``asked``; the second acts as it always does.

    Outside the main thread, where Python hands out no signals, ``asked`` stays False.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None where C code had set it

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        self.__exit__()


def deaf(_worker: int) -> None:
    """Let a loading process ignore Ctrl-C, which a terminal sends to all: the one that trains ends it in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

"""Ctrl-C while something runs that can be told as far as it came. It prints nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Part = TypeVar("Part")


@contextmanager
def asking_to_stop() -> Iterator[Callable[[], bool]]:
    """Hands out what says whether the user has pressed Ctrl-C; who presses it again gets KeyboardInterrupt.

    Outside of the main thread, and where the process was started deaf to Ctrl-C, it is as it was.
    """
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) in (
        signal.SIG_IGN,
        None,
    ):
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def until_asked(parts: Iterable[Part], asked: Callable[[], bool]) -> Iterator[Part]:
    """The parts, no further ones once the user has asked to stop; the one under way is finished."""
    for part in parts:
        yield part
        if asked():
            return

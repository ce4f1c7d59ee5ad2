"""How log lines look: one line per event of interest on standard error, key=value, a sign of direction first.

``<`` came in, ``>`` went out, ``=`` a change of state, ``!`` trouble. It decides nothing about what is logged.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

import structlog

from engine.log_lines import Redaction, Repeats, escape_controls
from engine.settings import Log

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LibraryLines(logging.Handler):
    """Brings what libraries have to complain of (the level ``warning`` and above) into the same log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        tell = getattr(structlog.get_logger(record.name), level)
        tell("! library", library=record.name, why=record.getMessage(), exc_info=record.exc_info or None)


class Written(structlog.WriteLogger):
    """Standard error, also while it takes nothing: its disk is full, or nobody reads it any more.

    Nothing is to stop because it cannot tell of it. How many lines are lost is told once it takes some again.
    """

    lost: ClassVar[int] = 0

    def msg(self, message: str) -> None:
        try:
            super().msg(message)
        except (OSError, ValueError):  # the latter of a file that is closed
            Written.lost += 1
            return
        if Written.lost:
            lost, Written.lost = Written.lost, 0
            structlog.get_logger("logs").warning("! lines of the log were lost", lines=lost)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def configure_logs(settings: Log, secrets: Sequence[str] = ()) -> None:
    """For the whole process: by `proactive serve`, and by a `Server` where nobody has configured structlog.

    ``secrets`` of the settings are struck out wherever they turn up.
    """
    redaction = Redaction(secrets)
    last: list[structlog.typing.Processor]
    if settings.format == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        last = [
            escape_controls,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                pad_level=False,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            Repeats(time.monotonic, _later),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redaction.by_name,
            *last,
            redaction.by_looks,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        # Looked up for every line: a program, or a test, may put another stream in its place.
        logger_factory=lambda *_: Written(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LibraryLines)]:
        root.removeHandler(handler)
    root.addHandler(LibraryLines())


def _later(seconds: float, call: Callable[[], None]) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(seconds, call)

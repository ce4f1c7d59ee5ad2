"""How log lines look: one line per event of interest on standard error, key=value, a sign of direction first.

``<`` came in, ``>`` went out, ``=`` a change of state, ``!`` trouble. It decides nothing about what is logged.
"""

from __future__ import annotations

import logging
import sys

import structlog

from engine.settings import Log

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(settings: Log) -> None:
    """For the whole process: by `proactive serve`, and by a `Server` where nobody has configured structlog."""
    last: list[structlog.typing.Processor]
    if settings.format == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        last = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                pad_level=False,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        # Looked up for every line: a program, or a test, may put another stream in its place.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )

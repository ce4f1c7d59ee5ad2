"""Files that commands write: none of them may be a log that is read. It writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from engine.replay.blocks import STDIN


def is_log(name: str, logs: Iterable[str]) -> bool:
    """Whether the file is there and is one of the logs, or lies in a folder that is one."""
    if not os.path.exists(name):
        return False
    place = Path(name).resolve()
    files = [log.removeprefix("sqlite:") for log in logs if log != STDIN]
    there = [Path(file) for file in files if os.path.exists(file)]
    return any(os.path.samefile(log, name) or (log.is_dir() and log.resolve() in place.parents) for log in there)

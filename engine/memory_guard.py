"""The memory of the whole process against its limit, looked at about once a second.

It frees nothing and refuses nobody: doors ask `MemoryGuard.trouble` before they let anybody or anything new in.
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable
from pathlib import Path

import structlog

LOOK_EVERY_S = 1.0
BACK_UNDER = 0.95  # of the limit: a process at its limit would otherwise open and shut all the time
RETRY_AFTER_S = 5
MIB = 1024 * 1024

_STATM = Path("/proc/self/statm")

log = structlog.get_logger("proactive")


class MemoryGuard:
    """``limit_mb``: MiB, None for no limit. ``read_resident``: the bytes of this process that are in memory.

    ``on_change`` is called with `trouble` when it begins and, with "", when it is over.
    """

    def __init__(
        self,
        limit_mb: int | None,
        *,
        read_resident: Callable[[], int] | None = None,
        on_change: Callable[[str], None] | None = None,
    ) -> None:
        self._limit = None if limit_mb is None else limit_mb * MIB
        self._read_resident = read_resident or resident_bytes
        self._on_change = on_change
        self.resident = 0
        self.trouble = ""  # why nobody new is let in, "" where there is room

    def look(self) -> None:
        """Measure, and find out whether there is room."""
        self.resident = self._read_resident()
        if self._limit is None:
            return
        bound = self._limit * BACK_UNDER if self.trouble else self._limit
        is_over = self.resident > bound
        if is_over == bool(self.trouble):
            return
        shown = f"{self.resident // MIB} MiB of memory in use, {self._limit // MIB} may be"
        self.trouble = shown if is_over else ""
        if is_over:
            log.error("! out of memory: refusing connections and events", why=shown)
        else:
            log.info("= there is memory again", why=shown)
        if self._on_change is not None:
            self._on_change(self.trouble)

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)


def resident_bytes() -> int:
    """Of this process, now. Where the system does not tell (no Linux) the most there has been, which never falls."""
    try:
        # The second number is resident pages (proc(5)).
        return int(_STATM.read_bytes().split()[1]) * mmap.PAGESIZE
    except OSError:
        return _peak_bytes()


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such thing; without a measure there is no limit
        return 0
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

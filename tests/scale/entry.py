"""``proactive`` for the scenarios: ``python -m tests.scale.entry OPTIONS worker --config FILE``.

OPTIONS: ``--no-leases``; ``--batch N``, entries of one partition in a round at most; ``--profile FILE``, for `pstats`.
Whatever is asked for before the command is done to the real code; without it nothing differs from ``proactive`` but
that a worker writes down how many of its commits were refused.
"""

from __future__ import annotations

import cProfile
import os
import sys
import time
from pathlib import Path
from typing import Any

from engine.cli.main import main
from engine.fleet import rounds, worker


def give_rounds(**more: int) -> None:
    """All rounds are made with these arguments."""
    as_it_is = rounds.Rounds.__init__

    def made(self: rounds.Rounds, *given: Any, **named: Any) -> None:
        as_it_is(self, *given, **named | more)

    rounds.Rounds.__init__ = made  # type: ignore[method-assign]


def no_leases() -> None:
    """A worker takes every partition whoever holds it, and so does every other: only the versions keep them apart."""

    def everybody_all(workers: list[str], partition_count: int) -> dict[str, list[int]]:
        return {name: list(range(partition_count)) for name in workers}

    give_rounds(lease_ms=0)
    worker.shares = everybody_all  # type: ignore[assignment]


def notice_workers() -> list[worker.Worker]:
    """Whoever is made from now on."""
    found: list[worker.Worker] = []
    as_it_is = worker.Worker.__init__

    def noticed(self: worker.Worker, *given: Any, **named: Any) -> None:
        as_it_is(self, *given, **named)
        found.append(self)

    worker.Worker.__init__ = noticed  # type: ignore[method-assign]
    return found


def run() -> None:
    found = notice_workers()
    words = sys.argv[1:]
    profile: Path | None = None
    while words and words[0].startswith("--"):
        word = words.pop(0)
        if word == "--no-leases":
            no_leases()
        elif word == "--batch":
            give_rounds(entries_max=int(words.pop(0)))
        elif word == "--profile":
            profile = Path(words.pop(0))
        else:
            raise SystemExit(f"entry: {word} is not known")
    sys.argv[1:] = words
    try:
        if profile is None:
            main()
        else:
            measured = cProfile.Profile(time.process_time)
            try:
                measured.runcall(main)
            finally:
                measured.dump_stats(profile)
    finally:
        for each in found:
            Path(f"{os.environ['SCALE_MEMBER']}.refused").write_text(str(each.done.refused))


if __name__ == "__main__":
    run()

"""``proactive`` for the scenarios: ``python -m tests.scale.entry [--no-leases] [--profile FILE] worker --config FILE``.

Whatever is asked for before the command is done to the real code; without it nothing differs from ``proactive`` but
that a worker writes down how many of its commits were refused.
"""

from __future__ import annotations

import cProfile
import os
import sys
from pathlib import Path
from typing import Any

from engine.cli.main import main
from engine.fleet import worker
from engine.fleet.rounds import Rounds


def no_leases() -> None:
    """A worker takes every partition whoever holds it, and so does every other: only the versions keep them apart."""
    as_it_is = Rounds.__init__

    def without(self: Rounds, *given: Any, **named: Any) -> None:
        as_it_is(self, *given, **named | {"lease_ms": 0})

    def everybody_all(workers: list[str], partition_count: int) -> dict[str, list[int]]:
        return {name: list(range(partition_count)) for name in workers}

    Rounds.__init__ = without  # type: ignore[method-assign]
    worker.shares = everybody_all  # type: ignore[assignment]


def count_refused() -> None:
    """What a worker knows that is not seen from outside: how many of its commits were refused, written as it ends."""
    as_it_is = worker.Worker.run
    counted = Path(f"{os.environ['SCALE_MEMBER']}.refused")

    async def counting(self: worker.Worker) -> None:
        await as_it_is(self)
        counted.write_text(str(self.done.refused))

    worker.Worker.run = counting  # type: ignore[method-assign]


def run() -> None:
    count_refused()
    words = sys.argv[1:]
    profile: Path | None = None
    while words and words[0].startswith("--"):
        word = words.pop(0)
        if word == "--no-leases":
            no_leases()
        elif word == "--profile":
            profile = Path(words.pop(0))
        else:
            raise SystemExit(f"entry: {word} is not known")
    sys.argv[1:] = words
    if profile is None:
        main()
        return
    measured = cProfile.Profile()
    try:
        measured.runcall(main)
    finally:
        measured.dump_stats(profile)


if __name__ == "__main__":
    run()

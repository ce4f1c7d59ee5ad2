"""``proactive`` for the scenarios: ``python -m tests.scale.entry OPTIONS worker --config FILE``.

OPTIONS: ``--no-leases``; ``--freeze``; ``--batch N``, entries of one partition in a round at most; ``--profile FILE``;
``--fold-every SECONDS``, where else an hour goes by between.
Whatever is asked for before the command is done to the real code; without it nothing differs from ``proactive`` but
that a worker writes down how many of its commits were refused.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from engine import retention
from engine.cli.main import main
from engine.core.units import SECOND
from engine.fleet import rounds, worker
from engine.storage.base import Commit
from engine.storage.redis import RedisStore

SAMPLE_S = 0.002
FREEZE_EVERY = 25  # commits


def give_rounds(**more: int) -> None:
    """All rounds are made with these arguments."""
    as_it_is = rounds.Rounds.__init__

    def made(self: rounds.Rounds, *given: Any, **named: Any) -> None:
        as_it_is(self, *given, **named | more)

    rounds.Rounds.__init__ = made  # type: ignore[method-assign]


def freeze_before_commits() -> None:
    """Where it is worst: the worker has evaluated, and stops before it commits; whoever takes the file of that name."""
    as_it_is = RedisStore.commit
    commits_made = itertools.count(1)

    async def commit(self: RedisStore, commits: list[Commit]) -> None:
        if next(commits_made) % FREEZE_EVERY == 0:
            with suppress(FileNotFoundError):
                os.unlink("freeze")  # one of them has it
                os.kill(os.getpid(), signal.SIGSTOP)
        await as_it_is(self, commits)

    RedisStore.commit = commit  # type: ignore[method-assign]


def no_leases() -> None:
    """A worker takes every partition whoever holds it, and so does every other: only the versions keep them apart."""

    def everybody_all(workers: list[str], partition_count: int) -> dict[str, list[int]]:
        return {name: list(range(partition_count)) for name in workers}

    give_rounds(lease_ms=0)
    worker.shares = everybody_all  # type: ignore[assignment]


class Samples:
    """Where the process is, looked at again and again as its processor time goes: it is hardly slower for it."""

    def __init__(self) -> None:
        self.count = 0
        self.at: Counter[str] = Counter()  # in the function itself
        self.within: Counter[str] = Counter()  # or in one that it called
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)

    def _look(self, _: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            code = frame.f_code
            names.append(f"{Path(code.co_filename).name}:{code.co_firstlineno} {code.co_name}")
            frame = frame.f_back
        if not any(name.endswith(" step") for name in names):
            return  # while it starts, or has nothing to do
        self.count += 1
        self.at[names[0]] += 1
        self.within.update(set(names))

    def table(self) -> str:
        """Percent of the rounds' processor time, the most first."""
        lines = ["within  itself"]
        for name, times in self.within.most_common(60):
            lines.append(f"{100 * times / self.count:5.1f}%  {100 * self.at[name] / self.count:5.1f}%  {name}")
        return "\n".join(lines) + "\n"


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
        elif word == "--freeze":
            freeze_before_commits()
        elif word == "--batch":
            give_rounds(entries_max=int(words.pop(0)))
        elif word == "--fold-every":
            retention.EVERY = int(words.pop(0)) * SECOND
        elif word == "--profile":
            profile = Path(words.pop(0))
        else:
            raise SystemExit(f"entry: {word} is not known")
    sys.argv[1:] = words
    samples = Samples() if profile is not None else None
    try:
        main()
    finally:
        if samples is not None and profile is not None:
            profile.write_text(samples.table())
        for each in found:
            Path(f"{os.environ['SCALE_MEMBER']}.refused").write_text(str(each.done.refused))


if __name__ == "__main__":
    run()

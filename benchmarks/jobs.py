"""How much faster two processes replay a large log than one: ``python benchmarks/jobs.py [EVENTS]``.

It streams the seeded workload (five million events unless told otherwise) to a temporary file, replays it with a
hundred rules of mixed kinds under ``--jobs 1`` and ``--jobs 2``, decisions written, and prints wall times and their
ratio. It needs two free cores to mean anything. It ends with 1 where the bytes differ.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import workload

from engine.core.model import Event
from engine.core.units import SECOND, to_datetime
from engine.storage.base import Entry
from engine.storage.codec import encode_entry

ROOT = Path(__file__).parent.parent
EVENTS = 5_000_000
PART = 100_000  # events that are made at once
RULES = 100
PROGRAM = "from engine.cli.main import main; main()"


def stream(count: int) -> Iterator[bytes]:
    """The workload again and again with other seeds, each part of it later and by users of its own."""
    for part in range(-(-count // PART)):
        events = workload.events(min(PART, count - part * PART), seed=workload.SEED + part)
        for event in events:
            moved = Event(
                event.type, f"{event.user}-{part}", event.at + part * 3600 * SECOND, event.data, f"{part}-{event.id}"
            )
            yield encode_entry(Entry("event", moved.at, moved.user, moved)) + b"\n"


def replay(log: Path, rules: Path, jobs: int, output: Path) -> tuple[float, bytes]:
    """Seconds by the clock, and what was printed."""
    words = ["replay", log, "--rules", rules, "--jobs", jobs, "--decisions", output]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - start, done.stdout


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        log, rules = Path(folder) / "log.jsonl", Path(folder) / "rules"
        rules.mkdir()
        for name, text in workload.mixed_rule_set(RULES).sources.items():
            (rules / name).write_text(text, encoding="utf-8")
        with log.open("wb") as output:
            output.writelines(stream(count))
        size = log.stat().st_size
        print(f"{count:,} events in {size / 1e6:,.0f} MB, {RULES} rules, {os.cpu_count()} cores, {platform.machine()}")
        print(f"Python {platform.python_version()}, {to_datetime(int(time.time()) * SECOND):%Y-%m-%d}\n")
        print("| jobs | seconds | events per second | ratio |\n| ---: | ---: | ---: | ---: |")
        one, said = replay(log, rules, 1, Path(folder) / "1")
        print(f"| 1 | {one:.1f} | {count / one:,.0f} | 1.00 |", flush=True)
        two, again = replay(log, rules, 2, Path(folder) / "2")
        print(f"| 2 | {two:.1f} | {count / two:,.0f} | {one / two:.2f} |")
        if said != again or (Path(folder) / "1").read_bytes() != (Path(folder) / "2").read_bytes():
            sys.exit("two processes did not write the same bytes as one")


if __name__ == "__main__":
    main()

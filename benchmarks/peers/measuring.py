"""What the processes of all peers share: the log comes in, CPU seconds and firings go out.

It must not know any engine, nor import anything that is not in the standard library.

The clock runs while events that lie in memory, in whatever form the engine takes them, become firings in memory.
Starting the engine, compiling the rules and putting events into that form is not counted.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.peers.rules import Event, Firing, Rule, chosen

RUNS_MIN, RUNS_MAX = 3, 5  # the virtual machine of Drools is six times as fast in its third run as in its first

Work = Callable[[], Iterable[Firing]]
Prepare = Callable[[Sequence[Event], Sequence[Rule]], Work]


def measure(prepare: Prepare) -> None:
    """``MODULE LOG RESULT RULES SECONDS``: run what ``prepare`` makes until the seconds are over, three times at least.

    Each run has an engine of its own; the least CPU time of them stands. It is that of the process with all its
    threads: a virtual machine's compiler and collector count.
    """
    log, result, ids, seconds = sys.argv[1:]
    events = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    told = chosen(ids.split(","))
    best, firings, runs = float("inf"), [], 0
    begin = time.monotonic()
    while runs < RUNS_MIN or (runs < RUNS_MAX and time.monotonic() - begin < float(seconds)):
        work = prepare(events, told)
        gc.collect()
        start = time.process_time()
        made = work()
        best = min(best, time.process_time() - start)
        firings = list(made)
        runs += 1
    Path(result).write_text(json.dumps({"seconds": best, "runs": runs, "firings": firings}), encoding="utf-8")

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

RUNS = 5  # the virtual machine of Drools takes four before it has compiled what it runs

Work = Callable[[], Iterable[Firing]]
Prepare = Callable[[Sequence[Event], Sequence[Rule]], Work]


def measure(prepare: Prepare) -> None:
    """``MODULE LOG RESULT RULES``: run what ``prepare`` makes several times, each with an engine of its own.

    The least CPU time of them stands. It is that of the process with all its threads: a virtual machine's compiler and
    collector count.
    """
    log, result, ids = sys.argv[1:]
    events = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    told = chosen(ids.split(","))
    best, firings = float("inf"), []
    for _ in range(RUNS):
        work = prepare(events, told)
        gc.collect()
        start = time.process_time()
        made = work()
        best = min(best, time.process_time() - start)
        firings = list(made)
    Path(result).write_text(json.dumps({"seconds": best, "firings": firings}), encoding="utf-8")

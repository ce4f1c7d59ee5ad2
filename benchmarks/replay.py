"""How fast a dry run is, and how much memory a user takes: ``python benchmarks/replay.py``.

Prints a table in Markdown: events per CPU second by number of rules on the seeded workload, the Ubuntu chat log with
the shipped rules (where ``../shared/data`` is), both by stage, and the memory of users with an armed timer. A stage is
what a part of the work takes when it is done for all events at once.
CPU seconds of this process are counted, so that a busy machine does less harm; the best of several runs stands.
"""

from __future__ import annotations

import gc
import platform
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import workload

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.folder import load_folder
from engine.replay.activity import group
from engine.replay.bad_records import BadRecords
from engine.replay.driver import replay
from engine.replay.reading import read_logs
from engine.replay.source import parse_source
from engine.states import StatesAtHand
from engine.storage.base import Entry
from engine.storage.codec import encode_decision, encode_entry

ROOT = Path(__file__).parent.parent
CHAT_LOG = ROOT.parent / "shared" / "data" / "events" / "irc_ubuntu_2007_2008.jsonl.gz"
CHAT_SOURCE = "format: jsonl\nat: time\nuser: user\ntype: type\nsession: session\ndata: {message: text, ok: ok}\n"
EVENTS = 100_000
ARMED_USERS = 10_000
USED_EVENTS = 400_000
RUNS = 9


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """The least CPU time of several runs, and what the last one returned."""
    best, result = float("inf"), None
    for _ in range(RUNS):
        gc.collect()
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return best, result


def write(decisions: list[Decision]) -> int:
    return sum(len(encode_decision(decision)) for decision in decisions)


def dispatch(events: list[Event], rules: RuleSet) -> int:
    """From each event to who may care for it, by its type; that they are also found by a field is in `replay` alone."""
    interests = rules.dispatch.interests
    return sum([not interests[event.type].empty for event in events])


def measure(name: str, read: Callable[[], list[Event]], rules: RuleSet, rows: int | None = None) -> None:
    """``rows``: what is counted as events, where bad records have to be read as well."""
    timeline = Timeline(rules)
    reading, events = cpu_seconds(read)
    gc.freeze()  # as the command does: the events stay to the end
    dispatching, _ = cpu_seconds(lambda: dispatch(events, rules))
    evaluating, replayed = cpu_seconds(lambda: replay(events, timeline))
    writing, _ = cpu_seconds(lambda: write(replayed.decisions()))
    decisions = sum(map(len, replayed.by_user.values()))
    count = rows or len(events)
    total = reading + evaluating + writing  # to dispatch is a part of to evaluate
    each = " | ".join(f"{1e6 * part / count:.2f}" for part in (reading, dispatching, evaluating, writing))
    print(f"| {name} | {count:,} | {decisions:,} | {each} | {count / evaluating:,.0f} | **{count / total:,.0f}** |")


def written(events: list[Event], folder: str) -> str:
    path = Path(folder) / "log.jsonl"
    with path.open("w", encoding="utf-8") as log:
        for event in events:
            log.write(encode_entry(Entry("event", event.at, event.user, event)).decode() + "\n")
    return str(path)


def replay_speed() -> None:
    stages = ("decode", "dispatch", "dispatch + evaluate", "write")
    head = ("log and rules", "events", "decisions", *(f"{stage} µs" for stage in stages), "evaluated /s", "all told /s")
    print(f"| {' | '.join(head)} |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        log = written(workload.events(EVENTS), folder)
        for count in (10, 100, 1_000, 10_000):
            measure(
                f"workload, {count:,} rules", lambda: read_logs([log], None, BadRecords()), workload.rule_set(count)
            )
        for count in (100, 1_000):
            measure(
                f"workload, {count:,} rules over all kinds",
                lambda: read_logs([log], None, BadRecords()),
                workload.mixed_rule_set(count),
            )
    if CHAT_LOG.exists():
        source = parse_source("source.yaml", CHAT_SOURCE)
        rules = load_folder(ROOT / "rules")
        rows = 51_573
        measure(
            f"Ubuntu chat log, {len(rules.rules)} shipped rules",
            lambda: read_logs([str(CHAT_LOG)], source, BadRecords()),
            rules,
            rows,
        )
    else:
        print(f"| Ubuntu chat log: not measured, no {CHAT_LOG.name} | | | | | | | | |")


def memory_per_user() -> None:
    """Users who are idle with timers armed: just come, and after some forty events; as state and as the server keeps
    them."""
    print(f"\n| {ARMED_USERS:,} idle users, 50 rules | state, bytes | encoded, bytes | at hand of the server, bytes |")
    print("|---|---:|---:|---:|")
    fresh = {
        f"user{n:06}": [Event("edit", f"user{n:06}", workload.START, {"item": "i1", "level": 1})]
        for n in range(ARMED_USERS)
    }
    used = group(workload.events(USED_EVENTS, users=ARMED_USERS))
    for name, users in (("after one event", fresh), (f"after {USED_EVENTS // ARMED_USERS} events on average", used)):
        for kinds, rules in (("", workload.rule_set(50)), (" over all kinds", workload.mixed_rule_set(50))):
            timeline = Timeline(rules)
            for user, events in list(users.items())[:50]:  # what rules keep for all users is made by the first
                run(timeline, UserState(user), events, events[-1].at, [])

            def states(timeline: Timeline = timeline, users: dict[str, list[Event]] = users) -> list[UserState]:
                made = []
                for user, events in users.items():
                    state = UserState(user)
                    run(timeline, state, events, events[-1].at, [])
                    made.append(UserState.decode(state.encode()))  # so that it shares nothing with the log
                return made

            def at_hand(timeline: Timeline = timeline, users: dict[str, list[Event]] = users) -> StatesAtHand:
                kept = StatesAtHand(ready_max=0)
                for state in states(timeline, users):
                    kept.put(state.user, state.encode(), state)
                kept.trim()
                return kept

            encoded = sum(len(state.encode()) for state in states()) / len(users)
            print(f"| {name}{kinds} | {room(states, len(users))} | {encoded:,.0f} | {room(at_hand, len(users))} |")


def room(make: Callable[[], Any], count: int) -> str:
    """Bytes of memory that each of the ``count`` parts takes of what ``make`` makes."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made is not None
    return f"{taken / count:,.0f}"


if __name__ == "__main__":
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}\n")
    replay_speed()
    memory_per_user()

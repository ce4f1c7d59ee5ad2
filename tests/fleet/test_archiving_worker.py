"""``proactive worker`` on a real Redis archives what is old, and is killed in the middle: nothing is lost or twice.

The days before it were a server's; while it folds them it evaluates what comes in.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from fleet_world import FAIL
from processes import MAIN, ROOT, FleetProcess, until
from storage.redis_server import RedisServer

from engine.archive import SUFFIX
from engine.core.evaluate import advance, run
from engine.core.model import Decision, Event
from engine.core.state import UserState
from engine.core.units import DAY, HOUR, MINUTE, SECOND, format_at, parse_at
from engine.loading.load import load
from engine.recorded import recorded_timeline
from engine.replay.blocks import read_blocks
from engine.storage.base import Entry, Store
from engine.storage.codec import decode_entry, encode_decision, encode_entry
from engine.storage.redis_fleet import RedisFleetStore
from engine.triggers import KINDS
from engine.turn import Turns

PARTITIONS = 32
USERS = [f"u{number}" for number in range(90)]
RULES = FAIL + "  - {id: idle, trigger: {inactivity: 5m}, message: {type: question, text: idle}}\n"


async def record_the_days_before(store: Store, until: int) -> None:
    """Four days, as a server would have left them."""
    turns = Turns(store)
    await turns.recover()
    rules = load({"rules.yaml": RULES}, KINDS)
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, until - 4 * DAY)
    for now in range(until - 4 * DAY + HOUR, until - HOUR, 11 * HOUR):
        for number, kind in enumerate(("edit", "fail", "fail")):
            at = now + number
            happened = [Event(kind, user, at, {"n": number}, f"{user}-{at}") for user in USERS]
            await turns.make([Entry("event", at, event.user, event, once=True) for event in happened], at, due=True)
        for minutes in (6, 12):
            await turns.make([], now + minutes * MINUTE, due=True, tick=True)


class Fleet:
    def __init__(self, store: RedisFleetStore, folder: Path, redis: RedisServer) -> None:
        self.store = store
        self.folder = folder
        self.archive = folder / "archive"
        (folder / "rules.yaml").write_text(RULES)
        lines = [f"store: {redis.url}", "rules: rules.yaml", "http_port: 0", "keep: 1d", "archive: archive"]
        (folder / "config.yaml").write_text("\n".join(lines))
        self.told: list[Event] = []

    async def events_come(self) -> None:
        """One after the other, as a gateway puts them there, until it is cancelled."""
        while True:
            for user in USERS[::7]:
                event = Event("fail", user, 0, {"n": 9}, f"{user}-now-{len(self.told)}")
                await self.store.ingest([Entry("event", 0, user, event, once=True)])
                self.told.append(event)
            await asyncio.sleep(0.02)  # so the fleet has time for other things

    def files(self) -> list[Path]:
        return sorted(self.archive.glob(f"p=*/date=*/*{SUFFIX}"))

    def archived(self) -> list[Event]:
        lines = [line for path in self.files() for line in b"".join(read_blocks(str(path))).splitlines()]
        return [event for line in lines if (event := decode_entry(line).event) is not None]

    async def logged(self) -> list[Event]:
        entries = [entry for n in range(PARTITIONS) for entry in await self.store.log(n, 0, 100_000)]
        return [entry.event for entry in entries if entry.event is not None]

    async def folded(self) -> list[int]:
        """Up to where, of the partitions that are."""
        ends = await asyncio.gather(*map(self.store.folded, range(PARTITIONS)))
        return [end.at for end in ends if end.number]

    async def rest(self, until: int) -> None:
        """Returns when nothing waits, and nobody's time by then."""
        while (await self.store.describe())["unevaluated"] or (await self.store.next_wake() or until + 1) <= until:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def of_users(events: list[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.user, []).append(event)
    return found


def day_before(now: int) -> int:
    """Where whole days end that are older than a day."""
    return (now - DAY) // DAY * DAY


def at_of(line: bytes) -> int:
    return parse_at(json.loads(line)["at"])


async def all_decisions(store: Store) -> list[bytes]:
    return [line for number in range(store.partition_count) for line in await store.decisions(number)]


async def check_states(fleet: Fleet, by_user: dict[str, list[Event]], decided: list[bytes]) -> None:
    """One thread that runs all that is archived and then all that is left comes to what the fleet has."""
    timeline = await recorded_timeline(fleet.store)
    assert timeline is not None
    states = await fleet.store.load(list(by_user))
    lines: list[bytes] = []
    horizon = max(event.at for events in by_user.values() for event in events) + HOUR
    late: list[Decision] = []
    for user, events in by_user.items():
        decisions: list[Decision] = []
        state, live = UserState(user), UserState.decode(states[user])
        run(timeline, state, events, horizon, decisions)
        advance(timeline, live, horizon, late)
        assert state.encode() == live.encode()
        lines += map(encode_decision, decisions)
    assert sorted(lines) == sorted([*decided, *map(encode_decision, late)])


async def replayed(fleet: Fleet, left: list[Event], end: int) -> list[bytes]:
    """The decisions of a dry run of the archive and of what is left, by two processes."""
    lines = [encode_entry(Entry("event", event.at, event.user, event)) for event in left]
    (fleet.folder / "rest.jsonl").write_bytes(b"\n".join(lines))
    words = ["replay", "archive", "rest.jsonl", "--rules", "rules.yaml", "--decisions", "out.jsonl", "--jobs", "2"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, *words, "--until", format_at(end)),
        cwd=fleet.folder,
        env={"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out, err)
    return sorted((fleet.folder / "out.jsonl").read_bytes().splitlines())


async def archive_with(workers: list[FleetProcess], fleet: Fleet, before: set[str]) -> None:
    """The first is killed while it does so, the second goes on where it was."""
    first, second = workers
    await first.start()
    await until(lambda: len(fleet.files()) > 9)
    await first.end(signal.SIGKILL)
    assert len(await fleet.folded()) < PARTITIONS  # else it proves nothing
    assert before <= {event.id for event in [*fleet.archived(), *await fleet.logged()]}
    await second.start()
    while len(await fleet.folded()) < PARTITIONS:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.2)


async def test_a_worker_that_is_killed_while_it_archives_leaves_no_gap_and_nothing_twice(
    redis: RedisServer, tmp_path: Path
) -> None:
    store = await RedisFleetStore.open(redis.address, partition_count=PARTITIONS)
    now = time.time_ns() // 1000
    await record_the_days_before(store, now)
    fleet = Fleet(store, tmp_path, redis)
    before, decided = await fleet.logged(), await all_decisions(store)
    coming = asyncio.create_task(fleet.events_come())
    workers = [FleetProcess("worker", tmp_path) for _ in range(2)]
    try:
        await archive_with(workers, fleet, {event.id for event in before})
        coming.cancel()
        end = max(event.at for event in await fleet.logged()) + SECOND
        await fleet.rest(end)
        assert await workers[1].end(signal.SIGTERM) == 0
    finally:
        for each in workers:
            await each.close()
        coming.cancel()
    # Whole days are in the archive, what came in meanwhile in the log, and no event in both or in neither.
    archived, logged = fleet.archived(), await fleet.logged()
    assert max(event.at for event in archived) < day_before(time.time_ns() // 1000)
    assert min(event.at for event in logged) > day_before(now) - 7 * MINUTE  # between events and the next tick
    happened = Counter(event.id for event in [*archived, *logged])
    assert set(happened.values()) == {1}
    assert happened.keys() >= {event.id for event in [*before, *fleet.told]}
    # The dry run and the fleet have come to the same decisions, and to the same states.
    live = sorted({*decided, *await all_decisions(store)})
    await check_states(fleet, of_users([*archived, *logged]), live)
    assert await replayed(fleet, logged, end) == [line for line in live if at_of(line) <= end]
    await store.close()

"""``proactive worker`` on a real Redis: started, looked at, killed, frozen and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from storage.redis_server import RedisServer

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.state import UserState
from engine.fleet.rounds import Rounds
from engine.parts import StartError
from engine.recorded import recorded_timeline
from engine.responders.base import ChatMessage
from engine.settings import Settings
from engine.storage.base import Entry, StoreUnusable
from engine.storage.codec import encode_decision
from engine.storage.fleet import Presence
from engine.storage.opening import open_store
from engine.storage.redis_fleet import RedisFleetStore
from engine.worker_app import WorkerProcess

ROOT = Path(__file__).parents[2]
WITHIN_S = 30.0
RULES = """
version: 1
rules:
  - {id: fail, trigger: {event: fail}, message: {type: suggestion, text: "{{ event.n }}"}}
  - {id: often, trigger: {count: {event: fail, at_least: 3, within: 1h}}, message: {type: suggestion, text: Again?}}
"""
USERS = [f"u{number}" for number in range(40)]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return folder


class Running:
    """A worker that runs by itself."""

    def __init__(self, redis: RedisServer, rules: Path) -> None:
        words = ["worker", "--rules", str(rules), "--store", redis.url, "--http-port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from engine.cli.main import main; main()", *words],
            cwd=rules.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PROACTIVE_LOG_LEVEL": "warning"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(2)]
        self.url = self.said[1].split()[-1]

    async def health(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/healthz") as reply:
            return dict(await reply.json())

    async def has(self, partitions: int) -> None:
        """Returns when so many are this worker's."""
        await until(lambda: self.held(partitions))

    async def held(self, partitions: int) -> bool:
        health = await self.health()
        return bool(health["worker"]["partitions"] == partitions)


@pytest.fixture
def start(redis: RedisServer, rules: Path) -> Iterator[Callable[[], Running]]:
    running: list[Running] = []

    def begin() -> Running:
        running.append(Running(redis, rules))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.process.wait()
        assert each.process.stdout is not None
        each.process.stdout.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await condition():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.02)


class StandIn:
    """A gateway at which all users are: what they were told, by text."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.told: dict[str, set[str]] = {user: set() for user in USERS}
        self.said = 0
        self.after = 0

    async def open(self) -> None:
        await self.store.beat("gateway", "stand-in", 600_000)
        self.after = (await self.store.listen("stand-in", None, 0)).last
        await self.store.ingest([], [Presence(user, f"s-{user}") for user in USERS], "stand-in")

    async def say(self) -> None:
        """Everybody fails once more."""
        self.said += 1
        events = [Event("fail", user, 0, {"n": self.said}, f"e{self.said}") for user in USERS]
        await self.store.ingest([Entry("event", 0, event.user, event, once=True) for event in events], (), "stand-in")

    async def hear_all(self) -> None:
        """Returns when everybody has been told of each time that they failed."""
        expected = {str(number) for number in range(1, self.said + 1)}
        async with asyncio.timeout(WITHIN_S):
            while not all(expected <= texts for texts in self.told.values()):
                heard = await self.store.listen("stand-in", self.after, 1)
                self.after = heard.last
                for notice in heard.notices:
                    if notice.message is not None:
                        self.told[notice.user].add(notice.message.message.text)


@asynccontextmanager
async def stand_in(redis: RedisServer) -> AsyncIterator[StandIn]:
    store = await open_store(redis.url)
    there = StandIn(store)
    await there.open()
    try:
        yield there
        await check_replay(store)
    finally:
        await store.close()


async def check_replay(store: Any) -> None:
    """One thread that replays the log comes to the same states and decisions."""
    timeline = await recorded_timeline(store)
    assert timeline is not None
    for number in range(store.partition_count):
        events: dict[str, list[Event]] = {}
        for entry in await store.log(number, 0, 100_000):
            if entry.event is not None:
                events.setdefault(entry.user, []).append(entry.event)
        states = await store.load(list(events))
        lines: list[bytes] = []
        for user, happened in events.items():
            decisions: list[Decision] = []
            state = UserState(user)
            run(timeline, state, happened, -1, decisions)
            assert state.encode() == states[user]
            lines += [encode_decision(decision) for decision in decisions]
        assert sorted(lines) == sorted(await store.decisions(number))


async def test_of_two_workers_one_is_killed_and_the_other_goes_on_with_all(
    redis: RedisServer, start: Callable[[], Running]
) -> None:
    first, second = start(), start()
    assert first.said[0].startswith("Worker ")
    assert first.said[0].endswith(f" started: shares 256 partitions of {redis.url}\n")
    await first.has(128)
    await second.has(128)
    async with stand_in(redis) as gateway:
        await gateway.say()
        await gateway.hear_all()
        await gateway.say()
        first.process.kill()
        await gateway.say()
        await gateway.hear_all()
        await second.has(256)


async def test_a_worker_that_was_frozen_does_nothing_twice_and_gets_its_share_again(
    redis: RedisServer, start: Callable[[], Running]
) -> None:
    first, second = start(), start()
    await first.has(128)
    async with stand_in(redis) as gateway:
        await gateway.say()
        first.process.send_signal(signal.SIGSTOP)
        await gateway.say()
        await second.has(256)
        await gateway.say()
        await gateway.hear_all()
        first.process.send_signal(signal.SIGCONT)
        await gateway.say()
        await gateway.hear_all()
        await first.has(128)
        await second.has(128)


async def test_a_commit_of_one_who_was_frozen_for_longer_than_the_lease_is_refused(
    redis: RedisServer, rules: Path
) -> None:
    async with WorkerProcess(settings_of(redis, rules)) as worker:
        await until(lambda: is_ready(worker))
    store: Any = await open_store(redis.url)
    everything = list(range(store.partition_count))

    class Frozen:
        """The store of a worker that is frozen between evaluation and commit, while another one takes over."""

        partition_count = store.partition_count

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        async def commit(self, commits: Any) -> None:
            successor = Rounds(store, "successor")
            await store.release("zombie", everything)  # as if its lease had ended
            assert (await successor.make(everything)).entries == 1
            await store.commit(commits)

    zombie = Rounds(Frozen(), "zombie")  # type: ignore[arg-type]
    await zombie.make(everything)
    event = Event("fail", "ann", 0, {"n": 1}, "e1")
    await store.ingest([Entry("event", 0, "ann", event)])
    made = await zombie.make(everything)
    assert (made.refused, made.done) == (1, {})
    await check_replay(store)
    await store.close()


async def test_a_worker_that_is_told_to_stop_leaves_its_partitions_to_the_others_at_once(
    redis: RedisServer, start: Callable[[], Running]
) -> None:
    running = start()
    await running.has(256)
    running.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(running.process.wait, WITHIN_S) == 0
    store: Any = await open_store(redis.url)
    assert (await store.beat("worker", "other", 1)).workers == ["other"]
    assert len(await store.take("other", list(range(256)), lease_ms=1_000)) == 256
    await store.close()


# In this process.


def settings_of(redis: RedisServer, rules: Path, **given: Any) -> Settings:
    return Settings(**{"http_port": 0, "store": redis.url, "rules": rules, **given})


async def is_ready(worker: WorkerProcess) -> bool:
    return bool(worker.parts.worker.rounds.held) and worker.parts.worker.rounds.rules.timeline is not None


async def test_it_shows_how_it_is_and_nothing_else(redis: RedisServer, rules: Path) -> None:
    async with WorkerProcess(settings_of(redis, rules)) as worker, aiohttp.ClientSession(worker.http_url) as asking:
        await until(lambda: is_ready(worker))
        async with asking.get("/healthz") as reply:
            health = await reply.json()
        assert (health["status"], health["rules"]["loaded"], health["worker"]["partitions"]) == ("ok", 2, 256)
        async with asking.get("/readyz") as reply:
            assert (reply.status, await reply.json()) == (200, {"ready": True, "reasons": [], "notes": []})
        async with asking.get("/metrics") as reply:
            figures = await reply.text()
        assert "proactive_partitions_held 256.0" in figures
        assert "proactive_evaluation_lag_seconds " in figures
        assert "proactive_rounds_total" in figures
        for method, path in (("GET", "/"), ("GET", "/openapi.json"), ("POST", "/events"), ("POST", "/healthz")):
            async with asking.request(method, path) as reply:
                assert reply.status == 404
                assert "/healthz, /readyz and /metrics" in await reply.text()


async def test_a_partition_with_a_damaged_entry_is_told_wherever_somebody_looks(
    redis: RedisServer, rules: Path
) -> None:
    async with WorkerProcess(settings_of(redis, rules)) as worker, aiohttp.ClientSession(worker.http_url) as asking:
        await until(lambda: is_ready(worker))
        store = worker.parts.store
        assert isinstance(store, RedisFleetStore)
        stand, log = store._keys.stand[7].decode(), store._keys.of(7, b"in").decode()
        [last] = await store._ask([("HGET", stand, "last")])
        number = int(last or 0) + 1

        async def is_held_up() -> bool:
            return bool(worker.parts.worker.held_up)

        redis.ask("XADD", log, f"{number}-0", "e", "rubbish")
        redis.ask("HSET", stand, "last", str(number))
        await until(is_held_up)
        async with asking.get("/healthz") as reply:
            health = await reply.json()
        assert (health["status"], list(health["worker"]["held_up"])) == ("degraded", ["7"])
        async with asking.get("/readyz") as reply:
            found = await reply.json()
        assert found["ready"]
        assert [note[:31] for note in found["notes"]] == ["partition 7 is not evaluated: a"]
        async with asking.get("/metrics") as reply:
            assert "proactive_partitions_held_up 1.0" in await reply.text()


async def test_an_edit_of_its_rules_is_published(redis: RedisServer, rules: Path) -> None:
    async with WorkerProcess(settings_of(redis, rules)) as worker, stand_in(redis) as gateway:
        await gateway.say()
        await gateway.hear_all()
        edited = RULES.replace("{{ event.n }}", "{{ event.n }}!")
        await asyncio.to_thread((rules / "rules.yaml").write_text, edited, "utf-8")

        async def holds() -> bool:
            timeline = worker.parts.worker.rounds.rules.timeline
            return timeline is not None and len(timeline.moments) == 2

        await until(holds)
        await gateway.say()
        gateway.told = {user: {text.rstrip("!") for text in texts} for user, texts in gateway.told.items()}

        async def told() -> bool:
            heard = await gateway.store.listen("stand-in", gateway.after, 1)
            gateway.after = heard.last
            for notice in heard.notices:
                if notice.message is not None:
                    gateway.told[notice.user].add(notice.message.message.text)
            return all("2!" in texts for texts in gateway.told.values())

        await until(told)


COMPOSED = """
version: 1
rules:
  - {id: written, trigger: {event: fail}, message: {type: question, text: plain, compose: "Ask how it is going."}}
"""


async def test_what_a_rule_leaves_to_be_written_is_told_as_it_was_written(redis: RedisServer, rules: Path) -> None:
    async def write(message: ChatMessage) -> str:
        return f"{message.client}, how is it going?"

    (rules / "rules.yaml").write_text(COMPOSED, encoding="utf-8")
    async with WorkerProcess(settings_of(redis, rules), responder=write), stand_in(redis) as gateway:
        await gateway.say()

        async def told() -> bool:
            heard = await gateway.store.listen("stand-in", gateway.after, 1)
            gateway.after = heard.last
            for notice in heard.notices:
                gateway.told[notice.user].add(notice.message.message.text)
            return all(gateway.told.values())

        await until(told)
        assert gateway.told == {user: {f"{user}, how is it going?"} for user in USERS}

        async def reworded() -> bool:
            waiting = await gateway.store.pending("u1", 0)
            return [outgoing.message.text for outgoing in waiting] == ["u1, how is it going?"]

        await until(reworded)


async def test_files_with_errors_stop_no_worker_of_a_fleet_that_has_rules(redis: RedisServer, rules: Path) -> None:
    async with WorkerProcess(settings_of(redis, rules)):
        pass
    (rules / "rules.yaml").write_text("version: 1\nrules: what?\n", encoding="utf-8")
    async with WorkerProcess(settings_of(redis, rules)) as worker:
        await until(lambda: is_ready(worker))
        assert worker.parts.said[0].startswith("Rules not loaded, those of ")
        assert worker.parts.reloader.problems != []


async def test_a_store_of_one_process_alone_is_refused(rules: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="a worker needs a store on Redis"):
        await WorkerProcess(Settings(store=f"sqlite:{tmp_path}/p.db", rules=rules, http_port=0)).start()


async def test_no_worker_starts_beside_a_server_that_is_alone(redis: RedisServer, rules: Path) -> None:
    store: Any = await open_store(redis.url)
    lease = store.lease()
    await lease.take()
    with pytest.raises(StoreUnusable, match="in use by proactive serve"):
        await WorkerProcess(settings_of(redis, rules)).start()
    assert (await store.beat("worker", "other", 1)).workers == ["other"]
    await lease.release()
    await store.close()


async def test_a_port_that_is_taken_is_no_trouble_unless_it_was_asked_for(redis: RedisServer, rules: Path) -> None:
    async with WorkerProcess(settings_of(redis, rules)) as first:
        port = int(first.http_url.rpartition(":")[2])
        async with WorkerProcess(settings_of(redis, rules, http_port=port)) as second:
            assert second.http_url != first.http_url
        with pytest.raises(StartError, match=f"port {port} "):
            await WorkerProcess(settings_of(redis, rules, http_port=port), any_port=False).start()

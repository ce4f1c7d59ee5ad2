"""A client has one session at all gateways together, and is found by its name wherever that is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from gateways import Stubborn, a_fleet, until
from structlog.testing import capture_logs

from engine.fleet.former import AT_ONCE, Former
from engine.storage.base import StoreError, partition_of
from engine.storage.fleet import FleetStore, Notice
from engine.transport.session import REPLACED

ASK = "how is it going?"


async def test_the_same_client_at_another_gateway_has_its_former_connection_closed_as_at_one() -> None:
    async with a_fleet() as (fleet, [one, two]):
        others = [await one.open("desk"), await one.open("phone", "bob")]
        former = await one.open("phone")
        phone = await two.open("phone")
        await until(lambda: former.outgoing.closing == REPLACED)
        await until(lambda: fleet.worker.types().count("session.end") == 1)
        events = [entry.event for entry in fleet.worker.entries if entry.event is not None]
        assert [event.session for event in events if event.type == "session.end"] == [former.session.name]
        assert [device.outgoing.closing for device in (*others, phone)] == [None] * 3
        await phone.say("go")
        await until(lambda: phone.shown() == others[0].shown() == [ASK])


async def test_of_two_gateways_to_which_a_client_comes_at_once_one_keeps_it() -> None:
    async with a_fleet() as (fleet, [one, two]):
        for number in range(10):
            phones = await asyncio.gather(one.open(f"c{number}"), two.open(f"c{number}"))
            await until(lambda phones=phones: [each.outgoing.closing for each in phones].count(REPLACED) == 1)
            assert [each.outgoing.closing for each in phones].count(None) == 1
        await until(lambda: fleet.worker.types().count("session.end") == 10)
        names = [name for gate in (one, two) for names in gate.sessions.begun().values() for name in names]
        assert len(names) == 10


async def test_a_session_that_is_taken_up_while_its_client_has_another_ends_the_other() -> None:
    async with a_fleet() as (fleet, [one, two]):
        store = Stubborn(fleet.store)
        three = await fleet.gate(store)
        store.refusals["former"] = 1000
        phone = await one.open("phone")
        other = await three.open("phone")
        again = await two.open("phone", resume=(phone.session.name, 0))
        assert again.session.name == phone.session.name
        await until(lambda: other.outgoing.closing == REPLACED)
        await until(lambda: fleet.worker.types().count("session.end") == 1)
        assert again.outgoing.closing is None


async def test_what_the_store_refuses_to_say_of_former_sessions_it_is_asked_again() -> None:
    async with a_fleet(1) as (fleet, [one]):
        store = Stubborn(fleet.store)
        two = await fleet.gate(store)
        store.refusals["former"] = 1
        former = await one.open("phone")
        await two.open("phone")
        await until(lambda: former.outgoing.closing == REPLACED)


async def test_a_message_to_a_client_finds_it_at_any_gateway() -> None:
    async with a_fleet() as (_, [one, two]):
        phone = await two.open("phone", "bob")
        assert await one.desk.users_of_client("phone") == ["bob"]
        assert await one.desk.users_of_client("desk") == ["desk"]
        await one.open("phone", "cem")
        assert await one.desk.users_of_client("phone") == ["cem", "bob"]
        sent = await one.desk.send(await one.desk.users_of_client("phone"), "notification", "hi", client="phone")
        assert (sent.clients, sent.waiting) == (["cem", "bob"], [])
        await until(lambda: phone.shown() == ["hi"])
        two.sessions.left(phone.session)
        await two.settle()
        assert await one.desk.users_of_client("phone") == ["cem"]


class Partly:
    """A store of which a part does not answer; it knows one former session of each user, and at which gateway."""

    partition_count = 2

    def __init__(self, at: dict[str, str]) -> None:
        self.at = at
        self.gone: frozenset[int] = frozenset()
        self.deaf: frozenset[str] = frozenset()  # gateways of which it is known
        self.failing: dict[str, Exception] = {}  # by user or gateway
        self.asked: list[str] = []
        self.told: list[str] = []

    def out_of_reach(self) -> frozenset[int]:
        return self.gone

    def cannot_be_told(self, gateways: Iterable[str]) -> frozenset[str]:
        return self.deaf.intersection(gateways)

    async def former(self, user: str, session: str) -> list[tuple[str, str]]:
        self.asked.append(user)
        if partition_of(user, self.partition_count) in self.gone:
            raise StoreError("its primary is gone")
        if user in self.failing:
            raise self.failing[user]
        return [(f"former {session}", self.at[user])]

    async def tell(self, notices: Mapping[str, Sequence[Notice]]) -> dict[str, int]:
        for gateway, some in notices.items():
            if gateway in self.failing or gateway in self.deaf:
                raise self.failing.get(gateway, StoreError("its primary is gone"))
            self.told += [notice.user for notice in some]
        return {}


@asynccontextmanager
async def looked_for(store: Partly) -> AsyncIterator[list[MutableMapping[str, Any]]]:
    """For the former sessions of all, in their order, which has been done as far as it goes; what is logged."""
    former = Former(cast(FleetStore, store), lambda: "here")
    with capture_logs() as logs:
        former.look((user, "s") for user in store.at)
        for _ in range(1_000):
            await asyncio.sleep(0)
        yield logs
    tasks = former.stop()
    await asyncio.wait(tasks)


def many(partition: int, count: int = AT_ONCE + 1) -> list[str]:
    users = (f"u{number}" for number in itertools.count())
    return list(itertools.islice((user for user in users if partition_of(user, 2) == partition), count))


def warnings(logs: list[MutableMapping[str, Any]]) -> list[str]:
    return [line["event"] for line in logs if line["log_level"] != "info"]


@pytest.mark.parametrize("part", ["users", "gateway", "gateway that nobody misses yet"])
async def test_a_part_of_the_store_that_is_away_holds_up_nobody_elses_former_sessions(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.fleet.former.AGAIN_S", 0.01)
    away, others = many(1), many(0)
    store = Partly(dict.fromkeys(away, "g1") | dict.fromkeys(others, "g2"))
    if part == "users":
        store.gone = frozenset({1})
    elif part == "gateway":
        store.deaf = frozenset({"g1"})
    else:
        store.failing = {"g1": StoreError("no answer")}
    async with looked_for(store) as logs:
        assert sorted(store.told) == sorted(others)
        asked = len(store.asked)
        assert asked <= 2 * (len(away) + len(others)), "without a pause it would be far more"
        assert part != "users" or set(store.asked) == set(others)
        await until(lambda: part == "users" or len(store.asked) > asked + 5 * AT_ONCE)
        assert warnings(logs) == ["! former sessions end later"]
        [warning] = [line for line in logs if line["log_level"] == "warning"]
        assert warning["sessions"] >= AT_ONCE
        store.gone, store.deaf, store.failing = frozenset(), frozenset(), {}
        await until(lambda: set(store.told) == {*others, *away})
        assert warnings(logs) == ["! former sessions end later"]


async def test_a_fault_at_one_former_session_is_logged_and_holds_up_no_other() -> None:
    users = many(0, 3)
    store = Partly(dict.fromkeys(users, "g1"))
    store.failing = {users[0]: ValueError("a fault")}
    async with looked_for(store) as logs:
        assert (store.told, store.asked) == (users[1:], users)
        assert warnings(logs) == ["! former sessions not looked for"]

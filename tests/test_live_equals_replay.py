"""A dry run is production: whatever happens to the live driver, its log replayed gives its decisions, byte for byte.

Hypothesis drives the real driver on the model store: events of several users, timers that run late or not at all,
reloads, commits that fail or of which half is made, whose answer is lost, or that somebody else was faster with,
crashes and restarts; clients that come and go, are handed messages, answer and dismiss them, and say what they wish.
Times are drawn from the rules' own constants and one microsecond to either side of them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from story_world import HALVES, RULE_TEXTS, SPANS, TALKS, USERS, World

from engine.core.evaluate import advance, run
from engine.core.model import Decision, Event
from engine.core.rules import HISTORY_EVENTS_MAX, Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE
from engine.intake import Input
from engine.recorded import recorded_timeline
from engine.storage.codec import encode_decision
from engine.storage.memory import MemoryStore


def spans() -> st.SearchStrategy[int]:
    return st.builds(lambda span, off: max(span + off, 0), st.sampled_from(SPANS), st.sampled_from((-2, -1, 0, 1)))


def inputs() -> st.SearchStrategy[Input]:
    user = st.sampled_from(USERS)
    session = st.sampled_from((None, "s1", "s2"))
    return st.one_of(
        st.builds(Input, user, st.just("edit"), st.just({}), session=session),
        st.builds(Input, user, st.just("fail"), st.fixed_dictionaries({}, optional={"n": st.integers(0, 3)})),
        st.builds(
            Input,
            user,
            st.just("chat_message"),
            st.fixed_dictionaries({"message": st.sampled_from(("I am stuck", "helpless, help", "fine"))}),
        ),
        st.builds(Input, user, st.sampled_from(("session.start", "session.end")), st.just({}), session=session),
        st.builds(Input, user, st.just("user.identify"), st.fixed_dictionaries({"level": st.integers(1, 4)})),
        feedback(user),
    )


def feedback(user: st.SearchStrategy[str]) -> st.SearchStrategy[Input]:
    """What became of a message, told by how many messages ago it came; and what the user wishes."""
    latest = st.integers(0, 2)
    response = st.fixed_dictionaries({"message_id": latest, "response": st.sampled_from(("Yes", "No", "Hm"))})
    outcome = st.sampled_from(("seen", "engaged", "answered", "dismissed", "muted"))
    names = st.sampled_from(("offer", "hint", "help", "*"))
    moment = st.sampled_from((None, 1_700_000_060, 1_700_000_240.5, "2023-11-14T22:20:00Z"))
    wishes = {
        "level": st.sampled_from(("off", "less", "normal", "more")),
        "muted": st.lists(names, max_size=2),
        "snoozedUntil": moment,
        "snoozed": st.dictionaries(names, moment.filter(lambda until: until is not None), max_size=2),
    }
    return st.one_of(
        st.builds(Input, user, st.just("user_response"), response),
        st.builds(Input, user, outcome.map("message.{}".format), st.fixed_dictionaries({"message_id": latest})),
        st.builds(Input, user, st.just("user.preferences"), st.fixed_dictionaries({}, optional=wishes)),
    )


TROUBLES = ("fails", "the answer is lost", "somebody else was faster", "crash before", "crash after", *HALVES)


def stories(count: int) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """What happens under so many rule sets. Of one long list hypothesis would rarely make more than a few items."""
    pieces = st.lists(st.lists(action(count), max_size=8), max_size=8)
    return pieces.map(lambda some: [step for piece in some for step in piece])


def action(count: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.one_of(
        st.tuples(st.just("events"), st.lists(inputs(), min_size=1, max_size=3)),
        st.tuples(st.just("events"), st.lists(inputs(), min_size=1, max_size=3)),
        st.tuples(st.just("wait"), spans()),
        st.tuples(st.just("wait"), spans()),
        st.tuples(st.just("turn")),
        st.tuples(st.just("rules"), st.integers(0, count - 1)),
        st.tuples(st.sampled_from(("away", "fetch")), st.sampled_from(USERS)),
        st.tuples(st.just("trouble"), st.sampled_from(TROUBLES)),
        st.tuples(st.just("restart")),
    )


async def recorded(store: MemoryStore) -> tuple[dict[str, list[Event]], dict[str, list[bytes]], dict[str, int]]:
    """By user: the events of the log, the recorded decisions, and how far the log says that time has come."""
    events: dict[str, list[Event]] = {}
    lines: dict[str, list[bytes]] = {}
    until: dict[str, int] = {}
    for number in range(store.partition_count):
        tick = -1
        users = []
        for entry in await store.log(number, 0, 100_000):
            if entry.kind == "tick":
                tick = entry.at
            elif entry.event is not None:
                events.setdefault(entry.user, []).append(entry.event)
                users.append(entry.user)
        until |= dict.fromkeys(users, tick)
    for user, line in await all_decisions(store):
        lines.setdefault(user, []).append(line)
    return events, lines, until


async def all_decisions(store: MemoryStore) -> list[tuple[str, bytes]]:
    found = []
    for number in range(store.partition_count):
        found += [(json.loads(line)["user"], line) for line in await store.decisions(number)]
    return found


async def check(world: World) -> None:
    store = world.store.inner
    timeline = await recorded_timeline(store)
    assert timeline is not None
    events, lines, until = await recorded(store)
    timeline.history = lambda user, moment: [event for event in events[user] if event.at < moment][-HISTORY_EVENTS_MAX:]
    states = await store.load(list(events))
    for user, happened in events.items():
        decisions: list[Decision] = []
        state = UserState(user)
        run(timeline, state, happened, until[user], decisions)
        assert [encode_decision(decision) for decision in decisions] == lines.pop(user, [])
        await check_outbox(world, user, decisions)
        assert state.encode() == caught_up(timeline, states[user], until[user])
    assert not lines
    happened_times = Counter(
        event.data["serial"] for mine in events.values() for event in mine if "serial" in event.data
    )
    assert [serial for serial in world.acknowledged if happened_times[serial] != 1] == []
    assert [serial for serial, times in happened_times.items() if times > 1] == []


async def check_outbox(world: World, user: str, decisions: list[Decision]) -> None:
    """Every message that was sent has been handed over, waits, was taken back or has expired, and no other does."""
    sent: dict[str, Decision] = {}
    for decision in decisions:
        if decision.message is not None and decision.outcome == "sent":
            sent[decision.message.id] = decision
        elif decision.message is not None and decision.was == "sent":
            del sent[decision.message.id]
    waiting = {outgoing.message.id for outgoing in await world.live.waiting(user)}
    assert waiting <= sent.keys()
    for message_id in sent.keys() - waiting - set(world.handed[user]):
        message = sent[message_id].message
        assert message is not None
        assert message.expires_at is not None
        assert message.expires_at <= world.now


def caught_up(timeline: Timeline, encoded: bytes, until: int) -> bytes:
    """The live state when it, too, has adopted every rule set: the absent do so only when they come back."""
    state = UserState.decode(encoded)
    late: list[Decision] = []
    advance(timeline, state, until, late)
    assert late == []
    return state.encode()


async def story(steps: list[tuple[Any, ...]], texts: tuple[str, ...] = RULE_TEXTS) -> World:
    world = World(texts=texts)
    await world.start()
    for step in steps:
        await world.do(step)
    world.store.troubles.clear()
    await world.start()
    await world.live.take_turn(world.now)
    await check(world)
    return world


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories(len(RULE_TEXTS)))
def test_the_log_replayed_gives_the_decisions_of_the_live_driver(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(story(steps))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories(len(TALKS)))
def test_it_does_so_where_rules_and_users_talk_to_each_other(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(story(steps, TALKS))


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_one_trouble_of_each_kind_loses_nothing_and_doubles_nothing(trouble: str) -> None:
    stuck = [Input(user, "chat_message", {"message": "I am stuck"}) for user in USERS]  # in both partitions
    world = await story(
        [
            ("events", [Input(user, "edit", {}) for user in USERS]),
            ("wait", 2 * MINUTE),
            ("trouble", trouble),
            ("events", stuck),
            ("wait", 5 * MINUTE),
            ("trouble", trouble),
            ("turn",),
            ("events", stuck),
        ]
    )
    # Whoever tries again is told what came of all of it.
    assert len(world.acknowledged) == 9 if "crash" not in trouble else len(world.acknowledged) >= 6


GONE = [Input("ann", "session.start", {}, session="s1"), Input("ann", "session.end", {}, session="s1")]
BACK = Input("ann", "user.identify", {"level": 1})


@pytest.mark.parametrize("turns", [[[*GONE, BACK]], [GONE, [BACK]], [GONE[:1], GONE[1:], [BACK]]])
async def test_what_is_taken_back_while_nobody_is_there_neither_waits_nor_comes(turns: list[list[Input]]) -> None:
    world = await story([("away", "ann"), *(("events", inputs) for inputs in turns), ("fetch", "ann")], TALKS)
    assert [json.loads(line)["outcome"] for _, line in await all_decisions(world.store.inner)] == ["sent", "cancelled"]
    assert world.handed["ann"] == []

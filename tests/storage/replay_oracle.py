"""The oracle of stores that several write to, that are killed, whose parts move: what one thread makes of their log."""

from __future__ import annotations

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.state import UserState
from engine.core.units import SECOND
from engine.recorded import recorded_timeline
from engine.storage.base import Store
from engine.storage.codec import encode_decision

START = 1_774_605_600 * SECOND
RULES = """
version: 1
rules:
  - {id: idle, trigger: {inactivity: 2m}, cooldown: 3m, message: {type: question, text: "idle {{ event.n }}"}}
  - {id: often, trigger: {count: {event: fail, at_least: 3, within: 5m}}, message: {type: suggestion, text: Again?}}
"""


async def check_replay(store: Store) -> int:
    """The log replayed by one thread gives the states, decisions and messages of the store; how many decisions."""
    timeline = await recorded_timeline(store)
    assert timeline is not None
    count = 0
    for number in range(store.partition_count):
        events: dict[str, list[Event]] = {}
        tick = -1
        for entry in await store.log(number, 0, 100_000):
            tick = entry.at if entry.kind == "tick" else tick
            if entry.event is not None:
                events.setdefault(entry.user, []).append(entry.event)
        states = await store.load(list(events))
        lines: list[bytes] = []
        for user, happened in events.items():
            decisions: list[Decision] = []
            state = UserState(user)
            run(timeline, state, happened, tick, decisions)
            assert state.encode() == states[user]
            lines += [encode_decision(decision) for decision in decisions]
            sent = [decision.message for decision in decisions if decision.outcome == "sent"]
            assert [each.message for each in await store.pending(user, 0)] == sent
        assert sorted(lines) == sorted(await store.decisions(number))
        count += len(lines)
    return count

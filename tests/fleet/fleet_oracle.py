"""The judge of a simulated fleet: what its store has come to, against a replay of the log by one thread.

It knows neither who worked nor what went wrong.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from engine.core.evaluate import advance, run
from engine.core.model import Decision, Event
from engine.core.rules import HISTORY_EVENTS_MAX, RuleSet, Timeline
from engine.core.state import UserState
from engine.fleet.relay import TOLD
from engine.fleet.rounds import DUE_MAX
from engine.recorded import recorded_timeline
from engine.storage.base import partition_of
from engine.storage.codec import encode_decision

if TYPE_CHECKING:
    from simulated_fleet import World


async def check(world: World, known: dict[str, RuleSet], always: str) -> None:
    """``always`` sat at one gateway all the time, so has to have been told everything unasked."""
    store = world.store
    timeline = await recorded_timeline(store, dict(known))
    assert timeline is not None
    assert store._faults == []
    events, until, sends = await logged(world)
    timeline.history = lambda user, at: [event for event in events[user] if event.at < at][-HISTORY_EVENTS_MAX:]
    lines: dict[str, list[bytes]] = {}
    for partition in store._partitions:
        for _, user, _, line in partition.decisions:
            lines.setdefault(user, []).append(line)
    states = await store.load(list(events))
    for user, happened in events.items():
        decisions: list[Decision] = []
        state = UserState(user)
        run(timeline, state, happened, until[user], decisions)
        assert [encode_decision(decision) for decision in decisions] == lines.pop(user, []), (world.seed, user)
        assert state.encode() == caught_up(timeline, states[user], until[user]), (world.seed, user)
        check_adopted(world, timeline, UserState.decode(states[user]), decisions, happened[-1].at)
        check_told(world, user, decisions, sends.get(user, []), is_always=user == always)
        if user == always:
            check_settled(world, decisions, happened)
    assert not lines


def check_adopted(world: World, timeline: Timeline, state: UserState, decisions: list[Decision], last_at: int) -> None:
    """Who is present has adopted the latest rules, and nobody any that the log has not come to for them.

    Where more are due at once than one round takes, some run before there is a tick, so there it cannot be told.
    """
    if state.present_since is not None:
        assert state.rules_since == timeline.moments[-1], (world.seed, state.user)
    partition = world.store._partitions[partition_of(state.user, world.store.partition_count)]
    ticks = [entry.at for _, entry in partition.log if entry.kind == "tick"]
    # The first that ever held do so from the beginning of time.
    come_to = max([last_at, *ticks, *(decision.at for decision in decisions)])
    assert world.due_max < DUE_MAX or state.rules_since <= max(come_to, timeline.moments[0]), world.seed


async def logged(world: World) -> tuple[dict[str, list[Event]], dict[str, int], dict[str, list[str]]]:
    """By user: events, how far time has come, messages of the application. All acknowledged is there, once.

    Nobody is due any more, so time has come to the last entry for everybody.
    """
    events: dict[str, list[Event]] = {}
    until: dict[str, int] = {}
    sends: dict[str, list[str]] = {}
    for number in range(world.store.partition_count):
        last = -1
        users = set()
        for entry in await world.store.log(number, 0, 100_000):
            assert entry.at >= last
            last = entry.at
            if entry.event is not None:
                events.setdefault(entry.user, []).append(entry.event)
                users.add(entry.user)
            if entry.message is not None:
                sends.setdefault(entry.user, []).append(entry.message.id)
        until |= dict.fromkeys(users, last)
    times = Counter(event.data["serial"] for mine in events.values() for event in mine if "serial" in event.data)
    assert [serial for serial in world.acknowledged if times[serial] != 1] == [], world.seed
    assert [serial for serial, count in times.items() if count != 1] == [], world.seed
    return events, until, sends


def check_told(world: World, user: str, decisions: list[Decision], sends: list[str], *, is_always: bool) -> None:
    """Whoever sat somewhere all the time was told all that was sent; nobody anything else."""
    sent: dict[str, Decision | None] = dict.fromkeys(sends)
    gone = set()
    for decision in decisions:
        if decision.message is not None and decision.outcome == "sent":
            sent[decision.message.id] = decision
        elif decision.message is not None and decision.was == "sent":
            gone.add(decision.message.id)
    assert world.told[user] <= sent.keys(), (world.seed, user)
    waiting = {name for name, outgoing in world.store._outbox.items() if outgoing.user == user}
    for message_id in sent.keys() - gone:
        decision = sent[message_id]
        message = None if decision is None else decision.message
        expires = None if message is None else message.expires_at
        is_expired = expires is not None and expires <= world.now
        if is_always:
            assert message_id in world.heard or is_expired, (world.seed, message_id)
        assert message_id in world.told[user] | waiting or is_expired, (world.seed, message_id)


def check_settled(world: World, decisions: list[Decision], happened: list[Event]) -> None:
    """Whoever sat somewhere all the time was told of all that was taken back, and of what they did with messages."""
    gone = {each.message.id for each in decisions if each.message is not None and each.was == "sent"}
    assert gone <= world.taken_back, (world.seed, gone - world.taken_back)
    did = {event.data["serial"] for event in happened if event.type in TOLD}
    assert did <= world.settled, (world.seed, did - world.settled)


def caught_up(timeline: Timeline, encoded: bytes, until: int) -> bytes:
    """The state when it, too, has adopted every rule set: the absent do so only when they come back."""
    state = UserState.decode(encoded)
    late: list[Decision] = []
    advance(timeline, state, until, late)
    assert late == []
    return state.encode()

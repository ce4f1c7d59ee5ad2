"""The oracle can fail: a right history holds, and one in which any single thing is wrong is told apart from it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from engine.core.model import Event, Message
from engine.core.state import UserState
from engine.core.units import SECOND
from engine.loading.load import load
from engine.storage.base import Entry
from engine.storage.memory import MemoryStore
from engine.triggers import KINDS
from engine.turn import Turns
from tests.scale.fleet import RULES
from tests.scale.journal import Journal
from tests.scale.oracle import History, judge, read_history

START = 1_774_605_600 * SECOND
OVER = START + 100 * SECOND
USERS = ("ann", "bob", "cem")
World = tuple[History, Journal]


async def a_world() -> World:
    """Three users ask, fail, save and fall silent; what is said to them is shown to them."""
    store, journal = MemoryStore(partition_count=2), Journal()
    rules = load({"rules.yaml": RULES.read_text()}, KINDS)
    turns = Turns(store)
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, START)
    for user in USERS:
        journal.sit(f"seat of {user}", user)
    number = 0
    for second, kind in enumerate(("asked", "failed", "failed", "failed", "saved", "drafted", "saved"), 1):
        at = START + second * SECOND
        entries = []
        for user in USERS:
            number += 1
            event_id = f"e{number}"
            journal.say(user, event_id)
            entries.append(Entry("event", at, user, Event(kind, user, at, {"n": number}, event_id), once=True))
        entries.append(Entry("send", at, "ann", message=Message(f"b{second}", "question", f"told {second}"), once=True))
        made = await turns.make(entries, at, due=True)
        for entry in made.entries:
            if entry.event is not None:
                journal.acknowledge(entry.user, entry.event.id)
        for outgoing in made.outbox:
            journal.show(f"seat of {outgoing.user}", outgoing.message.id, outgoing.message.text)
    made = await turns.make([], OVER, due=True, tick=True)
    for outgoing in made.outbox:
        journal.show(f"seat of {outgoing.user}", outgoing.message.id, outgoing.message.text)
    return await read_history(store), journal


def places(history: History) -> list[tuple[int, int]]:
    """Of entries that somebody said: partition and place, in the order of the log."""
    return [
        (number, place)
        for number, entries in enumerate(history.entries)
        for place, (_, entry) in enumerate(entries)
        if entry.event is not None
    ]


def replace_entry(history: History, place: tuple[int, int], entry: Entry) -> None:
    number, index = place
    history.entries[number][index] = history.entries[number][index][0], entry


def of(history: History, place: tuple[int, int]) -> Entry:
    return history.entries[place[0]][place[1]][1]


def lose_an_event(history: History, journal: Journal) -> None:
    """As a failover does it that loses a tail: the log has it no more, nor has anything that came of it."""
    place = places(history)[-1]
    replace_entry(history, place, Entry("tick", of(history, place).at))


def store_twice(history: History, journal: Journal) -> None:
    last, before = places(history)[-1], places(history)[-2]
    again = of(history, before)
    replace_entry(history, last, msgspec.structs.replace(again, at=of(history, last).at))


def swap(history: History, journal: Journal) -> None:
    """Two events of one user."""
    mine = [place for place in places(history) if of(history, place).user == "ann"]
    one, other = of(history, mine[0]), of(history, mine[1])
    replace_entry(history, mine[0], msgspec.structs.replace(other, at=one.at))
    replace_entry(history, mine[1], msgspec.structs.replace(one, at=other.at))


def invent_an_event(history: History, journal: Journal) -> None:
    place = places(history)[-1]
    entry = of(history, place)
    assert entry.event is not None
    event = msgspec.structs.replace(entry.event, id="nobody's")
    replace_entry(history, place, msgspec.structs.replace(entry, event=event))


def leave_a_gap(history: History, journal: Journal) -> None:
    history.entries[0] = [(number + (number > 3), entry) for number, entry in history.entries[0]]


def go_back(history: History, journal: Journal) -> None:
    place = places(history)[-1]
    replace_entry(history, place, msgspec.structs.replace(of(history, place), at=START))


def evaluate_less(history: History, journal: Journal) -> None:
    history.cursors[1] -= 1


def change_a_state(history: History, journal: Journal) -> None:
    state = UserState.decode(history.states["bob"])
    state.activity_count += 1
    history.states["bob"] = state.encode()


def evaluate_twice(history: History, journal: Journal) -> None:
    """As a worker does it whose commit was made though it had lost the partition."""
    history.recording.events.insert(1, history.recording.events[1])


def lose_a_state(history: History, journal: Journal) -> None:
    del history.states["cem"]


def keep_a_state(history: History, journal: Journal) -> None:
    history.states["dan"] = UserState("dan").encode()


def pass_a_wake_up_over(history: History, journal: Journal) -> None:
    state = UserState.decode(history.states["ann"])
    state.wake = START + SECOND
    history.states["ann"] = state.encode()


def lose_a_decision(history: History, journal: Journal) -> None:
    history.recording.decisions["ann"].pop(1)


def change_a_decision(history: History, journal: Journal) -> None:
    lines = history.recording.decisions["bob"]
    lines[0] = lines[0].replace(b"asked", b"ASKED")


def decide_twice(history: History, journal: Journal) -> None:
    history.recording.decisions["bob"].insert(0, history.recording.decisions["bob"][0])


def lose_rules(history: History, journal: Journal) -> None:
    history.entries[1] = [
        (number, Entry("tick", entry.at) if entry.kind == "rules" else entry) for number, entry in history.entries[1]
    ]


def hold_two_rule_sets(history: History, journal: Journal) -> None:
    [moment] = history.recording.rule_moments
    history.recording.rule_moments.append(moment)


def not_show(history: History, journal: Journal) -> None:
    journal.seats["seat of cem"].shown.popitem()


def not_show_what_was_sent(history: History, journal: Journal) -> None:
    del journal.seats["seat of ann"].shown["b3"]


def show_something_else(history: History, journal: Journal) -> None:
    journal.show("seat of cem", "m0", "made up")


def show_to_another(history: History, journal: Journal) -> None:
    message_id, text = next(iter(journal.seats["seat of ann"].shown.items()))
    journal.show("seat of cem", message_id, text)


def show_other_words(history: History, journal: Journal) -> None:
    shown = journal.seats["seat of cem"].shown
    shown[next(iter(shown))] = "other words"


def show_under_two_ids(history: History, journal: Journal) -> None:
    """As it comes of ids that are counted: evaluated again, the same event makes another message."""
    line = history.recording.decisions["cem"][0]
    message_id, text = next(iter(journal.seats["seat of cem"].shown.items()))
    assert message_id.encode() in line
    history.recording.decisions["cem"].append(line.replace(message_id.encode(), b"f" * 32))
    journal.show("seat of cem", "f" * 32, text)


def set_aside(history: History, journal: Journal) -> None:
    history.faults = 1


WRONGS: dict[Callable[[History, Journal], None], str] = {
    lose_an_event: "acknowledged events that are not in the log",
    store_twice: "events more than once in the log",
    swap: "events out of order",
    invent_an_event: "events that nobody said",
    leave_a_gap: "gaps in the log",
    go_back: "moments that go back",
    evaluate_less: "entries never evaluated",
    change_a_state: "states that differ",
    evaluate_twice: "states that differ",
    lose_a_state: "users without a state",
    keep_a_state: "states of users of whom the log has nothing",
    pass_a_wake_up_over: "wake-ups that were passed over",
    lose_a_decision: "decisions that differ",
    change_a_decision: "decisions that differ",
    decide_twice: "messages decided on twice",
    lose_rules: "rules that a partition was not told of",
    hold_two_rule_sets: "two rule sets of one moment",
    not_show: "messages lost",
    not_show_what_was_sent: "messages lost",
    show_something_else: "messages that were not decided",
    show_to_another: "messages that were not decided",
    show_other_words: "messages with other words",
    show_under_two_ids: "shown twice under two ids",
    set_aside: "faults",
}


async def test_a_right_history_holds() -> None:
    history, journal = await a_world()
    verdict = judge(history, journal, over_at=OVER)
    assert verdict.holds, verdict.lines()
    assert verdict.figures["events acknowledged"] == 21
    assert verdict.figures["messages lost"] == verdict.figures["events lost"] == 0
    assert verdict.figures["messages owed"] == verdict.figures["messages shown"] > 18


@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: wrong.__name__)
async def test_one_thing_wrong_is_noticed(wrong: Callable[[History, Journal], None]) -> None:
    history, journal = await a_world()
    wrong(history, journal)
    verdict = judge(history, journal, over_at=OVER)
    assert WRONGS[wrong] in verdict.violations, verdict.lines()


async def test_what_nobody_acknowledged_may_be_there_or_not() -> None:
    history, journal = await a_world()
    journal.say("ann", "under way")
    [*_, last] = journal.said
    journal.said[history.entries[0][-2][1].user, "under way too"] = journal.said.pop(last)
    assert judge(history, journal, over_at=OVER).holds


async def test_events_that_were_under_way_together_may_stand_in_any_order() -> None:
    history, journal = await a_world()
    for said in journal.said.values():
        said.sent = 0
    swap(history, journal)
    assert "events out of order" not in judge(history, journal, over_at=OVER).violations


async def test_repeats_of_a_message_are_counted_and_are_no_fault() -> None:
    history, journal = await a_world()
    seat = journal.seats["seat of bob"]
    message_id, text = next(iter(seat.shown.items()))
    assert not journal.show("seat of bob", message_id, text)
    verdict = judge(history, journal, over_at=OVER)
    assert verdict.holds
    assert verdict.figures["repeats dropped"] == 1


async def test_what_has_expired_is_owed_to_nobody() -> None:
    history, journal = await a_world()
    for seat in journal.seats.values():
        seat.shown.clear()
    assert "messages lost" in judge(history, journal, over_at=OVER).violations
    verdict = judge(history, journal, over_at=OVER + 7200 * SECOND)
    assert all("told" in each for each in verdict.violations["messages lost"])


async def test_time_that_came_less_far_than_the_log_is_let_run_as_far() -> None:
    """A silence that is due behind the last tick is nobody's fault; what it says is not owed either."""
    history, journal = await a_world()
    assert judge(history, journal, over_at=OVER).holds
    for number in range(history.partition_count):
        place, entry = history.entries[number][-1]
        later = msgspec.structs.replace(entry, at=entry.at + 3600 * SECOND)
        history.entries[number].append((place + 1, later))
        history.cursors[number] += 1
    assert judge(history, journal, over_at=OVER).holds

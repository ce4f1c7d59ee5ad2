"""The figures of a page: the same in whatever order and in however many parts users come, and bounded."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.model import Decision, Event, Message, Reason
from engine.core.rules import Timeline
from engine.core.units import DAY, HOUR, MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.replay.activity import in_memory
from engine.replay.driver import Ran, run_users
from engine.replay.page.gather import (
    CANDIDATE_MARKS_MAX,
    DAYS_MAX,
    MARKS_MAX,
    TIMELINES_MAX,
    Days,
    Gathered,
    spread,
    timeline_of,
)
from engine.triggers import KINDS

NOON = parse_at("2026-03-27T12:00:00Z")  # a Friday
RULES = """
version: 1
policy: {timezone: Europe/Paris}
rules:
  - id: hello
    trigger: {event: hello}
    message: {type: question, text: "Hello {{ user.id }}"}
    cooldown: 10m
"""


def timeline() -> Timeline:
    return Timeline(load({"a.yaml": RULES}, KINDS))


def ran(events: Sequence[Event]) -> list[Ran]:
    return list(run_users(in_memory(events), [timeline()]))


def gathered(users: Sequence[Ran]) -> Gathered:
    found = Gathered("Europe/Paris")
    for one in users:
        found.see(one)
    return found


def hello(user: str, at: int, **data: object) -> Event:
    return Event("hello", user, at, dict(data))


def test_hours_and_days_are_by_the_clock_of_the_policy() -> None:
    found = gathered(ran([hello("ann", NOON), hello("ann", NOON + 5 * MINUTE), hello("ann", NOON + 11 * HOUR)]))
    friday = 4 * 24
    # Paris is an hour ahead, so the last of them comes at midnight.
    assert [place for place, count in enumerate(found.week_events) if count] == [friday + 13, friday + 24]
    assert found.week_events[friday + 13] == 2
    assert found.week_sent[friday + 13] == 1
    assert found.week_kept_back[friday + 13] == 1
    assert found.user_days == 2
    assert sorted(found.days.bars.values()) == [[1, 1], [2, 1]]
    assert found.own_clock == 0


def test_a_user_whose_zone_the_log_names_has_a_clock_of_their_own() -> None:
    zone = Event("user.identify", "ann", NOON - SECOND, {"timezone": "Asia/Tokyo"})
    found = gathered(ran([zone, hello("ann", NOON), hello("bob", NOON)]))
    assert found.own_clock == 1
    assert [place % 24 for place, count in enumerate(found.week_sent) if count] == [13, 21]


def test_users_are_counted_by_their_messages() -> None:
    events = [hello("ann", NOON), hello("ann", NOON + HOUR), hello("bob", NOON), Event("other", "cid", NOON, {})]
    assert gathered(ran(events)).per_user == {2: 1, 1: 1, 0: 1}


def test_the_busiest_are_those_with_most_messages_then_events_then_by_name() -> None:
    events = [hello("b", NOON), hello("a", NOON), Event("other", "c", NOON, {}), hello("d", NOON), hello("d", NOON)]
    assert [one.user for one in gathered(ran(events)).busiest] == ["d", "a", "b", "c"]


CROWD = ran(
    [hello(f"user {number % 40}", NOON + number * 7919 * SECOND + number % 11 * DAY * 100) for number in range(120)]
)


@given(st.permutations(CROWD), st.integers(0, 40))
@settings(max_examples=30)
def test_neither_order_nor_parts_make_a_difference(users: list[Ran], cut: int) -> None:
    whole = gathered(CROWD)
    parts = gathered(users[:cut])
    # It goes from process to process.
    parts.merge(pickle.loads(pickle.dumps(gathered(users[cut:]).found())))
    assert asdict(parts) == asdict(whole)
    assert len(whole.busiest) == TIMELINES_MAX


def test_days_are_joined_until_they_have_room_and_join_the_same_in_parts() -> None:
    whole, early, late = Days(), Days(), Days()
    for day in range(3 * DAYS_MAX):
        whole.add(700_000 + day, 1, 2)
        (early if day < 50 else late).add(700_000 + day, 1, 2)
    early.merge(late)
    assert early == whole
    assert whole.width == 4
    assert len(whole.bars) <= DAYS_MAX
    assert sum(events for events, _ in whole.bars.values()) == 3 * DAYS_MAX


def test_as_many_days_as_there_is_room_for_stay_days() -> None:
    days = Days()
    for day in range(DAYS_MAX):
        days.add(700_000 + day, 1, 0)
    assert days.width == 1
    days.add(800_000, 1, 0)
    assert days.width == 2


def decision(at: int, outcome: str) -> Decision:
    reason = None if outcome == "sent" else Reason("cooldown", (MINUTE, at + MINUTE))
    message = Message(str(at), "question", "x" * 1000) if outcome == "sent" else None
    return Decision(at, "ann", "hello", 0, outcome, reason, {}, message=message)  # type: ignore[arg-type]


def test_a_timeline_is_bounded_and_prefers_messages() -> None:
    events = [hello("ann", NOON + number) for number in range(5000)]
    decisions = [decision(NOON + number, "sent" if number % 10 == 0 else "cooldown") for number in range(5000)]
    found = timeline_of("ann", events, decisions)
    assert len(found.events) + len(found.marks) == MARKS_MAX
    assert len(found.marks) == CANDIDATE_MARKS_MAX
    assert sum(mark.outcome == "sent" for mark in found.marks) == 500 == found.sent
    assert (found.event_count, found.mark_count) == (5000, 5000)
    assert [mark.at for mark in found.marks] == sorted(mark.at for mark in found.marks)
    assert max(len(mark.text) for mark in found.marks) == 280
    assert found.marks[1].reason.startswith("cooldown of 1m until")


def test_few_events_leave_their_room_to_candidates() -> None:
    found = timeline_of("ann", [hello("ann", NOON)], [decision(NOON + number, "cooldown") for number in range(5000)])
    assert (len(found.events), len(found.marks)) == (1, MARKS_MAX - 1)


def test_what_is_spread_begins_with_the_first() -> None:
    assert spread([1, 2, 3], 3) == [1, 2, 3]
    assert spread([1, 2, 3, 4], 2) == [1, 3]
    assert spread([1, 2], 0) == []

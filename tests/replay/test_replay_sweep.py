from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.rules import RuleSet, Timeline
from engine.core.units import HOUR, MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.loading.patch import patch
from engine.replay.activity import in_memory
from engine.replay.driver import replay
from engine.replay.ranges import Setting, parse_setting
from engine.replay.report import count_rules
from engine.replay.sweep import BREAKPOINTS, Moments, Sweep, is_after, is_amid, sweep, sweeper
from engine.replay.sweep_text import as_json, chart, column_names, in_order, summary, table
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
RULES = """\
version: 1
defaults: {cooldown: 2m}
rules:
  - id: stuck
    trigger: {count: {event: test.failed, at_least: 3, within: 10m}}
    message: {type: question, text: Help?}
    priority: 5
  - id: idle
    trigger: {inactivity: 5m}
    message: {type: question, text: There?}
    cooldown: none
  - id: waits
    trigger: {event: chat}
    deliver: {at: [file.closed], within: 1m}
    message: {type: question, text: Now?}
    budget: none
policy:
  session_timeout: 30m
  budgets: {attention: {limits: [{max: 2, per: 10m}]}}
"""
BASE = load({"a.yaml": RULES}, KINDS)


def event(kind: str, seconds: float, user: str = "ann") -> Event:
    return Event(kind, user, START + round(seconds * SECOND), {})


def swept(events: list[Event], *texts: str, base: RuleSet = BASE, moments: Moments | None = None) -> Sweep:
    return sweep(in_memory(events), sweeper(base, [parse_setting(text) for text in texts], moments))


EVENTS = [
    *(event("test.failed", 20 * n) for n in range(9)),
    event("chat", 190),
    event("edit", 195),
    event("file.closed", 197),
    event("edit", 199),
    event("test.failed", 1000, "bob"),
]


def test_the_rules_as_they_are_are_marked_among_the_points() -> None:
    found = swept(EVENTS, "stuck.trigger.count.at_least=2..4")
    assert [(point.values, point.is_now) for point in found.points] == [
        (("2",), False),
        (("3",), True),
        (("4",), False),
    ]
    assert found.now == ("3",)


def test_the_rules_as_they_are_come_first_where_nobody_asked_for_them() -> None:
    found = swept(EVENTS, "stuck.trigger.count.at_least=5,6")
    assert [(point.values, point.is_now, point.is_asked) for point in found.points] == [
        (("3",), True, False),
        (("5",), False, True),
        (("6",), False, True),
    ]


def test_a_default_that_is_written_out_is_the_same_rule() -> None:
    found = swept(EVENTS, "stuck.cooldown=2m,9m")
    assert [(point.values, point.is_now) for point in found.points] == [(("2m",), True), (("9m",), False)]
    assert found.now == ("2m",)


def test_another_policy_is_another_point_though_no_rule_is() -> None:
    found = swept(EVENTS, "policy.session_timeout=30m,1h")
    assert [point.is_now for point in found.points] == [True, False]


@given(
    st.lists(
        st.tuples(st.sampled_from(["test.failed", "chat", "edit", "file.closed"]), st.integers(0, 900), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 6),
    st.sampled_from(["1m", "2m", "5m"]),
    st.integers(1, 3),
)
@settings(max_examples=40)
def test_a_point_is_a_replay_with_its_values(
    drawn: list[tuple[str, int, bool]], count: int, span: str, limit: int
) -> None:
    events = [event(kind, seconds, "ann" if is_ann else "bob") for kind, seconds, is_ann in drawn]
    places = {
        "stuck.trigger.count.at_least": str(count),
        "idle.trigger.inactivity": span,
        "policy.budgets.attention.limits[0].max": str(limit),
    }
    sources = {"a.yaml": RULES}
    for path, value in places.items():
        sources = patch(sources, path, value, KINDS)
    made = replay(events, Timeline(load(sources, KINDS))).decisions()
    found = sweep(in_memory(events), sweeper(BASE, [Setting(path, (value,)) for path, value in places.items()]))
    (point,) = [point for point in found.points if point.is_asked]
    counts = count_rules(made)
    totals = sum((one.outcomes for one in counts.values()), Counter[str]())
    assert point.candidates == totals.total()
    assert dict(point.by_rule) == {name: one.outcomes["sent"] for name, one in counts.items() if one.outcomes["sent"]}
    assert point.messages == totals["sent"]
    assert point.refused == totals["budget"]
    assert point.users == len({decision.user for decision in made if decision.outcome == "sent"})
    assert point.budget == sum(one.outcomes["sent"] for name, one in counts.items() if name != "waits")


def test_what_is_said_of_its_moments_is_counted_by_message() -> None:
    found = swept(EVENTS, "stuck.trigger.count.at_least=3", moments=Moments(("edit",), ("test.*",), 5 * SECOND))
    # Two at a failing test, and one that waited for the file to be closed, between two edits.
    (point,) = found.points
    assert (dict(point.by_rule), point.typing, point.breakpoint) == ({"stuck": 2, "waits": 1}, 1, 2)
    assert (point.candidates, point.refused, dict(point.spent)) == (5, 1, {"attention": 2})


@pytest.mark.parametrize(("kind", "messages"), [("file.closed", 1), ("session.end", 0)])
def test_a_budget_is_charged_once_whatever_becomes_of_a_message_that_waits(kind: str, messages: int) -> None:
    base = load({"a.yaml": RULES.replace("    budget: none\n", "")}, KINDS)
    events = [event("session.start", 0), event("chat", 1), event(kind, 2)]
    (point,) = swept(events, "stuck.trigger.count.at_least=3", base=base).points
    assert (point.messages, dict(point.spent)) == (messages, {"attention": 1})


def test_what_the_log_has_no_events_for_is_not_known() -> None:
    found = swept(EVENTS, "stuck.trigger.count.at_least=3", moments=Moments(("key",), ("build.*",)))
    assert found.points[0].typing is None
    assert found.points[0].typing_share is found.points[0].breakpoint_share is None


def test_the_rules_name_moments_at_which_they_wish_to_be_heard() -> None:
    found = swept(EVENTS, "stuck.trigger.count.at_least=3")
    assert found.moments.breakpoints == (*BREAKPOINTS, "file.closed")


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ((5, 15), True),
        ((5, 20), False),
        ((0, 15), False),
        ((10, 19), True),
        ((5, 10), False),
        ((5,), False),
        ((), False),
    ],
)
def test_typing_goes_on_around_a_message(moments: tuple[int, ...], expected: bool) -> None:
    assert is_amid(moments, 10, 10) is expected


@pytest.mark.parametrize(("moments", "expected"), [((10,), True), ((1, 30), True), ((0,), False), ((11,), False)])
def test_a_breakpoint_lies_at_the_message_or_shortly_before(moments: tuple[int, ...], expected: bool) -> None:
    assert is_after(moments, 10, 10) is expected


def test_presence_is_the_engines_own() -> None:
    events = [
        event("session.start", 0),
        event("session.end", 600),
        event("edit", 7200),  # opens a session of its own, which ends half an hour later
        event("session.start", 1000, "bob"),
        event("edit", 5 * 3600, "cem"),  # is there for as long as the log lasts
        event("note", 5 * 3600 + 60, "cem"),
    ]
    found = swept(events, "policy.session_timeout=30m,10m")
    minutes = [point.present // MINUTE for point in found.points]
    cem, bob = 1, (5 * 3600 + 60 - 1000) // 60
    assert minutes == [10 + 30 + cem + bob, 10 + 10 + cem + bob]


def test_messages_per_hour_are_those_of_hours_in_which_somebody_was_there() -> None:
    found = swept([event("session.start", 0), *EVENTS, event("session.end", 1800)], "stuck.cooldown=2m")
    (point,) = found.points
    assert point.per_hour == pytest.approx(point.messages * HOUR / point.present)


def test_values_that_make_no_rules_are_refused_with_the_reason() -> None:
    with pytest.raises(Refused) as caught:
        swept(EVENTS, "stuck.trigger.count.at_least=0..2")
    assert "stuck.trigger.count.at_least=0: expected a whole number from 1 to 1000, got 0" in caught.value.message


def test_users_may_come_in_any_order() -> None:
    texts = ["stuck.trigger.count.at_least=2..3"]
    assert swept(EVENTS, *texts) == swept(EVENTS[::-1][:1] + EVENTS[:-1], *texts)


GRID = ("stuck.trigger.count.at_least=2,3", "policy.budgets.attention.limits[0].max=1..2")
TABLE = """\
at_least  stuck.trigger.count.at_least, now 3
max       policy.budgets.attention.limits[0].max, now 2

     at_least    max  messages  users  typing  at break  per hour  budget
            2      1         2      1     50%      100%      7.20       1
            2      2         3      1     33%      100%     10.80       2
            3      1         2      1     50%      100%      7.20       1
now         3      2         3      1     33%      100%     10.80       2"""
CHART = """\
     messages
         2, 1  █████████████████████████████▍ 2
         2, 2  ████████████████████████████████████████████ 3
         3, 1  █████████████████████████████▍ 2
now      3, 2  ████████████████████████████████████████████ 3"""


def test_it_is_shown_as_a_table_and_a_chart() -> None:
    found = swept(EVENTS, *GRID)
    assert "\n".join(table(found, found.points)) == TABLE
    assert "\n".join(chart(found.points)) == CHART
    assert all(len(line) <= 80 for line in [*table(found, found.points), *chart(found.points), *summary(found)])


def test_columns_are_called_by_what_tells_them_apart() -> None:
    assert column_names(["a.cooldown", "b.cooldown", "b.priority"]) == ["a.cooldown", "b.cooldown", "priority"]


def test_columns_with_long_names_have_letters() -> None:
    found = swept(EVENTS, "stuck.cooldown=2m", "idle.cooldown=2m", "waits.cooldown=2m")
    assert [line.split("  ")[0] for line in table(found, found.points)[:3]] == ["a", "b", "c"]


def test_points_can_be_sorted_by_a_figure() -> None:
    points = swept(EVENTS, *GRID).points
    values = [point.values for point in points]
    assert [point.values for point in in_order(points, None)] == values
    assert [point.values for point in in_order(points, "messages")] == [values[0], values[2], values[1], values[3]]
    assert [point.values for point in in_order(points, "-messages")] == [values[1], values[3], values[0], values[2]]
    with pytest.raises(Refused, match='expected "break", "budget"'):
        in_order(points, "mesages")


def test_a_program_is_told_all_of_it() -> None:
    found = swept(EVENTS, "stuck.trigger.count.at_least=2,3")
    told = json.loads(json.dumps(as_json(found, found.points)))
    assert told["settings"] == [{"path": "stuck.trigger.count.at_least", "values": ["2", "3"], "now": "3"}]
    assert (told["users"], told["events"], told["partial"]) == (2, len(EVENTS), False)
    assert [(one["values"], one["now"], one["messages"]) for one in told["points"]] == [
        ({"stuck.trigger.count.at_least": "2"}, False, found.points[0].messages),
        ({"stuck.trigger.count.at_least": "3"}, True, found.points[1].messages),
    ]

"""Made-up streams do what rules wait for, whatever that is, and answer what is said: few of them are enough."""

from __future__ import annotations

import pytest

from engine.core.rules import Timeline
from engine.core.units import DAY, parse_at
from engine.invariants.search import Finding, try_to_break
from engine.invariants.streams import Maker
from engine.invariants.vocabulary import whole_vocabulary
from engine.invariants.walk import EVENTS_MAX
from engine.loading.load import Loaded, load_with_tests
from engine.triggers import KINDS

FEW = 30
ASKS = "message: {type: question, text: T, options: [Yes please, Not now]}"
SAYS = "message: {type: notification, text: T}"
TALK = [
    f"{{id: stuck, trigger: {{event: fail}}, {ASKS}}}",
    '{id: hint, trigger: {response: {to: stuck, is: Yes please}}, message: {type: question, text: T, options: ["No"]}}',
    f'{{id: more, trigger: {{response: {{to: hint, is: "No"}}}}, {SAYS}}}',
]
THREE = "count: {event: test.failed, at_least: 3, within: 10m, group_by: test}"
WAITS = "deliver: {at: file.saved, quiet_for: 5s, within: 90s}"
HELD = f"{{id: stuck, trigger: {{{THREE}}}, cooldown: 30m, {WAITS}, {ASKS}}}"
NIGHTS = 'policy: {quiet_hours: {nights: {from: "22:00", to: "08:00"}}}\n'


def loaded(rules: list[str], invariants: list[str], head: str = "") -> Loaded:
    text = "version: 1\n" + head + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules)
    return load_with_tests({"a.yaml": text + "invariants:\n" + "".join(f"  - {it}\n" for it in invariants)}, KINDS)


def tried(found: Loaded, *, seed: int, examples: int) -> list[Finding]:
    return try_to_break(found.rules, found.invariants, (), seed=seed, examples=examples)


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_conversation_is_had(seed: int) -> None:
    [finding] = tried(loaded(TALK, ["{at_most: 2, per: 1h}"]), seed=seed, examples=FEW)
    assert finding.lines[:4] == ["3 messages within 1h, at most 2:", "  +0s stuck", "  +0s hint", "  +0s more"]
    assert [line.partition("type: ")[2].split(",")[0].rstrip("}") for line in finding.lines if "type:" in line] == [
        "fail",
        "message.answered",
        "message.answered",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_conversation_is_had_about_a_message_that_waited_for_a_good_moment(seed: int) -> None:
    found = loaded([HELD, *TALK[1:]], ["every_rule_fires", "{at_most: 2, per: 1h}"])
    fires, limit = tried(found, seed=seed, examples=FEW)
    assert fires.lines == []
    assert sum("{after:" in line for line in limit.lines) == 5


@pytest.mark.parametrize("seed", range(3))
def test_the_good_moment_is_brought_about(seed: int) -> None:
    dropped = HELD.replace("within: 90s", "within: 20s, otherwise: drop").replace(
        "test.failed", "test.failed, where: event.n > 41"
    )
    found = loaded([dropped, *TALK[1:]], ["{at_most: 2, per: 1h}"])
    [limit] = tried(found, seed=seed, examples=FEW)
    assert sum("{after:" in line for line in limit.lines) == 6


@pytest.mark.parametrize(
    "rule",
    [
        f"trigger: {{event: {{event: a, where: event.n > 41}}}}, {SAYS}",
        f"trigger: {{keywords: {{all: [red, fish], none: [blue]}}}}, {SAYS}",
        f"trigger: {{count: {{event: a, at_least: 12, within: 1m, group_by: [x, y.z]}}}}, {SAYS}",
        f"trigger: {{count: {{event: a, at_least: 5, within: 1m, distinct: file}}}}, {SAYS}",
        f"trigger: {{sequence: {{steps: [a, b, c, d, e], within: 1m, without: f, group_by: x}}}}, {SAYS}",
        f"trigger: {{absence: {{after: a, no: b, within: 3h, group_by: x}}}}, offline: keep, {SAYS}",
        f"trigger: {{inactivity: {{for: 7m, after: a}}}}, {SAYS}",
        f"trigger: {{inactivity: 29m}}, warmup: 1h, {SAYS}",
        f'trigger: {{schedule: {{cron: "0 7 1 3 *"}}}}, {SAYS}',
        f"trigger: {{schedule: {{every: 5h}}}}, {SAYS}",
        f"trigger: {{session: start}}, {SAYS}",
        f"trigger: {{session: end}}, offline: keep, {SAYS}",
        f"trigger: {{session: {{returned_after: 9d}}}}, {SAYS}",
        f"trigger: {{session: {{lasted: 50m}}}}, {SAYS}",
        f"trigger: {{response: {{to: ask, is: dismissed}}}}, {SAYS}",
        f"trigger: {{response: {{to: ask, is: ignored}}}}, {SAYS}",
        f"trigger: {{response: {{to: ask, is: answered}}}}, {SAYS}",
        f"trigger: {{event: {{event: message.seen, where: event.rule == \"ask\"}}}}, {SAYS}",
        f"trigger: {{event: a}}, condition: [session.events >= 20, session.age > 15m], {SAYS}",
        f"trigger: {{event: a}}, condition: user.skill == \"expert\" and user.level > 3, {SAYS}",
        f"trigger: {{event: a}}, deliver: {{at: b, within: 9m, otherwise: drop}}, {SAYS}",
        f"trigger: {{event: a}}, deliver: {{quiet_for: 1m, within: 9m, otherwise: drop}}, {SAYS}",
    ],
)  # fmt: skip
def test_every_kind_of_rule_is_made_to_speak(rule: str) -> None:
    ask = "{id: ask, trigger: {event: q}, expires: 20m, message: {type: question, text: T, options: [Aye]}}"
    found = loaded([f"{{id: r, {rule}}}", ask], ["{at_most: 0, per: user, rules: r}"], NIGHTS)
    [finding] = tried(found, seed=0, examples=FEW)
    assert finding.lines


@pytest.mark.parametrize(
    ("keys", "invariant"),
    [
        # What closes a gate is waited for: beyond it one more is sent.
        ("cooldown: 50m", "{at_most: 1, per: 1h}"),
        ("max: {max: 2, per: session}", "{at_most: 2, per: user}"),
        ("max: {max: 2, per: 50m}", "{at_most: 3, per: 1h}"),
        ("max: {max: 1, per: day}", "{at_most: 1, per: 24h}"),
        ("cooldown: 5m", "{at_most: 10, per: 1h}"),
        ("urgent: true", "{never_during: nights}"),
    ],
)
def test_what_stands_in_the_way_is_waited_for(keys: str, invariant: str) -> None:
    found = loaded([f"{{id: r, trigger: {{event: a}}, {keys}, {SAYS}}}"], [invariant], NIGHTS)
    [finding] = tried(found, seed=0, examples=100)
    assert finding.lines


@pytest.mark.parametrize(
    ("keys", "invariant"),
    [
        ("cooldown: 1h", "{at_most: 1, per: 1h}"),
        ("max: {max: 2, per: session}", "{at_most: 2, per: session}"),
        ("max: {max: 1, per: day}", "{at_most: 1, per: day}"),
        ("deliver: {at: b, within: 9m}", "{never_during: nights}"),
    ],
)
def test_what_cannot_happen_is_not_found(keys: str, invariant: str) -> None:
    found = loaded([f"{{id: r, trigger: {{event: a}}, {keys}, {SAYS}}}"], [invariant], NIGHTS)
    [finding] = tried(found, seed=0, examples=100)
    assert finding.lines == []


def test_once_every_rule_has_fired_no_more_is_made_up() -> None:
    # With so many streams it would not end today.
    [finding] = tried(loaded([HELD, *TALK[1:]], ["every_rule_fires"]), seed=0, examples=10**9)
    assert finding.lines == []


def test_a_bound_that_is_nearly_broken_is_gone_on_from() -> None:
    """Eight rules of which each speaks once: no stream that drives a few of them is enough."""
    rules = [
        f"{{id: r{number}, trigger: {{event: e{number}}}, max: {{max: 1, per: user}}, {SAYS}}}" for number in range(8)
    ]
    [finding] = tried(loaded(rules, ["{at_most: 7, per: 1h}"]), seed=0, examples=100)
    assert sum("{after:" in line for line in finding.lines) == 8


def test_streams_are_bounded_and_follow_from_their_number() -> None:
    found = loaded([HELD, *TALK[1:]], ["{at_most: 2, per: 1h}"], NIGHTS).rules
    for number in range(0, 300, 7):
        walk, again = (
            Maker(Timeline(found), whole_vocabulary(found, ()), 3).stream(number, "it", found.rules, repeats=(1, 40))
            for _ in range(2)
        )
        assert walk.events == again.events
        assert len(walk.events) <= EVENTS_MAX
        assert walk.events == sorted(walk.events, key=lambda event: event.at)
        assert parse_at("2026-01-01T00:00:00Z") < walk.start <= walk.at <= walk.end <= walk.start + 3 * DAY


@pytest.mark.parametrize("interval", ["1s", "1m"])
def test_a_schedule_that_comes_all_the_time_does_not_make_streams_long(interval: str) -> None:
    rules = [f"{{id: s, trigger: {{schedule: {{every: {interval}}}}}, {SAYS}}}"]
    rules.append(f"{{id: back, trigger: {{session: {{returned_after: 9d}}}}, {SAYS}}}")
    found = loaded(rules, ["every_rule_fires"]).rules
    maker = Maker(Timeline(found), whole_vocabulary(found, ()), 0)
    # Two days with a session open would be 172,800 of them.
    assert max(len(maker.stream(number, "it", maker.rules).watch.decisions) for number in range(60)) < 20_000

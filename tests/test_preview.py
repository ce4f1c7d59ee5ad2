"""When schedules come, seen beforehand."""

from __future__ import annotations

from datetime import UTC, tzinfo
from itertools import islice

import pytest

from engine.core.rules import Rule, RuleSet
from engine.core.units import DAY, format_at, parse_at
from engine.core.zones import parse_zone
from engine.loading.load import load
from engine.preview import YEAR, changes, intervals, moved, occurrences, schedules
from engine.triggers import KINDS

PARIS, NEW_YORK = parse_zone("Europe/Paris"), parse_zone("America/New_York")
SINCE = parse_at("2026-03-28T00:00:00Z")
MESSAGE = "message: {type: question, text: Hm}"


def rules(*triggers: str, quiet: str = "{}", more: str = "") -> RuleSet:
    lines = [f"  - {{id: r{n}, trigger: {trigger}, {MESSAGE}{more}}}" for n, trigger in enumerate(triggers)]
    policy = f"policy: {{timezone: Europe/Paris, quiet_hours: {quiet}}}"
    return load({"r.yaml": "\n".join(["version: 1", policy, "rules:", *lines, ""])}, KINDS)


def coming(loaded: RuleSet, zone: tzinfo = PARIS, span: int = DAY) -> list[tuple[str, str]]:
    found = schedules(loaded.rules, PARIS, zone)
    return [(format_at(one.at)[5:16], one.rule.id) for one in occurrences(found, SINCE, SINCE + span, zone)]


def test_the_first_moment_is_within_and_the_last_is_not() -> None:
    at_midnight = rules('{schedule: {at: ["00:00"], timezone: Etc/UTC}}')
    assert coming(at_midnight) == [("03-28T00:00", "r0")]
    assert coming(at_midnight, span=DAY + 1) == [("03-28T00:00", "r0"), ("03-29T00:00", "r0")]


def test_the_times_of_all_rules_come_in_one_order_and_those_of_a_moment_in_that_of_the_rules() -> None:
    loaded = rules('{schedule: {at: ["10:00", "12:00"]}}', '{schedule: {at: ["09:00", "10:00"]}}', "{event: e}")
    assert coming(loaded) == [
        ("03-28T08:00", "r1"),
        ("03-28T09:00", "r0"),
        ("03-28T09:00", "r1"),
        ("03-28T11:00", "r0"),
    ]


@pytest.mark.parametrize(
    ("written", "of_paris", "of_new_york"),
    [
        ("", "03-28T08:00", "03-28T08:00"),
        (", timezone: user", "03-28T08:00", "03-28T13:00"),
        (", timezone: Etc/UTC", "03-28T09:00", "03-28T09:00"),
    ],
)
def test_each_schedule_is_read_in_its_own_zone(written: str, of_paris: str, of_new_york: str) -> None:
    loaded = rules(f'{{schedule: {{at: ["09:00"]{written}}}}}')
    assert coming(loaded) == [(of_paris, "r0")]
    assert coming(loaded, NEW_YORK) == [(of_new_york, "r0")]


def test_very_many_times_are_worked_out_only_as_far_as_they_are_asked_for() -> None:
    found = schedules(rules('{schedule: {cron: "* * * * *"}}').rules, PARIS, PARIS)
    assert len(list(islice(occurrences(found, SINCE, SINCE + 300 * DAY, PARIS), 3))) == 3


@pytest.mark.parametrize(
    ("then", "more", "name", "held"),
    [
        ("drop", "", "nights", None),
        ("hold", "", "nights", "2026-03-29T06:00:00.000000Z"),
        ("drop", ", urgent: true", None, None),
        ("drop", ", quiet_hours: none", None, None),
    ],
)
def test_quiet_hours_are_those_of_the_user(then: str, more: str, name: str | None, held: str | None) -> None:
    quiet = f'{{nights: {{from: "22:00", to: "08:00", then: {then}}}}}'
    loaded = rules('{schedule: {at: ["22:00"]}}', quiet=quiet, more=more)
    [one] = occurrences(schedules(loaded.rules, PARIS, PARIS), SINCE, SINCE + DAY, PARIS)
    assert (one.quiet and one.quiet.name) == name
    assert (one.held_until and format_at(one.held_until)) == held
    [elsewhere] = occurrences(schedules(loaded.rules, PARIS, NEW_YORK), SINCE, SINCE + DAY, NEW_YORK)
    assert elsewhere.quiet is None


def test_intervals_have_no_times() -> None:
    loaded = rules("{schedule: {every: 45m}}")
    assert coming(loaded) == []
    assert [(rule.id, span // 60_000_000) for rule, span in intervals(loaded.rules)] == [("r0", 45)]


def test_rules_that_are_off_do_not_come() -> None:
    loaded = rules('{schedule: {at: ["09:00"]}}', "{schedule: {every: 45m}}", more=", mode: off")
    assert coming(loaded) == []
    assert intervals(loaded.rules) == []


def test_the_changes_of_a_year_are_found_to_the_microsecond() -> None:
    spring, autumn = changes(PARIS, SINCE, SINCE + YEAR)
    assert (format_at(spring.at), spring.skips) == ("2026-03-29T01:00:00.000000Z", True)
    assert (f"{spring.before:%H:%M:%S}", f"{spring.after:%H:%M:%S}") == ("02:00:00", "03:00:00")
    assert (format_at(autumn.at), autumn.skips) == ("2026-10-25T01:00:00.000000Z", False)
    assert (f"{autumn.before:%H:%M:%S}", f"{autumn.after:%H:%M:%S}") == ("03:00:00", "02:00:00")
    assert changes(UTC, SINCE, SINCE + YEAR) == []


@pytest.mark.parametrize(
    ("time", "spring", "autumn"),
    [
        ("01:59", None, None),
        ("02:00", "01:00", "00:00"),
        ("02:59", "01:00", "00:59"),
        ("03:00", None, None),
    ],
)
def test_what_is_skipped_comes_behind_the_gap_and_what_is_repeated_the_first_time(
    time: str, spring: str | None, autumn: str | None
) -> None:
    found = schedules(rules(f'{{schedule: {{at: ["{time}"]}}}}').rules, PARIS, PARIS)
    for change, expected in zip(changes(PARIS, SINCE, SINCE + YEAR), (spring, autumn), strict=True):
        assert [format_at(one.at)[11:16] for one in moved(change, found)] == ([expected] if expected else [])


def test_a_change_moves_the_schedules_of_its_own_zone_only() -> None:
    found = schedules(rules('{schedule: {at: ["02:30"], timezone: America/New_York}}').rules, PARIS, PARIS)
    assert [moved(change, found) for change in changes(PARIS, SINCE, SINCE + YEAR)] == [[], []]


def test_what_is_seen_beforehand_is_what_the_trigger_says() -> None:
    loaded = rules('{schedule: {cron: "*/7 1-3 * * *"}}')
    rule: Rule = loaded.rules[0]
    at, expected = SINCE - 1, []
    for _ in range(60):
        following = rule.triggers[0].calendar.next_after(at, PARIS)  # type: ignore[attr-defined]
        expected.append(following)
        at = following
    found = schedules(loaded.rules, PARIS, PARIS)
    assert [one.at for one in islice(occurrences(found, SINCE, SINCE + 30 * DAY, PARIS), 60)] == expected

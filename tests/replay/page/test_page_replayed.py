"""What a page of a dry run says, as far as it can be read without a browser."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from engine.core.rules import RuleSet
from engine.core.units import parse_at
from engine.loading.load import load
from engine.replay.page.about import About
from engine.replay.page.gather import SENT_COUNTED_MAX, Gathered, Mark, UserTimeline
from engine.replay.page.replayed import CHART_RULES_MAX, NAMES_MAX, replay_page
from engine.replay.tally import RuleCount, Tally
from engine.triggers import KINDS

NOON = parse_at("2026-03-27T12:00:00Z")


def rules(count: int) -> RuleSet:
    rule = "  - {{id: r{}, trigger: {{event: a}}, message: {{type: question, text: x}}}}\n"
    return load({"a.yaml": "version: 1\nrules:\n" + "".join(rule.format(number) for number in range(count))}, KINDS)


def page_of(gathered: Gathered, count: int = 1, **counted: int) -> tuple[str, dict[str, object]]:
    """The page, and the data that its scripts read."""
    tally = Tally(users=sum(gathered.per_user.values()))
    for name, candidates in counted.items():
        tally.rules[name] = RuleCount(Counter({"sent": candidates}), 1)
    text = replay_page(tally, gathered, rules(count), About()).decode()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return text, json.loads(found[1])


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        ({0: 3}, ["0"]),
        ({0: 3, 2: 1}, ["0", "1", "2"]),
        ({60: 1}, [str(number) for number in range(61)]),
        ({61: 1}, ["0", "1", "2–4", "5–9", "10–19", "20–49", "50–61"]),
        ({0: 1, 100: 1}, ["0", "1", "2–4", "5–9", "10–19", "20–49", "50–99", "100"]),
        ({SENT_COUNTED_MAX: 1}, [*["0", "1", "2–4", "5–9", "10–19", "20–49", "50–99", "100–199", "200–499"],
                                 *["500–999", "1,000–1,999", "2,000–4,999", "5,000–9,999", "10,000 or more"]]),
    ],
)  # fmt: skip
def test_users_stand_in_bars_by_their_messages(counts: dict[int, int], names: list[str]) -> None:
    _, data = page_of(Gathered("UTC", per_user=Counter(counts)))
    bars = data["perUser"]
    assert isinstance(bars, list)
    assert [name for name, _ in bars] == names
    assert sum(users for _, users in bars) == sum(counts.values())


def test_the_chart_has_the_rules_with_most_candidates_and_the_table_all() -> None:
    counted = {f"r{number}": number for number in range(CHART_RULES_MAX + 1)}
    text, data = page_of(Gathered("UTC"), len(counted), **counted)
    assert [row[0] for row in data["rules"]] == [f"r{number}" for number in range(1, CHART_RULES_MAX + 1)]  # type: ignore[attr-defined]
    assert all(f"<bdi>{name}</bdi></th>" in text for name in counted)
    assert "The chart has the 40 of 41 rules with the most candidates" in text


def test_rules_of_the_past_stand_below_those_of_now() -> None:
    _, data = page_of(Gathered("UTC"), 2, gone=3, r1=1)
    assert [row[0] for row in data["rules"]] == ["r0", "r1", "gone"]  # type: ignore[attr-defined]


def test_texts_that_have_no_room_are_left_out_and_what_is_short_is_not() -> None:
    marks = tuple(Mark(NOON + place, "r0", "sent", "", "", f"{place} ".ljust(280, "x")) for place in range(5000))
    timeline = UserTimeline("ann", 5000, 0, 5000, ((NOON, "type"),), marks)
    _, data = page_of(Gathered("UTC", per_user=Counter({5000: 1}), busiest=[timeline]))
    names = data["timelines"]["names"]  # type: ignore[index,call-overload]
    assert NAMES_MAX - 280 < sum(map(len, names)) <= NAMES_MAX + 80
    assert {"r0", "sent", "type", "…"} <= set(names)


def test_days_with_nothing_are_shown_in_a_short_log_and_left_out_of_a_long_one() -> None:
    near, far = Gathered("UTC"), Gathered("UTC")
    for gathered, days in ((near, (0, 91)), (far, (0, 92))):
        for day in days:
            gathered.days.add(739_000 + day, 1, 1)
    assert len(page_of(near)[1]["days"]["names"]) == 92  # type: ignore[index,call-overload]
    text, data = page_of(far)
    assert len(data["days"]["names"]) == 2  # type: ignore[index,call-overload]
    assert "Days without events or messages are left out" in text

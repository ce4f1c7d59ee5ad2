"""Which fields rules look at is read off them: no more, no less."""

from __future__ import annotations

from engine.loading.load import load
from engine.replay.reads import reads_of
from engine.triggers import KINDS

RULES = """
version: 1
policy: {budgets: {b: {limits: {max: 1, per: 1h}, charged_by: {event: e, where: event.charged}}}}
rules:
  - id: r
    trigger:
      - count: {event: e, where: event.counted > 1, at_least: 2, within: 1m, group_by: [group, deep.place], distinct: d}
      - keywords: {any: [a], field: said}
      - response: {to: s}
    condition: user.skill == "x" and event["odd name"] and len(event.list) > 2
    cooldown: 1m
    cooldown_by: cooled
    deliver: {at: {event: e, where: event.good}, within: 1m}
    message:
      type: question
      text: "{{ event.text.inner }} {{ user['nick'] }} {% if event.maybe is defined %}{{ now.hour }}{% endif %}"
      data: {link: ["{{ event.link | upper }}"]}
  - {id: s, trigger: {event: f}, message: {type: question, text: "{{ event.of_s }}"}}
  - {id: off, mode: off, trigger: {event: f}, message: {type: question, text: "{{ event.of_off }}"}}
"""


def test_every_field_that_is_looked_at_is_found_wherever_it_is_named() -> None:
    rules = load({"rules.yaml": RULES}, KINDS)
    found = reads_of(rules, rules.policy)
    assert found.event == {
        "charged", "counted", "group", "deep.place", "deep", "d", "said", "rule", "response", "odd name", "list",
        "cooled", "good", "text", "maybe", "link", "of_s",
    }  # fmt: skip
    assert found.user == {"timezone", "skill", "nick"}
    assert found.texts == {"said"}
    assert found.all_of == set()
    assert found.looks_at("event", "deep")
    assert not found.looks_at("user", "email")


def test_of_what_is_taken_as_a_whole_every_field_counts() -> None:
    whole = RULES.replace("{{ event.of_s }}", "{% for key in event %}{{ key }}{% endfor %}")
    rules = load({"rules.yaml": whole}, KINDS)
    assert reads_of(rules, rules.policy).looks_at("event", "anything")

"""A trial is summed up: for each variant what was sent and what became of it, and who was held out."""

from __future__ import annotations

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.replay.activity import in_memory
from engine.replay.driver import Replayed, replay, run_users
from engine.replay.trial import Trial
from engine.triggers import KINDS

VARIANTS = "variants: [{id: ask, text: x}, {id: show, text: y}]"
END = 60 * MINUTE


def timeline(more: str = VARIANTS, message: str = "{type: question}") -> Timeline:
    rule = f"  - {{id: r, trigger: {{event: e}}, message: {message}, {more}}}\n"
    return Timeline(load({"a.yaml": "version: 1\nrules:\n" + rule}, KINDS))


def ran(rules: Timeline, events: list[Event]) -> tuple[list[str], Replayed]:
    trial = Trial(rules.latest)
    for one in run_users(in_memory(events), [rules], END):
        trial.see(one)
    return trial.table(), replay(events, rules, END)


def asked(*users: str) -> list[Event]:
    return [Event("e", user, 0, {}) for user in users]


def receipt(word: str, user: str, minute: int = 1, **data: object) -> Event:
    return Event(f"message.{word}", user, minute * MINUTE, data or {"rule": "r"})


def test_without_variants_and_holdouts_there_is_nothing_to_sum_up() -> None:
    assert ran(timeline("", "{type: question, text: x}"), asked("ann"))[0] == []


def test_each_variant_has_a_row_and_together_they_are_what_was_sent() -> None:
    users = [f"u{number}" for number in range(40)]
    lines, replayed = ran(timeline(), asked(*users, "u0"))
    assert lines[:2] == ["variants                     sent    users", "r"]
    rows = [line.split() for line in lines[2:]]
    assert [row[0] for row in rows] == ["ask", "show"]
    assert sum(int(row[1]) for row in rows) == len(replayed.decisions()) == 41
    chosen = [decision.variant for decision in replayed.decisions()]
    assert [int(row[1]) for row in rows] == [chosen.count("ask"), chosen.count("show")]
    assert all(0 < int(row[2]) <= int(row[1]) for row in rows)


def test_a_variant_that_nobody_saw_has_a_row_too() -> None:
    lines, _ = ran(timeline(), [Event("f", "ann", 0, {})])
    assert [line.split() for line in lines[2:]] == [["ask", "0", "0"], ["show", "0", "0"]]


def test_what_became_of_the_messages_is_counted_where_the_log_says_so() -> None:
    rules = timeline("variants: [{id: only, text: x}], expires: 10m")
    events = [
        *asked("ann", "bob", "cem", "dan", "eve"),
        receipt("answered", "ann"),
        receipt("dismissed", "bob", 9),
        receipt("dismissed", "cem", 10),  # it has just expired
        receipt("engaged", "dan"),
        receipt("answered", "eve", rule="another"),
    ]
    lines, replayed = ran(rules, events)
    assert lines == [
        "variants                     sent    users   answered  dismissed    ignored",
        "r",
        "  only                          5        5          1          1          2",
    ]
    [decision] = replayed.by_user["cem"]
    assert decision.message is not None
    by_id = [*asked("cem"), receipt("answered", "cem", 2, message_id=decision.message.id)]
    assert ran(rules, by_id)[0][-1].split() == ["only", "1", "1", "1", "0", "0"]
    assert ran(rules, [*asked("cem"), receipt("answered", "cem", 2, message_id="x")])[0][-1].split() == [
        "only",
        "1",
        "1",
    ]


def test_two_messages_of_a_rule_are_answered_from_the_latest_on() -> None:
    rules = timeline("variants: [{id: only, text: x}], expires: 10m")
    events = [
        *asked("ann"),
        Event("e", "ann", MINUTE, {}),
        receipt("answered", "ann", 2),
        receipt("dismissed", "ann", 3),
    ]
    assert ran(rules, events)[0][-1].split() == ["only", "2", "1", "1", "1", "0"]


def test_who_is_held_out_is_counted_once() -> None:
    lines, _ = ran(timeline(f"{VARIANTS}, holdout: 100%"), asked("ann", "ann", "bob"))
    assert lines[-1].split() == ["(held", "out)", "2"]
    lines, _ = ran(timeline("holdout: 100%", "{type: question, text: x}"), asked("ann"))
    assert lines[1:] == ["r", "  (held out)                             1"]


def test_a_long_name_is_not_cut_and_all_fits_80_columns() -> None:
    name = "a-variant-with-a-rather-long-name"
    rules = timeline(f"variants: [{{id: {name}, text: x}}], expires: 10m")
    lines, _ = ran(rules, [*asked("ann"), receipt("answered", "ann")])
    assert lines[2] == f"  {name}"
    assert all(len(line) <= 80 for line in lines)

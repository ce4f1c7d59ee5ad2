"""A folder of rules as a whole: what is known across files, what a rule becomes, and what names it."""

from __future__ import annotations

from datetime import UTC

import pytest
from samples_for_loading import BAD, GOOD, HERE, SHIPPED, errors_of, file_of, load_texts, rule, text_of

from engine.core.rules import Cap, Rule
from engine.core.units import DAY, HOUR, MINUTE, SECOND
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.load import load
from engine.loading.read import SUGGESTIONS_MAX, WORDS_MAX
from engine.triggers import KINDS


@pytest.mark.parametrize("path", GOOD + SHIPPED, ids=lambda path: path.stem)
def test_a_good_file_loads_with_any_line_breaks_and_with_a_byte_order_mark(path) -> None:  # type: ignore[no-untyped-def]
    text = text_of(path)
    plain = load_texts(text)
    for other in (text.replace("\n", "\r\n"), "\ufeff" + text):
        again = load_texts(other)
        assert [each.id for each in again.rules] == [each.id for each in plain.rules]
        assert again.keys == plain.keys
        assert [each.written for each in again.rules] == [each.written for each in plain.rules]


def every_key() -> tuple[Rule, Rule]:
    defaulted, explicit = load_texts(text_of(HERE / "good" / "every-key.yaml")).rules
    return defaulted, explicit


def test_every_key_of_a_rule_arrives() -> None:
    _, said = every_key()
    assert (said.id, said.order, said.path, said.line) == ("says-everything.itself_2", 1, "1.yaml", 11)
    assert said.description == "Overrides every default."
    assert [trigger.kind for trigger in said.triggers] == [
        "event", "keywords", "inactivity", "inactivity", "schedule", "schedule", "schedule",
    ]  # fmt: skip
    assert [condition.source for condition in said.conditions] == [
        'user.skill != "expert"', "session.age > 8m or now.hour >= 12", "true",
    ]  # fmt: skip
    assert (said.priority, said.cooldown, said.warmup, said.mode) == (-3, DAY, 5 * SECOND, "live")
    assert said.caps == (Cap(1, "session"), Cap(2, HOUR), Cap(9, "user"))
    message = said.message
    assert (message.type, message.fallback, message.options) == (
        "code_suggestion", "Need a hand?", ("Yes please", "Not now"),
    )  # fmt: skip
    assert message.text.source == "{{ trigger.kind }}, {{ user.name }}?\n"
    assert message.data["sizes"] == [1, 2.5, None, True]
    assert message.data["deep"]["a"]["b"].source == "{{ user.id }}"


def test_defaults_hold_where_a_rule_says_nothing() -> None:
    rule, _ = every_key()
    assert (rule.cooldown, rule.expires, rule.warmup, rule.priority, rule.mode) == (
        10 * MINUTE, 15 * MINUTE, MINUTE, 5, "shadow",
    )  # fmt: skip
    assert rule.caps == (Cap(3, "day"),)


def test_defaults_are_those_of_their_own_file() -> None:
    first, second = load_texts("defaults: {cooldown: 1m}\n" + file_of(rule("a")), file_of(rule("b"))).rules
    assert (first.cooldown, second.cooldown) == (MINUTE, None)


@pytest.mark.parametrize(
    ("message", "of_rule", "default", "expected"),
    [
        ("1s", "2s", "3s", SECOND),
        (None, "2s", "3s", 2 * SECOND),
        (None, None, "3s", 3 * SECOND),
        (None, None, None, None),
    ],
)
def test_the_expiry_nearest_to_the_text_counts(
    message: str | None, of_rule: str | None, default: str | None, expected: int | None
) -> None:
    text = file_of(rule(extra=f"expires: {of_rule}" if of_rule else ""))
    if message:
        text = text.replace("text: Well?", f"text: Well?, expires: {message}")
    if default:
        text += f"defaults: {{expires: {default}}}\n"
    (loaded,) = load_texts(text).rules
    assert loaded.expires == expected


def test_a_policy_holds_for_the_folder_and_has_its_defaults() -> None:
    policy = load_texts(file_of(rule("a")), text_of(HERE / "good" / "every-key.yaml")).policy
    assert (policy.zone_name, str(policy.zone), policy.simultaneous) == ("Europe/Paris", "Europe/Paris", 2)
    assert policy.session_timeout == 45 * MINUTE
    assert load_texts(file_of(rule())).policy.zone is UTC


def test_lists_are_shared_by_all_files_whatever_their_order() -> None:
    uses = file_of(rule(trigger='{keywords: {any: ["@terms", stuck, "@terms2"]}}'))
    lists = "version: 1\nlists: {terms: [one, two], terms2: [two, three]}\n"
    for texts in ((uses, lists), (lists, uses)):
        ((trigger,),) = (rule.triggers for rule in load_texts(*texts).rules)
        assert {word for word, _ in trigger.any} == {"one", "two", "three", "stuck"}  # type: ignore[attr-defined]


def test_what_may_stand_once_in_a_folder_names_its_first_place() -> None:
    lists = "version: 1\nlists:\n  a: [x]\npolicy: {simultaneous: 1}\n"
    first, second, third = errors_of(file_of(rule("x")) + lists[11:], lists, file_of(rule("y"), rule("x")))
    assert str(first) == '2.yaml:3:3: repeated list "a", first written in 1.yaml:7 [repeated-list]'
    assert str(second) == "2.yaml:4:9: repeated policy, first written in 1.yaml:8 [repeated-policy]"
    assert str(third) == '3.yaml:6:9: repeated id "x", first written in 1.yaml:3 [repeated-id]'


def test_a_list_in_a_file_that_cannot_be_read_is_not_unknown() -> None:
    uses = file_of(rule(trigger='{keywords: {any: ["@terms"]}}'))
    assert [str(error) for error in errors_of(uses, "lists: ]")] == ["2.yaml:1:8: expected a value here [yaml-syntax]"]
    for lists in ("{terms: [5]}", "5", "[terms]", ""):
        assert [error.code for error in errors_of(uses, f"version: 1\nlists: {lists}\n")] == ["wrong-type"]


FIVE_MISTAKES = """\
version: 1
rules:
  - id: first one
    tirgger: {inactivity: 5}
    message: {type: question, text: "Hi {{ usr.name }}"}
  - id: second
    trigger: {keywords: {any: [stuck]}}
    condition: user.skill = "expert"
    message: {type: question, text: Well?}
    cooldown: 5 minutes
"""


def test_all_mistakes_of_a_file_are_listed_in_its_order() -> None:
    assert [(error.line, error.column, error.code) for error in errors_of(FIVE_MISTAKES)] == [
        (3, 9, "bad-id"),
        (4, 5, "unknown-key"),
        (4, 27, "bad-value"),  # what a misspelt key says is checked as well
        (5, 44, "unknown-name"),
        (8, 27, "bad-expression"),
        (10, 15, "bad-value"),
    ]


def test_all_mistakes_of_all_files_are_listed_by_path() -> None:
    with pytest.raises(RuleErrors) as caught:
        load({path.name: text_of(path) for path in BAD}, KINDS)
    paths = [error.path for error in caught.value.diagnostics]
    assert set(paths) >= {path.name for path in BAD}
    assert paths == sorted(paths)


def test_the_summary_counts_errors_and_files() -> None:
    one = Diagnostic("a.yaml", 1, 1, "wrong", "x")
    assert RuleErrors([one, one]).summary == "1 error in 1 file"
    assert RuleErrors([one, Diagnostic("b.yaml", 1, 1, "wrong", "x")]).summary == "2 errors in 2 files"
    assert RuleErrors([one, Diagnostic("c", 0, 0, "wrong", "x")]).summary == "2 errors"
    assert str(RuleErrors([Diagnostic("c", 0, 0, "wrong", "x")])) == "c: wrong [x]"
    assert str(RuleErrors([one]).under("rules/")) == "rules/a.yaml:1:1: wrong [x]"
    assert str(RuleErrors([one]).under(".")) == "a.yaml:1:1: wrong [x]"


def test_rules_stand_in_the_order_of_the_paths_then_of_the_files() -> None:
    loaded = load({"b.yaml": file_of(rule("1"[0] + "x")), "a/z.yaml": file_of(rule("y"), rule("b"))}, KINDS)
    assert [(each.id, each.order) for each in loaded.rules] == [("y", 0), ("b", 1), ("1x", 2)]


def key(trigger: str, lists: str = "{}") -> str:
    ((found,),) = (each.triggers for each in load_texts(file_of(rule(trigger=trigger)) + f"lists: {lists}\n").rules)
    return found.key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{inactivity: 5m}", "\n      inactivity:\n        for: 300s  # five minutes"),
        ("{inactivity: {for: 5m, after: a.b}}", "{inactivity: {after: {event: [a.b]}, for: '5m'}}"),
        ("{event: {event: a.b, where: event.x  ==  1}}", '{event: {where: "event.x == 1", event: a.b}}'),
        ("{event: {event: a.b, where: event.x == 1}}", "{event: a.b, where: event.x == 1}"),
        ("{event: {event: [a.b, c], where: event.x == 1}}", "[{where: event.x == 1, event: [a.b, c]}]"),
        ("{keywords: {any: [x, y]}}", '{keywords: {any: ["@l"]}}'),
    ],
)
def test_another_way_to_write_a_trigger_keeps_its_key(one: str, other: str) -> None:
    assert key(one, "{l: [x, y]}") == key(other, "{l: [x, y]}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{inactivity: 5m}", "{inactivity: 5m1ms}"),
        ("{event: a.b}", "{event: a.c}"),
        ("{event: {event: a.b, where: 'event.x == \"a b\"'}}", "{event: {event: a.b, where: 'event.x == \"a  b\"'}}"),
        ("{keywords: {any: [x]}}", "{keywords: {all: [x]}}"),
    ],
)
def test_another_meaning_of_a_trigger_changes_its_key(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_a_key_follows_the_words_of_a_list() -> None:
    trigger = '{keywords: {any: ["@l"]}}'
    assert key(trigger, "{l: [x]}") != key(trigger, "{l: [y]}")


def test_a_key_is_what_users_states_hold_and_does_not_change() -> None:
    # A change here makes every rule forget: then the version of the state changes as well.
    assert key("{inactivity: 5m}") == "hello/inactivity-6bcdaf5f"


def test_the_hash_depends_on_paths_and_texts_alone() -> None:
    a, b = file_of(rule("a")), file_of(rule("b"))
    assert load({"1": a, "2": b}, KINDS).hash == load({"2": b, "1": a}, KINDS).hash
    assert len({load(files, KINDS).hash for files in ({"1": a}, {"2": a}, {"1": b}, {"1": a + "\n"})}) == 4
    assert load({"1": a}, KINDS).sources == {"1": a}


def test_a_rule_is_the_same_as_written_whatever_its_form_and_its_place() -> None:
    plain = load_texts(file_of(rule("x"), rule("a", extra="cooldown: 60s"))).rules[1]
    defaulted = load_texts("defaults: {cooldown: 1m}\n" + file_of(rule("a"))).rules[0]
    changed = load_texts(file_of(rule("a", extra="cooldown: 61s"))).rules[0]
    assert plain.written == defaulted.written != changed.written


def test_a_where_beside_the_type_is_the_one_within() -> None:
    within = load_texts(file_of(rule(trigger="{event: {event: a.b, where: event.x == 1}}"))).rules[0]
    beside = load_texts(file_of(rule(trigger="{event: a.b, where: event.x == 1}"))).rules[0]
    assert beside.written == within.written
    assert beside.triggers[0].equality == within.triggers[0].equality


def test_facts_of_any_of_its_triggers_are_known_to_a_rule() -> None:
    triggers = "[{inactivity: 5m}, {keywords: {any: [x]}}]"
    condition = "condition: default(trigger.idle, 1s) >= 5m or defined(trigger.keyword) or trigger.kind == 'x'"
    assert load_texts(file_of(rule(trigger=triggers, extra=condition)))
    (error,) = errors_of(file_of(rule(trigger="{inactivity: 5m}", extra="condition: trigger.keyword == 'x'")))
    assert error.code == "unknown-name"


def test_a_thousand_rules_load() -> None:
    rules = [rule(f"r{number}", trigger=f"{{keywords: {{any: [w{number}]}}}}") for number in range(1000)]
    assert len(load_texts(file_of(*rules)).rules) == 1000


def test_near_names_are_looked_for_until_there_are_many_errors() -> None:
    # To compare thousands of unknown names with thousands of lists would take minutes.
    names = ", ".join(f'"@{letter}_terms"' for letter in "abcdefghijklmnopqrstuvwxyz")
    errors = errors_of(file_of(rule(trigger=f"{{keywords: {{any: [{names}]}}}}")) + "lists: {zz_terms: [x]}\n")
    suggested = ['did you mean "zz_terms"?' in error.message for error in errors]
    assert suggested == [True] * SUGGESTIONS_MAX + [False] * (26 - SUGGESTIONS_MAX)


@pytest.mark.parametrize(("count", "codes"), [(WORDS_MAX, []), (WORDS_MAX + 1, ["too-large"])])
def test_the_words_of_a_list_are_bounded(count: int, codes: list[str]) -> None:
    words = ", ".join(f"w{number}" for number in range(count))
    assert [error.code for error in errors_of(f"version: 1\nlists: {{many: [{words}]}}\n")] == codes

"""What a rule becomes with all that the language has; what is said of names, and what is not said twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from samples_for_loading import GOOD, HERE, errors_of, file_of, load_texts, rule, text_of

from engine.core import shapes
from engine.core.quiet import QuietHours
from engine.core.rules import Backoff, Budget, Cap, Limit, Policy, Rule
from engine.core.units import DAY, HOUR, MINUTE, SECOND
from engine.loading import tree
from engine.loading.language import DEFAULTS, TAKEN_BACK, file_shape
from engine.loading.tree import Node, parse_tree
from engine.triggers import KINDS

EVERY_DAY = frozenset(range(7))


def of_file(name: str) -> tuple[Rule, Rule, Policy]:
    loaded = load_texts(text_of(HERE / "good" / f"{name}.yaml"))
    first, second = loaded.rules
    return first, second, loaded.policy


def test_every_key_of_the_policy_arrives() -> None:
    *_, policy = of_file("whole-language")
    assert (policy.seed, policy.holdout) == ("spring", 0.05)
    attention, hints = policy.budgets.values()
    limits = (Limit(1, 2 * MINUTE), Limit(6, "session"), Limit(2, "day", "less"))
    assert attention == Budget("attention", limits)
    assert (hints.name, hints.limits) == ("hints", (Limit(3, "user"),))
    assert [(charge.matcher.event_types, charge.cost) for charge in hints.charges] == [
        (("hint.taken",), 1),
        (("solution.shown", "answer.shown"), 3),
    ]
    assert [matcher.event_types for matcher in hints.resets] == [("exercise.opened",), ("exercise.left",)]
    assert policy.quiet_hours == {
        "nights": QuietHours("nights", frozenset(range(5)), 22 * 60, 8 * 60),
        "lunch": QuietHours("lunch", EVERY_DAY, 12 * 60, 13 * 60, "hold"),
    }


def test_every_key_that_a_rule_may_have_arrives() -> None:
    ask, follow, policy = of_file("whole-language")
    assert (ask.was, ask.topic, ask.level, ask.keeps_offline, ask.urgent) == ("ask-first", "hints", "less", True, False)
    assert (ask.cooldown, ask.backoff, ask.resets_on_answer) == (10 * MINUTE, Backoff(2, DAY), True)
    assert ask.cooldown_by is not None
    assert ask.cooldown_by.fields == ("context.file",)
    assert (ask.budgets, ask.holdout) == (tuple(policy.budgets.values()), 0.1)
    assert ask.quiet_hours == (policy.quiet_hours["nights"].ending_in("hold"),)
    deliver = ask.deliver
    assert deliver is not None
    assert [matcher.event_types for matcher in deliver.breakpoints] == [("test.*",), ("file.saved",)]
    assert [matcher.event_types for matcher in deliver.cancels] == [("test.passed",)]
    assert (deliver.within, deliver.otherwise, deliver.quiet_for) == (90 * SECOND, "drop", 5 * SECOND)
    assert (follow.budgets, follow.quiet_hours, follow.urgent, follow.expires) == ((), (), True, 2 * MINUTE)


def test_variants_have_what_the_message_has_and_they_do_not_and_are_drawn_by_weight() -> None:
    ask, follow, _ = of_file("whole-language")
    shown = [(each.id, each.share, each.text.source) for each in ask.message.variants]
    assert shown == [("ask", 2 / 3, "Want a hint?"), ("show", 1 / 3, "Here is a hint: …")]
    short, long = follow.message.variants
    assert (short.share, short.fallback, short.options) == (0.5, "Really so?", ("Yes", "No"))
    assert short.data["link"].source == "/{{ user.id }}"
    assert (long.share, long.fallback, long.options, long.data) == (0.5, "So?", ("Yes",), {"link": "/docs"})


def test_every_default_holds_until_a_rule_says_otherwise() -> None:
    takes_all, takes_none, policy = of_file("all-by-default")
    assert (takes_all.priority, takes_all.warmup, takes_all.expires, takes_all.mode) == (
        3, MINUTE, 15 * MINUTE, "shadow",
    )  # fmt: skip
    assert (takes_all.topic, takes_all.level, takes_all.keeps_offline, takes_all.urgent) == (
        "hints", "more", True, True,
    )  # fmt: skip
    assert (takes_all.backoff, takes_all.caps, takes_all.holdout) == (Backoff(3), (Cap(3, "day"),), 0.025)
    assert (takes_all.budgets, takes_all.quiet_hours) == (
        (policy.budgets["attention"],), (policy.quiet_hours["nights"],),
    )  # fmt: skip
    assert (takes_none.topic, takes_none.level, takes_none.keeps_offline, takes_none.urgent) == (
        "tests", "normal", False, False,
    )  # fmt: skip
    assert (takes_none.backoff, takes_none.caps, takes_none.holdout) == (Backoff(2, HOUR), (Cap(9, "user"),), 0.0)
    assert takes_none.budgets == ()
    assert [(hours.name, hours.then) for hours in takes_none.quiet_hours] == [("nights", "hold"), ("lunch", "hold")]
    for each in (takes_all, takes_none):
        assert each.deliver is not None
        assert each.cooldown_by is not None
    # A rule that has the key replaces the whole of it.
    assert takes_all.deliver.quiet_for == 5 * SECOND  # type: ignore[union-attr]
    assert takes_none.deliver.quiet_for is None  # type: ignore[union-attr]


Key = tuple[tuple[str, ...], str]  # the keys that may stand beside it, and its own


def keys_of(shape: shapes.Shape) -> set[Key]:
    """Every key that may be written."""
    if isinstance(shape, shapes.ListOf | shapes.MapOf):
        return keys_of(shape.item)
    if not isinstance(shape, shapes.Fields):
        return set()
    own = {(tuple(shape.keys), name) for name in shape.keys}
    return own.union(*[keys_of(inner) for inner in shape.keys.values()])


def keys_in(node: Node, shape: shapes.Shape | None) -> set[Key]:
    """Every key that was written; a value in short stands for its key."""
    if isinstance(shape, shapes.ListOf):
        items = node.items if isinstance(node, tree.Sequence) else (node,)
        return set().union(*[keys_in(item, shape.item) for item in items])
    if isinstance(shape, shapes.MapOf) and isinstance(node, tree.Mapping):
        return set().union(*[keys_in(value, shape.item) for _, value in node.entries.values()])
    if not isinstance(shape, shapes.Fields):
        return set()
    if not isinstance(node, tree.Mapping):
        return {(tuple(shape.keys), str(shape.shorthand))}
    found = {(tuple(shape.keys), name) for name in node.entries if name in shape.keys}
    return found.union(*[keys_in(value, shape.shape_of(name)) for name, (_, value) in node.entries.items()])


def test_every_key_of_the_language_stands_in_a_good_file() -> None:
    shape = file_shape(KINDS)
    roots = [parse_tree(path.name, text_of(path)).root for path in GOOD]
    written = set().union(*[keys_in(root, shape) for root in roots if root is not None])
    assert keys_of(shape) - written == set()


POLICY = """\
policy:
  budgets: {attention: {limits: {max: 1, per: 2m}}}
  quiet_hours: {nights: {from: "22:00", to: "08:00"}}
"""
NAMES = file_of(rule(extra="budget: attention\n    quiet_hours: nights"))
ALONE = "version: 1\n"


def codes(*texts: str) -> list[str]:
    return [error.code for error in errors_of(*texts)]


def test_the_policy_may_stand_in_any_file_of_the_folder() -> None:
    assert codes(NAMES, ALONE + POLICY) == codes(ALONE + POLICY, NAMES) == []
    assert codes(NAMES) == ["unknown-budget", "unknown-quiet-hours"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("policy: [", ["yaml-syntax"]),
        ("policy: {}\npolicy: {}\n", ["repeated-key", "unknown-budget", "unknown-quiet-hours"]),
        ("policy:\n", ["wrong-type"]),
        ("policy: {simultaneous: 0}\n", ["bad-value", "unknown-budget", "unknown-quiet-hours"]),
        ("policy: {budgest: {attention: 5}}\n", ["unknown-key", "wrong-type", "unknown-quiet-hours"]),
        ("policy: {limits: {}}\n", ["unknown-key"]),
        ("policy: {limits: {}, budgets: {}}\n", ["unknown-key", "unknown-budget"]),
        ("policy: {budgets: 5}\n", ["wrong-type", "unknown-quiet-hours"]),
        ("policy: {budgets: {attention: 5}}\n", ["wrong-type", "unknown-quiet-hours"]),
        ("policy: {budgets: {none: {limits: {max: 1, per: day}}}}\n", ["bad-value", "unknown-quiet-hours"]),
        ('policy: {quiet_hours: {nights: {from: "22:00", to: "22:00"}}}\n', ["bad-value", "unknown-budget"]),
        ("policies: {}\n", ["unknown-key", "unknown-budget", "unknown-quiet-hours"]),
    ],
)
def test_of_a_policy_that_is_wrong_the_names_are_known_that_can_be_read(policy: str, expected: list[str]) -> None:
    assert codes(ALONE + policy, NAMES) == expected


@pytest.mark.parametrize(
    ("trigger", "extra", "message", "expected"),
    [
        # Of the rule that is answered and of the one that answers anything else may be wrong.
        ("{to: hello, is: Yes pleas}", "colour: red", "", ["unknown-key", "unknown-option"]),
        ("{to: hello, is: Yes pleas}", "", "", ["unknown-option"]),
        ("{to: inarow, colour: red}", "", "", ["unknown-rule", "unknown-key"]),
        ("{to: hello, is: Yes pleas, colour: red}", "", "", ["unknown-option", "unknown-key"]),
        ("{to: 5, is: Yes pleas}", "", "", ["wrong-type"]),
        ("{is: Yes pleas}", "", "", ["missing-key"]),
        ("{to: hello, is: Yes pleas}", "", ", txt: Hm", ["unknown-key"]),
        ("{to: hello, is: Yes pleas}", "", ", fallback: 5", ["wrong-type", "unknown-option"]),
        ("{to: hello, is: Yes pleas}", "", ", variants: 5", ["conflict", "wrong-type"]),
        ("{to: hello, is: Yes pleas}", "", ", variants: [{id: a, text: T, options: [5]}]", ["conflict", "wrong-type"]),
    ],
)
def test_what_rules_say_of_each_other_is_looked_at_where_something_else_is_wrong(
    trigger: str, extra: str, message: str, expected: list[str]
) -> None:
    offers = rule("hello", extra=extra).replace("text: Well?", f"text: Well?, options: [Yes please]{message}")
    assert codes(file_of(offers, rule("other", trigger=f"{{response: {trigger}}}"))) == expected


def test_names_are_repeated_also_where_the_first_or_the_second_is_wrong() -> None:
    wrong = "{name: one, events: [], expect: [], colour: red}"
    right = "{name: one, events: [], expect: []}"
    for first, second, expected in (
        (wrong, right, ["unknown-key", "repeated-test"]),
        (right, wrong, ["repeated-test", "unknown-key"]),
    ):
        assert codes(f"{ALONE}rules: []\ntests:\n  - {first}\n  - {second}\n") == expected
    first, second = "{at_most: 1, per: week, name: a}", "{at_most: 2, per: day, name: a}"
    expected = ["bad-value", "repeated-invariant"]
    assert codes(f"{ALONE}rules: []\ninvariants:\n  - {first}\n  - {second}\n") == expected


def test_of_two_policies_either_may_have_the_name() -> None:
    assert codes(ALONE + "policy: {simultaneous: 1}\n", ALONE + POLICY, NAMES) == ["repeated-policy"]


def test_all_names_that_are_unknown_are_listed() -> None:
    first, second, third = errors_of(
        file_of(rule(extra="budget: [atention, attention, zebra]\n    quiet_hours: {in: nigths}")), ALONE + POLICY
    )
    assert str(first) == '1.yaml:6:14: unknown budget "atention", did you mean "attention"? [unknown-budget]'
    assert str(second) == '1.yaml:6:35: unknown budget "zebra"; the policy has "attention" [unknown-budget]'
    assert str(third) == '1.yaml:7:23: unknown quiet hours "nigths", did you mean "nights"? [unknown-quiet-hours]'


def answers(to: str, extra: str = "") -> str:
    return file_of(rule("answers", trigger=f"{{response: {{to: {to}}}}}", extra=extra))


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], ["unknown-rule"]),
        ([file_of(rule("hello"))], []),
        # It may stand where nothing, or no id, could be read.
        (["rules: ]"], ["yaml-syntax"]),
        ([ALONE + "rules: {}\n"], ["wrong-type"]),
        ([file_of("  - hello\n")], ["wrong-type"]),
        ([file_of(rule("5"))], ["wrong-type"]),
        # Of a rule that is wrong there is at least the id.
        ([file_of(rule("hello", extra="cooldown: 5"))], ["bad-value"]),
        ([file_of(rule("other", extra="cooldown: 5"))], ["unknown-rule", "bad-value"]),
        ([file_of(rule("hello"), rule("hello"))], ["repeated-id"]),
    ],
)
def test_a_response_is_to_a_rule_of_any_file(others: list[str], expected: list[str]) -> None:
    assert codes(answers("hello"), *others) == expected


def test_a_response_of_a_rule_that_is_wrong_itself_is_checked_as_well() -> None:
    assert codes(answers("hello", extra="cooldown: 5")) == ["unknown-rule", "bad-value"]


@pytest.mark.parametrize(
    ("defaults", "extra", "expected"),
    [
        ("{cooldown: 5m}", "on_dismiss: {cooldown: x2}", []),
        ("{on_dismiss: {cooldown: x2}}", "cooldown: 5m", []),
        ("{on_dismiss: {cooldown: x2}}", "on_answer: reset", ["missing-key"]),
        ("{cooldown: 5m, on_dismiss: {cooldown: x2}}", "on_answer: reset", []),
        ("{cooldown: 5}", "on_dismiss: {cooldown: x2}", ["bad-value"]),
        ("{colour: red}", "on_dismiss: {cooldown: x2}", ["unknown-key"]),
        ("5", "cooldown_by: test", ["wrong-type"]),
        ("{}", "cooldown_by: test", ["missing-key"]),
        ("{cooldown_by: test}", "", ["missing-key"]),
    ],
)
def test_what_a_key_needs_a_rule_may_have_by_default(defaults: str, extra: str, expected: list[str]) -> None:
    assert codes(file_of(rule(extra=extra)) + f"defaults: {defaults}\n") == expected


def test_defaults_need_it_among_themselves_where_there_are_no_rules() -> None:
    assert codes(ALONE + "defaults: {cooldown_by: test}\nrules: []\n") == ["missing-key"]


def written(text: str) -> str:
    return load_texts(text).rules[0].written


def test_variants_mean_the_same_beside_the_message_and_in_it() -> None:
    inside = "version: 1\nrules:\n  - {id: a, trigger: {event: x}, message: {type: b, variants: [{id: v, text: T}]}}\n"
    beside = "version: 1\nrules:\n  - {id: a, trigger: {event: x}, variants: [{id: v, text: T}], message: {type: b}}\n"
    assert written(inside) == written(beside) != written(inside.replace("text: T", "text: S"))


def test_variants_at_both_places_are_both_read() -> None:
    text = """\
version: 1
rules:
  - id: a
    trigger: {event: x}
    message: {type: b, variants: [{id: one}]}
    variants: [{id: two, weight: 0, text: T}]
"""
    assert [(error.line, error.code) for error in errors_of(text)] == [
        (5, "missing-key"), (6, "conflict"), (6, "bad-value"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("holdout: 10%", "holdout: '10.0 %'", True),
        ("holdout: 10%", "holdout: 10.5%", False),
        ("budget: attention", "budget: [attention]", True),
        ("quiet_hours: nights", "quiet_hours: {in: [nights]}", True),
        ("quiet_hours: nights", "quiet_hours: {in: nights, then: hold}", False),
        ("deliver: {at: a, within: 60s}", "deliver: {within: 1m, at: [{event: [a]}]}", True),
    ],
)
def test_a_rule_is_edited_where_its_meaning_is(one: str, other: str, same: bool) -> None:
    first, second = (written(file_of(rule(extra=extra)) + POLICY) for extra in (one, other))
    assert (first == second) is same


def test_a_change_of_the_policy_edits_no_rule() -> None:
    assert written(NAMES + POLICY) == written(NAMES + POLICY.replace("max: 1", "max: 2").replace("08:00", "09:00"))


def test_a_policy_that_changed_is_the_one_that_the_rules_have() -> None:
    changed = load_texts(NAMES + POLICY.replace("max: 1", "max: 2"))
    assert changed.rules[0].budgets == (changed.policy.budgets["attention"],)
    assert changed.rules[0].budgets[0].limits == (Limit(2, 2 * MINUTE),)


def test_all_that_a_rule_may_have_by_default_is_in_the_good_file() -> None:
    root: Any = parse_tree("x", text_of(HERE / "good" / "all-by-default.yaml")).root
    assert set(root.entries["defaults"][1].entries) == set(DEFAULTS)


BY_DEFAULT = """\
  cooldown: 10m
  cooldown_by: test
  on_dismiss: {cooldown: x2}
  on_answer: reset
  max: {max: 2, per: session}
  warmup: 1m
  expires: 5m
  topic: tests
  holdout: 10%
  deliver: {at: file.saved, within: 1m}
"""


def test_what_is_taken_back_is_as_if_it_had_not_been_written() -> None:
    bare = load_texts(file_of(rule())).rules[0]
    none = [f"{name}: none" for name in TAKEN_BACK]
    for defaults in ("", f"defaults:\n{BY_DEFAULT}"):
        taken = load_texts(file_of(rule(extra="\n    ".join(none))) + defaults).rules[0]
        # Compiled templates and triggers are the same only as themselves; `written` has what they say.
        assert replace(taken, message=bare.message, triggers=bare.triggers) == bare


# What needs `cooldown` or `on_dismiss` cannot stand among defaults without it.
@pytest.mark.parametrize("name", sorted({*TAKEN_BACK} - {"cooldown", "on_dismiss"}))
def test_one_default_is_taken_back_and_no_other(name: str) -> None:
    others = "".join(line + "\n" for line in BY_DEFAULT.splitlines() if not line.startswith(f"  {name}:"))
    without = file_of(rule()) + f"defaults:\n{others}"
    assert written(file_of(rule(extra=f"{name}: none")) + f"defaults:\n{BY_DEFAULT}") == written(without)

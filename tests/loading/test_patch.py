from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_for_loading import GOOD, SHIPPED, text_of

from engine.core.refusal import Refused
from engine.core.units import format_duration, parse_duration
from engine.loading import tree
from engine.loading.load import load
from engine.loading.patch import patch, value_at, written
from engine.loading.tree import Node, Scalar, parse_tree
from engine.triggers import KINDS

TEXTS = {path.name: text_of(path) for path in GOOD + SHIPPED}


def changed(text: str, path: str, value: str) -> str:
    return patch({"a.yaml": text}, path, value, KINDS)["a.yaml"]


def refused(text: str, path: str, value: str = "1") -> str:
    with pytest.raises(Refused) as caught:
        changed(text, path, value)
    return f"{caught.value.message} | {caught.value.hint}"


def rule(*lines: str) -> str:
    return "\n".join(["version: 1", "rules:", "  - id: stuck", *(f"    {line}" for line in lines), ""])


MESSAGE = "message: {type: question, text: Well?}"


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("cooldown: 5m  # so long", "stuck.cooldown", "90s", "cooldown: 90s  # so long"),
        ("cooldown: '5m'", "stuck.cooldown", "90s", "cooldown: 90s"),
        ("trigger: {count: {at_least: 3, within: 5m}}", "stuck.trigger.count.at_least", "2",
         "trigger: {count: {at_least: 2, within: 5m}}"),
        ("max: [{max: 1, per: day}, {max: 2, per: user}]", "stuck.max[1].per", "session",
         "max: [{max: 1, per: day}, {max: 2, per: session}]"),
        ("max: {max: 1, per: day}", "stuck.max[0].max", "4", "max: {max: 4, per: day}"),
        ("max: [{max: 1, per: day}]", "stuck.max.max", "4", "max: [{max: 4, per: day}]"),
        ("trigger: [{event: a}, {inactivity: 5m}]", "stuck.trigger.inactivity", "9m",
         "trigger: [{event: a}, {inactivity: 9m}]"),
        ("trigger: {inactivity: 5m}", "stuck.trigger.inactivity.for", "9m", "trigger: {inactivity: 9m}"),
        ("trigger: {inactivity: {for: 5m, after: a}}", "stuck.trigger.inactivity", "9m",
         "trigger: {inactivity: {for: 9m, after: a}}"),
        ("trigger: {inactivity: 5m}", "stuck.trigger.inactivity.after.event", "a",
         "trigger: {inactivity: {for: 5m, after: {event: a}}}"),
        ("trigger: {inactivity: 5m}", "stuck.trigger.inactivity.after", "a",
         "trigger: {inactivity: {for: 5m, after: a}}"),
        ("trigger: {event: a, where: event.x}", "stuck.trigger.event.where", "event.y > 1",
         'trigger: {event: a, where: "event.y > 1"}'),
        ("trigger: {event: a}", "stuck.trigger.event.where", "event.y", "trigger: {event: {event: a, where: event.y}}"),
        ("trigger: {event: a}", "stuck.trigger.where", "event.y", "trigger: {event: a, where: event.y}"),
        ("message: {type: question, data: {a.b: 1, a: {b: 2}}}", "stuck.message.data.a.b", "3",
         "message: {type: question, data: {a.b: 3, a: {b: 2}}}"),
        ("message: {type: question, data: {}}", "stuck.message.data.new", "[1, x, '2']",
         'message: {type: question, data: {new: [1, x, "2"]}}'),
        ("message: {type: question, text: a,}", "stuck.message.expires", "5m",
         "message: {type: question, text: a, expires: 5m,}"),
        ("cooldown:", "stuck.cooldown", "5m", "cooldown: 5m"),
        ("message: {type: question, text}", "stuck.message.text", "Well", "message: {type: question, text: Well}"),
        ("condition: true", "stuck.condition", '[a, "b, c"]', 'condition: [a, "b, c"]'),
    ],
)  # fmt: skip
def test_one_value_is_changed_and_no_more(before: str, path: str, value: str, after: str) -> None:
    assert changed(rule(before, "priority: 1"), path, value) == rule(after, "priority: 1")


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        # A key is added behind the last one, and behind what is said of it.
        (("priority: 1  # first",), "stuck.cooldown", "5m", ("priority: 1  # first", "cooldown: 5m")),
        (("trigger:", "  count:", "    within: 5m", "# end"), "stuck.trigger.count.at_least", "2",
         ("trigger:", "  count:", "    within: 5m", "    at_least: 2", "# end")),
        (("message:", "  text: |", "    so", "", "  # it is"), "stuck.message.expires", "5m",
         ("message:", "  text: |", "    so", "", "  expires: 5m", "  # it is")),
        (("message:", "  text: |+", "    so", "", ""), "stuck.message.expires", "5m",
         ("message:", "  text: |+", "    so", "", "", "  expires: 5m")),
        # What is missing on the way is added with it.
        (("priority: 1",), "stuck.deliver.quiet_for", "5s", ("priority: 1", "deliver: {quiet_for: 5s}")),
        # A block gives way to brackets, which stand deeper than their key.
        (("max:", "- max: 1", "  per: day", "priority: 1"), "stuck.max", "none", ("max:", " none", "priority: 1")),
        (("message:", "  text: >-", "    so", "    it is", "", "  # it is", "  type: question"), "stuck.message.text",
         "|\n yes:\n", ("message:", '  text: "yes:\\n"', "", "  # it is", "  type: question")),
    ],
)  # fmt: skip
def test_blocks_keep_their_form(before: tuple[str, ...], path: str, value: str, after: tuple[str, ...]) -> None:
    assert changed(rule(*before), path, value) == rule(*after)


def test_a_text_that_ends_with_the_file_gains_no_line_break() -> None:
    text = rule("message:", "  text: |", "    so").removesuffix("\n")
    assert parse_tree("", text).root is not None
    after = changed(text, "stuck.message.type", "question")
    assert after == rule("message:", "  type: question", "  text: |", "    so").removesuffix("\n")


def test_line_breaks_and_the_byte_order_mark_stay() -> None:
    text = "\ufeff" + rule("priority: 1").replace("\n", "\r\n")
    assert changed(text, "stuck.cooldown", "5m") == "\ufeff" + rule("priority: 1", "cooldown: 5m").replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("lines", "path", "message"),
    [
        (("priority: 1",), "stuk.priority", 'no rule has the id "stuk" | did you mean "stuck"?'),
        (("priority: 1",), "xyz.priority", 'no rule has the id "xyz" | the rules are "stuck"'),
        (("priority: 1",), "stuck", 'names no value; write a key behind it, such as "stuck.cooldown"'),
        (("priority: 1",), "stuck.priorty", '"stuck" cannot have "priorty" | did you mean "priority"?'),
        (("priority: 1",), "stuck.deliver.withn", '"stuck.deliver" cannot have "withn" | did you mean "within"?'),
        (("priority: 1",), "stuck.max[0].per", 'there is no "stuck.max"; give it a value first'),
        (("priority: 1",), "stuck.priority.x", '"stuck.priority" is 1 there, which has no "x"'),
        (("priority: 1",), "stuck.priority[0]", '"stuck.priority" is 1 there, which has no item 0'),
        (("max: [{max: 1, per: day}]",), "stuck.max[1].per",
         '"stuck.max" has 1 item there, the first is "stuck.max[0]"'),
        (("max: [{max: 1, per: day}]",), "stuck.max[x].per",
         'expected the number of an item, such as "stuck.max[0]", got "[x].per"'),
        (("max: [{max: 1}, {max: 2}]",), "stuck.max.max",
         '"stuck.max" is a list there | write "stuck.max[0].max" or "stuck.max[1].max"'),
        (("trigger: {count: {event: a}}",), "stuck.trigger.event",
         '"stuck.trigger" has "count" there, which "event" cannot stand beside'),
        (("trigger: {session: start}",), "stuck.trigger.session.lasted",
         '"stuck.trigger.session" has "on" there, which "lasted" cannot stand beside'),
        (("trigger: {inactivity: 5m}",), "stuck.trigger.inactivity.aftr",
         '"stuck.trigger.inactivity" cannot have "aftr" | did you mean "after"?'),
        (("topic: &t a", "description: *t"), "stuck.topic", "cannot be changed by itself | an alias stands for it"),
        (("trigger: &t {event: a}", "condition: *t"), "stuck.condition.event",
         '"stuck.condition" is an alias; write out there what it stands for'),
    ],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_refused(lines: tuple[str, ...], path: str, message: str) -> None:
    assert f'"{path}"' in refused(rule(*lines), path)
    assert message in refused(rule(*lines), path)


def test_a_value_that_is_no_yaml_is_refused() -> None:
    assert '"[1" cannot be its value' in refused(rule("priority: 1"), "stuck.priority", "[1")
    assert "expected a value, got nothing" in refused(rule("priority: 1"), "stuck.priority", "")


def test_rules_that_cannot_be_read_are_not_changed() -> None:
    assert "rules that cannot be read cannot be changed: a.yaml:" in refused("version: [", "stuck.x")
    assert "expected a mapping" in refused("[1]", "stuck.x")


def test_the_longest_id_is_meant() -> None:
    text = "version: 1\nrules:\n- {id: a, priority: 1}\n- {id: a.priority, priority: 2}\n- {id: policy, priority: 3}\n"
    assert changed(text, "a.priority.priority", "9") == text.replace("2", "9")
    assert changed(text, "a.priority", "9") == text.replace("version: 1", "v").replace("1", "9").replace(
        "v", "version: 1"
    )
    assert changed(text, "policy.priority", "9") == text.replace("3", "9")


def test_the_policy_is_changed_where_it_stands_and_added_where_there_is_none() -> None:
    sources = {"a.yaml": rule("priority: 1"), "b.yaml": "version: 1\npolicy: {seed: x}\n"}
    assert patch(sources, "policy.seed", "y", KINDS) == sources | {"b.yaml": "version: 1\npolicy: {seed: y}\n"}
    added = "version: 1\nrules: []\npolicy: {seed: y}\n"
    assert changed("version: 1\nrules: []\n", "policy.seed", "y") == added


def test_a_file_of_its_own_is_no_part_of_the_folder() -> None:
    alone = rule("priority: 1").replace("version: 1", "version: 1\nstandalone: true")
    sources = {"a.yaml": alone, "b.yaml": rule("priority: 1")}
    assert patch(sources, "stuck.priority", "2", KINDS) == {"a.yaml": alone, "b.yaml": rule("priority: 2")}
    assert changed(alone, "stuck.priority", "2") == alone.replace("priority: 1", "priority: 2")


def paths_of(node: Node, before: str) -> Iterator[tuple[str, Node]]:
    yield before, node
    if isinstance(node, tree.Sequence):
        for number, item in enumerate(node.items):
            yield from paths_of(item, f"{before}[{number}]")
    elif isinstance(node, tree.Mapping):
        for name, (_, value) in node.entries.items():
            yield from paths_of(value, f"{before}.{name}")


def all_paths(text: str) -> Iterator[tuple[str, Node]]:
    root = parse_tree("", text).root
    assert isinstance(root, tree.Mapping)
    rules = root.entries.get("rules", (None, tree.Sequence((), 0, 0)))[1]
    for item in rules.items if isinstance(rules, tree.Sequence) else ():
        assert isinstance(item, tree.Mapping)
        rule_id = item.entries["id"][1]
        assert isinstance(rule_id, Scalar)
        yield from list(paths_of(item, rule_id.written))[1:]
    if "policy" in root.entries:
        yield from list(paths_of(root.entries["policy"][1], "policy"))[1:]


EVERY_PATH = [(name, path, node) for name, text in TEXTS.items() for path, node in all_paths(text)]


@given(st.sampled_from(EVERY_PATH))
def test_the_value_that_is_there_already_changes_nothing(sample: tuple[str, str, Node]) -> None:
    name, path, node = sample
    try:
        assert changed(TEXTS[name], path, written(node)) == TEXTS[name]
    except Refused as one:
        assert "is an alias" in one.message  # noqa: PT017  # nothing else may be refused


@given(st.sampled_from(EVERY_PATH), st.sampled_from(["7", "[a, b]", "{x: 'y: z', w: [1]}", "plain", '"#\\n"', "~"]))
def test_any_value_can_stand_anywhere_and_is_found_there(sample: tuple[str, str, Node], value: str) -> None:
    name, path, node = sample
    wanted = parse_tree("", value).root
    assert wanted is not None
    try:
        after = changed(TEXTS[name], path, value)
    except Refused as one:
        assert "alias" in one.message + one.hint  # noqa: PT017
        return
    if wanted != node and path.endswith(".id"):
        return  # it has another path then
    # A single value for a mapping with a shorthand is the value of that key.
    there = dict(all_paths(after))
    short = [node for other, node in there.items() if other.rpartition(".")[0] == path]
    assert written(wanted) in {written(found) for found in (there[path], *short)}


@given(st.integers(2, 9), st.integers(1, 10**6))
def test_what_is_patched_is_what_the_rules_then_have(count: int, seconds: int) -> None:
    text = rule("trigger: {count: {event: a, at_least: 3, within: 5m}}", MESSAGE, "cooldown: 5m")
    text = changed(changed(text, "stuck.trigger.count.at_least", str(count)), "stuck.cooldown", f"{seconds}s")
    (loaded,) = load({"a.yaml": text}, KINDS).rules
    assert loaded.cooldown == parse_duration(f"{seconds}s"), format_duration(loaded.cooldown or 0)
    assert loaded.triggers[0].count == count


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ("cooldown: '5m'", "stuck.cooldown", '"5m"'),
        ("max: {max: 1, per: day}", "stuck.max", "{max: 1, per: day}"),
        ("trigger: {inactivity: 5m}", "stuck.trigger.inactivity.for", "5m"),
        ("trigger: {inactivity: {for: 5m, after: a}}", "stuck.trigger.inactivity", "5m"),
        ("trigger: {inactivity: 5m}", "stuck.trigger.inactivity.after", None),
        ("priority: 1", "stuck.cooldown", None),
        ("priority: 1", "stuck.deliver.within", None),
    ],
)
def test_what_is_written_can_be_asked(line: str, path: str, value: str | None) -> None:
    assert value_at({"a.yaml": rule(line)}, path, KINDS) == value


def test_what_a_rule_has_not_is_among_the_defaults_of_its_file_and_of_no_other():
    defaults = "defaults: {cooldown: 20m}\n"
    files = {"a.yaml": rule("").replace("rules:", defaults + "rules:", 1)}
    assert value_at(files, "stuck.cooldown", KINDS) == "20m"
    assert value_at(files, "stuck.priority", KINDS) is None
    apart = {"a.yaml": rule(""), "b.yaml": f"version: 1\n{defaults}"}
    assert value_at(apart, "stuck.cooldown", KINDS) is None

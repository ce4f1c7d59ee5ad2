"""From what was read of a rule to the `Rule`; and what no single key can know: what belongs or cannot stand together.

Nothing here reads YAML: it is given values, and nodes to report at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from engine.core.groups import Grouping
from engine.core.matcher import Matcher
from engine.core.render import compile_template
from engine.core.rules import Backoff, Cap, Delivery, MessageSpec, Policy, Rule, Variant
from engine.loading import tree
from engine.loading.language import DATA_KEYS_TAKEN, MESSAGE, TEXT_TYPES
from engine.loading.policy import NONE, is_name
from engine.loading.read import Reader, is_none
from engine.loading.readable import Names
from engine.loading.tree import Node, Scalar
from engine.loading.wording import did_you_mean, found, listed, with_hint

Entries = Mapping[str, Node]
# What a message says that consists of its data alone.
NO_TEXT = compile_template("")


def make_rule(values: Mapping[str, Any], policy: Policy, **place: Any) -> Rule:
    """A rule from what was read of it, its defaults included; ``place`` are the other fields of `Rule`."""
    message = values["message"]
    feedback = values.get("on_dismiss")
    quiet = values.get("quiet_hours", {})
    quiet_names = quiet.get("in", tuple(policy.quiet_hours))
    budget_names = values.get("budget", tuple(policy.budgets))
    deliver = values.get("deliver")
    return Rule(
        **place,
        message=make_message(message),
        description=values.get("description", ""),
        conditions=values.get("condition", ()),
        priority=values.get("priority", 0),
        cooldown=values.get("cooldown"),
        cooldown_by=Grouping((values["cooldown_by"],)) if "cooldown_by" in values else None,
        backoff=None if feedback is None else Backoff(feedback["cooldown"], feedback.get("up_to")),
        resets_on_answer=values.get("on_answer") == "reset",
        caps=tuple([Cap(cap["max"], cap["per"]) for cap in values.get("max", ())]),
        warmup=values.get("warmup"),
        # The nearest to the text counts.
        expires=message.get("expires", values.get("expires")),
        mode=values.get("mode", "live"),
        level=values.get("level", "normal"),
        topic=values.get("topic"),
        keeps_offline=values.get("offline") == "keep",
        quiet_hours=tuple([
            hours if "then" not in quiet else hours.ending_in(quiet["then"])
            for name in quiet_names
            if (hours := policy.quiet_hours.get(name)) is not None
        ]),
        urgent=values.get("urgent", False),
        budgets=tuple([policy.budgets[name] for name in budget_names if name in policy.budgets]),
        holdout=values.get("holdout", 0.0),
        deliver=None if deliver is None else make_delivery(deliver),
        was=values.get("was"),
    )  # fmt: skip


def placeholder(rule_id: str, options: tuple[str, ...]) -> Rule:
    """A rule of which nothing is known but its id, and what it offers if that can be told."""
    return Rule(rule_id, 0, "", 0, (), MessageSpec("", NO_TEXT, options=options))


def make_message(values: Mapping[str, Any]) -> MessageSpec:
    variants = values.get("variants", ())
    whole = sum(variant.get("weight", 1) for variant in variants)
    own = {"fallback": None, "options": (), "data": {}, "compose": None, **values}
    return MessageSpec(
        type=values["type"],
        text=values.get("text", NO_TEXT),
        fallback=own["fallback"],
        options=own["options"],
        data=own["data"],
        variants=tuple([
            Variant(
                variant["id"],
                variant.get("weight", 1) / whole,
                variant["text"],
                variant.get("fallback", own["fallback"]),
                variant.get("options", own["options"]),
                variant.get("data", own["data"]),
                variant.get("compose", own["compose"]),
            )
            for variant in variants
        ]),
        compose=own["compose"],
    )  # fmt: skip


def make_delivery(values: Mapping[str, Any]) -> Delivery:
    return Delivery(
        tuple([Matcher.build(matcher) for matcher in values.get("at", ())]),
        values.get("within"),
        values.get("otherwise", "send"),
        values.get("quiet_for"),
        tuple([Matcher.build(matcher) for matcher in values.get("cancel_on", ())]),
    )


# What says something of another key, and of which.
NEEDED_BY: Mapping[str, str] = {"on_dismiss": "cooldown", "on_answer": "on_dismiss", "cooldown_by": "cooldown"}


def check_rule(reader: Reader, node: Node, entries: Entries, inherited: Collection[str] | None) -> None:
    """Report what belongs together and stands alone, of a rule's own keys. ``entries`` are those of ``node``.

    ``inherited`` are the keys that it has by default, None where they are not known.
    """
    message = entries.get("message")
    if isinstance(message, tree.Mapping):
        check_text(reader, message)
        check_data_keys(reader, message)
        check_variants(reader, message)
    if inherited is not None:
        said = {name: value for name, value in entries.items() if not is_none(value)}
        check_company(reader, node, said, {*said, *(name for name in inherited if name not in entries)})


def check_defaults(reader: Reader, node: Node, rules: Iterable[Node]) -> None:
    """Report what is said by default of a key that neither the defaults nor any of the rules have."""
    if not isinstance(node, tree.Mapping):
        return
    entries = {name: value for name, (_, value) in node.entries.items()}
    written = {
        name
        for rule in rules
        if isinstance(rule, tree.Mapping)
        for name, (_, value) in rule.entries.items()
        if not is_none(value)
    }
    check_company(reader, node, entries, {*entries, *written})


def check_company(reader: Reader, node: Node, entries: Entries, written: Collection[str]) -> None:
    for name, needed in NEEDED_BY.items():
        if name in entries and needed not in written:
            message = f'missing key "{needed}", which "{name}" needs'
            reader.report(key_of(node, entries[name]), message, "missing-key")


def key_of(node: Node, value: Node) -> Node:
    """The key under which a value stands in a mapping, also one that is misspelt."""
    keys = [key for key, child in node.entries.values() if child is value] if isinstance(node, tree.Mapping) else []
    return keys[0] if keys else value


def check_text(reader: Reader, message: tree.Mapping) -> None:
    """Report a message that clients show as a text, and that has data alone."""
    entries = message.entries
    # A message that says nothing has been reported; with a misspelt key the text may not be missing.
    if "data" not in entries or "type" not in entries or "text" in entries or "variants" in entries:
        return
    _, kind = entries["type"]
    if isinstance(kind, Scalar) and kind.value in TEXT_TYPES and all(name in MESSAGE.keys for name in entries):
        reader.report(message, f'missing key "text", which a {kind.value} consists of', "missing-key")


def check_data_keys(reader: Reader, message: tree.Mapping) -> None:
    """Report keys of a message's data, and of its variants', that the protocol fills itself."""
    for mapping in (message, *variants_of(message)):
        data = mapping.entries.get("data")
        if data is None or not isinstance(data[1], tree.Mapping):
            continue
        for name, (key, _) in data[1].entries.items():
            if name in DATA_KEYS_TAKEN:
                reader.report(key, f'"{name}" is set by the protocol; choose another name', "reserved-key")


def check_variants(reader: Reader, message: tree.Mapping) -> None:
    """Report variants of one name."""
    lines: dict[str, int] = {}
    for variant in variants_of(message):
        _, name = variant.entries.get("id", (None, None))
        if not isinstance(name, Scalar) or not isinstance(name.value, str):
            continue
        if name.value in lines:
            first = lines[name.value]
            reader.report(name, f"repeated variant {found(name)}, first written in line {first}", "repeated-id")
        lines.setdefault(name.value, name.line)


def variants_of(message: tree.Mapping) -> Iterator[tree.Mapping]:
    _, variants = message.entries.get("variants", (None, None))
    for item in variants.items if isinstance(variants, tree.Sequence) else ():
        if isinstance(item, tree.Mapping):
            yield item


def check_names(reader: Reader, entries: Entries, names: Names) -> None:
    """Report budgets and quiet hours that the policy does not have. For a rule and for defaults."""
    check_known(reader, entries.get("budget"), names["budgets"], "budget", "unknown-budget")
    quiet = entries.get("quiet_hours")
    if not isinstance(quiet, tree.Mapping):
        check_known(reader, quiet, names["quiet_hours"], "quiet hours", "unknown-quiet-hours")
        return
    _, kept = quiet.entries.get("in", (None, None))
    check_known(reader, kept, names["quiet_hours"], "quiet hours", "unknown-quiet-hours")
    if isinstance(kept, Scalar) and kept.value == NONE and "then" in quiet.entries:
        key, _ = quiet.entries["then"]
        reader.report(key, f'"then" says what becomes of messages in quiet hours, and "in" says {NONE}', "conflict")


def check_known(reader: Reader, node: Node | None, known: Collection[str] | None, what: str, code: str) -> None:
    """Report names that are not ``known``, None for any, and `NONE` beside others.

    What can be no name has been reported.
    """
    items = [
        item
        for item in (node.items if isinstance(node, tree.Sequence) else (node,))
        if isinstance(item, Scalar) and isinstance(item.value, str) and is_name(item.value)
    ]
    is_alone = len({item.value for item in items}) == 1
    for item in items:
        if item.written == NONE:
            if not is_alone:
                reader.report(item, f'"{NONE}" cannot stand beside others', "conflict")
        elif known is not None and item.written not in known:
            near = did_you_mean(item.written, known)
            there = f"the policy has {listed(list(known), 'and')}" if known else f"the policy has no {what}"
            reader.report(item, with_hint(f"unknown {what} {found(item)}", near or there), code)

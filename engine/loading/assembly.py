"""From what was read of a rule to the `Rule`; and what no single key can know: what belongs or cannot stand together.

Nothing here reads YAML: it is given values, and nodes to report at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.groups import Grouping
from engine.core.matcher import Matcher
from engine.core.render import compile_template
from engine.core.rules import Backoff, Cap, Delivery, MessageSpec, Policy, Rule, Variant
from engine.loading import tree
from engine.loading.language import DATA_KEYS_TAKEN, TEXT_TYPES
from engine.loading.policy import NONE
from engine.loading.read import Reader
from engine.loading.tree import Node, Scalar
from engine.loading.wording import did_you_mean, found, listed, with_hint

Entries = Mapping[str, Node]
# What a message says that consists of its data alone.
NO_TEXT = compile_template("")


def with_variants_inside(node: Node) -> Node:
    """A rule whose ``variants`` stand beside its message, as one in whose message they stand."""
    if not isinstance(node, tree.Mapping) or "variants" not in node.entries or "message" not in node.entries:
        return node
    key, message = node.entries["message"]
    if not isinstance(message, tree.Mapping) or "variants" in message.entries:
        return node
    inner = tree.Mapping(message.entries | {"variants": node.entries["variants"]}, message.line, message.column)
    rest = {name: entry for name, entry in node.entries.items() if name != "variants"}
    return tree.Mapping(rest | {"message": (key, inner)}, node.line, node.column)


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


def make_message(values: Mapping[str, Any]) -> MessageSpec:
    variants = values.get("variants", ())
    whole = sum(variant.get("weight", 1) for variant in variants)
    own = {"fallback": None, "options": (), "data": {}, **values}
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
            )
            for variant in variants
        ]),
    )  # fmt: skip


def make_delivery(values: Mapping[str, Any]) -> Delivery:
    return Delivery(
        tuple([Matcher.build(matcher) for matcher in values.get("at", ())]),
        values.get("within"),
        values.get("otherwise", "send"),
        values.get("quiet_for"),
        tuple([Matcher.build(matcher) for matcher in values.get("cancel_on", ())]),
    )


def check_rule(reader: Reader, entries: Entries, defaults: Mapping[str, Any]) -> None:
    """Report what belongs together and stands alone, of a rule's own keys."""
    message = entries.get("message")
    if isinstance(message, tree.Mapping):
        check_text(reader, message)
        check_data_keys(reader, message)
        check_variants(reader, message)
    if "variants" in entries:
        reader.report(entries["variants"], "the message has variants already", "conflict")
    written = {*entries, *defaults}
    for name, needed in (("on_dismiss", "cooldown"), ("cooldown_by", "cooldown"), ("on_answer", "on_dismiss")):
        if name in entries and needed not in written:
            reader.report(entries[name], f'"{name}" says what becomes of "{needed}", which is missing', "missing-key")
    if "deliver" in entries:
        check_delivery(reader, entries["deliver"])


def check_delivery(reader: Reader, node: Node) -> None:
    """Report a wait without an end, and an end without a wait."""
    if not isinstance(node, tree.Mapping):
        return
    waits = [name for name in ("at", "quiet_for") if name in node.entries]
    if waits and "within" not in node.entries:
        reader.report(node, f'missing key "within": how long a message waits for "{waits[0]}" at most', "missing-key")
    for name in ("within", "otherwise"):
        if name in node.entries and not waits:
            key, _ = node.entries[name]
            message = f'"{name}" says how a wait ends, and there is none; write "at" or "quiet_for"'
            reader.report(key, message, "conflict")


def check_text(reader: Reader, message: tree.Mapping) -> None:
    """Report a message that says nothing, or that clients show as a text and that has none."""
    entries = message.entries
    if "text" in entries and "variants" in entries:
        key, _ = entries["text"]
        reader.report(key, '"text" and "variants" cannot stand together; one of them is enough', "conflict")
    if "text" in entries or "variants" in entries or "type" not in entries:
        return
    if "data" not in entries:
        # With a misspelt key the text is not missing, and has been reported.
        if all(name in KNOWN_MESSAGE_KEYS for name in entries):
            reader.report(message, 'missing key: expected at least one of "text", "data" and "variants"', "missing-key")
        return
    _, kind = entries["type"]
    if isinstance(kind, Scalar) and kind.value in TEXT_TYPES:
        reader.report(message, f'missing key "text", which a {kind.value} consists of', "missing-key")


KNOWN_MESSAGE_KEYS = frozenset({"type", "text", "variants", "fallback", "options", "data", "expires"})


def check_data_keys(reader: Reader, message: tree.Mapping) -> None:
    """Report keys of a message's data, and of its variants', that the protocol fills itself."""
    variants = message.entries.get("variants")
    inner = variants[1].items if variants is not None and isinstance(variants[1], tree.Sequence) else ()
    for mapping in (message, *[item for item in inner if isinstance(item, tree.Mapping)]):
        data = mapping.entries.get("data")
        if data is None or not isinstance(data[1], tree.Mapping):
            continue
        for name, (key, _) in data[1].entries.items():
            if name in DATA_KEYS_TAKEN:
                reader.report(key, f'"{name}" is set by the protocol; choose another name', "reserved-key")


def check_variants(reader: Reader, message: tree.Mapping) -> None:
    """Report variants of one name."""
    variants = message.entries.get("variants")
    lines: dict[str, int] = {}
    for item in variants[1].items if variants is not None and isinstance(variants[1], tree.Sequence) else ():
        name = item.entries.get("id") if isinstance(item, tree.Mapping) else None
        if name is None or not isinstance(name[1], Scalar):
            continue
        first = lines.setdefault(name[1].written, name[1].line)
        if first != name[1].line:
            reader.report(name[1], f"repeated variant {found(name[1])}, first written in line {first}", "repeated-id")


def check_names(reader: Reader, entries: Entries, policy: Policy) -> None:
    """Report budgets and quiet hours that the policy does not have. For a rule and for defaults."""
    quiet = entries.get("quiet_hours")
    if isinstance(quiet, tree.Mapping):
        quiet = quiet.entries["in"][1] if "in" in quiet.entries else None
    for node, known, what, key in (
        (quiet, policy.quiet_hours, "quiet hours", "quiet_hours"),
        (entries.get("budget"), policy.budgets, "budget", "budgets"),
    ):
        items = node.items if isinstance(node, tree.Sequence) else (node,)
        names = [item for item in items if isinstance(item, Scalar)]
        for item in names:
            if item.written == NONE:
                if len(names) > 1:
                    reader.report(item, f'"{NONE}" cannot stand beside others', "conflict")
            elif item.written not in known:
                near = did_you_mean(item.written, known)
                there = f"there are {listed(list(known), 'and')}" if known else f'the policy has no "{key}"'
                message = with_hint(f"unknown {what} {found(item)}", near or there)
                reader.report(item, message, f"unknown-{what.replace(' ', '-')}")

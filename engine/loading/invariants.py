"""What must hold whatever users do, ``invariants:`` of a rule file: shape, and text to values. It checks nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from engine.core import shapes
from engine.core.rules import Per
from engine.core.units import format_duration
from engine.loading import tree
from engine.loading.diagnostic import counted
from engine.loading.read import INVALID, Reader
from engine.loading.scenarios import RULE_ID, check_rule, parse_name, scalars
from engine.loading.tree import Node, Scalar
from engine.loading.wording import did_you_mean, found, listed, with_hint

INVARIANTS_MAX = 100  # of one file
AT_MOST_MAX = 10_000
EVERY_RULE_FIRES = "every_rule_fires"


@dataclass(frozen=True, slots=True)
class Stated:
    """What all invariants have. ``rules`` are those that it is about, None for all."""

    name: str
    path: str
    line: int
    rules: tuple[str, ...] | None

    def concerns(self, rule: str) -> bool:
        return self.rules is None or rule in self.rules


@dataclass(frozen=True, slots=True)
class AtMost(Stated):
    """No user is sent more than ``count_max`` messages in any period."""

    count_max: int
    per: Per


@dataclass(frozen=True, slots=True)
class NeverDuring(Stated):
    """No user is sent anything while those quiet hours of the policy hold in the user's zone."""

    quiet_hours: str


@dataclass(frozen=True, slots=True)
class EveryRuleFires(Stated):
    """Every rule that is not off makes a candidate at least once."""


Invariant = AtMost | NeverDuring | EveryRuleFires


def invariants_shape(per: shapes.Shape) -> shapes.ListOf:
    """The shape of ``invariants:``; ``per`` is that of a period, as caps have it."""
    item = shapes.Fields(
        keys={
            "at_most": shapes.Integer(
                minimum=0, maximum=AT_MOST_MAX, doc="How many messages one user gets at most, per period."
            ),
            "per": per,
            "never_during": shapes.Text(doc="The name of quiet hours of the policy, in which nobody gets a message."),
            "check": shapes.Choice(
                words=(EVERY_RULE_FIRES,), doc="every_rule_fires: each rule that is not off fires at least once."
            ),
            "rules": shapes.ListOf(
                item=RULE_ID, one_will_do=True, length_max=10_000, doc="The rules that it is about; all if absent."
            ),
            "name": shapes.Parsed(parse=parse_name, pattern=r"\S", doc="What is claimed, in a sentence."),
        },
        exactly_one=("at_most", "never_during", "check"),
        needs={"at_most": ("per",), "per": ("at_most",)},
        shorthand="check",
        doc="What must hold whatever users do.",
    )
    return shapes.ListOf(
        item=item, length_min=0, length_max=INVARIANTS_MAX, doc="What `proactive test` and every dry run check."
    )


def read_invariant(
    reader: Reader,
    node: Node,
    shape: shapes.Shape,
    rule_ids: Collection[str] | None,
    quiet_hours: Collection[str] | None,
) -> Invariant | None:
    """The invariant, or None where anything in it is wrong. Names that are None are not checked."""
    errors_before = len(reader.errors)
    values = reader.read(node, shape)
    if isinstance(node, tree.Mapping):
        entries = {name: child for name, (_, child) in node.entries.items()}
        for rule in scalars(entries.get("rules")):
            check_rule(reader, rule, rule_ids)
        hours = entries.get("never_during")
        if isinstance(hours, Scalar):
            check_quiet_hours(reader, hours, quiet_hours)
    if values is INVALID or len(reader.errors) > errors_before:
        return None
    return make_invariant(values, reader.source.path, node.line)


def check_quiet_hours(reader: Reader, node: Scalar, known: Collection[str] | None) -> None:
    """Report the name of quiet hours that the policy has not."""
    if known is None or not isinstance(node.value, str) or node.value in known:
        return
    there_are = f"the policy has {listed(sorted(known), 'and')}" if known else "the policy has none"
    message = with_hint(f"unknown quiet hours {found(node)}", did_you_mean(node.value, known) or there_are)
    reader.report(node, message, "unknown-quiet-hours")


def make_invariant(values: dict[str, Any], path: str, line: int) -> Invariant:
    rules = values.get("rules")
    of = f" of {listed(rules, 'and')}" if rules else ""
    if "at_most" in values:
        count_max, per = values["at_most"], values["per"]
        shown = per if isinstance(per, str) else format_duration(per)
        name = values.get("name", f"at most {counted(count_max, 'message')}{of} per {shown}")
        return AtMost(name, path, line, rules, count_max, per)
    if "never_during" in values:
        hours = values["never_during"]
        return NeverDuring(values.get("name", f"no message{of} during {hours}"), path, line, rules, hours)
    what = "each" if rules else "every rule"
    return EveryRuleFires(values.get("name", f"{what}{of} fires"), path, line, rules)

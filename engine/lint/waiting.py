"""Waits that can end in one way only, messages that expire before they could be sent, keys that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.model import is_activity
from engine.core.quiet import QuietHours
from engine.core.rules import Delivery, Rule
from engine.core.units import DAY, MINUTE, format_duration
from engine.lint.finding import Finding
from engine.lint.limits import can_hold
from engine.lint.places import Reading
from engine.lint.types import are_covered

EVENT_KINDS = frozenset({"event", "keywords", "count", "sequence"})  # they fire at an event that they watch for


def check_waiting(reading: Reading) -> Iterator[Finding]:
    for rule in reading.rules:
        if rule.mode == "off":
            continue
        if rule.deliver is not None:
            yield from _deliver(reading, rule, rule.deliver)
        yield from _quiet_hold(reading, rule)
        yield from _without_effect(reading, rule)


def _deliver(reading: Reading, rule: Rule, spec: Delivery) -> Iterator[Finding]:
    within = spec.within
    if within is not None and rule.expires is not None and rule.expires <= within:
        message = (
            f"the message of {rule.id} expires after {format_duration(rule.expires)}, so the wait for a good moment"
            f' never comes to its end after {format_duration(within)} and "otherwise" says nothing'
        )
        place = reading.of_rule(rule, "deliver", "within")
        yield reading.found("expires-while-held", place, message, 'make "within" shorter than "expires"', rule)
    if within is not None and spec.quiet_for is not None and within < spec.quiet_for and _fires_at_activity(rule):
        end = "sent at the end of the wait" if spec.otherwise == "send" else "dropped"
        message = (
            f"the user has just done something when {rule.id} fires, so {format_duration(spec.quiet_for)} of quiet"
            f" cannot come within {format_duration(within)}: the message is always {end}"
        )
        place = reading.of_rule(rule, "deliver", "quiet_for")
        yield reading.found("wait-without-effect", place, message, 'make "within" longer', rule)
    bare = [matcher for matcher in spec.cancels if matcher.where is None]  # the others may not hold
    cancelled = [are_covered(matcher.event_types, bare) for matcher in spec.breakpoints]
    if cancelled and all(cancelled):
        message = f'each event of "at" is one of "cancel_on" too, so what waits for it is withdrawn by it ({rule.id})'
        place = reading.of_rule(rule, "deliver", "cancel_on")
        yield reading.found("wait-without-effect", place, message, "cancel on other events than it waits for", rule)
    if spec.cancels and within is None and not rule.keeps_offline and not can_hold(rule):
        message = f'no message of {rule.id} ever waits, so there is nothing that "cancel_on" could withdraw'
        place = reading.of_rule(rule, "deliver", "cancel_on")
        yield reading.found("wait-without-effect", place, message, 'write "at", "quiet_for" or "offline: keep"', rule)


def _fires_at_activity(rule: Rule) -> bool:
    """Whether every trigger fires at an event that is activity, and so at a user who is not idle at all."""
    if can_hold_for_quiet(rule):
        return False  # then the wait begins later
    return all(
        trigger.kind in EVENT_KINDS
        and all(is_activity(name) and not name.endswith("*") for name in trigger.event_types)
        for trigger in rule.triggers
    )


def can_hold_for_quiet(rule: Rule) -> bool:
    return not rule.urgent and any(hours.then == "hold" for hours in rule.quiet_hours)


def _quiet_hold(reading: Reading, rule: Rule) -> Iterator[Finding]:
    if rule.expires is None or rule.urgent:
        return
    for hours in rule.quiet_hours:
        length = length_of(hours)
        if hours.then == "hold" and rule.expires < length:
            message = (
                f'"{hours.name}" hold messages back for up to {format_duration(length)}, and those of {rule.id} expire'
                f" after {format_duration(rule.expires)}: only what is made in the last"
                f" {format_duration(rule.expires)} of them is ever sent"
            )
            keys = ("message", "expires") if _in_message(reading, rule) else ("expires",)
            hint = 'let it be valid for longer, or write "then: drop"'
            yield reading.found("expires-while-held", reading.of_rule(rule, *keys), message, hint, rule)


def _in_message(reading: Reading, rule: Rule) -> bool:
    return not reading.says(rule, "expires") and reading.of_rule(rule, "message", "expires") != reading.of_rule(
        rule, "message"
    )


def length_of(hours: QuietHours) -> int:
    """How long they are where no clock is changed, in microseconds."""
    length = (hours.end - hours.start) * MINUTE
    return length if length > 0 else length + DAY


def _without_effect(reading: Reading, rule: Rule) -> Iterator[Finding]:
    backoff, cooldown = rule.backoff, rule.cooldown
    if backoff is not None and cooldown is not None and backoff.span_max is not None and backoff.span_max <= cooldown:
        message = (
            f'the cooldown of {rule.id} is {format_duration(cooldown)} already, so "up_to:'
            f' {format_duration(backoff.span_max)}" keeps a dismissal from making it any longer'
        )
        place = reading.of_rule(rule, "on_dismiss", "up_to")
        yield reading.found("without-effect", place, message, 'raise "up_to" above the cooldown', rule)
    if rule.urgent and reading.says(rule, "quiet_hours") and rule.quiet_hours:
        place = reading.of_rule(rule, "quiet_hours")
        message = f'{rule.id} is urgent, and what is urgent keeps no quiet hours, so "quiet_hours" says nothing'
        yield reading.found("without-effect", place, message, "leave one of the two out", rule)

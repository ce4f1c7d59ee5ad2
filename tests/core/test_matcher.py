"""The event matcher that all kinds share."""

from __future__ import annotations

import pytest

from engine.core.expressions import compile_expression
from engine.core.matcher import EVENT_TYPE, EVENT_TYPE_LENGTH_MAX, Matcher, parse_event_type
from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState

TYPES = [
    "e", "_e", "chat_message", "test.failed", "test-run", "a.b.c", "a:b/c", "test.*", "test*", "*", "e9", "a.9", "9e",
    "Hint 2 taken", "Hint *", "-e", "tést", "testé.*",
    "x" * EVENT_TYPE_LENGTH_MAX,
]  # fmt: skip
NOT_TYPES = [
    "", " ", "test.", ".test", "test..failed", "te  st", "test.failed ", " test", "test\n", "te\tst", "**", "test.**",
    "a/", "a. b", "x" * (EVENT_TYPE_LENGTH_MAX + 1),
]  # fmt: skip


@pytest.mark.parametrize("text", TYPES)
def test_a_type_of_events_is_read_as_it_is(text: str) -> None:
    assert parse_event_type(text) == text


@pytest.mark.parametrize("text", NOT_TYPES)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_event_type(text)
    assert refused.value.message == f'expected an event type such as "test.failed" or "test.*", got "{text}"'
    assert refused.value.hint == ("a * can only stand at the end" if text == "test.**" or text == "**" else "")


@pytest.mark.parametrize("text", ["*.failed", "test.*.x", "te*st"])
def test_a_star_elsewhere_than_at_the_end_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_event_type(text)
    assert refused.value.hint == "a * can only stand at the end"


def test_the_schema_accepts_what_is_read_and_nothing_else() -> None:
    import re

    assert [text for text in TYPES if not re.search(EVENT_TYPE.pattern, text)] == []
    # JSON Schema has no length in a pattern, and its $ does not stand before a last line break.
    others = [text for text in NOT_TYPES if len(text) <= EVENT_TYPE_LENGTH_MAX and not text.endswith("\n")]
    assert [text for text in others if re.search(EVENT_TYPE.pattern, text, re.ASCII)] == []


def scope(**data: object) -> Scope:
    event = Event("e", "ann", 0, dict(data))
    return Scope(UserState("ann"), event, 0, Policy())


def test_a_matcher_without_a_condition_holds() -> None:
    matcher = Matcher.build({"event": ("e", "f.*")})
    assert matcher.event_types == ("e", "f.*")
    assert matcher.holds(scope())
    assert matcher.equality is None


def test_a_matcher_with_a_condition_holds_where_the_condition_does_and_not_where_it_is_unknown() -> None:
    matcher = Matcher.build({"event": ("e",), "where": compile_expression("event.n > 1", namespaces=("event",))})
    assert matcher.holds(scope(n=2))
    assert not matcher.holds(scope(n=1))
    assert not matcher.holds(scope())
    assert not matcher.holds(scope(n="2"))


def test_a_matcher_tells_dispatch_which_literal_a_field_must_equal() -> None:
    matcher = Matcher.build({"event": ("e",), "where": compile_expression('event.test == "t1"', namespaces=("event",))})
    assert matcher.equality == ("test", "t1")

"""The event matcher that all kinds share."""

from __future__ import annotations

import pytest

from engine.core.expressions import compile_expression
from engine.core.matcher import EVENT_TYPE, EVENT_TYPE_LENGTH_MAX, Matcher, heard_by, parse_event_type
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


@pytest.mark.parametrize(
    ("event_types", "event_type", "covered"),
    [
        (("e",), "e", True),
        (("e",), "f", False),
        (("e",), "e.f", False),
        (("e", "f"), "f", True),
        (("e.*",), "e.f", True),
        (("e.*",), "e", False),
        (("e*",), "e", True),
        (("*",), "session.start", True),
        (("a.*", "b", "c*"), "cd", True),
        (("a.*", "b", "c*"), "bc", False),
    ],
)
def test_a_matcher_knows_the_types_that_it_covers(event_types: tuple[str, ...], event_type: str, covered: bool) -> None:
    matcher = Matcher.build({"event": event_types})
    assert matcher.covers(event_type) == covered
    event = Event(event_type, "ann", 0, {})
    assert matcher.matches(Scope(UserState("ann"), event, 0, Policy())) == covered


def test_an_event_matches_where_its_type_is_covered_and_the_condition_holds() -> None:
    where = compile_expression("event.n > 1", namespaces=("event",))
    here, elsewhere = Matcher(("e",), where), Matcher(("f",), where)
    assert here.matches(scope(n=2))
    assert not elsewhere.matches(scope(n=2))
    assert not here.matches(scope(n=1))
    assert not here.matches(scope())
    assert not here.matches(scope(n="2"))


def test_several_matchers_are_heard_by_all_their_types_and_by_what_all_of_them_must_equal() -> None:
    t1 = compile_expression('event.test == "t1" and event.n > 1', namespaces=("event",))
    also_t1 = compile_expression('"t1" == event.test', namespaces=("event",))
    t2 = compile_expression('event.test == "t2"', namespaces=("event",))
    assert heard_by([Matcher(("e", "f"), t1), Matcher(("f", "g"), also_t1)]) == (("e", "f", "g"), ("test", "t1"))
    assert heard_by([Matcher(("e",), t1), Matcher(("f",), t2)]) == (("e", "f"), None)
    assert heard_by([Matcher(("e",), t1), Matcher(("f",), None)]) == (("e", "f"), None)
    assert heard_by([Matcher(("e",), None), Matcher(("f",), t1)]) == (("e", "f"), None)

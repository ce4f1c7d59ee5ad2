"""Expressions, templates, and the small notations beside them: any text compiles or is refused at a place in it.

Half of the inputs are text as it comes; of the others the bytes choose from a grammar, so that most of them compile.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from engine.core.cron import parse_cron, parse_time_of_day
from engine.core.expressions import compile_expression
from engine.core.matcher import parse_event_type
from engine.core.model import Event
from engine.core.operands import seen
from engine.core.operations import INT_MAX, INT_MIN
from engine.core.refusal import Refused
from engine.core.render import OUTPUT_CHARS_MAX, RenderFailed, compile_template
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import MINUTE, UTC, format_duration, parse_at, parse_duration
from engine.core.unknown import Unknown
from engine.core.zones import find_zone, parse_zone
from fuzz import pages
from fuzz.target import Target

AT = parse_at("2023-11-14T22:18:20Z")
UNKNOWN_MAX = 5_000  # characters of what is said of an unknown
DATA: dict[str, Any] = {
    "test": "t1", "items": [1, 2.5, True, None, "é"], "get": "G", "nothing": None, "deep": {"a": {"b": 1}},
    "message": "help me " * 50, "big": 2**62, "n": -3, "x": 0.1, "many": list(range(300)), "text": "a" * 9_000,
    "half": "\ud800",
}  # fmt: skip
EXPRESSION_WORDS = (
    "event.test", "event.n", "event.items", "event.items[0]", "event.deep.a", 'event["message"]', "event.nothing",
    "event.zz", "event.big", "event.many", "event.text", "event.half", "event.at", "user.name", "user.zz",
    "session.age", "session.events", "session.id", "trigger.count", "trigger.idle", "now", "now.hour", "now.weekday",
    "now.date", "1", "0", "-1", "2.5", "1e308", "9223372036854775807", "5m", "1h30m", "3660d", '"t1"', '""', "'a'",
    "true", "false", "null", "[", "]", "(", ")", ",", "+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=",
    "in", "not in", "and", "or", "not", "if", "else", "len(", "lower(", "upper(", "startswith(", "contains(",
    "matches(", "min(", "max(", "abs(", "round(", "int(", "float(", "str(", "any(", "all(", "defined(", "default(",
    '"(a+)+$"', '"(a|b|ab)*c{1,100}"', ".", "**", "lambda", "__class__", "for x in", ":", "=",
)  # fmt: skip
TEMPLATE_WORDS = (
    "{{ ", " }}", "{% ", " %}", "{# ", " #}", "{%- ", "for x in ", "endfor", "if ", "elif ", "else", "endif",
    "set a = ", "endset", "filter upper", "endfilter", "loop.index", "loop.cycle(", "x", "a", "event.items",
    "event.test",
    "event.many", "event.text", "event.deep", "event.zz", "user.name", "trigger.count", "session.age", "now.hour",
    "range(", "9000", "3", "0", "'a'", "''", "'%s'", "[a, a]", "[", "]", "{", "}", "(", ")", ", ", "*", "~", "+", "-",
    "/", "//", "%", "**", "==", "<", "in ", "is ", "not ", "defined", "|", "|join(", "|sort", "|map(", "|list",
    "|upper", "|replace(", "|format(", "|center(", "|indent(", "|truncate(", "|batch(", "|slice(", "|round(",
    "|tojson", "|sum",
    "|groupby(", "|dictsort", "|unique", "|select(", "|reject(", "|urlencode", "|wordcount", "|title", "|default(",
    "|length", "|first", "|last", "|reverse", "|items", "|int", "|float", "|string", "|abs", "|max", "|filesizeformat",
    ".split(", ".upper(", ".strip(", ".__class__", "attribute='n'", "recursive", "macro f()", "block b", "include ",
    "plain text ", "\n",
)  # fmt: skip


def scopes() -> list[Scope]:
    """Much to look at, and nothing."""
    state = UserState("ann")
    state.attributes = {"name": "Ann", "timezone": "Europe/Paris", "level": 3}
    state.present_since, state.session_events = AT - 5 * MINUTE, 3
    event = Event("test.failed", "ann", AT, DATA, "e1", "s1")
    facts = {"kind": "count", "count": 3, "idle": timedelta(minutes=5), "keyword": "help"}
    return [Scope(state, event, AT, Policy(), facts), Scope(UserState("bob"), None, AT, Policy(), {})]


def attempt_expression(data: bytes) -> None:
    source = _text(data, EXPRESSION_WORDS, " ")
    try:
        expression = compile_expression(source)
    except Refused as refused:
        _check_refused(refused, source, ("bad-expression", "unknown-name", "bad-regex", "too-large"))
        return
    for scope in scopes():
        value = expression.evaluate(scope)
        assert expression.holds(scope) in (True, False)
        seen(expression.names, scope)
        if isinstance(value, Unknown):
            assert len(str(value)) <= UNKNOWN_MAX
        elif type(value) is int:
            assert INT_MIN <= value <= INT_MAX
        elif type(value) is float:
            assert math.isfinite(value)


def attempt_template(data: bytes) -> None:
    source = _text(data, TEMPLATE_WORDS, "")
    try:
        template = compile_template(source)
    except Refused as refused:
        _check_refused(refused, source, ("bad-template", "unknown-filter", "unknown-test", "unknown-name", "too-large"))
        return
    for scope in scopes():
        try:
            shown, most = template.render(scope), OUTPUT_CHARS_MAX
        except RenderFailed as failed:
            shown, most = failed.reason, UNKNOWN_MAX
        assert len(shown) <= most
        assert " at 0x" not in shown or " at 0x" in source


def attempt_notation(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    _refused_or(parse_zone, text)
    _refused_or(parse_time_of_day, text)
    _refused_or(parse_event_type, text)
    span = _refused_or(parse_duration, text)
    if span is not None:
        assert parse_duration(format_duration(span)) == span
    zone = find_zone("America/New_York")
    assert zone is not None
    for stamp_zone in (UTC, zone):
        _refused_or(partial(parse_at, zone=stamp_zone), text)
    calendar = _refused_or(parse_cron, text)
    if calendar is not None:
        at: int | None = AT
        for _ in range(3):
            if at is not None:
                later = calendar.next_after(at, zone)
                assert later is None or later > at
                at = later
    try:
        number = json.loads(text, parse_constant=lambda word: None)
    except (ValueError, RecursionError):
        return
    if isinstance(number, int | float):
        _refused_or(parse_at, number)


def _text(data: bytes, words: Sequence[str], between: str) -> str:
    """Text as it comes; behind a first byte above 127, each byte is a word of the grammar."""
    if data[:1] < b"\x80":
        return data[1:].decode("utf-8", "replace")
    return between.join(words[byte % len(words)] for byte in data[1:])


def _check_refused(refused: Refused, source: str, codes: Sequence[str]) -> None:
    assert refused.code in codes, refused.code
    assert 0 <= (refused.offset or 0) <= len(source)
    assert refused.message
    assert len(refused.message) <= UNKNOWN_MAX + len(source)


def _refused_or(parse: Callable[[Any], Any], given: Any) -> Any:
    try:
        return parse(given)
    except Refused as error:
        refused = error
    assert refused.message
    return None


def _as_inputs(texts: Sequence[str]) -> list[bytes]:
    return [b"\x00" + text.encode("utf-8", "replace") for text in texts]


NOTATIONS = (
    "1h30m", "90s", "5 minutes", "3660d", "* * * * *", "0 9 * * 1-5", "*/7 1-3,5 29 2 mon", "@daily", "22:00",
    "Europe/Paris", "test.failed", "test.*", "2026-03-27T10:00:00.250Z", "2026-03-27 10:00+05:30", "1625097600",
    "1e11", "2026-W13-5",
)  # fmt: skip

EXPRESSIONS = Target(attempt_expression, lambda: _as_inputs(pages.expressions()), EXPRESSION_WORDS, 1200)
TEMPLATES = Target(attempt_template, lambda: _as_inputs(pages.templates()), TEMPLATE_WORDS, 2000)
NOTATION = Target(attempt_notation, lambda: [text.encode() for text in NOTATIONS], NOTATIONS, 200)

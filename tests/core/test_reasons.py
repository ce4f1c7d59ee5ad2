"""Reasons as text: each code that the gates make has words, and they are these."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from engine.core import adoption, delivery, evaluate, gates, settle
from engine.core.model import Json, Reason
from engine.core.reasons import explain
from engine.core.units import HOUR, MINUTE, parse_at

UNTIL = parse_at("2026-03-27T10:00:00Z")

WORDS: list[tuple[str, tuple[Json, ...], str]] = [
    ("false", ("event.n > 1",), "condition does not hold: event.n > 1"),
    ("false", ("event.n > 1", "event.n", 1), "condition does not hold: event.n > 1 (event.n is 1)"),
    ("false", ("not event.n", "event.n", True), "condition does not hold: not event.n (event.n is true)"),
    (
        "false",
        ("a", "user.b", "x", "event.c", [1, {}]),
        'condition does not hold: a (user.b is "x", event.c is [1, {}])',
    ),
    ("unknown", ("event.n > 1", "event.n is missing"), "condition is unknown, event.n is missing: event.n > 1"),
    ("absent", (), "the user has no open session"),
    ("warmup", (5 * MINUTE, UNTIL), "the session is younger than 5m, until 2026-03-27T10:00:00.000000Z"),
    ("cooldown", (90 * MINUTE, UNTIL), "cooldown of 1h30m until 2026-03-27T10:00:00.000000Z"),
    ("cap", (2, "session"), "already sent 2 of 2 per session"),
    ("cap", (1, 10 * MINUTE), "already sent 1 of 1 per 10m"),
    (
        "backoff",
        (HOUR, UNTIL, 15 * MINUTE, 2),
        "cooldown of 1h until 2026-03-27T10:00:00.000000Z, 15m before it was dismissed 2 times",
    ),
    (
        "backoff",
        (HOUR, UNTIL, 30 * MINUTE, 1),
        "cooldown of 1h until 2026-03-27T10:00:00.000000Z, 30m before it was dismissed once",
    ),
    ("held", (UNTIL,), "its message of 2026-03-27T10:00:00.000000Z is still held"),
    ("no_room", (20,), "20 messages are held for the user already"),
    ("level", ("less", "normal"), "the user wants to hear less, the rule is of level normal"),
    ("muted", ("*",), "the user has muted everything"),
    ("muted", ("idle",), "the user has muted idle"),
    ("snoozed", ("", UNTIL), "the user has snoozed everything until 2026-03-27T10:00:00.000000Z"),
    ("snoozed", ("idle", UNTIL), "the user has snoozed idle until 2026-03-27T10:00:00.000000Z"),
    ("quiet_hours", ("nights", UNTIL), "quiet hours nights until 2026-03-27T10:00:00.000000Z"),
    ("quiet_hours", ("always", None), "quiet hours always"),
    ("budget", ("attention", 1, 2 * MINUTE), "budget attention is used up, 1 per 2m"),
    ("budget", ("attention", 6, "session"), "budget attention is used up, 6 per session"),
    ("holdout", ("policy",), "the user is held out by the policy"),
    ("held_quiet", (UNTIL,), "held until quiet hours end, 2026-03-27T10:00:00.000000Z"),
    ("held_moment", (UNTIL,), "held for a good moment, until 2026-03-27T10:00:00.000000Z at the latest"),
    ("expiry", (UNTIL,), "it expired at 2026-03-27T10:00:00.000000Z"),
    ("no_moment", (90_000_000,), "no good moment came within 1m30s"),
    ("cancel_on", ("test.passed",), "withdrawn by test.passed"),
    ("rule_gone", (), "its rule is gone, or sends no more"),
    ("outranked", ("other",), "outranked by other"),
    ("render", ("event.name is missing",), "the template failed: event.name is missing"),
    ("fallback", ("event.name is missing",), "the fallback was sent, the template failed: event.name is missing"),
]


@pytest.mark.parametrize(("code", "refs", "text"), WORDS)
def test_a_reason_says_why_in_one_line(code: str, refs: tuple[Json, ...], text: str) -> None:
    reason = Reason(code, refs)
    assert explain(reason) == text
    assert explain(msgspec.json.decode(msgspec.json.encode(reason), type=Reason)) == text


def test_every_reason_that_the_gates_make_has_words() -> None:
    sources = [
        Path(module.__file__ or "").read_text("utf-8") for module in (gates, settle, delivery, adoption, evaluate)
    ]
    made = {
        node.args[0].value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Reason"
        and isinstance(node.args[0], ast.Constant)
    }
    assert made == {code for code, _, _ in WORDS}


def test_a_reason_without_words_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="no words for the reason 'new'"):
        explain(Reason("new"))

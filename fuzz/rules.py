"""Rule files: any text loads, or is refused with errors that stand in it; and what loads, runs."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import DAY, SECOND, parse_at
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.loading.tree import LINE_BREAK
from engine.storage.codec import encode_decision
from engine.triggers import KINDS
from fuzz.pages import rule_files, vector_rules
from fuzz.target import Target

START = parse_at("2026-03-27T09:58:00Z")
ERRORS_SHOWN_MAX = 100_000  # characters of all that is said about one small file
# One of nearly every sort, a second apart or a few hours.
EVENTS: tuple[tuple[int, str, dict[str, object]], ...] = (
    (0, "session.start", {}),
    (1, "user.identify", {"skill": "beginner", "timezone": "Europe/Paris"}),
    (1, "e", {"n": 1, "test": "t1"}),
    (1, "test.failed", {"test": "t1", "n": 2.5}),
    (1, "test.failed", {"test": "t1", "n": -1}),
    (1, "test.failed", {"test": ["t1"], "n": None}),
    (60, "chat_message", {"message": "help me, I am stuck with dynamic programming", "context": {"file": "a.py"}}),
    (400, "test.run", {"test": "t1"}),
    (1, "message.dismissed", {"message_id": "nobody"}),
    (1, "user.preferences", {"level": "less", "muted": ["ask"]}),
    (7 * 3600, "e", {"n": 0}),
    (1, "session.end", {}),
)
WORDS = (
    "version: 1\n", "rules:\n", "  - id: ", "trigger: ", "message: ", "type: question", "text: ", "event: ", "count: ",
    "keywords: ", "inactivity: ", "sequence: ", "absence: ", "schedule: ", "response: ", "session: ", "within: 5m",
    "at_least: 3", "group_by: ", "reset_on: ", "condition: ", "where: ", "cooldown: ", "max: ", "per: session",
    "deliver: ", "variants: ", "holdout: 10%", "budget: ", "policy: ", "lists: ", "defaults: ", "tests: ", "compose: ",
    "quiet_hours: ", "timezone: ", 'cron: "', "every: ", "{{ event.x }}", "{% for ", "*a", "&a ", "<<: ", "!!", "? ",
    "| ", "@list", "memoiz*", "event.n > 1", "matches(", "user.", "null", "~", ".inf", "0x", "0o", "1e9", "\u2028",
    "---\n",
)  # fmt: skip


def attempt(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        rules = load({"a.yaml": text}, KINDS)
    except RuleErrors as errors:
        _check_errors(text, errors)
        return
    timeline = Timeline(rules)
    state = UserState("ann")
    decisions: list[Decision] = []
    at = START
    for number, (seconds, event_type, fields) in enumerate(EVENTS):
        at += seconds * SECOND
        apply(timeline, state, Event(event_type, "ann", at, dict(fields), f"e{number}", "s"), decisions)  # type: ignore[arg-type]
        encoded = state.encode()
        state = UserState.decode(encoded)
        assert state.encode() == encoded
    advance(timeline, state, at + DAY, decisions)
    for decision in decisions:
        encode_decision(decision)


def _check_errors(text: str, errors: RuleErrors) -> None:
    lines = LINE_BREAK.split(text.removeprefix("\ufeff"))
    shown = str(errors)
    assert len(shown) <= ERRORS_SHOWN_MAX, len(shown)
    for error in errors.diagnostics:
        assert error.message
        assert error.code
        assert 1 <= error.line <= len(lines) + 1, str(error)
        width = len(lines[error.line - 1]) if error.line <= len(lines) else 0
        assert 1 <= error.column <= width + 2, str(error)


def seeds() -> Sequence[bytes]:
    return [text.encode() for text in (*vector_rules(), *rule_files()) if len(text) <= RULES.size_max]


RULES = Target(attempt, seeds, WORDS, 3000)

"""The conversations of conversation.yaml, line by line, and what no conversation lets through."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli.conversation import Conversation, Explain, Quit, Send
from engine.cli.printable import printable
from engine.cli.shown import Piece, Shown
from engine.loading.tree import PARSER

CASES = yaml.load((Path(__file__).parent / "conversation.yaml").read_text("utf-8"), PARSER)
AT = 36_000  # ten o'clock


def outcome_of(result: Send | Quit | Explain | Shown | Piece | None) -> dict[str, Any]:
    """What became of a step, in the words of the file."""
    match result:
        case Send(frame, note):
            sent = {name: value for name, value in frame.items() if name != "clientId"}
            return {"sends": sent, **({"note": note} if note else {})}
        case Quit():
            return {"leaves": True}
        case Explain(text):
            return {"says": text}
        case Shown() as shown:
            number = {"number": shown.number} if shown.number else {}
            return {"shows": [shown.kind, shown.text, *shown.options], **number}
        case Piece() as piece:
            return {"piece": piece.text}
    return {"nothing": True}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_conversation_goes_as_it_is_written(case: dict[str, Any]) -> None:
    talk = Conversation("ann", lambda: AT, UTC, waiting=lambda: case.get("waiting", ()))
    for step in case["steps"]:
        expected = {name: value for name, value in step.items() if name not in ("typed", "hears")}
        result = talk.typed(step["typed"]) if "typed" in step else talk.received(json.loads(json.dumps(step["hears"])))
        assert outcome_of(result) == expected, step


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/m", ["/mute "]),
        ("/s", ["/snooze "]),
        ("/h", ["/help"]),
        ("/w", ["/why", "/waiting"]),
        ("", []),
        ("h", []),
        ("/level l", ["less"]),
        ("/level  n", ["normal"]),
        ("/mute ", ["pause", "all"]),
        ("/mute pause ", []),
        ("/unmute ", ["tips", "all"]),
        ("/snooze to", ["tomorrow"]),
        ("/answer ", ["1"]),
        ("/chat a", []),
    ],
)
def test_commands_and_what_stands_behind_them_are_completed(line: str, words: list[str]) -> None:
    talk = Conversation("ann", lambda: AT, UTC)
    talk.received({"type": "poll", "id": "q1", "rule": "pause", "message": "Well?", "options": ["Yes"]})
    talk.typed("/mute tips")
    assert sorted(talk.completions(line)) == sorted(words)


# That `printable` lets nothing through, its own test says; here it is asked whether everything goes through it.
HOSTILE = st.text("\x1b\x9b\x07\r\n\u202e[a1", max_size=6)
JSON = st.one_of(HOSTILE, st.sampled_from([None, True, 5, -1, 1e300, float("inf"), [], ["\x1b"], {"\x1b": "\x9b"}]))
ANYTHING = ("messageType", "message", "rule", "why", "code", "language", "reason", "muted", "level", "delta", "to")
KINDS = [
    "backend_message",
    "chat_response",
    "chat_response_delta",
    "code_suggestion",
    "error",
    "preferences",
    "withdrawn",
]
FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from([*KINDS, "withdrawn", "x\x1b[2J"])},
    optional={
        **dict.fromkeys((*ANYTHING, "timestamp", "expiresAt", "snoozedUntil"), JSON),
        "options": st.lists(HOSTILE, max_size=3),
        "id": st.sampled_from(["a", "b"]),
        "questionId": HOSTILE,
    },
)
LINES = st.sampled_from(
    ["1", "/dismiss", "/mute", "/why", "/questions", "/waiting", "/unmute x", "/event x \x1b", "/answer 1 1"]
)


@settings(max_examples=50)
@given(st.lists(FRAMES | LINES, max_size=8))
def test_whatever_a_server_says_nothing_that_steers_a_terminal_is_shown(steps: list[dict[str, Any] | str]) -> None:
    sent: list[dict[str, Any]] = []
    talk = Conversation("ann", lambda: AT, UTC, waiting=lambda: sent)
    for step in steps:
        result = talk.typed(step) if isinstance(step, str) else talk.received(step)
        match result:
            case Send(frame, note):
                sent.append(frame)
                texts = [note]
            case Explain(text):
                texts = [text]
            case Shown() as shown:
                texts = [shown.at, shown.kind, shown.text, shown.fenced, *shown.options]
            case Piece() as piece:
                texts = [piece.text, piece.at]
            case _:
                texts = []
        assert [printable(text) for text in texts] == texts

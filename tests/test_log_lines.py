"""Lines of the log: repeats are counted, secrets struck out, terminals left alone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from engine.log_lines import SAME_MAX, STRUCK_OUT, WINDOW_S, Redaction, Repeats, escape_controls

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


class World:
    """A clock that stands, and what was to be called later."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.repeats = Repeats(lambda: self.now, lambda seconds, call: self.later.append((seconds, call)))

    def written(self, event: str, times: int = 1, method: str = "warning") -> int:
        """How many of so many lines go through."""
        through = 0
        for _ in range(times):
            try:
                self.repeats(None, method, {"event": event})
                through += 1
            except structlog.DropEvent:
                pass
        return through


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def told() -> Any:
    """What is told of what was held back. Lines of a log that is captured pass no other processor."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.mark.parametrize(
    ("times", "through"), [(SAME_MAX - 1, SAME_MAX - 1), (SAME_MAX, SAME_MAX), (SAME_MAX + 1, SAME_MAX)]
)
def test_so_many_lines_of_a_kind_are_written_and_no_more(world: World, times: int, through: int, told: Any) -> None:
    assert world.written("! store", times) == through
    assert world.written("! other") == 1
    assert told == []


@pytest.mark.parametrize("event", ["> message", "= decision", "! rules"])
def test_what_is_no_trouble_or_matters_line_by_line_is_all_written(world: World, event: str) -> None:
    assert world.written(event, 10 * SAME_MAX) == 10 * SAME_MAX


def test_what_was_held_back_is_told_when_the_window_is_over(world: World, told: Any) -> None:
    world.written("! store", SAME_MAX + 1234, "error")
    ((seconds, call),) = world.later
    assert seconds == WINDOW_S
    call()
    assert told == []
    world.now += WINDOW_S
    call()
    assert told == [{"event": "… and 1,234 more like it", "of": "! store", "more": 1234, "log_level": "error"}]
    assert world.written("! store", SAME_MAX + 1) == SAME_MAX, "a new window"


def test_where_nobody_can_call_later_the_next_line_tells(world: World, told: Any) -> None:
    world.written("! store", SAME_MAX + 1)
    world.now += WINDOW_S
    world.written("= stopping")
    assert [line["more"] for line in told] == [1]


def test_a_window_in_which_nothing_was_held_back_ends_without_a_word(world: World, told: Any) -> None:
    world.written("! store", SAME_MAX)
    world.now += WINDOW_S
    world.written("= stopping")
    assert told == []
    assert world.later == []


SECRETS = [
    f"token {JWT} given",
    "key pk_9f86d081884c7d659a2feaa0",
    "key\tpk_9f86d081884c7d659a2feaa0",
    "a line\npk_9f86d081884c7d659a2feaa0",
    "b'Bearer \\x01pk_9f86d081884c7d659a2feaa0'",
    "sk-proj-abcdefghijklm",
    "Authorization: Bearer abcdef123456",
    "authorization: basic YW5uOnNlY3JldA==",
    "GET /stream?token=abc.def&x=1",
    "http://h/?a=1&access_token=abc.def",
    "postgres://ann:hunter22@db/x",
    "it is s3cr3t-of-ours indeed",
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_looks_like_a_secret_is_struck_out_of_the_whole_line(text: str) -> None:
    redaction = Redaction(["s3cr3t-of-ours"])
    written = redaction.by_looks(None, "info", json.dumps({"why": text, "n": 1}))
    assert json.loads(written)["n"] == 1
    assert "***" in written
    for secret in (JWT, "9f86d0", "proj-abc", "abcdef123456", "YW5uOnNlY3JldA", "abc.def", "hunter22", "s3cr3t"):
        assert secret not in written


@pytest.mark.parametrize(
    "text",
    [
        "! token refused",
        "the bearer of bad news",
        "tokens=3",
        "https://example.org/a?b=c",
        "task-list-of-the-day",
        'expected "Authorization: Bearer pk_…" with a key',
        "at=2026-03-27T10:00:00Z",
        "eyJ",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redaction(["short"]).by_looks(None, "info", text) == text


def test_a_secret_with_quotes_is_found_in_json_too() -> None:
    secret = 'a "quoted" secret'
    assert Redaction([secret]).by_looks(None, "info", json.dumps({"x": secret})) == '{"x": "***"}'


@pytest.mark.parametrize("name", ["token", "api_key", "apikey", "Authorization", "client_secret", "password", "cookie"])
def test_what_is_named_like_a_secret_is_struck_out(name: str) -> None:
    assert Redaction().by_name(None, "info", {name: "x", "tokens": 3}) == {name: "***", "tokens": 3}
    assert Redaction().by_name(None, "info", {name: ""}) == {name: ""}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 😀", "plain ü 😀"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b2J", "\\x9b2J"),
        ("bell\x07 back\x08 return\r", "bell\\x07 back\\x08 return\\x0d"),
    ],
)
def test_no_terminal_is_written_to_by_what_somebody_sends(text: str, shown: str) -> None:
    assert escape_controls(None, "info", {"why": text, "n": 1}) == {"why": shown, "n": 1}


SIGNS = (
    "eyJ", "sk_", "sk-", "pk_", "pk-", "PK-", "Bearer ", "bAsIc ", "ba\u017fic ", "?token=", "&KEY=", "&\u212aey=",
    "access_token=", "redis://", "hunter22", "x",
)  # fmt: skip


@pytest.mark.parametrize("sign", SIGNS, ids=ascii)
def test_what_looks_like_a_secret_is_found_in_lines_that_are_only_glanced_at(sign: str) -> None:
    redaction = Redaction(["hunter22"])
    for before, after in itertools.product(
        ("", "a", " ", "\\n", '"'), ("", "abcdef.abcdef.x", "ann:secret@", "live_12345678", " x")
    ):
        line = before + sign + after
        assert redaction.by_looks(None, "info", line) == redaction._struck_out.sub(STRUCK_OUT, line)

from __future__ import annotations

import pytest

from engine.cli.device import Refused
from engine.cli.ending import FINAL, WANTS_TOKEN, Ending, ending_of_close, ending_of_refusal, ending_of_status


@pytest.mark.parametrize(
    ("code", "reason", "ending"),
    [
        (1001, '{"code":"going_away","retryAfter":1}', Ending("the server is going away", at_once=True)),
        (1006, "", Ending("the connection broke")),
        (None, "", Ending("the connection broke")),
        (1000, "", Ending("the server closed the connection (1000)")),
        (1008, '{"code":"unauthorized"}', Ending(WANTS_TOKEN, None)),
        (1008, '{"code":"erased"}', Ending("the server has forgotten this user", None)),
        (1008, "a message took too long", Ending("the server closed the connection (1008)")),
        (1011, "", Ending("the server has heard nothing from here")),
        (4000, '{"code":"too_many_bad_frames"}', Ending("the server could not read what was sent")),
        (4001, '{"code":"replaced"}', Ending("another terminal or program is this device now", None)),
        (4002, '{"code":"slow","retryAfter":3}', Ending("too much came at once", 3.0)),
        (4008, '{"code":"rate_limited","retryAfter":5}', Ending("too much was sent at once", 5.0)),
        (4008, '{"retryAfter":-1}', Ending("too much was sent at once")),
        (4008, '{"retryAfter":1e9}', Ending("too much was sent at once")),
        (4008, "[]", Ending("too much was sent at once")),
    ],
)
def test_the_code_of_a_close_says_whether_to_come_back(code: int | None, reason: str, ending: Ending) -> None:
    assert ending_of_close(code, reason) == ending


@pytest.mark.parametrize(
    ("refused", "ending"),
    [
        (Refused("unauthorized", "expected a token"), Ending(WANTS_TOKEN, None)),
        (Refused("forbidden", "expected no other user"), Ending(FINAL["forbidden"], None)),
        (Refused("bad_frame", "no\x1b[2J"), Ending("the server refused: no\ufffd[2J", None)),
        (Refused("overloaded", "later", 2), Ending("the server refused: later", 2)),
        (Refused("too_many_connections", "many"), Ending("the server refused: many")),
    ],
)
def test_a_refused_hello_is_said_again_only_where_that_may_help(refused: Refused, ending: Ending) -> None:
    assert ending_of_refusal(refused) == ending


@pytest.mark.parametrize(
    ("status", "text", "is_final"),
    [(401, WANTS_TOKEN, True), (403, WANTS_TOKEN, True), (429, "the server has as many connections as it takes", False),
     (503, "the server has as many connections as it takes", False),
     (404, "no proactive server answers at ws://a: its reply has the status 404", False)],
)  # fmt: skip
def test_a_connection_that_is_not_opened_says_why(status: int, text: str, is_final: bool) -> None:
    assert ending_of_status(status, "ws://a") == Ending(text, None if is_final else 0.0)

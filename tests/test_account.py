"""What the operator is told of turns: every decision, and nothing that a user wrote."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from engine.account import places_of, tell
from engine.core.model import Decision, Event, Reason
from engine.storage.base import Entry, Fault
from engine.turn_work import TurnResult

SAID = "my password is swordfish"
TRACE = f"""Traceback (most recent call last):
  File "engine/core/x.py", line 3, in observe
    raise ValueError(text)
ValueError: {SAID}
and: more of {SAID}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "engine/core/y.py", line 5, in fire
    g()
KeyError: '{SAID}'
"""


def told(**result: Any) -> list[dict[str, Any]]:
    # A server that another test started may have set the level of all lines.
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as lines:
        tell(TurnResult(**result))
    return [dict(line) for line in lines]


def decision(reason: Reason | None, **more: Any) -> Decision:
    return Decision(0, "ann", "stuck", 0, "condition", reason, {}, **more)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (Reason("false", ("event.message == 'x'", "event.message", SAID)), "its condition does not hold"),
        (Reason("unknown", ("event.message > 3", f'"{SAID}" is no number')), "its condition is unknown"),
        (Reason("render", (f"no {SAID}",)), "its template failed"),
        (Reason("fallback", (f"no {SAID}",)), "its fallback was sent, the template failed"),
        (Reason("absent", ()), "the user has no open session"),
    ],
)
def test_a_reason_is_told_without_what_the_user_wrote(reason: Reason, shown: str) -> None:
    (line,) = told(decisions=[decision(reason)])
    assert (line["event"], line["user_id"], line["rule_id"], line["reason"]) == ("= decision", "ann", "stuck", shown)
    assert SAID not in str(line)


def test_a_line_has_no_empty_fields() -> None:
    (line,) = told(decisions=[decision(None, was="held")])
    assert line.keys() == {"event", "log_level", "user_id", "rule_id", "outcome", "at", "was"}


def test_what_was_set_aside_is_told_with_its_places_and_in_full_only_to_who_debugs() -> None:
    entry = Entry("event", 0, "ann", Event("e", "ann", 0, {}))
    error, debug = told(faults=[Fault("ann", 0, entry, TRACE)])
    assert (error["event"], error["log_level"]) == ("! set aside", "error")
    assert error["trace"].splitlines() == [
        "Traceback (most recent call last):",
        '  File "engine/core/x.py", line 3, in observe',
        "    raise ValueError(text)",
        "ValueError",
        "Traceback (most recent call last):",
        '  File "engine/core/y.py", line 5, in fire',
        "    g()",
        "KeyError",
    ]
    assert (debug["log_level"], debug["trace"]) == ("debug", TRACE)


def test_what_is_no_trace_is_told_as_it_is() -> None:
    assert places_of("the state is too large: 2 MiB") == "the state is too large: 2 MiB"

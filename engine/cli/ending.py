"""Why a connection of `proactive connect` ended or did not come to be, and whether to come back. Pure.

The codes are those of docs/protocol.md and of RFC 6455, section 7.4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from websockets.frames import CloseCode

from engine.cli.device import Refused
from engine.cli.printable import one_line

REPLACED = 4001
TEXTS: dict[int | None, str] = {
    None: "the connection broke",
    CloseCode.ABNORMAL_CLOSURE: "the connection broke",
    CloseCode.GOING_AWAY: "the server is going away",
    CloseCode.INTERNAL_ERROR: "the server has heard nothing from here",
    4000: "the server could not read what was sent",
    4002: "too much came at once",
    4008: "too much was sent at once",
}
WANTS_TOKEN = "the server wants a token that holds; --token or --token-file has one"
FORGOTTEN = "the server has forgotten this user"
FINAL = {
    "erased": FORGOTTEN,
    "unauthorized": WANTS_TOKEN,
    "forbidden": "the token is another user's; leave --user out",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """``pause_s``: stay away so long at least; None where coming back makes no sense. ``at_once``: come back now."""

    text: str
    pause_s: float | None = 0.0
    at_once: bool = False


def ending_of_close(code: int | None, reason: str) -> Ending:
    """That of a connection which the server or the line has closed."""
    said = _parsed(reason)
    if code == REPLACED:
        return Ending("another terminal or program is this device now", None)
    if code == CloseCode.POLICY_VIOLATION and said.get("code") in FINAL:
        return Ending(FINAL[str(said["code"])], None)
    if code == CloseCode.GOING_AWAY:
        # It restarts, and is often back before we are.
        return Ending(TEXTS[code], at_once=True)
    retry = said.get("retryAfter")
    pause_s = float(retry) if isinstance(retry, int | float) and 0 <= retry <= 3600 else 0.0
    return Ending(TEXTS.get(code, f"the server closed the connection ({code})"), pause_s)


def ending_of_refusal(refused: Refused) -> Ending:
    """That of a connection on which the server did not take our hello."""
    if refused.code in FINAL:
        return Ending(FINAL[refused.code], None)
    if refused.retry_after_s is None and refused.code not in ("too_many_connections", "internal"):
        return Ending(f"the server refused: {one_line(refused.message)}", None)
    return Ending(f"the server refused: {one_line(refused.message)}", refused.retry_after_s or 0.0)


def ending_of_status(status: int, url: str) -> Ending:
    """That of a connection which the server has not opened, with the status of its reply."""
    if status in (401, 403):
        return Ending(WANTS_TOKEN, None)
    if status in (429, 503):
        return Ending("the server has as many connections as it takes")
    return Ending(f"no proactive server answers at {url}: its reply has the status {status}")


def _parsed(reason: str) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(reason)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return said if isinstance(said, dict) else {}

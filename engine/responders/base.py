"""The contract of a responder, and the one way to ask it: bounded in time, its failures in no user's face.

Which responder there is, is chosen in `engine.app`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

from engine.core.model import Json

ANSWER_LENGTH_MAX = 256 * 1024  # characters
CHAT_MODE = "chat"  # where a client names no mode


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What a person wrote. ``mode`` and ``context`` are as the client ``client`` sent them."""

    client: str
    message: str
    mode: str = CHAT_MODE
    context: dict[str, Json] = field(default_factory=dict)

    @classmethod
    def from_data(cls, client: str, data: dict[str, Json]) -> ChatMessage:
        """From the data of a ``chat_message`` event that `engine.transport.wire` has read."""
        return cls(client, data["message"], data.get("mode") or CHAT_MODE, data.get("context") or {})


class Responder(Protocol):
    """An async callable that takes one `ChatMessage` and returns the text of the answer.

    It is cancelled when it takes too long or the client goes. Whatever it raises is logged for the operator
    and told to the client as "could not be answered", never in its own words.
    """

    def __call__(self, message: ChatMessage, /) -> Awaitable[str]: ...


class ResponderFailed(Exception):
    """There is no answer. ``why`` is for the log; ``message`` for the person who waits."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(why)
        self.message = message
        self.why = why


async def ask(responder: Responder, chat: ChatMessage, timeout_s: float) -> str:
    """The answer. Raises `ResponderFailed` where it takes too long, raises, is too long or is no text."""
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            answer = await responder(chat)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled us: something that the responder waited for was cancelled, and it let that through.
        raise ResponderFailed("Something went wrong while answering. Please try again.", "it was cancelled") from error
    except Exception as error:
        # A responder is somebody else's code: whatever it raises must end with this one message.
        if deadline.expired():
            raise ResponderFailed(
                "No answer came in time. Please try again.", f"no answer within {timeout_s:g}s"
            ) from error
        raise ResponderFailed(
            "Something went wrong while answering. Please try again.", f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(answer, str):
        raise ResponderFailed(
            "Something went wrong while answering. Please try again.",
            f"expected the responder to return a string, got {type(answer).__name__}",
        )
    if len(answer) > ANSWER_LENGTH_MAX:
        raise ResponderFailed(
            "The answer was too long to be sent. Please ask for less.",
            f"expected an answer of at most {ANSWER_LENGTH_MAX} characters, got {len(answer)}",
        )
    return answer


def check_responder(responder: object) -> None:
    """Refuse at the start what could never answer. Raises `TypeError`."""
    call = responder if inspect.isroutine(responder) else getattr(responder, "__call__", None)  # noqa: B004
    if not callable(responder) or not inspect.iscoroutinefunction(call):
        raise TypeError(f"expected the responder to be an async function of one ChatMessage, got {responder!r}")
    try:
        inspect.signature(responder).bind(object())
    except TypeError:
        raise TypeError(
            f"expected the responder to take one argument, a ChatMessage, got {inspect.signature(responder)}"
        ) from None

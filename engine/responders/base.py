"""The contract of a responder, and the one way to ask it: bounded in time, its failures in no user's face.

Which responder there is, is chosen in `engine.app`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine.core.model import Json

ANSWER_LENGTH_MAX = 256 * 1024  # characters
CHAT_MODE = "chat"  # where a client names no mode
COMPOSE_MODE = "compose"  # where a rule has its message written: see `engine.composer`

_WENT_WRONG = "Something went wrong while answering. Please try again."


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that was said in a conversation, and by whom."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What a person wrote. ``mode`` and ``context`` are as the client ``client`` sent them.

    ``user`` is the person, who may have several clients; the client where nobody says more. ``history`` is what was
    said before, oldest first, without this message. ``id`` is that of the event which the message is, as far as it is
    known before the answer: the client's own, or the one that the log gave it.
    """

    client: str
    message: str
    mode: str = CHAT_MODE
    context: dict[str, Json] = field(default_factory=dict)
    user: str = ""
    history: tuple[Turn, ...] = ()
    id: str = ""

    def __post_init__(self) -> None:
        if not self.user:
            object.__setattr__(self, "user", self.client)

    @classmethod
    def from_data(
        cls, client: str, data: dict[str, Json], *, user: str = "", history: tuple[Turn, ...] = (), id: str = ""
    ) -> ChatMessage:
        """From the data of a ``chat_message`` event that `engine.transport.wire` has read.

        ``history`` may end with the message itself, for it may have been recorded already; then that is left out.
        """
        message = data["message"]
        if history and history[-1] == Turn("user", message):
            history = history[:-1]
        return cls(client, message, data.get("mode") or CHAT_MODE, data.get("context") or {}, user, history, id)


class Responder(Protocol):
    """An async callable that takes one `ChatMessage` and returns the text of the answer.

    Or an async generator of the pieces of the text, in order, which are shown as they come; or an async callable that
    returns such an iterator. It is cancelled (an iterator closed as well) when it takes too long or the client goes.
    Whatever it raises is logged for the operator and told to the client as "could not be answered", never in its own
    words; but for `ResponderFailed`, of which the one half is for the log and the other for the person.
    """

    def __call__(self, message: ChatMessage, /) -> Awaitable[str | AsyncIterator[str]] | AsyncIterator[str]: ...


class ResponderFailed(Exception):
    """There is no answer. ``why`` is for the log; ``message`` for the person who waits."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(why)
        self.message = message
        self.why = why


async def ask(
    responder: Responder, chat: ChatMessage, timeout_s: float, on_delta: Callable[[str], None] | None = None
) -> str:
    """The whole answer. Raises `ResponderFailed` where it takes too long, raises, is too long or is no text.

    ``on_delta`` is called with the pieces of an answer that comes in pieces, in order; none is empty, and together
    they are the answer. It is not called for an answer that comes whole, and it may have been called before a failure.
    """
    try:
        async with asyncio.timeout(timeout_s) as deadline:
            answer: Any = responder(chat)
            if inspect.isawaitable(answer):
                answer = await answer
            if isinstance(answer, AsyncIterator):
                answer = await _gathered(answer, on_delta)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled us: something that the responder waited for was cancelled, and it let that through.
        raise ResponderFailed(_WENT_WRONG, "it was cancelled") from error
    except ResponderFailed:
        raise
    except Exception as error:
        # A responder is somebody else's code: whatever it raises must end with this one message.
        if deadline.expired():
            raise ResponderFailed(
                "No answer came in time. Please try again.", f"no answer within {timeout_s:.3g}s"
            ) from error
        raise ResponderFailed(_WENT_WRONG, f"{type(error).__name__}: {error}") from error
    if not isinstance(answer, str):
        got = type(answer).__name__
        raise ResponderFailed(_WENT_WRONG, f"expected the responder to return a string, got {got}")
    _check_length(len(answer))
    return answer


async def _gathered(pieces: AsyncIterator[str], on_delta: Callable[[str], None] | None) -> str:
    """The pieces as one text. Whatever happens, the iterator is closed: a request that it makes ends with it."""
    told: list[str] = []
    length = 0
    close = getattr(pieces, "aclose", None)
    try:
        async for piece in pieces:
            if not isinstance(piece, str):
                got = type(piece).__name__
                raise ResponderFailed(_WENT_WRONG, f"expected the responder to yield strings, got {got}")
            if not piece:
                continue
            length += len(piece)
            _check_length(length)
            told.append(piece)
            if on_delta is not None:
                on_delta(piece)
    finally:
        if close is not None:
            await close()
    return "".join(told)


def _check_length(length: int) -> None:
    if length > ANSWER_LENGTH_MAX:
        raise ResponderFailed(
            "The answer was too long to be sent. Please ask for less.",
            f"expected an answer of at most {ANSWER_LENGTH_MAX} characters, got {length}",
        )


def check_responder(responder: object) -> None:
    """Refuse at the start what could never answer. Raises `TypeError`."""
    call = responder if inspect.isroutine(responder) else getattr(responder, "__call__", None)  # noqa: B004
    is_async = inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)
    if not callable(responder) or not is_async:
        raise TypeError(f"expected the responder to be an async function of one ChatMessage, got {responder!r}")
    try:
        inspect.signature(responder).bind(object())
    except TypeError:
        raise TypeError(
            f"expected the responder to take one argument, a ChatMessage, got {inspect.signature(responder)}"
        ) from None

"""Who answers chat messages and writes what rules leave to be written, as the settings have it. It keeps nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from engine.composer import Composer
from engine.core.model import ANSWER_TYPE, CHAT_RESPONSE, Event
from engine.core.units import SECOND
from engine.intake import Input
from engine.observer import Observer
from engine.responders import echo, plain
from engine.responders.base import Responder
from engine.responders.conversation import Conversations
from engine.responders.openai import OpenAIResponder
from engine.settings import Settings
from engine.storage.base import NEWEST, Entry, OutboxMessage, Store
from engine.transport.answers import Answers

RESPONDERS: Mapping[str, Responder] = {"plain": plain.respond, "echo": echo.respond}


async def open_voice(settings: Settings, responder: Responder | None, opened: AsyncExitStack) -> Responder | None:
    """Who has a mind of its own to answer with: the application's responder or a model; None for neither."""
    if responder is not None or settings.responder != "openai":
        return responder
    model = OpenAIResponder(settings.openai)
    opened.push_async_callback(model.close)
    return model


class Pen:
    """Where there is a ``voice``, what writes messages of rules. Whoever has them written is made before it, and it
    hands over to them: so it is handed out first, and `begin` comes last.
    """

    def __init__(self, voice: Responder | None) -> None:
        self._voice = voice
        self.composer: Composer | None = None

    @property
    def compose(self) -> Callable[[list[OutboxMessage]], None] | None:
        """None where nobody writes."""
        return None if self._voice is None else self._compose

    def _compose(self, messages: list[OutboxMessage]) -> None:
        assert self.composer is not None
        self.composer.compose(messages)

    def settle(self, user: str, message_id: str) -> None:
        """The message is not to be written any more, if it was."""
        if self.composer is not None:
            self.composer.settle(user, message_id)

    def begin(
        self,
        settings: Settings,
        *,
        record: Callable[[list[Input]], Awaitable[object]],
        hand_over: Callable[[list[OutboxMessage]], None],
        observer: Observer,
    ) -> Composer | None:
        """See `Composer`; who closes it is who began it. None where nobody writes."""
        if self._voice is not None:
            self.composer = Composer(
                self._voice,
                settings.compose_timeout / SECOND,
                record=record,
                hand_over=hand_over,
                by=settings.openai.model if isinstance(self._voice, OpenAIResponder) else "application",
                observer=observer,
            )
        return self.composer


def open_answers(
    settings: Settings,
    voice: Responder | None,
    store: Store,
    record: Callable[[list[Input]], object],
    observer: Observer,
) -> Answers:
    """``record`` is given the events by which answers are known after a restart."""
    timeout_s = settings.answer_timeout / SECOND
    if voice is None:
        return Answers(RESPONDERS[settings.responder], timeout_s, observer=observer)

    async def past(user: str, events_max: int) -> list[Event]:
        entries = await newest_entries(store, user, events_max)
        return [event for entry in reversed(entries) if (event := _said_by(entry)) is not None]

    conversation = Conversations(settings.openai.history, past)
    return Answers(voice, timeout_s, conversation=conversation, record=record, observer=observer)


async def newest_entries(store: Store, user: str, entries_max: int) -> list[Entry]:
    """What stands in the log of the user, newest first. Raises `StoreError`."""
    return [entry for _, entry in (await store.recorded(user, NEWEST, entries_max)).entries]


def _said_by(entry: Entry) -> Event | None:
    """What an entry is to a conversation: an answer to a session was sent, and is recorded by that alone."""
    message = entry.message
    if message is not None and message.type == ANSWER_TYPE:
        return Event(CHAT_RESPONSE, entry.user, entry.at, {"message": message.text})
    return entry.event

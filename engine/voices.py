"""Who answers chat messages and writes what rules leave to be written, as the settings have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from engine.core.model import ANSWER_TYPE, CHAT_RESPONSE, Event
from engine.core.units import SECOND
from engine.intake import Input
from engine.observer import Observer
from engine.responders import echo, plain
from engine.responders.base import Responder
from engine.responders.conversation import Conversations
from engine.responders.openai import OpenAIResponder
from engine.settings import Settings
from engine.storage.base import NEWEST, Entry, Store
from engine.transport.answers import Answers

RESPONDERS: Mapping[str, Responder] = {"plain": plain.respond, "echo": echo.respond}


async def open_voice(settings: Settings, responder: Responder | None, opened: AsyncExitStack) -> Responder | None:
    """Who has a mind of its own to answer with: the application's responder or a model; None for neither."""
    if responder is not None or settings.responder != "openai":
        return responder
    model = OpenAIResponder(settings.openai)
    opened.push_async_callback(model.close)
    return model


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

"""Who answers chat messages and writes what rules leave to be written, as the settings have it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from engine.core.model import Event
from engine.core.units import SECOND
from engine.intake import Input
from engine.observer import Observer
from engine.responders import echo, plain
from engine.responders.base import Responder
from engine.responders.conversation import Conversations
from engine.responders.openai import OpenAIResponder
from engine.settings import Settings
from engine.storage.base import Store
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
        return (await store.history([user], time.time_ns() // 1000 + 1, events_max)).get(user, [])

    conversation = Conversations(settings.openai.history, past)
    return Answers(voice, timeout_s, conversation=conversation, record=record, observer=observer)

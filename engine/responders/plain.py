"""The responder of a server without an AI: says so, and answers nothing."""

from __future__ import annotations

from engine.responders.base import ChatMessage

NO_AI = (
    "No AI is configured on this server, so I cannot answer. "
    "Your message was recorded, and the rules that look at messages have seen it."
)


async def respond(message: ChatMessage) -> str:
    return NO_AI

"""The responder that says back what it heard: for trying out a client. Never the default."""

from __future__ import annotations

from engine.responders.base import ChatMessage


async def respond(message: ChatMessage) -> str:
    return message.message

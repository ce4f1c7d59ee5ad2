"""Messages of an outbox of which one cannot be read: the store is damaged, or a later version has written it.

It is passed over and logged, and stays where it is: whatever else waits is for people who wait for it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from engine.core.refusal import Refused
from engine.storage.base import OutboxMessage

log = structlog.get_logger("store")


def message_if_readable(read: Callable[..., OutboxMessage], user: str, *row: object) -> OutboxMessage | None:
    """What ``read`` makes of the row, or None."""
    try:
        return read(user, *row)
    except (msgspec.MsgspecError, Refused, ValueError, RecursionError) as error:
        log.error("! a message cannot be read", user=user, error=str(error))
        return None


def readable_messages(read: Callable[..., OutboxMessage], user: str, *rows: tuple[object, ...]) -> list[OutboxMessage]:
    found = (message_if_readable(read, user, *row) for row in rows)
    return [message for message in found if message is not None]

"""What the driver and the store refuse, in the words of the protocol. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from engine.inbox import Behind, Overloaded
from engine.storage.base import StoreError
from engine.transport.decoding import WireError
from engine.transport.erasing import BeingErased

RETRY_OVERLOADED_S = 1
RETRY_NOT_STORED_S = 5  # a disk that is full is not full for a second

log = structlog.get_logger("proactive")


@contextmanager
def told_to_client() -> Iterator[None]:
    """What the driver refuses, in the words of the protocol: raises `WireError` instead."""
    try:
        yield
    except (Overloaded, StoreError) as error:
        raise refusal_of(error) from None


def refusal_of(error: BaseException) -> WireError:
    """What to tell a client whose events could not be taken. The operator is told as well."""
    if isinstance(error, WireError):
        return error
    if isinstance(error, BeingErased):
        return WireError("overloaded", str(error), retry_after_s=RETRY_OVERLOADED_S)
    if isinstance(error, Behind):
        log.warning("! not erased yet", why=str(error))
        return WireError("overloaded", str(error), retry_after_s=RETRY_NOT_STORED_S)
    if isinstance(error, Overloaded):
        log.warning("! overloaded", why=str(error))
        why = "the server has more to do than it can; keep what you have and try again in a second"
        return WireError("overloaded", why, retry_after_s=RETRY_OVERLOADED_S)
    if isinstance(error, StoreError):
        log.error("! not stored", why=str(error))
        why = "the server cannot write to its store; nothing was recorded, keep it and try again"
        return WireError("not_stored", why, retry_after_s=RETRY_NOT_STORED_S)
    log.error("! not taken", why=f"{type(error).__name__}: {error}")
    return WireError("internal", "something went wrong in the server; its log says what")

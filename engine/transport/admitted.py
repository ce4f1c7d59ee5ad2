"""One more connection over HTTP that waits for frames: let in as long as limits allow, and counted until it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from engine.observer import Transport
from engine.transport.limits import Refusal
from engine.transport.reception import Reception


@contextmanager
def admitted(reception: Reception, request: web.Request, user: str, transport: Transport) -> Iterator[None]:
    """Raises `WireError` where one more may not be."""
    admission, observer = reception.admission, reception.observer

    def check(refusal: Refusal | None) -> None:
        if refusal is not None:
            observer.rate_limited(refusal.scope)
            raise refusal.error()

    address = request.remote or ""
    check(admission.admit(address))
    try:
        check(admission.admit_user(user))
        observer.connected(transport, 1)
        try:
            yield
        finally:
            observer.disconnected(transport, 1)
            admission.released_user(user)
    finally:
        admission.released(address)

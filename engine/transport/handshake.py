"""The opening of a WebSocket connection (RFC 6455, section 4.2): the bytes of a request to those of the response.

It reads from no socket and does not judge tokens: it only finds them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from engine.transport.limits import Refusal

REQUEST_BYTES_MAX = 16 * 1024  # of the request line and the headers: cookies of a page on this machine come along
REQUEST_END = b"\r\n\r\n"
_BEARER = "bearer "

AllowsOrigin = Callable[[str | None], bool]


@dataclass(frozen=True, slots=True)
class Opening:
    """``response`` is to be sent whatever it says. ``credentials``: the token, or what stands where one should."""

    response: bytes
    is_accepted: bool
    credentials: str | None = None
    why: str = ""


def open_connection(request_bytes: bytes, allows_origin: AllowsOrigin, refusal: Refusal | None) -> Opening:
    """The response to a whole request, ``request_bytes`` up to its `REQUEST_END`.

    ``allows_origin`` is asked for the Origin, None where there is no such header. ``refusal``: what stands in the
    way of whoever it is. Of a request that is no HTTP the response is empty.
    """
    protocol = ServerProtocol(max_size=0)
    protocol.receive_data(request_bytes)
    request = next((event for event in protocol.events_received() if isinstance(event, Request)), None)
    if request is None:
        return Opening(b"".join(protocol.data_to_send()), False, why=str(protocol.handshake_exc))
    response = protocol.accept(request)
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        if not allows_origin(protocol.origin):
            why = "Failed to open a WebSocket connection: pages of this origin may not connect.\n"
            response = protocol.reject(HTTPStatus.FORBIDDEN, why)
        elif refusal is not None:
            response = protocol.reject(HTTPStatus(refusal.status), f"{refusal.message}\n")
            response.headers["Retry-After"] = str(refusal.retry_after_s)
    return _opening(protocol, request, response)


def too_large() -> bytes:
    """The response to a request that has not ended within `REQUEST_BYTES_MAX`."""
    why = f"expected a request of at most {REQUEST_BYTES_MAX} bytes\n"
    return ServerProtocol().reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, why).serialize()


def _opening(protocol: ServerProtocol, request: Request, response: Response) -> Opening:
    protocol.send_response(response)
    is_accepted = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    return Opening(
        response=b"".join(protocol.data_to_send()),
        is_accepted=is_accepted,
        credentials=_credentials(request) if is_accepted else None,
        why="" if is_accepted else response.body.decode(errors="replace").strip(),
    )


def _credentials(request: Request) -> str | None:
    """The token of ``Authorization: Bearer …``; else of ``?token=…``, for a browser cannot set headers here."""
    try:
        header = request.headers.get("Authorization")
    except MultipleValuesError:
        # Which of them is meant cannot be known. What is no token will be told so.
        return ""
    if header is not None:
        is_bearer = header[: len(_BEARER)].lower() == _BEARER
        return header[len(_BEARER) :].strip() if is_bearer else header
    try:
        tokens = parse_qs(urlsplit(request.path).query, keep_blank_values=True).get("token", [])
    except ValueError:
        # A whole URL with half an address in it ("http://[/"), or more fields than anybody has.
        return ""
    return tokens[0] if len(tokens) == 1 else ("" if tokens else None)

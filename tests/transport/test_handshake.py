from __future__ import annotations

import pytest

from engine.transport.handshake import Opening, open_connection
from engine.transport.limits import Refusal

HEADERS = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def opening(
    *more: tuple[str, str], line: str = "GET / HTTP/1.1", refusal: Refusal | None = None, without: str = ""
) -> Opening:
    headers = [item for item in HEADERS.items() if item[0] != without]
    lines = [line, *(f"{name}: {value}" for name, value in [*headers, *more])]
    return open_connection(
        "".join(f"{line}\r\n" for line in [*lines, ""]).encode(),
        lambda origin: origin != "https://evil.example",
        refusal,
    )


def status(opened: Opening) -> str:
    return opened.response.split(b"\r\n")[0].decode()


def test_a_handshake_is_answered_as_the_standard_shows_it() -> None:
    opened = opening()  # the key and its answer are those of RFC 6455, section 1.3
    assert opened.is_accepted
    assert status(opened) == "HTTP/1.1 101 Switching Protocols"
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in opened.response
    assert opened.response.endswith(b"\r\n\r\n")


def test_compression_is_not_agreed_to() -> None:
    opened = opening(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"))
    assert opened.is_accepted
    assert b"extensions" not in opened.response.lower()


@pytest.mark.parametrize(
    ("line", "headers", "credentials"),
    [
        ("GET / HTTP/1.1", [], None),
        ("GET /?token=abc HTTP/1.1", [], "abc"),
        ("GET /any/path?x=1&token=a%2Bb HTTP/1.1", [], "a+b"),
        ("GET /?token= HTTP/1.1", [], ""),
        ("GET /?token=a&token=b HTTP/1.1", [], ""),
        ("GET http://[/?token=abc HTTP/1.1", [], ""),
        ("GET / HTTP/1.1", [("Authorization", "Bearer abc")], "abc"),
        ("GET / HTTP/1.1", [("Authorization", "bearer  abc")], "abc"),
        ("GET /?token=query HTTP/1.1", [("Authorization", "Bearer header")], "header"),
        ("GET / HTTP/1.1", [("Authorization", "Basic abc")], "Basic abc"),
        ("GET / HTTP/1.1", [("Authorization", "Bearer a"), ("Authorization", "Bearer b")], ""),
    ],
)
def test_the_token_is_found_and_not_judged(line: str, headers: list[tuple[str, str]], credentials: str | None) -> None:
    opened = opening(*headers, line=line)
    assert (opened.is_accepted, opened.credentials) == (True, credentials)


@pytest.mark.parametrize(
    ("line", "headers", "without", "expected"),
    [
        ("GET / HTTP/1.1", [("Origin", "https://evil.example")], "", "403 Forbidden"),
        ("GET / HTTP/1.1", [("Origin", "https://a"), ("Origin", "https://b")], "", "400 Bad Request"),
        ("GET / HTTP/1.1", [], "Upgrade", "426 Upgrade Required"),
        ("GET / HTTP/1.1", [], "Sec-WebSocket-Key", "400 Bad Request"),
        ("GET / HTTP/1.1", [("X-Long", "x" * 9000)], "", "431 Request Header Fields Too Large"),
        ("POST / HTTP/1.1", [], "", "405 Method Not Allowed"),
        ("GET / HTTP/1.0", [], "", "505 HTTP Version Not Supported"),
    ],
)
def test_what_is_no_handshake_is_refused_over_http(
    line: str, headers: list[tuple[str, str]], without: str, expected: str
) -> None:
    opened = opening(*headers, line=line, without=without)
    assert not opened.is_accepted
    assert status(opened) == f"HTTP/1.1 {expected}"


def test_an_origin_that_may_connect_does() -> None:
    assert opening(("Origin", "https://good.example")).is_accepted


def test_what_is_no_http_gets_no_answer() -> None:
    opened = opening(line="HELO mail.example")
    assert (opened.is_accepted, opened.response) == (False, b"")


def test_who_is_refused_hears_when_to_come_again() -> None:
    opened = opening(refusal=Refusal("too_many_connections", "the server is full", 5))
    assert not opened.is_accepted
    assert status(opened) == "HTTP/1.1 429 Too Many Requests"
    assert b"Retry-After: 5\r\n" in opened.response
    assert opened.response.endswith(b"the server is full\n")


def test_no_reason_for_a_refusal_shows_a_token() -> None:
    for line in ("GET /?token=secret HTTP/1.0", "GET /?token=secret", "POST /?token=secret HTTP/1.1"):
        opened = opening(line=line)
        assert b"secret" not in opened.response
        assert "secret" not in opened.why

"""Which pages may speak, by what a browser says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.settings import Auth, Settings, Tokens
from engine.transport.origins import Origins

GUARDED = Auth(Tokens(secret="s" * 32), Path("keys.json"))
LOCAL = Origins(Settings(origins=("https://app.example",)))
PUBLIC = Origins(Settings(host="0.0.0.0", origins=("https://app.example", "http://[::1]:3000"), auth=GUARDED))


@pytest.mark.parametrize(
    ("origin", "locally", "publicly"),
    [
        (None, True, True),
        ("https://app.example", True, True),
        ("http://[::1]:3000", True, True),
        ("http://localhost", True, False),
        ("http://localhost:3000", True, False),
        ("https://127.0.0.1:8443", True, False),
        ("null", False, False),
        ("", False, False),
        ("https://app.example.", False, False),
        ("https://app.example:444", False, False),
        ("http://app.example", False, False),
        ("https://app.example/", False, False),
        ("https://app.example@evil.example", False, False),
        ("https://evil.example", False, False),
        ("https://xapp.example", False, False),
        ("http://localhost.evil.example", False, False),
        ("http://127.0.0.1.evil.example", False, False),
        ("http://localhost:3000\n", False, False),
        ("http://localhost@evil.example", False, False),
        ("http://localhost:" + "1" * 400, False, False),
        ("file://", False, False),
    ],
)
def test_a_page_may_speak_if_it_is_listed_or_of_this_machine(origin: str | None, locally: bool, publicly: bool) -> None:
    assert LOCAL.allows(origin) is locally
    assert PUBLIC.allows(origin) is publicly


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (None, True),
        ("localhost:7777", True),
        ("LOCALHOST", True),
        ("127.0.0.1:7777", True),
        ("127.9.9.9", True),
        ("[::1]:7777", True),
        ("app.example", True),
        ("evil.example:7777", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("192.168.0.1", False),
        ("0.0.0.0:7777", False),
        ("", False),
        ("a" * 301, False),
        ("localhost:7777, evil", False),
    ],
)
def test_a_page_whose_name_was_led_here_is_known_by_it(host: str | None, allowed: bool) -> None:
    assert LOCAL.allows_host(host) is allowed
    assert PUBLIC.allows_host(host), "where tokens are asked for, servers before this one may call it as they like"


async def test_a_page_whose_name_was_led_here_gets_nothing(start_server: Any) -> None:
    server = await start_server()
    async with aiohttp.ClientSession(server.http_url) as http:
        for host, status in (("evil.example:7777", 403), ("localhost:7777", 200)):
            async with http.get("/users/ann/timeline", headers={"Host": host}) as response:
                assert response.status == status
                assert "expected the header Host" in await response.text() or status == 200

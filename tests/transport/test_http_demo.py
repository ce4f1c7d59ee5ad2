"""The demo page: who gets it, what it may load, and that the widget in the package is what its sources make."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from engine import Server
from engine.doors import http_door
from engine.settings import Auth, Tokens
from engine.transport import routes_demo

ROOT = Path(__file__).parent.parent.parent
CLIENTS = ROOT / "clients"
PATHS = ("/demo", "/demo/widget.js")
SECRET = "a-secret-of-32-bytes-at-the-least-x"


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.http_url) as session:
        yield session


async def get(http: aiohttp.ClientSession, path: str) -> tuple[int, str, str, dict[str, str]]:
    async with http.get(path) as response:
        return response.status, response.content_type, await response.text(), dict(response.headers)


async def test_the_page_and_its_widget_come_with_the_package(http: aiohttp.ClientSession) -> None:
    status, kind, page, _ = await get(http, "/demo")
    assert (status, kind) == (200, "text/html")
    assert re.findall(r'\bsrc="([^"]*)"', page) == ["/demo/widget.js"]
    status, kind, script, _ = await get(http, "/demo/widget.js")
    assert (status, kind) == (200, "text/javascript")
    assert script == (routes_demo.HERE / "widget.js").read_text("utf-8")


async def test_the_page_names_the_port_of_the_websocket(http: aiohttp.ClientSession, server: Server) -> None:
    _, _, page, _ = await get(http, "/demo")
    assert f'data-web-socket-port="{urlsplit(server.ws_url).port}"' in page


async def test_the_policy_lets_the_page_reach_this_server_alone(http: aiohttp.ClientSession, server: Server) -> None:
    _, _, page, headers = await get(http, "/demo")
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    port = urlsplit(server.ws_url).port
    assert policy.pop("connect-src") == f"'self' ws://localhost:{port} ws://127.0.0.1:{port}"
    assert policy.pop("script-src") == f"'self' {sum_of(page, 'script')}"
    assert policy.pop("style-src") == sum_of(page, "style")
    assert policy == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
        "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
    }  # fmt: skip


def sum_of(page: str, tag: str) -> str:
    text = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    assert len(text) == 1
    return f"'sha256-{b64encode(sha256(text[0].encode()).digest()).decode()}'"


@pytest.mark.parametrize("path", PATHS)
async def test_no_reply_is_taken_for_something_else(http: aiohttp.ClientSession, path: str) -> None:
    _, _, _, headers = await get(http, path)
    assert {name: headers[name] for name in routes_demo.HEADERS} == routes_demo.HEADERS
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
async def test_parameters_there_are_none(http: aiohttp.ClientSession, path: str) -> None:
    status, kind, _, _ = await get(http, f"{path}?user=ann")
    assert (status, kind) == (400, "application/json")


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_from_elsewhere_gets_nothing(http: aiohttp.ClientSession, path: str) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        async with http.get(path, headers=headers) as response:
            assert response.status == 403


@pytest.mark.parametrize("path", PATHS)
async def test_where_tokens_are_checked_it_asks_for_one(start_server: Any, path: str) -> None:
    server = await start_server(auth=Auth(tokens=Tokens(secret=SECRET)))
    async with aiohttp.ClientSession(server.http_url) as http:
        status, kind, text, _ = await get(http, path)
    assert (status, kind) == (401, "application/json")
    assert "data-" not in text


async def test_a_server_that_others_can_reach_has_no_page(start_server: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": []}', encoding="utf-8")
    server = await start_server(host="0.0.0.0", auth=Auth(tokens=Tokens(secret=SECRET), backend_keys=keys))
    port = urlsplit(server.http_url).port
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for path in PATHS:
            status, _, text, _ = await get(http, path)
            assert (status, routes_demo.NOT_HERE in text) == (404, True)


async def test_the_door_has_no_page_unless_it_is_told_of_the_websocket(server: Server) -> None:
    door = http_door(server.settings, server._parts(), server.health)
    port = await door.open("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            assert [(await get(http, path))[0] for path in PATHS] == [404, 404]
    finally:
        await door.close()


@pytest.mark.parametrize(
    ("ws_url", "written"),
    [
        ("ws://127.0.0.1:7778", "ws://localhost:7778 ws://127.0.0.1:7778"),
        ("wss://localhost:1", "wss://localhost:1 wss://127.0.0.1:1"),
        ("ws://127.0.0.2:7778", "ws://localhost:7778 ws://127.0.0.1:7778 ws://127.0.0.2:7778"),
        ("ws://[::1]:7778", "ws://localhost:7778 ws://127.0.0.1:7778"),
    ],
)
def test_the_policy_names_the_websocket_as_a_browser_may_write_it(ws_url: str, written: str) -> None:
    assert routes_demo._sockets(ws_url) == written


def test_the_widget_in_the_package_is_what_its_sources_make() -> None:
    """Without Node: the first line of the built file has the sum of all that it was made of (scripts/build.mjs)."""
    names = [f"{folder}/{path.name}" for folder in ("js/src", "web/src") for path in (CLIENTS / folder).iterdir()]
    total = sha256()
    for name in sorted([*names, "web/scripts/build.mjs", "web/package-lock.json"]):
        total.update(f"{name}\0".encode() + (CLIENTS / name).read_bytes() + b"\0")
    first = (routes_demo.HERE / "widget.js").read_text("utf-8").split("\n", 1)[0]
    assert first == f"/*! proactive widget, MIT licence, sources {total.hexdigest()} */", "npm run build in clients/web"


def test_the_widget_makes_no_html_and_no_code_of_texts() -> None:
    script = (routes_demo.HERE / "widget.js").read_text("utf-8")
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", script) == []
    )


def test_the_lock_of_the_widget_says_what_is_installed_and_not_from_where() -> None:
    lock = (CLIENTS / "web" / "package-lock.json").read_text("utf-8")
    assert re.findall(r'"resolved"|https?://[^"]*registry', lock) == []
    assert '"integrity": "sha512-' in lock

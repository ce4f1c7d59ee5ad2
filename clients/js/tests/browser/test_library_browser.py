"""`@proactive/client` as it is built, in a real Chromium against a real server, on a page with a strict policy.

What the library does besides is tested in Node, beside this; here is what only a browser has: its own WebSocket and
fetch, storage over a reload, locks between tabs, a network that goes, and a Content-Security-Policy.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from engine.responders.base import ChatMessage
from tests.widget_page import OF_THE_NETWORK, REMEMBER_SOCKETS, WITHIN_MS, Backend, chromium, serving

HERE = Path(__file__).parent
BUILT = HERE.parent.parent / "dist"
WAYS = ("websocket", "sse", "poll")
# Nothing but its own scripts and the two doors of the server: no inline script, no eval, no text made into code.
POLICY = "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'; connect-src "
PAGE = b'<!doctype html><meta charset="utf-8"><title>A page</title><script type="module" src="/page.mjs"></script>'


class Files(BaseHTTPRequestHandler):
    """The page, its script and the library, of an origin of their own; ``/?connect=`` is what the policy allows."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, sources = self.path.partition("?connect=")
        if path == "/":
            return self._reply(200, "text/html", PAGE, POLICY + sources.replace(",", " "))
        name = path.rsplit("/", 1)[-1]
        file = HERE / "page.mjs" if path == "/page.mjs" else BUILT / name
        if file.suffix not in (".js", ".mjs") or not file.is_file():
            return self._reply(404, "text/plain", b"", "")
        return self._reply(200, "text/javascript", file.read_bytes(), "")

    def _reply(self, status: int, kind: str, content: bytes, policy: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


async def answer(message: ChatMessage) -> AsyncIterator[str]:
    yield f"You said: {message.message}"


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with serving(tmp_path_factory.mktemp("library"), "version: 1\nrules: []\n", answer) as backend:
        yield backend


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


class Tab:
    """One tab with the page, and a client of ``user`` that is not connected yet."""

    def __init__(self, context: BrowserContext, origin: str, backend: Backend, allowed: str | None = None) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(WITHIN_MS)
        self.page.add_init_script(REMEMBER_SOCKETS)
        self.troubles: list[str] = []
        self.page.on("console", lambda message: self._hear(message.text))
        self.page.on("pageerror", lambda error: self._hear(str(error)))
        self._addresses = {"webSocketUrl": backend.ws_url, "httpUrl": backend.url}
        self.page.goto(f"{origin}/?connect={allowed or f'{backend.url},{backend.ws_url}'}")

    def _hear(self, trouble: str) -> None:
        if not OF_THE_NETWORK.search(trouble):
            self.troubles.append(trouble)

    def do(self, what: str, *given: Any) -> Any:
        return self.page.evaluate("([what, given]) => page[what](...given)", [what, list(given)])

    def begin(self, **options: Any) -> Any:
        return self.do("begin", {**self._addresses, **options})

    def until(self, what: str, value: str) -> None:
        self.do("until", what, value)

    def seen(self, what: str) -> Any:
        return self.page.evaluate("(what) => page.seen[what]", what)

    def connected(self, way: str) -> None:
        self.do("connect")
        self.until("states", way)

    def is_well(self) -> None:
        assert self.troubles == self.seen("violations") == self.seen("problems") == []


def count(backend: Backend, user: str, kind: str) -> int:
    return [name for name, _ in backend.happened(user)].count(kind)


@pytest.mark.parametrize("way", WAYS)
def test_events_go_and_messages_come(context: BrowserContext, origin: str, backend: Backend, way: str) -> None:
    tab = Tab(context, origin, backend)
    tab.begin(clientId="tab", user=f"ann-{way}", transports=[way])
    tab.connected(way)
    tab.until("settled", tab.do("send", "page.opened"))
    backend.say("Welcome", to={"user": f"ann-{way}"})
    tab.until("messages", "Welcome")
    tab.do("chat", "hello there")
    tab.until("messages", "You said: hello there")
    assert len(tab.seen("messages")) == 2
    assert set(tab.seen("settled").values()) == {"acknowledged"}
    assert count(backend, f"ann-{way}", "page.opened") == 1
    tab.is_well()


@pytest.mark.parametrize("way", WAYS)
def test_what_was_told_before_a_reload_happens_once_and_what_was_shown_is_not_shown_again(
    context: BrowserContext, origin: str, backend: Backend, way: str
) -> None:
    user = f"bob-{way}"
    tab = Tab(context, origin, backend)
    options = {"clientId": "tab", "user": user, "transports": [way]}
    tab.begin(**options)
    ids = [tab.do("send", "draft.saved") for _ in range(3)]
    tab.page.reload()
    tab.begin(**options)
    assert tab.do("pending") == 3
    tab.connected(way)
    for name in ids:
        tab.until("settled", name)
    backend.say("first", to={"user": user})
    tab.until("messages", "first")
    # Of these nobody waits for the acknowledgement.
    ids = [tab.do("send", "draft.saved") for _ in range(3)]
    tab.page.reload()
    tab.begin(**options)
    tab.connected(way)
    last = tab.do("send", "page.closed")
    tab.until("settled", last)
    backend.say("second", to={"user": user})
    tab.until("messages", "second")
    assert tab.seen("messages") == ["second"]
    assert tab.do("pending") == 0
    assert count(backend, user, "draft.saved") == 6
    assert count(backend, user, "session.start") == 1, "it took its session up again"
    tab.is_well()


def test_each_tab_has_a_place_of_its_own_and_the_next_takes_over_what_was_left_there(
    context: BrowserContext, origin: str, backend: Backend
) -> None:
    options = {"claim": "shop", "user": "cal", "transports": ["websocket"]}
    first, second = (Tab(context, origin, backend) for _ in range(2))
    names = [first.begin(**options), second.begin(**options)]
    assert names[0].endswith("-0")
    assert names[1] == names[0].removesuffix("0") + "1"
    for tab in (first, second):
        tab.connected("websocket")
    backend.say("to all tabs", to={"user": "cal"})
    for tab in (first, second):
        tab.until("messages", "to all tabs")
    first.do("disconnect")
    left = first.do("send", "cart.left")
    first.page.close()
    second.page.evaluate(
        "(name) => navigator.locks.request(`proactive:${name}`, () => undefined)", names[0]
    )  # when the browser has freed it
    third = Tab(context, origin, backend)
    assert third.begin(**options) == names[0]
    third.connected("websocket")
    third.until("settled", left)
    assert third.seen("messages") == [], "the tab before it has shown that"
    assert count(backend, "cal", "cart.left") == 1
    assert second.seen("states")[-1] == "websocket", "nobody threw it out"
    for tab in (second, third):
        tab.is_well()


def test_a_network_that_is_gone_is_told_and_when_it_is_back_so_is_the_client(
    context: BrowserContext, origin: str, backend: Backend
) -> None:
    tab = Tab(context, origin, backend)
    tab.begin(clientId="tab", user="dan")
    tab.connected("websocket")
    context.set_offline(True)
    assert tab.seen("states")[-1] == "websocket", "a hint alone is no reason to let go of what works"
    tab.page.evaluate("window.sockets.forEach((one) => one.close())")
    tab.until("states", "no_network")
    told = tab.do("send", "kept")
    context.set_offline(False)
    tab.until("states", "websocket")
    tab.until("settled", told)
    assert count(backend, "dan", "kept") == 1
    tab.is_well()


def test_where_the_policy_of_the_page_allows_no_websocket_it_goes_by_http(
    context: BrowserContext, origin: str, backend: Backend
) -> None:
    tab = Tab(context, origin, backend, allowed=backend.url)
    tab.begin(clientId="tab", user="eve")
    tab.connected("sse")
    tab.until("settled", tab.do("send", "page.opened"))
    [violation] = set(tab.seen("violations"))
    assert violation.startswith("connect-src ws:")


def test_where_the_policy_allows_nothing_it_goes_on_trying_and_keeps_what_is_told(
    context: BrowserContext, origin: str, backend: Backend
) -> None:
    tab = Tab(context, origin, backend, allowed="'self'")
    tab.begin(clientId="tab", user="fay")
    tab.do("connect")
    tab.do("send", "page.opened")
    tab.until("states", "starting")
    assert tab.do("pending") == 1
    assert tab.seen("problems") == []

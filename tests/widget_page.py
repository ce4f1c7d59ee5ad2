"""A server with the chat widget, and its page in a real Chromium: what a person sees and presses, and what went wrong.

It claims nothing itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from engine import Server
from engine.settings import Settings

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WITHIN_MS = 15_000
# So that a connection can be cut: a browser that is offline keeps those that it has to its own machine.
REMEMBER_SOCKETS = """
const Own = window.WebSocket;
window.sockets = [];
window.WebSocket = class extends Own {
  constructor(...given) {
    super(...given);
    window.sockets.push(this);
  }
};
"""
# What the browser itself says of a network that is gone.
OF_THE_NETWORK = re.compile(r"net::ERR_|WebSocket connection to .* failed")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips the test where there is none."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("there is no Chromium here; `make browser` installs it")
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root; nothing but our own pages is opened.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Backend:
    """A running server, spoken to as an application would."""

    def __init__(self, server: Server) -> None:
        self.url = server.http_url
        self.ws_url = server.ws_url

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer

    def say(self, text: str, kind: str = "suggestion", **more: Any) -> None:
        """To everybody who is connected, unless ``to`` says otherwise."""
        self.ask("POST", "/messages", {"to": {"all": True}, "type": kind, "text": text, **more})

    def happened(self, user: str) -> list[tuple[str, dict[str, Any]]]:
        """Types and data of the user's events, oldest first."""
        items = self.ask("GET", f"/users/{user}/timeline?limit=500")["items"]
        return [(item["type"], item["data"]) for item in reversed(items) if item["kind"] == "event"]

    def wishes(self, user: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/users/{user}/timeline?limit=1")["preferences"]
        return found


@contextmanager
def serving(folder: Path, rules: Path | str, responder: Any = None) -> Iterator[Backend]:
    """A server in a thread of its own, for a browser is driven in this one. ``rules``: a folder, or a file's text."""
    if isinstance(rules, str):
        (folder / "rules").mkdir()
        (folder / "rules" / "rules.yaml").write_text(rules, encoding="utf-8")
        rules = folder / "rules"
    started, stopping = threading.Event(), asyncio.Event()
    servers: list[Server] = []

    async def serve() -> None:
        given = Settings(ws_port=0, http_port=0, rules=rules, store=f"sqlite:{folder / 'widget.db'}")
        async with Server(given, responder=responder) as server:
            servers.append(server)
            started.set()
            await stopping.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        assert started.wait(20)
        yield Backend(servers[0])
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()
        loop.close()


class WidgetPage:
    """The demo page in one tab, with all that went wrong on it."""

    def __init__(self, context: BrowserContext, backend: Backend, *, connects: bool = True) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WITHIN_MS)
        self.troubles: list[str] = []
        self.page.on("console", lambda message: self._hear(message.text))
        self.page.on("pageerror", lambda error: self._hear(str(error)))
        if connects:
            self.page.add_init_script(REMEMBER_SOCKETS)
        self.page.goto(f"{backend.url}/demo")
        if connects:
            self.state("Connected").wait_for(state="attached")  # where it is narrow, the panel is closed

    def _hear(self, trouble: str) -> None:
        if not OF_THE_NETWORK.search(trouble):
            self.troubles.append(trouble)

    def state(self, line: str) -> Locator:
        """The line about the connection, once it says this and no more."""
        return self.page.locator(".foot").get_by_text(line, exact=True)

    def message(self, text: str) -> Locator:
        return self.page.locator("article").filter(has_text=text)

    def cut(self) -> None:
        """Break the connection."""
        self.page.evaluate("window.sockets.forEach((one) => one.close())")

    def user(self) -> str:
        found = self.page.evaluate("localStorage.getItem('proactive:demo:user')")
        assert isinstance(found, str)
        return found

    def focused(self) -> str:
        """What has the focus within the widget, as a screen reader would call it."""
        found = self.page.evaluate(
            "(() => { const one = document.querySelector('proactive-widget').shadowRoot.activeElement;"
            " return one === null ? '' : one.getAttribute('aria-label') ?? one.textContent; })()"
        )
        return str(found).strip()

    def press_until(self, key: str, label: str) -> None:
        """Press a key until what is called so has the focus."""
        for _ in range(60):
            if self.focused() == label:
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{key} does not lead to {label!r} but to {self.focused()!r}")

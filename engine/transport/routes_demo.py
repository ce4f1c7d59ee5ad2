"""The demo page with the chat widget, for a first look in a browser. It knows no rule, no user and no token.

It comes from files of the package alone and hands out nothing of the server but the port of its WebSocket.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from aiohttp import web

from engine.transport.callers import Callers
from engine.transport.decoding import WireError
from engine.transport.http_replies import read_query

HERE = Path(__file__).parent / "demo"
# On every reply, so that none of the files is ever taken for something else or shown within another page.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
NOT_HERE = "the demo page is there only where the server listens on this machine alone"


class DemoRoutes:
    """``ws_url``: where the WebSocket is, None where there is no page. Who may see it is asked as for descriptions."""

    def __init__(self, callers: Callers, ws_url: Callable[[], str] | None) -> None:
        self._callers = callers
        self._ws_url = ws_url

    def add_to(self, router: web.UrlDispatcher) -> None:
        router.add_get("/demo", self.page)
        router.add_get("/demo/widget.js", self.widget)

    async def page(self, request: web.Request) -> web.Response:
        ws_url = self._admit(request)()
        policy = "; ".join((*_own_policy(), f"connect-src 'self' {_sockets(ws_url)}"))
        headers = {**HEADERS, "Content-Security-Policy": policy}
        return web.Response(text=_page(ws_url), content_type="text/html", charset="utf-8", headers=headers)

    async def widget(self, request: web.Request) -> web.Response:
        self._admit(request)
        return web.Response(
            text=_text_of("widget.js"), content_type="text/javascript", charset="utf-8", headers=HEADERS
        )

    def _admit(self, request: web.Request) -> Callable[[], str]:
        """Raises `WireError`."""
        if self._ws_url is None:
            raise WireError("not_found", NOT_HERE)
        read_query(request)
        self._callers.anybody(request)
        return self._ws_url


def _sockets(ws_url: str) -> str:
    """The names by which a browser on this machine may write the WebSocket's address.

    Of an IPv6 address a policy cannot speak (CSP 3, section 2.3.1): a page that was opened by one goes by HTTP.
    """
    url = urlsplit(ws_url)
    hosts = dict.fromkeys(("localhost", "127.0.0.1", url.hostname or "localhost"))
    return " ".join(f"{url.scheme}://{host}:{url.port}" for host in hosts if ":" not in host)


@lru_cache(maxsize=1)
def _own_policy() -> tuple[str, ...]:
    return (
        "default-src 'none'",
        f"script-src 'self' '{_sum('page.js')}'",
        f"style-src '{_sum('page.css')}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No script can make HTML or code of a text, whatever the text is.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )


def _page(ws_url: str) -> str:
    parts = {"style": _text_of("page.css"), "script": _text_of("page.js"), "port": str(urlsplit(ws_url).port)}
    return Template(_text_of("page.html")).substitute(parts)


def _sum(name: str) -> str:
    """By which the policy knows a piece of the page (CSP 3, section 2.3.1)."""
    return f"sha256-{b64encode(sha256(_text_of(name).encode()).digest()).decode()}"


@lru_cache(maxsize=4)
def _text_of(name: str) -> str:
    return (HERE / name).read_text("utf-8")

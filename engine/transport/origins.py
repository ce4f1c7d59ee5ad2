"""Which web pages may speak to the server, decided by what a browser says of the page. It touches no request.

A page that somebody happens to visit must not speak in the name of programs on their machine. Programs that are no
browsers say nothing of a page and are not kept out by this: tokens are for that.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from engine.settings import Settings, is_loopback

LOOPBACK = re.compile(r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.ASCII)
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
LENGTH_MAX = 300  # of a header that is looked at


class Origins:
    """The pages that the settings list; pages of this machine too, where the server listens on this machine alone."""

    def __init__(self, settings: Settings) -> None:
        self._listed = frozenset(settings.origins)
        self._is_loopback = is_loopback(settings.host)
        # Where a token is asked for, a page that has got around its origin has not got it.
        self._checks_host = self._is_loopback and settings.auth.tokens is None
        self._hosts = frozenset(urlsplit(origin).hostname for origin in settings.origins)

    def allows(self, origin: str | None) -> bool:
        """By the header ``Origin``, None where there is none. ``null``, a page that hides where it is from, may not."""
        if origin is None or origin in self._listed:
            return True
        return self._is_loopback and len(origin) <= LENGTH_MAX and LOOPBACK.fullmatch(origin) is not None

    def allows_host(self, host: str | None) -> bool:
        """By the header ``Host``: whether the address that the client wrote is one of this server.

        A page whose name has been made to lead to this machine (DNS rebinding) sends no ``Origin`` with a GET, for
        to the browser it is the same; but its name stands here.
        """
        if not self._checks_host or host is None:
            return True
        found = HOST.fullmatch(host) if len(host) <= LENGTH_MAX else None
        if found is None:
            return False
        name = found[1].lower().strip("[]")
        return name in self._hosts or name == "localhost" or _is_loopback_address(name)


def _is_loopback_address(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

"""Who speaks: what a client's token and a backend's key prove. It reads no frame and opens no connection.

A client's user comes from its token, never from what it says. What is refused is told alike whatever was wrong
with it, but for a token that has only expired; the log has the reason, and never the token or the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import structlog

from engine.core.model import Json
from engine.settings import Auth
from engine.transport.decoding import WireError
from engine.transport.keys import KEY_PREFIX, SCOPES, Keyring, Scope
from engine.transport.tokens import TokenRefused, TokenVerifier

__all__ = ["SCOPES", "Authenticator", "Identity", "Scope", "bearer", "is_backend_key"]

Kind = Literal["open", "token", "anonymous"]

log = structlog.get_logger("proactive")

NO_TOKEN = 'expected a token: in "hello", as "Authorization: Bearer …", or as ?token=…'
BAD_TOKEN = "expected a token that this server's issuer has signed for it, got another"
EXPIRED = "the token has expired; come with a fresh one"
NO_KEY = 'expected "Authorization: Bearer pk_…" with a key that "proactive key add" has made'


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a connection is.

    ``open``: there are no tokens, so frames are believed. ``token``: ``user`` is the token's, until ``expires_at``
    (microseconds). ``anonymous``: no token where there are some; it may chat as a plain client, as a user of its own.
    ``traits`` are those of the token's claim of that name.
    """

    user: str | None
    kind: Kind
    expires_at: int | None = None
    traits: Mapping[str, Json] = field(default_factory=dict)

    def speaks_for(self, named: str | None) -> str | None:
        """The user of a frame that names ``named`` as its user; None where nobody has said who it is.

        Raises `WireError` where the token is another's.
        """
        if self.kind == "open":
            return named
        if self.kind == "token" and named not in (None, self.user):
            raise WireError("forbidden", "expected no other user than the token's; leave the user out")
        return self.user

    def has_expired(self, now: int) -> bool:
        return self.expires_at is not None and now >= self.expires_at


class Authenticator:
    """Checks what is brought against what the settings name. ``clock`` gives microseconds.

    The files of keys are read at once, and again when they change. Raises `Refused` for what cannot be read.
    """

    def __init__(self, auth: Auth, clock: Callable[[], int]) -> None:
        self._tokens = None if auth.tokens is None else TokenVerifier(auth.tokens, clock)
        self._keys = None if auth.backend_keys is None else Keyring(auth.backend_keys)
        self._anonymous_chat = auth.anonymous_chat

    @property
    def is_on(self) -> bool:
        """Whether clients have to bring a token."""
        return self._tokens is not None

    def client(self, token: str | None) -> Identity:
        """Raises `WireError`. Whoever gets an anonymous identity back has to keep it to plain chat."""
        if self._tokens is None:
            return Identity(None, "open")
        if token is None:
            if not self._anonymous_chat:
                raise WireError("unauthorized", NO_TOKEN)
            return Identity(None, "anonymous")
        try:
            claims = self._tokens.verify(token)
        except TokenRefused as refused:
            log.info("! token refused", why=refused.why)
            raise WireError("unauthorized", EXPIRED if refused.has_expired else BAD_TOKEN) from None
        return Identity(claims.user, "token", claims.expires_at, claims.traits)

    def backend(self, header: str | None, scope: Scope) -> None:
        """Whether the header ``Authorization`` has a key with that scope. Raises `WireError`.

        With neither tokens nor keys in the settings all is open, for then only this machine is listened to. With
        tokens and no keys no backend is let in: a client must not get further than its token by other routes.
        """
        if self._keys is None and self._tokens is None:
            return
        key = bearer(header)
        scopes = None if self._keys is None or key is None else self._keys.scopes_of(key)
        if scopes is None:
            log.info("! backend refused", why="no key" if key is None else "no such key", scope=scope)
            raise WireError("unauthorized", NO_KEY)
        if scope not in scopes:
            raise WireError("forbidden", f'expected a key with the scope "{scope}", got one without it')


def bearer(header: str | None) -> str | None:
    """What stands behind ``Bearer`` (RFC 6750, section 2.1), None for another header or none."""
    scheme, _, credentials = (header or "").strip().partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def is_backend_key(credentials: str | None) -> bool:
    """Whether that is meant as a backend's key rather than as a client's token."""
    return credentials is not None and credentials.startswith(KEY_PREFIX)

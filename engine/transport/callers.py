"""Who sends an HTTP request: a client with its token, or a backend with its key. It opens no session.

What is brought is checked by `auth`; here is only where in a request it stands. Nothing of it is ever logged.
"""

from __future__ import annotations

from aiohttp import web

from engine.transport.auth import SCOPES, Authenticator, Identity, Scope, bearer, is_backend_key
from engine.transport.decoding import WireError
from engine.transport.frames import TOKEN_LENGTH_MAX


class Callers:
    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def client(self, request: web.Request, token: str | None = None) -> Identity:
        """By ``token`` where one is given, else by the header. Raises `WireError`."""
        return self._authenticator.client(token or credentials_of(request))

    def named_client(self, request: web.Request, token: str | None = None) -> Identity:
        """As `client`, for what nobody may do without a token where there are tokens. Raises `WireError`."""
        identity = self.client(request, token)
        if identity.kind == "anonymous":
            raise WireError("unauthorized", 'expected a token as "Authorization: Bearer …"')
        return identity

    def backend(self, request: web.Request, scope: Scope) -> None:
        """Raises `WireError`."""
        self._authenticator.backend(request.headers.get("Authorization"), scope)

    def anybody(self, request: web.Request) -> None:
        """Whoever has a token, or a key whatever it is for. Raises `WireError`."""
        if not is_backend_key(credentials_of(request)):
            self.named_client(request)
        elif not any(self._has(request, scope) for scope in SCOPES):
            raise WireError("forbidden", "expected a key with any scope, got one without")

    def _has(self, request: web.Request, scope: Scope) -> bool:
        try:
            self.backend(request, scope)
        except WireError as error:
            if error.code != "forbidden":
                raise
            return False
        return True


def credentials_of(request: web.Request) -> str | None:
    """The token or the key of the header ``Authorization``. Raises `WireError` for one that is neither."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    found = bearer(header)
    if found is None or len(found) > TOKEN_LENGTH_MAX:
        raise WireError("unauthorized", 'expected "Authorization: Bearer …" with a token or a key')
    return found

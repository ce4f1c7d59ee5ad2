"""Encrypted connections: a certificate and its key to what a listener takes. It listens to nothing itself."""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

from engine.core.refusal import Refused
from engine.settings import Tls
from engine.transport.watched import Stamp, stamp_of

log = structlog.get_logger("proactive")


def server_context(tls: Tls | None) -> ssl.SSLContext | None:
    """For TLS 1.2 and later; None for None. Raises `Refused` for files that cannot be read or do not belong together.

    When the files change, connections from then on get the new certificate; those that are open keep theirs. Files
    that cannot be used are told in the log, and the former certificate goes on.
    """
    if tls is None:
        return None
    context = _loaded(tls)
    context.sni_callback = _Renewal(tls, context).on_hello
    return context


def _loaded(tls: Tls) -> ssl.SSLContext:
    for path in (tls.certificate, tls.key):
        _readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password that is asked for would be asked for on the terminal of a server.
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        why = getattr(error, "reason", None) or str(error)
        raise Refused(
            f"tls: expected a certificate and its key in PEM, got {tls.certificate} and {tls.key}: "
            f"{str(why).lower().replace('_', ' ')}"
        ) from None
    return context


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise Refused(f"tls: {path}: cannot be read: {(error.strerror or str(error)).lower()}") from None


def _no_password() -> str:
    raise ValueError("the key has a password; take it off: openssl pkey")


class _Renewal:
    """Looks at the files whenever a client says hello, and gives it what is in them."""

    def __init__(self, tls: Tls, context: ssl.SSLContext) -> None:
        self._tls = tls
        self._context = context
        self._stamps = self._seen()

    def on_hello(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        """Called in every handshake, also where the client names no server."""
        stamps = self._seen()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._context = _loaded(self._tls)
                log.info("= certificate read again", path=str(self._tls.certificate))
            except Refused as refused:
                log.error("! certificate not read, the former holds", why=refused.message)
        connection.context = self._context

    def _seen(self) -> tuple[Stamp | None, Stamp | None]:
        return stamp_of(self._tls.certificate), stamp_of(self._tls.key)

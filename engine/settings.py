"""What can be set of a server, typed, and what cannot be meant together. It reads nothing: see `settings_file`.

A secret never shows in the `repr` of what holds it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.core.units import DAY, MINUTE, SECOND

MEMORY_STORE = "memory:"  # for trying things out: it forgets all when the server stops
REDIS_STORES = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")
# A key for HMAC SHA-256 has at least as many bits as the hash (RFC 7518, section 3.2).
SECRET_BYTES_MIN = 32

ResponderName = Literal["plain", "echo", "openai"]
DurabilityName = Literal["full", "normal", "local", "replicated", "strict"]
FILE_DURABILITIES = ("full", "normal")
ReplicaLoss = Literal["stop", "degrade"]
TokenAlgorithm = Literal["HS256", "RS256", "ES256"]
LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Log:
    format: LogFormat = "console"
    level: LogLevel = "info"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, one user and all together may take. None: no limit.

    Rates are a second's; a bucket of ten seconds' worth stands for bursts. ``memory_mb`` is of the whole process.
    """

    frame_bytes: int = 64 * 1024
    body_bytes: int = 1024 * 1024
    queue_frames: int = 256
    nesting: int = 32
    client_events_per_s: int | None = 100
    user_events_per_s: int | None = 200
    connections: int | None = 50_000
    user_connections: int | None = 20
    address_connections: int | None = None
    messages_per_s: int | None = 5_000
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """How the tokens of clients are checked (RFC 7519). ``secret`` is for HS256, ``jwks``, a file of keys, for others.

    ``user_claim`` names the claim that has the user.
    """

    algorithm: TokenAlgorithm = "HS256"
    secret: str | None = field(default=None, repr=False)
    jwks: Path | None = None
    audience: str | None = None
    issuer: str | None = None
    leeway: int = 30 * SECOND
    user_claim: str = "sub"


@dataclass(frozen=True, slots=True)
class Auth:
    """Who may speak. ``backend_keys`` is the file of the hashed keys of backends (`proactive key add`).

    ``anonymous_chat``: whether a plain client without a token may chat; it is a user of its own then.
    """

    tokens: Tokens | None = None
    backend_keys: Path | None = None
    anonymous_chat: bool = True


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class OpenAI:
    """A server that speaks the chat completions of OpenAI's API. Spans are microseconds.

    ``history``: messages of the conversation that go along. ``first_token`` is how long the beginning of an
    answer may take; for all of it there is `Settings.answer_timeout`. After ``break_after`` failures in a row none
    is asked for ``break_for``.
    """

    url: str = "http://127.0.0.1:11434/v1"
    model: str = ""
    api_key: str | None = field(default=None, repr=False)
    system: str = ""
    stream: bool = True
    history: int = 20
    first_token: int = 10 * SECOND
    retries: int = 2
    break_after: int = 5
    break_for: int = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Telemetry:
    """``otlp``: where traces are sent (OTLP over HTTP), None for nowhere."""

    otlp: str | None = None
    service: str = "proactive"


@dataclass(frozen=True, slots=True)
class Settings:
    """Spans are microseconds. A port of 0 is any that is free.

    ``durability`` is None for what such a store has by itself: see `open_store`.
    """

    host: str = "127.0.0.1"
    ws_port: int = 7778
    http_port: int = 7777
    rules: Path = Path("rules")
    store: str = "sqlite:proactive.db"
    store_password: str | None = field(default=None, repr=False)
    responder: ResponderName = "plain"
    answer_timeout: int = 30 * SECOND
    message_expires: int = DAY
    heartbeat: int = 20 * SECOND
    resume_within: int = MINUTE
    compose_timeout: int = 5 * SECOND
    durability: DurabilityName | None = None
    on_replica_loss: ReplicaLoss = "stop"
    keep: int | None = None
    archive: Path | None = None
    origins: tuple[str, ...] = ()
    tls: Tls | None = None
    auth: Auth = Auth()
    openai: OpenAI = OpenAI()
    telemetry: Telemetry = Telemetry()
    log: Log = Log()
    limits: Limits = Limits()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no line of the log may have."""
        tokens = self.auth.tokens
        return tuple(
            filter(None, (tokens.secret if tokens is not None else None, self.openai.api_key, self.store_password))
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown_host(host: str) -> str:
    """As it stands in a URL (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def problems(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What cannot be served together: the key that is at fault, and why. Each by itself is right."""
    auth = settings.auth
    if not is_loopback(settings.host) and (auth.tokens is None or auth.backend_keys is None):
        missing = [key for key, is_set in (("tokens", auth.tokens), ("backend_keys", auth.backend_keys)) if not is_set]
        yield (
            ("host",),
            f'expected a loopback address such as "127.0.0.1", got "{settings.host}"; whoever can reach the server '
            f"could speak for anybody: set {' and '.join(f'auth.{key}' for key in missing)} first",
        )
    if auth.tokens is not None:
        yield from _problems_of_tokens(auth.tokens)
    yield from _problems_of_durability(settings)
    if settings.archive is not None and settings.keep is None:
        yield ("archive",), "expected keep as well, such as 90d: what is older than that goes into the archive"
    if settings.responder == "openai" and not settings.openai.model:
        yield ("responder",), 'expected openai.model with "openai"; name the model that is to answer'


def _problems_of_durability(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    level = settings.durability
    is_redis = settings.store.startswith(REDIS_STORES)
    if level is not None and is_redis == (level in FILE_DURABILITIES):
        kind, expected = ("on Redis", "local, replicated or strict") if is_redis else ("in a file", "full or normal")
        yield ("durability",), f'expected {expected} with a store {kind}, got "{level}"'
    elif settings.on_replica_loss == "degrade" and (level == "local" or (level is None and not _waits(settings.store))):
        yield (
            ("on_replica_loss",),
            "expected durability replicated or strict with it; no replica is waited for, so none is missed",
        )


def _waits(store: str) -> bool:
    """Whether a store waits for replicas by itself."""
    return store.startswith(("redis+cluster://", "rediss+cluster://"))


def _problems_of_tokens(tokens: Tokens) -> Iterator[tuple[tuple[str, ...], str]]:
    place = ("auth", "tokens", "algorithm")
    if tokens.algorithm == "HS256":
        length = len((tokens.secret or "").encode())
        if tokens.secret is None:
            yield (
                place,
                "HS256 needs a secret; set PROACTIVE_AUTH_TOKENS_SECRET, or PROACTIVE_AUTH_TOKENS_SECRET_FILE to the "
                "name of a file that holds it",
            )
        elif length < SECRET_BYTES_MIN:
            yield (
                ("auth", "tokens", "secret"),
                f"expected a secret of at least {SECRET_BYTES_MIN} bytes, got {length}; make one: openssl rand -hex 32",
            )
        if tokens.jwks is not None:
            yield ("auth", "tokens", "jwks"), 'expected no file of keys with "HS256", whose key is the secret'
    else:
        if tokens.jwks is None:
            yield place, f"{tokens.algorithm} needs auth.tokens.jwks, the file of the issuer's public keys"
        if tokens.secret is not None:
            yield ("auth", "tokens", "secret"), f'expected no secret with "{tokens.algorithm}", whose keys are in jwks'

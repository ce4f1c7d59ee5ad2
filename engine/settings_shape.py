"""What may stand in ``config.yaml``, declared once: every key with its form and its bounds. It reads no file."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.core.refusal import Refused
from engine.core.shapes import Choice, Fields, Flag, Integer, ListOf, OrNone, Parsed, Shape, Text
from engine.core.units import parse_duration
from engine.settings import MEMORY_STORE, REDIS_STORES

_PASSWORD_HINT = "set PROACTIVE_STORE_PASSWORD, or PROACTIVE_STORE_PASSWORD_FILE to the name of a file that holds it"
TEXT_MAX = 16 * 1024  # characters of the system prompt
ORIGINS_MAX = 100
# An origin as browsers write it (RFC 6454, section 6.2): small letters, and no slash at its end.
ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


def parse_host(text: str) -> str:
    """An address to listen on. Raises `Refused`. Whether it may be another than a loopback, `problems` tells."""
    if text == "localhost":
        return text
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise Refused(f'expected an address such as "127.0.0.1" or "0.0.0.0", got "{text}"') from None
    return text


def parse_store(text: str) -> str:
    """``"sqlite:PATH"``, ``"redis://HOST"`` or ``"memory:"``, as `open_store` takes them. Raises `Refused`."""
    kind, colon, path = text.partition(":")
    if text.startswith(REDIS_STORES):
        if ":" in text.partition("//")[2].rpartition("@")[0]:
            raise Refused("expected a store without a password in it, got one with it", hint=_PASSWORD_HINT)
        return text
    if text != MEMORY_STORE and (kind != "sqlite" or not colon or not path.strip()):
        raise Refused(f'expected a store such as "sqlite:proactive.db" or "redis://127.0.0.1:6379/0", got "{text}"')
    return text


def parse_rules(text: str) -> Path:
    if not text.strip():
        raise Refused('expected a folder such as "rules", got nothing')
    return Path(text)


def parse_path(text: str) -> Path:
    if not text.strip():
        raise Refused("expected the name of a file, got nothing")
    return Path(text)


def parse_origin(text: str) -> str:
    if not ORIGIN.fullmatch(text):
        hint = "no path, no slash at the end, small letters; one by one, for there is no *"
        raise Refused(f'expected an origin such as "https://app.example", got "{text}"', hint=hint)
    return text


def parse_url(text: str) -> str:
    """An address that the server calls. Raises `Refused`; a password in it would come into logs and messages."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_whole = False
    if "@" in text.partition("//")[2].partition("/")[0]:
        raise Refused("expected an address without a name and a password, got one with them")
    if not is_whole:
        raise Refused(f'expected an address such as "http://127.0.0.1:11434/v1", got "{text}"')
    return text


def refuse_secret(variable: str) -> Callable[[str], str]:
    """For a key whose value may come from the environment alone."""

    def refuse(_: str) -> str:
        hint = f"set {variable}, or {variable}_FILE to the name of a file that holds it"
        raise Refused("a secret does not belong into a file of settings", hint=hint)

    return refuse


def bounded(minimum: int, maximum: int, doc: str) -> OrNone:
    return OrNone(item=Integer(minimum=minimum, maximum=maximum), doc=doc)


def span(example: str, doc: str) -> Parsed:
    return Parsed(parse=parse_duration, examples=(example,), doc=doc)


def name_of_file(example: str, doc: str) -> Parsed:
    return Parsed(parse=parse_path, examples=(example,), doc=doc)


PREFIX = "PROACTIVE_"
# Read from the environment alone, from the variable of that name or from the file that `…_FILE` names.
SECRETS: Mapping[tuple[str, ...], str] = {
    names: PREFIX + "_".join(names).upper()
    for names in (("auth", "tokens", "secret"), ("openai", "api_key"), ("store_password",))
}
# Seen from the folder of the file in which they stand.
PATHS = (
    ("rules",),
    ("archive",),
    ("auth", "tokens", "jwks"),
    ("auth", "backend_keys"),
    ("tls", "certificate"),
    ("tls", "key"),
)

_PORT = "Port on which {} is served; 0 takes any that is free."
_LIMITS: Mapping[str, Shape] = {
    "frame_bytes": Integer(minimum=1024, maximum=1024 * 1024, doc="Largest WebSocket frame."),
    "body_bytes": Integer(minimum=1024, maximum=64 * 1024 * 1024, doc="Largest HTTP body."),
    "queue_frames": Integer(minimum=8, maximum=65536, doc="Frames waiting for a connection."),
    "nesting": Integer(minimum=4, maximum=32, doc="Lists and objects within each other in a frame."),
    "client_events_per_s": bounded(1, 1_000_000, "Events of one client in a second."),
    "user_events_per_s": bounded(1, 1_000_000, "Events of one user in a second."),
    "connections": bounded(1, 10_000_000, "Connections of all together."),
    "user_connections": bounded(1, 100_000, "Connections of one user."),
    "address_connections": bounded(1, 10_000_000, "Connections from one address."),
    "messages_per_s": bounded(1, 1_000_000, "Messages of rules to all together in a second."),
    "memory_mb": bounded(64, 16 * 1024 * 1024, "Memory of the process, in MiB."),
}
_TOKENS: Mapping[str, Shape] = {
    "algorithm": Choice(words=("HS256", "RS256", "ES256"), doc="How tokens are signed; no other is taken."),
    "secret": Parsed(parse=refuse_secret(SECRETS["auth", "tokens", "secret"]), doc="For HS256; environment alone."),
    "jwks": name_of_file("jwks.json", "File of the issuer's public keys, for RS256 and ES256."),
    "audience": Text(length_max=1024, doc="What the claim aud has to have."),
    "issuer": Text(length_max=1024, doc="What the claim iss has to be."),
    "leeway": span("30s", "How far the issuer's clock may be off."),
    "user_claim": Text(length_max=128, doc="The claim that has the user."),
}
_OPENAI: Mapping[str, Shape] = {
    "url": Parsed(parse=parse_url, examples=("http://127.0.0.1:11434/v1",), doc="Where the API is."),
    "model": Text(length_max=256, doc="The model's name there."),
    "api_key": Parsed(parse=refuse_secret(SECRETS["openai", "api_key"]), doc="Environment alone."),
    "system": Text(length_max=TEXT_MAX, doc="What the model is told first."),
    "stream": Flag(doc="Whether answers are shown as they are written."),
    "history": Integer(minimum=0, maximum=200, doc="Messages of the conversation that go along."),
    "first_token": span("10s", "How long the beginning of an answer may take."),
    "retries": Integer(minimum=0, maximum=10, doc="How often a failed request is tried again."),
    "break_after": Integer(minimum=1, maximum=1000, doc="Failures in a row after which none is asked for a while."),
    "break_for": span("30s", "How long that while is."),
}
SHAPE = Fields(
    keys={
        "host": Parsed(parse=parse_host, examples=("127.0.0.1", "::1"), doc="The address to listen on."),
        "ws_port": Integer(minimum=0, maximum=65535, doc=_PORT.format("WebSocket")),
        "http_port": Integer(minimum=0, maximum=65535, doc=_PORT.format("HTTP")),
        "rules": Parsed(parse=parse_rules, examples=("rules",), doc="Folder of rule files."),
        "store": Parsed(parse=parse_store, examples=("sqlite:proactive.db",), doc="Where all is kept."),
        "store_password": Parsed(parse=refuse_secret(SECRETS["store_password",]), doc="Of Redis; environment alone."),
        "durability": Choice(
            words=("full", "normal", "local", "replicated", "strict"), doc="What a loss of power or of Redis may cost."
        ),
        "on_replica_loss": Choice(words=("stop", "degrade"), doc="What is done where no replica has what is written."),
        "keep": OrNone(item=span("90d", ""), doc="How long the log is kept."),
        "archive": Parsed(parse=parse_path, examples=("archive",), doc="Folder for what is older."),
        "responder": Choice(words=("plain", "echo", "openai"), doc="Who answers chat messages."),
        "answer_timeout": span("30s", "How long an answer may take."),
        "compose_timeout": span("5s", "How long the writing of a rule's message may take."),
        "message_expires": span("1d", "How long the application's messages wait."),
        "heartbeat": span("20s", "How often a client has to answer a ping."),
        "resume_within": span("1m", "How long a session waits for its client to come back."),
        "origins": ListOf(
            item=Parsed(parse=parse_origin, examples=("https://app.example",)),
            length_min=0,
            length_max=ORIGINS_MAX,
            doc="Pages that may connect.",
        ),
        "tls": Fields(
            keys={
                "certificate": name_of_file("server.pem", "Certificate and those between it and the root, in PEM."),
                "key": name_of_file("server.key", "Its private key, in PEM."),
            },
            required=("certificate", "key"),
        ),
        "auth": Fields(
            keys={
                "tokens": Fields(keys=_TOKENS),
                "backend_keys": name_of_file("backend-keys.json", "File of the hashed keys of backends."),
                "anonymous_chat": Flag(doc="Whether plain clients without a token may chat."),
            },
        ),
        "openai": Fields(keys=_OPENAI),
        "telemetry": Fields(
            keys={
                "otlp": Parsed(parse=parse_url, examples=("http://127.0.0.1:4318",), doc="Where traces are sent."),
                "service": Text(length_max=256, doc="The name under which."),
            },
        ),
        "log": Fields(
            keys={
                "format": Choice(words=("console", "json"), doc="Lines for people, or JSON lines."),
                "level": Choice(words=("debug", "info", "warning", "error"), doc="What is worth a line."),
            },
        ),
        "limits": Fields(keys=_LIMITS),
    }
)  # fmt: skip


def leaves(shape: Fields = SHAPE, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Shape]:
    """The keys that are no mappings, each by the names that lead to it."""
    found: dict[tuple[str, ...], Shape] = {}
    for name, below in shape.keys.items():
        found.update(leaves(below, (*above, name)) if isinstance(below, Fields) else {(*above, name): below})
    return found


def placed(values: dict[str, Any], names: tuple[str, ...], value: Any) -> None:
    """Put a value under its names, with the mappings that lead to it."""
    for name in names[:-1]:
        values = values.setdefault(name, {})
    values[names[-1]] = value

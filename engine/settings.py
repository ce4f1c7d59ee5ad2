"""The server's settings: ``config.yaml`` typed, then the environment over it. It opens nothing but that file.

Every key has a default; an unknown one is an error with its place, and so is a variable ``PROACTIVE_…`` that
names no setting. `SHAPE` is the whole of what may be written.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.core.refusal import Refused
from engine.core.shapes import Choice, Fields, Integer, Parsed, Shape
from engine.core.units import DAY, MINUTE, SECOND, parse_duration
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.read import INVALID, Reader
from engine.loading.tree import Node, Scalar, parse_tree
from engine.loading.wording import did_you_mean, with_hint

DEFAULT_PATH = "config.yaml"
MEMORY_STORE = "memory:"  # for trying things out: it forgets all when the server stops
ENVIRONMENT_PREFIX = "PROACTIVE_"

ResponderName = Literal["plain", "echo", "openai"]
DurabilityName = Literal["full", "normal"]
TokenAlgorithm = Literal["HS256", "RS256", "ES256"]
LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsErrors(RuleErrors):
    """Settings that cannot be meant, with every reason: ``config.yaml:3:1: unknown key …``."""


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
    """How the tokens of clients are checked (RFC 7519). ``secret`` is for HS256, ``jwks`` a file of keys for the others.

    ``user_claim`` names the claim that has the user.
    """

    algorithm: TokenAlgorithm = "HS256"
    secret: str | None = None
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

    ``history``: messages of the conversation that go along. ``timeout`` is for the whole answer,
    ``first_token`` for its beginning. After ``break_after`` failures in a row none is asked for ``break_for``.
    """

    url: str = "http://127.0.0.1:11434/v1"
    model: str = ""
    api_key: str | None = None
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
    """Spans are microseconds. A port of 0 is any that is free."""

    host: str = "127.0.0.1"
    ws_port: int = 7778
    http_port: int = 7777
    rules: Path = Path("rules")
    store: str = "sqlite:proactive.db"
    responder: ResponderName = "plain"
    answer_timeout: int = 30 * SECOND
    message_expires: int = DAY
    heartbeat: int = 20 * SECOND
    resume_within: int = MINUTE
    compose_timeout: int = 5 * SECOND
    durability: DurabilityName = "full"
    keep: int | None = None
    origins: tuple[str, ...] = ()
    tls: Tls | None = None
    auth: Auth = Auth()
    openai: OpenAI = OpenAI()
    telemetry: Telemetry = Telemetry()
    log: Log = Log()
    limits: Limits = Limits()


def parse_host(text: str) -> str:
    """An address of this machine alone. Raises `Refused`: nothing could guard any other."""
    if text == "localhost":
        return text
    try:
        if ipaddress.ip_address(text).is_loopback:
            return text
    except ValueError:
        pass
    raise Refused(
        f'expected a loopback address such as "127.0.0.1", got "{text}"',
        hint="whoever can reach the server can speak for any client, so it listens on this machine only",
    )


def shown_host(host: str) -> str:
    """As it stands in a URL (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def parse_store(text: str) -> str:
    """``"sqlite:PATH"`` or ``"memory:"``, as `open_store` takes them. Raises `Refused`."""
    kind, colon, path = text.partition(":")
    if text != MEMORY_STORE and (kind != "sqlite" or not colon or not path.strip()):
        raise Refused(f'expected a store such as "sqlite:proactive.db", got "{text}"')
    return text


def parse_rules(text: str) -> Path:
    if not text.strip():
        raise Refused('expected a folder such as "rules", got nothing')
    return Path(text)


_PORT = "Port on which {} is served; 0 takes any that is free."
SHAPE = Fields(
    keys={
        "host": Parsed(parse=parse_host, examples=("127.0.0.1", "::1"), doc="A loopback address to listen on."),
        "ws_port": Integer(minimum=0, maximum=65535, doc=_PORT.format("WebSocket")),
        "http_port": Integer(minimum=0, maximum=65535, doc=_PORT.format("HTTP")),
        "rules": Parsed(parse=parse_rules, examples=("rules",), doc="Folder of rule files."),
        "store": Parsed(parse=parse_store, examples=("sqlite:proactive.db",), doc="Where all is kept."),
        "responder": Choice(words=("plain", "echo"), doc="Who answers chat messages."),
        "answer_timeout": Parsed(parse=parse_duration, examples=("30s",), doc="How long an answer may take."),
        "message_expires": Parsed(
            parse=parse_duration, examples=("1d",), doc="How long the application's messages wait."
        ),
        "heartbeat": Parsed(
            parse=parse_duration, examples=("20s",), doc="How often a client has to answer a ping."
        ),
        "log": Fields(
            keys={
                "format": Choice(words=("console", "json"), doc="Lines for people, or JSON lines."),
                "level": Choice(words=("debug", "info", "warning", "error"), doc="What is worth a line."),
            },
        ),
        "limits": Fields(
            keys={
                "frame_bytes": Integer(minimum=1024, maximum=1024 * 1024, doc="Largest WebSocket frame."),
                "body_bytes": Integer(minimum=1024, maximum=64 * 1024 * 1024, doc="Largest HTTP body."),
                "queue_frames": Integer(minimum=8, maximum=65536, doc="Frames waiting for a connection."),
            },
        ),
    }
)  # fmt: skip


def read_settings(path: str | Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of a file, of `DEFAULT_PATH` if there is one for None; then those of the environment.

    Paths in a file are seen from the file's folder, those of the environment from where the process runs.
    Raises `SettingsErrors` with all that is wrong.
    """
    source = Path(DEFAULT_PATH if path is None else path)
    errors: list[Diagnostic] = []
    values: dict[str, Any] = {}
    if path is not None or source.exists():
        values, errors = _read_file(source)
        if "rules" in values:
            values["rules"] = source.parent / values["rules"]
        if values.get("store", MEMORY_STORE) != MEMORY_STORE:
            values["store"] = f"sqlite:{source.parent / values['store'].removeprefix('sqlite:')}"
    from_environment, more = _read_environment(environment)
    if errors or more:
        raise SettingsErrors([*errors, *more])
    return _with(_with(Settings(), values), from_environment)


def _read_file(source: Path) -> tuple[dict[str, Any], list[Diagnostic]]:
    try:
        text = source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return {}, [
            Diagnostic(str(source), 1, 1, f"expected UTF-8, got something else at byte {error.start}", "syntax")
        ]
    except OSError as error:
        why = f"expected a file of settings, cannot read it: {(error.strerror or str(error)).lower()}"
        return {}, [Diagnostic(str(source), 0, 0, why, "unreadable")]
    tree = parse_tree(str(source), text)
    if tree.errors or tree.root is None:
        return {}, tree.errors
    reader = Reader(tree)
    values = reader.read(tree.root, SHAPE)
    return ({} if values is INVALID else values), reader.errors


def _read_environment(environment: Mapping[str, str]) -> tuple[dict[str, Any], list[Diagnostic]]:
    """``PROACTIVE_WS_PORT``, ``PROACTIVE_LOG_LEVEL``: the keys of `SHAPE`, joined by underscores."""
    places = {variable: (names, shape) for variable, names, shape in _variables(SHAPE, ())}
    values: dict[str, Any] = {}
    errors: list[Diagnostic] = []
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        if variable not in places:
            why = with_hint("no setting has this name", did_you_mean(variable, places))
            errors.append(Diagnostic(variable, 0, 0, why, "unknown-key"))
            continue
        names, shape = places[variable]
        value, complaints = _read_variable(variable, environment[variable], shape)
        errors += complaints
        inner = values
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
        inner[names[-1]] = value
    return values, errors


def _variables(shape: Fields, above: tuple[str, ...]) -> list[tuple[str, tuple[str, ...], Shape]]:
    found: list[tuple[str, tuple[str, ...], Shape]] = []
    for name, below in shape.keys.items():
        names = (*above, name)
        if isinstance(below, Fields):
            found += _variables(below, names)
        else:
            found.append((ENVIRONMENT_PREFIX + "_".join(names).upper(), names, below))
    return found


def _read_variable(variable: str, text: str, shape: Shape) -> tuple[Any, list[Diagnostic]]:
    tree = parse_tree(variable, text if isinstance(shape, Integer) else "")
    # Only a number is read as YAML; anything else in the environment is text, whatever it looks like.
    node: Node = tree.root or Scalar(text, text, '"', 1, 1, 0)
    reader = Reader(tree)
    value = reader.read(node, shape)
    # A variable has no lines.
    return value, [replace(error, line=0, column=0) for error in tree.errors + reader.errors]


def _with(settings: Settings, values: Mapping[str, Any]) -> Settings:
    parts = {
        "log": replace(settings.log, **values.get("log", {})),
        "limits": replace(settings.limits, **values.get("limits", {})),
    }
    return replace(settings, **{**values, **parts})

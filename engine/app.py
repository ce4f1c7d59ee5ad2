"""The composition root: settings → store, rules, live, hub, doors. The only file that knows everything.

async def answer(message: ChatMessage) -> str: ...

async with Server.from_config("config.yaml", responder=answer) as server:
    await server.broadcast_to_all_clients("How's your progress?", "question")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import structlog

from engine.core.model import MESSAGE_TYPES_TAKEN, Json
from engine.core.refusal import Refused
from engine.core.rules import RuleSet
from engine.doors import drain, http_door, listen, websocket_door
from engine.parts import Parts, Ruling, StartError
from engine.process import Process, settings_of
from engine.responders.base import Responder, check_responder
from engine.settings import Settings, is_loopback, shown_host
from engine.settings_file import DEFAULT_PATH
from engine.storage.base import StoreError
from engine.transport.bodies import read_given
from engine.transport.decoding import NAME_LENGTH_MAX, WireError
from engine.transport.desk import Sent
from engine.transport.hooks import ResponseHook
from engine.transport.plain import to_input
from engine.transport.tls import server_context
from engine.transport.wire import encode
from engine.wiring import build, build_gateway

log = structlog.get_logger("proactive")


class Server(Process):
    """One live server. `start` and `stop` it, or use it as an async context manager; it starts once.

    ``responder`` answers chat messages: an async function of one `ChatMessage` that returns the text. None
    takes the one that the settings name. ``on_user_response`` is awaited with the client's id, the question's
    id and the response, once the response is durable; the client's next frames wait for it.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        responder: Responder | None = None,
        on_user_response: ResponseHook | None = None,
        on_report: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(settings)
        if responder is not None:
            check_responder(responder)
        self._responder = responder
        self._on_user_response = on_user_response
        self._on_report = on_report
        self._built: Parts | None = None
        self._ws_port = 0
        self._http_port = 0

    @classmethod
    def from_config(
        cls,
        path: str | Path | None = DEFAULT_PATH,
        *,
        responder: Responder | None = None,
        on_user_response: ResponseHook | None = None,
        on_report: Callable[[str], None] | None = None,
        host: str | None = None,
        ws_port: int | None = None,
        http_port: int | None = None,
        rules: str | Path | None = None,
        store: str | None = None,
    ) -> Self:
        """By a file of settings, the environment over it, and the arguments over both.

        With ``path`` None, ``config.yaml`` if there is one. Raises `SettingsErrors`, and `StartError` for an
        argument that cannot be.
        """
        settings = settings_of(path, host=host, ws_port=ws_port, http_port=http_port, rules=rules, store=store)
        return cls(settings, responder=responder, on_user_response=on_user_response, on_report=on_report)

    @property
    def ws_url(self) -> str:
        return f"{'ws' if self.settings.tls is None else 'wss'}://{shown_host(self.settings.host)}:{self._ws_port}"

    @property
    def http_url(self) -> str:
        return (
            f"{'http' if self.settings.tls is None else 'https'}://{shown_host(self.settings.host)}:{self._http_port}"
        )

    @property
    def rules(self) -> RuleSet:
        """The rules that hold."""
        return self._ruling().rules

    @property
    def start_trouble(self) -> list[str]:
        """Why it began with other rules than those of the files, in lines; empty where it did not."""
        start = self._ruling().start
        return [start.report, *start.problems] if start.problems else []

    async def broadcast_to_all_clients(
        self, text: str, message_type: str = "notification", *, options: tuple[str, ...] = (), **fields: Json
    ) -> Sent:
        """To everybody who is connected, or was there over HTTP within ten minutes. ``fields`` join the frame.

        Raises `StoreError` or `Overloaded`: then nobody has got it.
        """
        return await self._send(None, message_type, text, options, fields)

    async def send_backend_message_to_client(
        self,
        client_id: str,
        text: str,
        message_type: str = "notification",
        *,
        options: tuple[str, ...] = (),
        **fields: Json,
    ) -> Sent:
        """To all connections of one client; it waits (`Settings.message_expires`) for a client who has none."""
        return await self._send([client_id], message_type, text, options, fields)

    async def send_frame_to_client(self, client_id: str, frame: dict[str, Json]) -> Sent:
        """A frame of the application's own, ``{"type": "code_suggestion", …}``; ``id`` and ``timestamp`` are added."""
        kind, fields = _taken_apart(frame)
        return await self._send([client_id], kind, "", (), fields)

    async def broadcast_frame(self, frame: dict[str, Json]) -> Sent:
        """As `send_frame_to_client`, to everybody."""
        kind, fields = _taken_apart(frame)
        return await self._send(None, kind, "", (), fields)

    async def record_event(self, client_id: str, event: dict[str, Json] | list[dict[str, Json]]) -> list[str]:
        """Let this have happened to a client now, as ``POST /events`` does; the ids, once it is durable and evaluated.

        One event, ``{"type": "test.failed", "test": "t1"}``, or several, of which all are taken or none. Raises
        `ValueError` for one that cannot be meant, in the words of the protocol; `StoreError`, `Overloaded`: then
        nothing has happened.
        """
        desk = self._parts().desk
        _check_name("client_id", client_id)
        try:
            given = read_given(client_id, event)
        except WireError as error:
            raise ValueError(error.message) from None
        return await desk.record([to_input(said, client_id, said.session) for said in given]) if given else []

    async def health(self) -> dict[str, Json]:
        """What ``GET /healthz`` says. ``degraded``: it serves, and somebody should look."""
        parts = self._parts()
        state = parts.live.health()
        try:
            kept: Json = await parts.store.describe()
            store_trouble = state.get("trouble")
        except StoreError as error:
            kept, store_trouble = {}, str(error)
        about_rules: dict[str, Json] = {}
        fine = not store_trouble and state.get("running")
        if parts.ruling is not None:
            rules, problems = parts.ruling.rules, parts.ruling.reloader.problems
            about_rules["rules"] = {"loaded": len(rules.rules), "hash": rules.hash, "problems": problems}
            fine = fine and not problems
        return {
            "status": "ok" if fine else "degraded",
            **about_rules,
            "store": {**kept, "trouble": store_trouble},
            "live": state,
            "connections": parts.hub.connection_count,
            "clients": len(parts.desk.present()),
        }

    async def _open(self, opened: AsyncExitStack) -> None:
        """Store, live, HTTP, WebSocket: whoever can connect is served at once. Closed the other way round."""
        settings = self.settings
        parts = self._built = await self._build(opened)
        try:
            tls = server_context(settings.tls)
        except Refused as refused:
            raise StartError(refused.message) from None
        if tls is None and not is_loopback(settings.host):
            log.warning(
                "! tokens and messages go over the net unencrypted, unless a proxy before this server encrypts them"
            )
        # The demo page is for whoever sits at this machine.
        ws_url = (lambda: self.ws_url) if is_loopback(settings.host) else None
        http = http_door(settings, parts, self.health, ws_url=ws_url)
        opened.push_async_callback(http.close)
        host, http_port, ws_port = settings.host, settings.http_port, settings.ws_port
        self._http_port = await listen(lambda: http.open(host, http_port, tls), host, http_port, "--http-port")
        websocket = websocket_door(settings, parts)
        opened.push_async_callback(websocket.close)
        self._ws_port = await listen(lambda: websocket.open(host, ws_port, tls), host, ws_port, "--ws-port")
        opened.push_async_callback(drain, parts)

    async def _build(self, opened: AsyncExitStack) -> Parts:
        return await build(
            self.settings,
            opened,
            responder=self._responder,
            on_user_response=self._on_user_response,
            on_report=self._on_report,
        )

    async def _send(
        self, clients: list[str] | None, kind: str, text: str, options: Sequence[str], fields: dict[str, Json]
    ) -> Sent:
        desk = self._parts().desk
        # What could not be read back from the store is the caller's mistake, told here rather than when it is sent.
        encode(fields)
        for name in clients or ():
            _check_name("client_id", name)
        _check_name("message_type", kind)
        if kind in MESSAGE_TYPES_TAKEN:
            raise ValueError(f'"{kind}" is a type of the protocol itself; choose another')
        for value in (text, *options):
            _check_text("text and options", value)
        if isinstance(options, str):
            raise TypeError(f"expected options to be a list of texts, got {options!r}")
        return await desk.send(clients, kind, text, options=tuple(options), data=fields)

    def _parts(self) -> Parts:
        if self._built is None:
            raise RuntimeError("the server has not been started")
        return self._built

    def _ruling(self) -> Ruling:
        ruling = self._parts().ruling
        if ruling is None:
            raise RuntimeError("a gateway has no rules; workers have")
        return ruling


class Gateway(Server):
    """One gateway: as a `Server` to its clients, beside others on one store, which workers evaluate.

    What it is told has not been evaluated when it says that it is durable.
    """

    @property
    def name(self) -> str:
        """By which the others know it."""
        return str(self._parts().live.health()["gateway"])

    async def _build(self, opened: AsyncExitStack) -> Parts:
        return await build_gateway(
            self.settings, opened, responder=self._responder, on_user_response=self._on_user_response
        )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"expected {name} to be text, got {value!r}")


def _check_name(name: str, value: str) -> None:
    _check_text(name, value)
    if not 0 < len(value) <= NAME_LENGTH_MAX:
        raise ValueError(f"expected {name} to have 1 to {NAME_LENGTH_MAX} characters, got {len(value)}")


def _taken_apart(frame: dict[str, Json]) -> tuple[str, dict[str, Any]]:
    kind = frame.get("type")
    if not isinstance(kind, str) or not 0 < len(kind) <= NAME_LENGTH_MAX:
        raise ValueError(f'expected a frame with a "type" of 1 to {NAME_LENGTH_MAX} characters, got {kind!r}')
    return kind, {name: value for name, value in frame.items() if name != "type"}

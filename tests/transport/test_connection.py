"""The door over real sockets, with a peer that does nothing by itself; on both event loops that the server runs on."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CLOSE, PONG, TEXT, Close, Frame

from engine.transport.connection import FRAMES_A_TURN, SILENT, TOO_SLOW, WRITE_BYTES_MAX
from engine.transport.limits import Admission
from engine.transport.listener import Patience, WebSocketDoor
from engine.transport.outgoing import GOING_AWAY, Outgoing

WITHIN_S = 20.0  # only a hang takes as long
AT_ONCE_S = 0.05
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):  # there is none for Windows
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
REQUEST = (
    b"GET /?token=abc HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Peer:
    """Keeps what it gets, and echoes it if told to."""

    def __init__(self, world: World, address: str, credentials: str | None, wake: Callable[[], None]) -> None:
        self.world = world
        self.address = address
        self.credentials = credentials
        self.outgoing = Outgoing(world.frames_max, wake)
        self.on_idle: Callable[[], None] | None = None
        self.is_busy = False
        self.received: list[str | bytes] = []
        self.came = asyncio.Event()
        self.left: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def receive(self, frame: str | bytes) -> None:
        self.received.append(frame)
        self.world.order.append(self)
        self.is_busy = self.world.is_busy_after_each
        self.came.set()
        if self.world.echoes:
            self.outgoing.put(frame if isinstance(frame, str) else f"{len(frame)} bytes")

    def be_idle(self) -> None:
        self.is_busy = False
        assert self.on_idle is not None
        self.on_idle()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while len(self.received) < count:
                self.came.clear()
                await self.came.wait()

    async def gone(self, code: int) -> None:
        self.left.set_result(code)


class World:
    def __init__(self, opened: AsyncExitStack) -> None:
        self.opened = opened
        self.frames_max = 256
        self.echoes = True
        self.is_busy_after_each = False
        self.order: list[Peer] = []
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.admission = Admission(total=None, per_user=None, per_address=None)
        self.door: WebSocketDoor
        self.port = 0

    async def listen(self, *, frame_bytes_max: int = 1000, **patience: float) -> None:
        self.door = WebSocketDoor(
            self._open_peer,
            allows_origin=lambda origin: origin in (None, "https://good.example"),
            frame_bytes_max=frame_bytes_max,
            patience=Patience(**patience),
            admit=lambda address: self.admission.admit(address),
            released=lambda address: self.admission.released(address),
        )
        self.port = await self.door.open("127.0.0.1", 0)
        self.opened.push_async_callback(self.door.close)

    def _open_peer(self, address: str, credentials: str | None, wake: Callable[[], None]) -> Peer:
        peer = Peer(self, address, credentials, wake)
        self.peers.put_nowait(peer)
        return peer

    async def client(self, **more: Any) -> ClientConnection:
        uri = f"ws://127.0.0.1:{self.port}/{more.pop('query', '')}"
        return await self.opened.enter_async_context(connect(uri, max_size=None, ping_interval=None, **more))

    async def line(self, data: bytes = REQUEST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Bare bytes to the server and back; of a handshake the answer has been read."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)

        async def closed() -> None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

        self.opened.push_async_callback(closed)
        writer.write(data)
        if data.startswith(REQUEST):
            assert (await within(reader.readuntil(b"\r\n\r\n"))).startswith(b"HTTP/1.1 101 ")
        return reader, writer

    async def peer(self) -> Peer:
        return await within(self.peers.get())


def on_both_loops(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The scenario as a test, on each event loop that the server runs on."""
    given_by_pytest = [name for name in inspect.signature(scenario).parameters if name != "world"]

    def test(loop: str, **given: Any) -> None:
        async def run() -> None:
            async with AsyncExitStack() as opened:
                await scenario(World(opened), **given)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(run())

    test.__name__ = scenario.__name__
    test.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("loop", *given_by_pytest)]
    )
    return pytest.mark.parametrize("loop", LOOPS)(test)


async def within(awaitable: Awaitable[Any]) -> Any:
    async with asyncio.timeout(WITHIN_S):
        return await awaitable


async def how_it_closed(client: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(WITHIN_S):
        with suppress(ConnectionClosed):
            async for _ in client:
                pass
    return client.close_code, client.close_reason


async def next_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of a short frame of the server."""
    head = await within(reader.readexactly(2))
    return head[0] & 0x0F, await within(reader.readexactly(head[1]))


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes, until the line is closed or cut."""
    data = b""
    with suppress(ConnectionError):
        while chunk := await within(reader.read(65536)):
            data += chunk
    return data


def said(payload: bytes) -> bytes:
    return Frame(TEXT, payload).serialize(mask=True)


@on_both_loops
async def test_text_and_bytes_go_to_the_peer_and_its_frames_come_back(world: World) -> None:
    await world.listen()
    client = await world.client(query="?token=t1")
    await client.send("hí")
    await client.send(b"\x00\xff")
    await client.send(["in ", "three ", "parts"])
    assert [await within(client.recv()) for _ in range(3)] == ["hí", "2 bytes", "in three parts"]
    peer = await world.peer()
    assert (peer.address, peer.credentials) == ("127.0.0.1", "t1")
    assert peer.received == ["hí", b"\x00\xff", "in three parts"]


@on_both_loops
async def test_a_ping_is_answered(world: World) -> None:
    await world.listen()
    client = await world.client()
    await within(await client.ping(b"there?"))


@on_both_loops
async def test_a_frame_that_came_with_the_handshake_is_not_lost(world: World) -> None:
    await world.listen()
    reader, _ = await world.line(REQUEST + said(b"early"))
    assert await next_frame(reader) == (TEXT, b"early")


@pytest.mark.parametrize("cut", [1, 10, len(REQUEST) - 1])
@on_both_loops
async def test_a_handshake_may_come_in_pieces(world: World, cut: int) -> None:
    await world.listen()
    reader, writer = await world.line(REQUEST[:cut])
    await writer.drain()
    writer.write(REQUEST[cut:] + said(b"hi"))
    assert (await within(reader.readuntil(b"\r\n\r\n"))).startswith(b"HTTP/1.1 101 ")
    assert await next_frame(reader) == (TEXT, b"hi")


@on_both_loops
async def test_a_page_of_another_origin_is_refused(world: World) -> None:
    await world.listen()
    await world.client(additional_headers={"Origin": "https://good.example"})
    with pytest.raises(InvalidStatus) as refused:
        await world.client(additional_headers={"Origin": "https://evil.example"})
    assert refused.value.response.status_code == 403


@on_both_loops
async def test_an_endless_request_is_refused(world: World) -> None:
    await world.listen()
    reader, _ = await world.line(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000)
    assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"\x16\x03\x01"], ids=["nothing", "half of it", "something else"]
)
@on_both_loops
async def test_who_does_not_end_the_handshake_in_time_is_cut_off(world: World, data: bytes) -> None:
    await world.listen(handshake_s=AT_ONCE_S)
    reader, _ = await world.line(data)
    assert await rest(reader) == b""


@pytest.mark.parametrize("cut", [1, 3, 8])
@on_both_loops
async def test_who_does_not_end_a_message_in_time_is_closed(world: World, cut: int) -> None:
    await world.listen(message_s=AT_ONCE_S)
    reader, writer = await world.line()
    writer.write(said(b"hello")[:cut])
    assert await next_frame(reader) == (CLOSE, Close(*TOO_SLOW).serialize())


@on_both_loops
async def test_who_does_not_end_the_fragments_of_a_message_in_time_is_closed(world: World) -> None:
    await world.listen(message_s=AT_ONCE_S)
    reader, writer = await world.line()
    writer.write(Frame(TEXT, b"a", fin=False).serialize(mask=True))
    assert await next_frame(reader) == (CLOSE, Close(*TOO_SLOW).serialize())


@on_both_loops
async def test_the_time_of_a_message_ends_with_it_and_begins_anew_with_the_next(world: World) -> None:
    world.echoes = False
    await world.listen(message_s=0.2)
    _, writer = await world.line()
    peer = await world.peer()
    frame = said(b"hello")
    # Together they take longer than one may; the last byte of each comes with the beginning of the next.
    writer.write(frame[:-1])
    loop = asyncio.get_running_loop()
    began = loop.time()
    while loop.time() < began + 0.5:
        writer.write(frame[-1:] + frame[:-1])
        await peer.has(len(peer.received) + 1)
    writer.write(frame[-1:])
    await peer.has(len(peer.received) + 1)
    assert peer.outgoing.closing is None


@on_both_loops
async def test_a_silent_client_is_asked_twice_and_then_closed(world: World) -> None:
    await world.listen(heartbeat_s=AT_ONCE_S)
    reader, _ = await world.line()
    assert [(await next_frame(reader))[0] for _ in range(2)] == [9, 9]
    assert await next_frame(reader) == (CLOSE, Close(*SILENT).serialize())


@pytest.mark.parametrize(
    "life",
    [Frame(PONG, b"").serialize(mask=True), said(b"hi"), said(b"hello")[:1]],
    ids=["a pong", "a message", "the beginning of one"],
)
@on_both_loops
async def test_whatever_comes_from_a_client_is_life(world: World, life: bytes) -> None:
    world.echoes = False
    await world.listen(heartbeat_s=AT_ONCE_S, message_s=WITHIN_S)
    reader, writer = await world.line()
    assert (await next_frame(reader))[0] == 9
    writer.write(life)
    assert [(await next_frame(reader))[0] for _ in range(2)] == [9, 9]


@on_both_loops
async def test_a_client_of_the_library_stays_without_saying_anything(world: World) -> None:
    await world.listen(heartbeat_s=AT_ONCE_S, closing_s=AT_ONCE_S)
    client = await world.client()
    witness, _ = await world.line()
    await rest(witness)
    await client.send("still here")
    assert await within(client.recv()) == "still here"


@on_both_loops
async def test_a_busy_peer_gets_nothing_more_until_it_is_idle(world: World) -> None:
    world.echoes, world.is_busy_after_each = False, True
    await world.listen()
    client = await world.client()
    peer = await world.peer()
    for number in range(5):
        await client.send(str(number))
    for number in range(5):
        await peer.has(number + 1)
        assert peer.received == [str(number) for number in range(number + 1)]
        assert peer.is_busy
        peer.be_idle()


@on_both_loops
async def test_a_busy_peer_holds_up_the_client_rather_than_the_server(world: World) -> None:
    world.echoes, world.is_busy_after_each = False, True
    await world.listen()
    _, writer = await world.line()
    peer = await world.peer()
    writer.write(said(b"first"))
    await peer.has(1)
    bare: socket.socket = socket.fromfd(writer.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM)
    with bare:
        bare.setblocking(False)
        sent = idle_turns = 0
        while idle_turns < 1000:
            try:
                sent += bare.send(said(b"x" * 900) * 100)
                idle_turns = 0
            except BlockingIOError:
                idle_turns += 1
            # What two sockets hold is a few megabytes; a server that read on would take it all.
            assert sent < 64_000_000
            await asyncio.sleep(0)
    assert len(peer.received) == 1


@on_both_loops
async def test_a_busy_client_is_not_taken_for_a_silent_one(world: World) -> None:
    world.echoes, world.is_busy_after_each = False, True
    await world.listen(heartbeat_s=AT_ONCE_S)
    reader, writer = await world.line()
    writer.write(said(b"work"))
    assert [(await next_frame(reader))[0] for _ in range(5)] == [9] * 5


@on_both_loops
async def test_who_sends_much_does_not_hold_up_the_others(world: World) -> None:
    world.echoes = False
    await world.listen()
    _, much = await world.line()
    first = await world.peer()
    _, little = await world.line()
    second = await world.peer()
    count = 50 * FRAMES_A_TURN
    much.write(said(b"") * count)
    little.write(said(b"me too"))
    await second.has(1)
    assert len(first.received) < count
    await first.has(count)


@on_both_loops
async def test_frames_wait_in_the_queue_for_a_client_that_does_not_read_and_come_in_order(world: World) -> None:
    await world.listen()
    reader, _ = await world.line()
    peer = await world.peer()
    # Sockets hold some megabytes; this is far more.
    texts = [f"{number:04}" + "x" * 400_000 for number in range(100)]
    for text in texts:
        assert peer.outgoing.put(text)
    await asyncio.sleep(0)
    connection = next(iter(world.door._connections))
    assert len(peer.outgoing) > 0
    assert connection._transport.get_write_buffer_size() <= WRITE_BYTES_MAX + len(texts[0]) + 10
    for text in texts:
        assert (await within(reader.readexactly(10)))[0] == 0x81
        assert await within(reader.readexactly(len(text))) == text.encode()
    assert len(peer.outgoing) == 0


@on_both_loops
async def test_frames_put_in_one_turn_of_the_loop_are_written_together(world: World) -> None:
    await world.listen()
    reader, _ = await world.line()
    peer = await world.peer()
    for number in range(10):
        peer.outgoing.put(str(number))
    assert await within(reader.read(65536)) == b"".join(b"\x81\x01%d" % number for number in range(10))


@on_both_loops
async def test_what_is_queued_is_sent_before_the_connection_is_closed(world: World) -> None:
    await world.listen()
    client = await world.client()
    peer = await world.peer()
    peer.outgoing.put("first")
    peer.outgoing.close(4001, "replaced")
    assert await within(client.recv()) == "first"
    assert await how_it_closed(client) == (4001, "replaced")
    assert await within(peer.left) == 4001


@on_both_loops
async def test_after_a_close_was_asked_for_nothing_is_handed_on(world: World) -> None:
    await world.listen(closing_s=AT_ONCE_S)
    reader, writer = await world.line()
    peer = await world.peer()
    peer.outgoing.close(4001, "")
    writer.write(said(b"too late"))
    assert await next_frame(reader) == (CLOSE, Close(4001, "").serialize())
    assert await rest(reader) == b""
    assert peer.received == []


@on_both_loops
async def test_who_does_not_read_is_cut_off_when_the_connection_is_closed(world: World) -> None:
    await world.listen(closing_s=AT_ONCE_S)
    await world.line()
    peer = await world.peer()
    for _ in range(100):
        peer.outgoing.put("x" * 400_000)
    peer.outgoing.close(4002, "")
    assert await within(peer.left) == 4002


@pytest.mark.parametrize(
    "farewell", [Frame(CLOSE, Close(1000, "").serialize()).serialize(mask=True), b""], ids=["a close", "an end"]
)
@on_both_loops
async def test_who_leaves_without_taking_what_is_on_its_way_is_cut_off(world: World, farewell: bytes) -> None:
    await world.listen(closing_s=AT_ONCE_S)
    _, writer = await world.line()
    peer = await world.peer()
    for _ in range(100):
        peer.outgoing.put("x" * 400_000)
    writer.write(farewell)
    writer.write_eof()
    await within(peer.left)


@on_both_loops
async def test_the_closing_of_a_busy_connection_is_heard(world: World) -> None:
    world.is_busy_after_each = True
    await world.listen(closing_s=WITHIN_S)
    client = await world.client()
    peer = await world.peer()
    for _ in range(3):
        await client.send("work")
    await peer.has(1)
    peer.outgoing.close(4001, "replaced")
    assert await how_it_closed(client) == (4001, "replaced")
    assert await within(peer.left) == 4001
    assert len(peer.received) == 1


@pytest.mark.parametrize("code", [1000, 4999])
@on_both_loops
async def test_a_client_that_closes_is_answered_and_gone(world: World, code: int) -> None:
    await world.listen()
    client = await world.client()
    peer = await world.peer()
    await client.close(code, "bye")
    assert (client.close_code, client.close_reason) == (code, "bye")
    assert await within(peer.left) == code
    assert not peer.outgoing.put("nobody is there")


@on_both_loops
async def test_a_line_that_breaks_is_gone_without_a_code(world: World) -> None:
    await world.listen()
    client = await world.client()
    peer = await world.peer()
    client.transport.abort()
    assert await within(peer.left) == 1006


@on_both_loops
async def test_who_sends_too_much_hears_so_while_still_sending(world: World) -> None:
    await world.listen()
    reader, writer = await world.line()
    writer.write(said(b"x" * 5_000_000))
    opcode, payload = await next_frame(reader)
    assert (opcode, Close.parse(payload).code) == (CLOSE, 1009)
    await within(writer.drain())
    writer.write_eof()
    assert await rest(reader) == b""


@on_both_loops
async def test_what_was_good_before_a_fault_is_answered(world: World) -> None:
    await world.listen()
    reader, writer = await world.line()
    writer.write(said(b"good") + said(b"\xff") + said(b"after"))
    assert await next_frame(reader) == (TEXT, b"good")
    opcode, payload = await next_frame(reader)
    assert (opcode, Close.parse(payload).code) == (CLOSE, 1007)
    writer.write_eof()
    assert await rest(reader) == b""


@on_both_loops
async def test_pings_of_a_client_that_does_not_read_are_not_hoarded(world: World) -> None:
    world.echoes = False
    await world.listen()
    _, writer = await world.line()
    peer = await world.peer()
    for _ in range(20):
        peer.outgoing.put("x" * 400_000)
    await asyncio.sleep(0)
    connection = next(iter(world.door._connections))
    for _ in range(200):
        writer.write(Frame(9, b"p" * 125).serialize(mask=True) * 100)  # whose answers come to 2.5 MB
    writer.write(said(b"end"))
    await peer.has(1)
    # A frame or two of what was there before, for the system may have taken some of it meanwhile.
    assert connection._transport.get_write_buffer_size() <= 1_000_000


@on_both_loops
async def test_a_door_that_closes_says_so_to_all_and_waits_for_their_ends(world: World) -> None:
    await world.listen()
    clients = [await world.client() for _ in range(3)]
    peers = [await world.peer() for _ in range(3)]
    half, _ = await world.line(b"GET / HTTP/1.1\r\n")
    closing = [asyncio.create_task(how_it_closed(client)) for client in clients]
    await within(world.door.close())
    assert [await task for task in closing] == [GOING_AWAY] * 3
    assert [peer.left.result() for peer in peers] == [1001] * 3
    assert await rest(half) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", world.port)


@on_both_loops
async def test_a_door_that_closes_cuts_off_who_does_not_agree(world: World) -> None:
    await world.listen(closing_s=AT_ONCE_S)
    await world.line()
    peer = await world.peer()
    await within(world.door.close())
    assert peer.left.result() == 1001
    assert world.door.connection_count == 0


@on_both_loops
async def test_who_is_refused_is_told_over_http_and_whoever_was_admitted_is_released_once(world: World) -> None:
    world.admission = Admission(total=1, per_user=None, per_address=None)
    await world.listen()
    client = await world.client()
    peer = await world.peer()
    with pytest.raises(InvalidStatus) as refused:
        await world.client()
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "5"
    assert world.admission.count == 1
    await client.close()
    await within(peer.left)
    assert world.admission.count == 0
    await world.client()

"""The door over real sockets, with a peer that does nothing by itself; on both event loops that the server runs on."""

from __future__ import annotations

import asyncio
import socket

import pytest
from door_world import AT_ONCE_S, REQUEST, WITHIN_S, World, next_frame, on_both_loops, rest, said, within
from websockets.exceptions import InvalidStatus
from websockets.frames import CLOSE, PONG, TEXT, Close, Frame

from engine.transport.connection import FRAMES_A_TURN, SILENT, TOO_SLOW, WRITE_BYTES_MAX
from engine.transport.limits import Admission


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

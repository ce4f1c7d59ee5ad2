"""How a connection ends, whoever ends it: over real sockets, on both event loops that the server runs on."""

from __future__ import annotations

import asyncio

import pytest
from door_world import AT_ONCE_S, WITHIN_S, World, how_it_closed, next_frame, on_both_loops, rest, said, within
from websockets.frames import CLOSE, Close, Frame

from engine.transport.outgoing import GOING_AWAY


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

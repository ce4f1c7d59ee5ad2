"""A client written from the page of the protocol alone lives over streams and polls, however often it is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from level1_client import EventStreamConnection, Gone, Level1Client, LongPollConnection, converse

CUTS = 5
WITHIN_S = 60.0


@pytest.mark.parametrize("transport", [EventStreamConnection, LongPollConnection])
async def test_nothing_is_lost_or_told_twice_over_many_cuts(start_server: Any, transport: Any) -> None:
    server = await start_server()
    client = Level1Client("tab", "ann")
    said = asyncio.Event()
    texts = []

    async def live_on() -> None:
        while True:
            connection = await transport.open(server.http_url, client)
            try:
                await converse(client, connection, said)
            except Gone:
                continue

    async with asyncio.timeout(WITHIN_S):
        for number in range(CUTS):
            living = asyncio.create_task(live_on())
            while not client.is_welcome:
                await server.health()
            client.say("test.failed", test=f"t{number}")
            said.set()
            texts.append(f"note {number}")
            await server.send_backend_message_to_client("ann", texts[-1])
            if number == CUTS - 1:
                while client.unacknowledged or len(client.messages) < 2 * CUTS:
                    await server.health()
            living.cancel()
            await asyncio.wait([living])
    assert client.complaints == []
    assert [frame["message"] for frame in client.messages.values() if frame["message"] in texts] == texts
    hints = [frame["message"] for frame in client.messages.values() if frame["message"] not in texts]
    assert sorted(hints) == [f"t{number} fails. Want a hint?" for number in range(CUTS)]
    assert client.resumed == CUTS - 1
    assert len(client.acknowledged) == CUTS

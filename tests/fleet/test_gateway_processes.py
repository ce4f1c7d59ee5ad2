from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from processes import MAIN, ROOT, FleetProcess, Visitor, processes, until
from storage.redis_server import RedisServer

CROWD = 200


async def come(opened: AsyncExitStack, client: str, user: str, *gateways: FleetProcess) -> Visitor:
    visitor = Visitor(client, user, [each.urls["WebSocket"] for each in gateways])
    opened.push_async_callback(visitor.close)
    return visitor


async def test_people_talk_through_two_gateways_and_one_worker(tmp_path: Path, redis: RedisServer) -> None:
    async with processes(tmp_path, redis.url) as [worker, one, two], AsyncExitStack() as opened:
        assert one.lines[0].startswith("WebSocket server started on ws://127.0.0.1:")
        assert one.lines[1].startswith("HTTP server started on http://127.0.0.1:")
        phone, desk = await come(opened, "phone", "ann", one), await come(opened, "desk", "ann", two)
        await until(lambda: phone.client.is_welcome and desk.client.is_welcome)
        assert one.lines[2].startswith("Gateway ")
        phone.say("chat_message", message="hi")
        await until(lambda: [frame["type"] for frame in phone.client.messages.values()] == ["chat_response"])
        phone.say("stuck", what="a test")
        await until(lambda: "Stuck with a test?" in phone.texts() and "Stuck with a test?" in desk.texts())
        [question] = desk.client.messages.values()
        desk.tell({"type": "outcome", "id": question["id"], "outcome": "answered", "response": "no"})
        await until(lambda: phone.client.withdrawn == {question["id"]: "answered"})
        assert await one.end(signal.SIGTERM) == 0
        assert await worker.end(signal.SIGTERM) == 0
        assert phone.client.complaints + desk.client.complaints == []


async def test_clients_of_a_killed_gateway_come_back_at_the_other_with_all_that_is_theirs(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with processes(tmp_path, redis.url) as [_, one, two], AsyncExitStack() as opened:
        ann, bob = await come(opened, "phone", "ann", one, two), await come(opened, "phone", "bob", two)
        await until(lambda: ann.client.is_welcome and bob.client.is_welcome)
        for number in range(20):
            ann.say("stuck", what=f"a{number}")
            if number == 10:
                await one.end(signal.SIGKILL)
        bob.say("stuck", what="b")
        await until(lambda: not ann.client.unacknowledged and bob.texts() == ["Stuck with b?"])
        await until(lambda: len(ann.texts()) == 20)
        assert ann.texts() == [f"Stuck with a{number}?" for number in range(20)]
        assert (ann.client.resumed, len(ann.client.sessions), ann.client.complaints) == (1, 1, [])


async def test_a_crowd_comes_back_at_once_to_the_gateway_that_is_left(tmp_path: Path, redis: RedisServer) -> None:
    async with processes(tmp_path, redis.url) as [_, one, two], AsyncExitStack() as opened:
        crowd = [await come(opened, "phone", f"u{number}", one, two) for number in range(CROWD)]
        await until(lambda: all(each.client.is_welcome for each in crowd))
        for each in crowd:
            each.say("stuck", what="one")
        await one.end(signal.SIGKILL)
        for each in crowd:
            each.say("stuck", what="two")
        await until(lambda: all(len(each.texts()) == 2 for each in crowd), 120)
        assert {tuple(each.texts()) for each in crowd} == {("Stuck with one?", "Stuck with two?")}
        assert all(each.client.resumed for each in crowd)
        assert [complaint for each in crowd for complaint in each.client.complaints] == []


@pytest.mark.parametrize("command", ["gateway", "worker"])
def test_a_process_of_a_fleet_says_in_one_line_that_it_needs_a_shared_store(tmp_path: Path, command: str) -> None:
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("store: sqlite:x.db\nrules: rules.yaml\n", encoding="utf-8")
    words = [sys.executable, "-c", MAIN, command, "--config", "config.yaml"]
    ended = subprocess.run(
        words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"proactive {command}: a {command} needs a store on Redis: ")

"""The three commands as a person uses them: processes, pipes, real ports and a real file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as connect_websocket

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]
WITHIN_S = 30.0
START = "start the server with: proactive serve, or name another address with --url"
RULES = """\
version: 1
rules:
  - id: stuck
    trigger: {keywords: {any: [stuck]}}
    message: {type: question, text: "Where are you stuck?", options: [In a loop, Elsewhere]}
  - id: thanks
    trigger: {event: {event: user_response}}
    message: {type: notification, text: "You said: {{ event.response }}"}
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "stuck.yaml").write_text(RULES, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROACTIVE_")}
    environment["PYTHONPATH"] = str(ROOT)
    running: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        with process:
            process.kill()


class Served:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.lines = [process.stdout.readline().rstrip("\n") for _ in range(4)]
        self.ws_url, self.http_url = (line.rpartition(" ")[2] for line in self.lines[:2])


@pytest.fixture
def served(start: Start) -> Served:
    return Served(start("serve", "--ws-port", "0", "--http-port", "0"))


def finish(process: subprocess.Popen[str], typed: str | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(typed, timeout=WITHIN_S)
    return process.returncode, out, err


def listening(process: subprocess.Popen[str]) -> None:
    """Read until the client says that it is connected."""
    assert process.stderr is not None
    assert process.stderr.readline().startswith("[connected to ws://127.0.0.1:")


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return re.sub(r"^\d\d:\d\d:\d\d ", "", process.stdout.readline()).rstrip("\n")


def type_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_serve_says_where_it_listens_and_what_it_loaded(start: Start, tmp_path: Path) -> None:
    ws_port, http_port = free_port(), free_port()
    served = Served(start("serve", "--ws-port", str(ws_port), "--http-port", str(http_port), "--store", "sqlite:s.db"))
    assert served.lines == [
        f"WebSocket server started on ws://127.0.0.1:{ws_port}",
        f"HTTP server started on http://127.0.0.1:{http_port}",
        "Rules loaded: 2 rules from rules/ (1 file)",
        "Store: sqlite:s.db",
    ]
    served.process.send_signal(signal.SIGTERM)
    code, _, err = finish(served.process)
    assert code == 0
    assert "= stopping" in err
    assert (tmp_path / "s.db").exists()


STORES = 'a store such as "sqlite:proactive.db" or "redis://127.0.0.1:6379/0"'


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--rules", "none"], "none: expected a folder of rules or a rule file"),
        (["--config", "none.yaml"], "none.yaml: expected a file of settings, cannot read it: no such file"),
        (["--store", "redis:x"], f'proactive serve: expected {STORES}, got "redis:x"'),
        (["--store", "sqlite:rules/stuck.yaml"], "proactive serve: "),
    ],
)
def test_serve_says_why_it_cannot_start(start: Start, words: list[str], error: str) -> None:
    code, out, err = finish(start("serve", "--ws-port", "0", "--http-port", "0", *words))
    assert (code, out) == (1, "")
    assert err.startswith(error)
    assert "Traceback" not in err


def test_a_killed_server_comes_up_again_whatever_stands_in_the_rule_files(start: Start, tmp_path: Path) -> None:
    words = ("serve", "--ws-port", "0", "--http-port", "0")
    killed = Served(start(*words))
    killed.process.kill()
    killed.process.wait()
    (tmp_path / "rules" / "stuck.yaml").write_text(RULES.replace("any:", "eny:"), encoding="utf-8")
    again = Served(start(*words))
    assert again.lines[2] == "Rules: 2 rules that held last, the files in rules/ have errors"
    told = [again.process.stdout.readline().rstrip("\n") for _ in range(3)]  # type: ignore[union-attr]
    assert re.fullmatch(r"Rules not loaded, those of \S+Z go on holding \(hash [0-9a-f]{32}\):", told[0])
    assert told[1].startswith("rules/stuck.yaml:4:26: ")
    assert told[2] == "They hold as soon as they are mended; no restart is needed."
    again.process.send_signal(signal.SIGTERM)
    assert finish(again.process)[0] == 0


def test_serve_lists_every_error_of_the_rules(start: Start, tmp_path: Path) -> None:
    (tmp_path / "rules" / "bad.yaml").write_text("version: 1\nruls: []\nrules: 5\n", encoding="utf-8")
    code, _, err = finish(start("serve"))
    assert code == 1
    assert [line.partition(": ")[0] for line in err.splitlines()[:2]] == ["rules/bad.yaml:2:1", "rules/bad.yaml:3:8"]
    assert err.endswith("2 errors in 1 file\n")


def test_serve_says_that_both_ports_are_the_same(start: Start) -> None:
    port = str(free_port())
    code, out, err = finish(start("serve", "--ws-port", port, "--http-port", port, "--store", "memory:"))
    assert (code, out) == (1, "")
    assert err == "proactive serve: ws_port and http_port are the same; each needs a port of its own\n"


def test_serve_names_the_port_that_is_taken(start: Start, served: Served) -> None:
    port = served.ws_url.rpartition(":")[2]
    code, _, err = finish(start("serve", "--ws-port", port, "--http-port", "0", "--store", "memory:"))
    assert code == 1
    assert err.splitlines()[-1] == (
        f"proactive serve: port {port} on 127.0.0.1 is taken by another program; --ws-port 0 takes any that is free"
    )


def test_connect_sends_what_comes_through_a_pipe_and_leaves_when_it_is_answered(start: Start, served: Served) -> None:
    code, out, err = finish(start("connect", "--url", served.ws_url, "--client-id", "ann"), "Hello\n\nI am stuck")
    assert code == 0
    assert out.count("answer No AI is configured on this server") == 2
    assert "question Where are you stuck?\n         1. In a loop\n         2. Elsewhere\n" in out
    assert err.startswith(f"[connected to {served.ws_url} as ann; ")


def test_connect_answers_a_question_with_the_number_of_an_option(start: Start, served: Served) -> None:
    client = start("connect", "--url", served.ws_url, "--client-id", "ann")
    listening(client)
    type_line(client, "/event chat_message message='so stuck'")
    lines = [next_line(client) for _ in range(4)]
    question = lines.index("question Where are you stuck?") if "question Where are you stuck?" in lines else -1
    assert question in (0, 1)
    type_line(client, "2")
    assert next_line(client) == "note You said: Elsewhere"
    assert client.stderr is not None
    assert client.stderr.readline() == "[answered: Elsewhere]\n"
    type_line(client, "/quit")
    assert finish(client)[0] == 0


def test_one_may_leave_while_the_server_is_away(start: Start, served: Served) -> None:
    client = start("connect", "--url", served.ws_url)
    listening(client)
    served.process.send_signal(signal.SIGTERM)
    assert client.stderr is not None
    assert client.stderr.readline() == "[the server is going away; trying again at once]\n"
    with suppress(BrokenPipeError):
        type_line(client, "/quit")
    err = client.stderr.read()  # what came with the former line is read already, and `finish` would not see it
    code, _, _ = finish(client)
    # It has tried again once more, or not.
    assert (code, err) in ((0, ""), (1, f"[nobody is listening at {served.ws_url}; {START}]\n"))


def test_leaving_says_what_is_lost_when_something_is(start: Start, served: Served) -> None:
    client = start("connect", "--url", served.ws_url)
    listening(client)
    served.process.kill()
    assert client.stderr is not None
    assert client.stderr.readline() == "[the connection broke; trying again]\n"
    code, _, err = finish(client, "Hello\n/quit\n")
    assert code == 1
    away = f"[nobody is listening at {served.ws_url}; {START}]\n"
    # The lines were read before it tried again, or not.
    assert err in (f"{away}[1 line not sent: lost]\n", away)


def test_connect_explains_what_cannot_be_sent(start: Start, served: Served) -> None:
    code, out, err = finish(start("connect", "--url", served.ws_url), "/evnt x\n/event session.end\n")
    assert code == 0
    assert '[there is no "/evnt": ' in err
    assert 'error events of type "session.end" are told by the server alone' in out


def test_send_reaches_one_who_is_connected_and_waits_for_one_who_is_not(start: Start, served: Served) -> None:
    client = start("connect", "--url", served.ws_url, "--client-id", "ann")
    listening(client)
    type_line(client, "/event known.by.now")
    type_line(client, "/event chat_message message=stuck")
    while next_line(client) != "question Where are you stuck?":
        pass
    send = ("send", "--http", served.http_url, "--type", "question", "Well?", "--option", "a", "--option", "b")
    assert finish(start(*send, "--to", "ann"))[:2] == (0, "sent to ann\n")
    assert finish(start(*send, "--to", "all"))[:2] == (0, "sent to 1 client\n")
    assert finish(start(*send, "--to", "bob"))[:2] == (0, "bob is not connected; the message waits\n")
    type_line(client, "/quit")
    assert finish(client)[1].count("question Well?\n         1. a\n         2. b\n") == 2
    assert "question Well?" in finish(start("connect", "--url", served.ws_url, "--client-id", "bob"), "")[1]


def test_send_to_nobody_says_so(start: Start, served: Served) -> None:
    send = start("send", "--http", served.http_url, "--to", "all", "Hello")
    assert finish(send)[:2] == (0, "nobody is connected; nothing was sent\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["send", "--to", "all", "x", "--http"],
            f"proactive send: nobody is listening at {{url}}; {START.replace('--url', '--http')}\n",
        ),
        (["connect", "--url"], f"[nobody is listening at {{url}}; {START}]\n"),
    ],
)
def test_where_nobody_listens_is_told_in_a_line(start: Start, words: list[str], error: str) -> None:
    url = f"{'http' if words[0] == 'send' else 'ws'}://127.0.0.1:{free_port()}"
    code, out, err = finish(start(*words, url), "")
    assert (code, out, err) == (1, "", error.format(url=url))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["send", "--to", "a", "x", "--http", "nowhere"], 'proactive send: expected an address such as "http://'),
        (["connect", "--url", "nowhere"], '[expected an address such as "ws://127.0.0.1:7778", got "nowhere"]'),
    ],
)
def test_an_address_that_is_none_is_told_in_a_line(start: Start, words: list[str], error: str) -> None:
    code, out, err = finish(start(*words), "")
    assert (code, out) == (1, "")
    assert err.startswith(error)


def test_clients_look_for_the_server_where_the_settings_put_it(start: Start, tmp_path: Path) -> None:
    config = f"ws_port: {free_port()}\nhttp_port: {free_port()}\nstore: 'memory:'\n"
    (tmp_path / "config.yaml").write_text(config, encoding="utf-8")
    Served(start("serve"))
    assert finish(start("send", "--to", "ann", "Well?"))[:2] == (0, "ann is not connected; the message waits\n")
    code, out, _ = finish(start("connect", "--client-id", "ann"), "")
    assert code == 0
    assert "note Well?" in out
    (tmp_path / "config.yaml").rename(tmp_path / "elsewhere.yaml")
    assert finish(start("send", "--to", "ann", "Well?", "--config", "elsewhere.yaml"))[0] == 0
    assert "note Well?" in finish(start("connect", "--client-id", "ann", "--config", "elsewhere.yaml"), "")[1]


@pytest.mark.parametrize(
    ("words", "option"), [(["connect"], "--url"), (["send", "--to", "all", "x"], "--http")], ids=["connect", "send"]
)
def test_settings_that_do_not_say_where_the_server_is_are_told_with_the_option_that_does(
    start: Start, tmp_path: Path, words: list[str], option: str
) -> None:
    name = "ws_port" if option == "--url" else "http_port"
    (tmp_path / "config.yaml").write_text(f"{name}: 0\n", encoding="utf-8")
    told = (
        f"{name} is 0 in the settings, which is any that was free: give the address that serve printed with {option}\n"
    )
    assert finish(start(*words), "") == (1, "", told)
    (tmp_path / "config.yaml").write_text("prots: 1\n", encoding="utf-8")
    code, _, err = finish(start(*words), "")
    assert code == 1
    assert err.startswith('config.yaml:1:1: unknown key "prots"')
    assert err.endswith(f"1 error in 1 file; {option} takes an address and reads no settings\n")
    # What is given is not looked for.
    url = f"{'ws' if option == '--url' else 'http'}://127.0.0.1:{free_port()}"
    assert f"nobody is listening at {url}" in finish(start(*words, option, url), "")[2]


def test_send_without_a_receiver_says_how_to_reach_one_and_all(start: Start) -> None:
    code, out, err = finish(start("send", "x"))
    assert (code, out) == (2, "")
    told = " ".join(err.replace("│", " ").split())
    assert (
        "say to whom: --to CLIENT for one client, --user USER for all devices of a user, --to all for everybody" in told
    )
    code, out, err = finish(start("send", "x", "--to", "all", "--user", "ann"))
    assert (code, out) == (2, "")
    assert "expected --to all or --user, got both" in err


async def test_a_user_is_reached_on_a_device_that_has_another_name(start: Start, served: Served) -> None:
    async with connect_websocket(served.ws_url) as socket:
        await socket.send('{"type": "hello", "protocol": 1, "clientId": "laptop", "user": "ann"}')
        send = start("send", "--http", served.http_url, "--user", "ann", "Well?")
        code, out, _ = await asyncio.to_thread(finish, send)
        assert (code, out) == (0, "sent to ann\n")
        while (frame := json.loads(await socket.recv()))["type"] != "backend_message":
            assert frame["type"] in ("welcome", "preferences")
        assert frame["message"] == "Well?"
    # "all" is a name like any other here.
    send = start("send", "--http", served.http_url, "--user", "all", "Well?")
    assert await asyncio.to_thread(finish, send) == (0, "all is not connected; the message waits\n", "")


def test_what_was_acknowledged_outlives_kill_9(start: Start, served: Served, tmp_path: Path) -> None:
    finish(start("connect", "--url", served.ws_url, "--client-id", "ann"), "Hello\n")
    served.process.kill()
    served.process.wait()
    with sqlite3.connect(tmp_path / "proactive.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = Served(start("serve", "--ws-port", "0", "--http-port", "0"))
    assert finish(start("connect", "--url", again.ws_url, "--client-id", "ann"), "Hello\n")[0] == 0


def test_what_is_longer_than_the_server_takes_is_told_and_not_sent_for_ever(start: Start, served: Served) -> None:
    code, _, err = finish(start("connect", "--url", served.ws_url), "x" * 70_000 + "\n")
    assert code == 1
    assert "Traceback" not in err
    assert "not connected; what was not sent is lost" not in err


def test_a_client_id_that_is_no_text_is_refused(start: Start, served: Served) -> None:
    code, _, err = finish(start("connect", "--url", served.ws_url, "--client-id", "a\udcff"), "")
    assert code == 2
    assert "expected a client id in UTF-8" in err

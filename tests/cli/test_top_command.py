"""`proactive top` as a person uses it: against a server that runs, one that is away, and what is no server at all."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.app import Server
from engine.cli.main import main
from engine.metrics.metrics import Metrics

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()", "top"]
KEY = "pk_test-0123456789"


class Answers(BaseHTTPRequestHandler):
    """Says what the test wants: by path, a status and a body."""

    server: Replies

    def do_GET(self) -> None:
        if self.server.key is not None and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            status, body = 401, b"{}"
        else:
            status, body = self.server.replies.get(self.path, (404, b"{}"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """It has nothing to say."""


class Replies(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.key: str | None = None
        self.replies = {"/healthz": (200, b'{"status": "ok"}'), "/metrics": (200, Metrics(lambda: 0).render()[0])}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def replies() -> Iterator[Replies]:
    with Replies() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def top(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["top", "--once", *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


async def test_one_frame_of_a_server_that_runs(server: Server) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROACTIVE_")}
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--once",
        "--http",
        server.http_url,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    out = (await process.communicate())[0].decode()
    assert process.returncode == 0
    lines = out.splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out, "no colours where no terminal is"
    assert f"{server.http_url}  ready" in lines[0]
    assert "Rules       hold 3  errors 0" in lines


def test_a_key_is_sent_along(replies: Replies, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    replies.key = KEY
    (tmp_path / "key").write_text(KEY + "\n", encoding="utf-8")
    assert top(capsys, "--http", replies.url, "--key", KEY)[0] == 0
    assert top(capsys, "--http", replies.url + "/", "--key-file", str(tmp_path / "key"))[0] == 0


@pytest.mark.parametrize("key", [[], ["--key", "pk_wrong"]])
def test_a_server_that_wants_another_key_says_how_to_give_it(
    replies: Replies, capsys: pytest.CaptureFixture[str], key: list[str]
) -> None:
    replies.key = KEY
    code, out, err = top(capsys, "--http", replies.url, *key)
    assert (code, out) == (1, "")
    how = "--key or --key-file takes one with the scope metrics (proactive key add)"
    assert err == f"proactive top: {replies.url} wants the key of a backend: {how}\n"


@pytest.mark.parametrize(
    ("path", "reply", "why"),
    [
        ("/metrics", (404, b""), "no proactive server answers at {url}: there is no /metrics"),
        ("/metrics", (500, b""), "{url}/metrics answered 500"),
        (
            "/metrics",
            (200, b"up 1\n"),
            "no proactive server answers at {url}: "
            "expected the metrics of a proactive server, got those of something else",
        ),
        ("/healthz", (200, b"<html>"), "no proactive server answers at {url}: /healthz is no JSON"),
        ("/healthz", (200, b"x" * (5 << 20)), "no proactive server answers at {url}: /healthz does not end"),
    ],
)
def test_what_is_no_server_is_said_to_be_none(
    replies: Replies, capsys: pytest.CaptureFixture[str], path: str, reply: tuple[int, bytes], why: str
) -> None:
    replies.replies[path] = reply
    assert top(capsys, "--http", replies.url) == (1, "", f"proactive top: {why.format(url=replies.url)}\n")


def test_where_nobody_listens_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with Replies() as closed:
        url = closed.url
    assert top(capsys, "--http", url) == (1, "", f"proactive top: nobody is listening at {url}\n")


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:7777", "http://"])
def test_an_address_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], url: str) -> None:
    code, _, err = top(capsys, "--http", url)
    assert code == 1
    assert err == f'proactive top: expected an address such as "http://127.0.0.1:7777", got "{url.rstrip("/")}"\n'


def test_two_keys_are_one_too_many(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = top(capsys, "--key", "a", "--key-file", str(tmp_path / "b"))
    assert code == 2
    assert "expected one of --key and --key-file, got both" in err


def test_a_key_file_that_cannot_be_read_is_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = top(capsys, "--http", "http://127.0.0.1:1", "--key-file", str(tmp_path / "none"))
    assert code == 2
    assert "cannot read" in err

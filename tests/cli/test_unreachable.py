"""What the commands that talk to a server say where TLS is between them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.cli.address import address_of_server
from engine.cli.unreachable import no_server
from tests.transport.test_tls import write_certificate

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]
WORDS = {
    "connect": ["connect", "--url"],
    "send": ["send", "--to", "ann", "Hi", "--http"],
    "top": ["top", "--once", "--http"],
}


async def said(command: str, url: str, trusted: Path | None = None) -> tuple[int | None, str]:
    """The exit code, and what stands on standard error without the command's name and brackets."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROACTIVE_")}
    if trusted is not None:
        environment["SSL_CERT_FILE"] = str(trusted)
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *WORDS[command],
        url,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    err = (await process.communicate())[1].decode().strip()
    return process.returncode, err.removeprefix(f"proactive {command}: ").removeprefix("[").removesuffix("]")


def url_of(server: Any, command: str) -> tuple[str, str]:
    return (server.ws_url, "--url") if command == "connect" else (server.http_url, "--http")


@pytest.mark.parametrize("command", WORDS)
async def test_a_certificate_is_told_from_a_server_that_is_away(
    start_server: Any, tmp_path: Path, command: str
) -> None:
    tls = write_certificate(tmp_path, "mine")
    server = await start_server(tls=tls)
    url, option = url_of(server, command)
    trust = "SSL_CERT_FILE=server.pem trusts the one in that file"
    told = f"the certificate of {url} is not trusted: self-signed certificate; {trust}"
    assert await said(command, url) == (1, told)
    code, err = await said(command, url, tls.certificate)
    assert code == 0, err
    elsewhere = url.replace("127.0.0.1", "localhost")
    code, err = await said(command, elsewhere, tls.certificate)
    assert code == 1
    assert err.startswith(f"the certificate of {elsewhere} is for another name: ")
    assert err.endswith(f"; {option} takes the address with its name")


@pytest.mark.parametrize("command", WORDS)
async def test_who_takes_tls_for_none_hears_so(start_server: Any, tmp_path: Path, command: str) -> None:
    server = await start_server(tls=write_certificate(tmp_path, "mine"))
    url = url_of(server, command)[0].replace("s://", "://")
    code, err = await said(command, url)
    assert code == 1
    assert err.startswith(f"no proactive server answers at {url}: ")
    assert f"; of a server with TLS the address begins with {url.partition(':')[0]}s://" in err


# A WebSocket's server waits ten seconds for the rest of what it takes for the beginning of a request.
@pytest.mark.parametrize("command", ["send", "top"])
async def test_who_takes_none_for_tls_hears_so(start_server: Any, command: str) -> None:
    server = await start_server()
    plain = url_of(server, command)[0]
    url = plain.replace("://", "s://")
    begins = plain.partition(":")[0] + "://"
    assert await said(command, url) == (1, f"{url} does not speak TLS; without it the address begins with {begins}")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("ws://a:1", "with TLS the address begins with wss://"),
        ("wss://a:1", "without TLS the address begins with ws://"),
        ("https://a:1", "without TLS the address begins with http://"),
    ],
)
def test_the_other_scheme_is_named_where_none_answers(url: str, hint: str) -> None:
    assert no_server(url, "timed out") == f"no proactive server answers at {url}: timed out; of a server {hint}"


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("192.168.0.7", "192.168.0.7"), ("localhost", "localhost")],
)
def test_a_server_on_all_addresses_is_looked_for_on_this_machine(tmp_path: Path, host: str, reached_at: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f'host: "{host}"\nauth: {{tokens: {{}}, backend_keys: keys.json}}\nhttp_port: 17\n', "utf-8")
    assert address_of_server("http", config, "--http") == f"http://{reached_at}:17"

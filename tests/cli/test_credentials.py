"""Commands that talk to a server which asks who they are: with the right credentials, wrong ones and none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from guarded_server import GOOD, GuardedServer

from engine.cli.credentials import headers_of


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    served = GuardedServer(tmp_path_factory.mktemp("guarded"))
    yield served
    with served.process:
        served.process.kill()


def test_a_client_is_whom_its_token_names(served: GuardedServer) -> None:
    done = served.run("connect", "--url", served.ws_url, "--token", GOOD, typed="hello\n")
    assert done.returncode == 0, done.stderr
    assert "hello" in done.stdout


def test_a_backend_sends_with_its_key_alone(served: GuardedServer, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(served.key + "\n")
    words = ["send", "Hi", "--user", "ann", "--http", served.http_url]
    for whom in ([], ["--to", "laptop"]):
        sent = served.run(*words, *whom, "--key-file", str(tmp_path / "key"))
        assert sent.stdout == "ann is not connected; the message waits\n"
    alone = served.run("send", "Hi", "--to", "ann", "--http", served.http_url, "--key-file", str(tmp_path / "key"))
    assert (alone.returncode, alone.stdout) == (1, "")
    assert 'expected "user" beside "client"' in alone.stderr
    for given in ([], ["--key", served.unknown_key], ["--key", GOOD]):
        done = served.run(*words, *given)
        assert (done.returncode, done.stdout) == (1, "")
        assert 'expected "Authorization: Bearer pk_…" with a key' in done.stderr


@pytest.mark.parametrize(
    ("given", "content", "said"),
    [
        ("a", "b", "expected one of --key and --key-file, got both"),
        ("", None, "expected a key in printable ASCII"),
        ("a\r\nX: y", None, "expected a key in printable ASCII"),
        ("Zoë", None, "expected a key in printable ASCII"),
        (None, "a\nb", "expected a key in printable ASCII"),
        (None, "", "expected a key in printable ASCII"),
    ],
)
def test_what_can_be_no_credential_is_not_sent(
    tmp_path: Path, given: str | None, content: str | None, said: str
) -> None:
    file = None if content is None else tmp_path / "key"
    if file is not None and content is not None:
        file.write_text(content)
    with pytest.raises(typer.BadParameter, match=said):
        headers_of("key", given, file)


def test_what_is_sent_stands_behind_bearer(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  pk_x\n")
    assert (
        headers_of("key", None, tmp_path / "key") == headers_of("key", "pk_x", None) == {"Authorization": "Bearer pk_x"}
    )
    assert headers_of("token", None, None) == {}
    with pytest.raises(typer.BadParameter, match="cannot read"):
        headers_of("token", None, tmp_path / "none")

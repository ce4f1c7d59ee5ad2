"""The commands that read what a server recorded say the same of a store on Redis as of a SQLite file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import Result
from recorded_store import record_into
from redis_server import RedisServer
from typer.testing import CliRunner

from engine.cli.main import app_for
from engine.storage.redis import RedisStore
from engine.storage.sqlite import SqliteStore


def run(*words: str | Path) -> Result:
    strings = [str(word) for word in words]
    return CliRunner().invoke(app_for(strings), strings)


async def record_both(path: Path, server: RedisServer) -> None:
    for store in (
        await SqliteStore.open(path, durability="normal"),
        await RedisStore.open(server.address, partition_count=8),
    ):
        await record_into(store)
        await store.close()


@pytest.fixture
def both(tmp_path: Path, server: RedisServer) -> tuple[str, str]:
    """The same history, in as many partitions: ids of events tell of them."""
    path = tmp_path / "proactive.db"
    asyncio.run(record_both(path, server))
    return str(path), server.url


LATER = """
version: 1
rules:
  - {id: stuck, trigger: {keywords: {any: [stuck]}}, cooldown: 15m, message: {type: question, text: "Where?"}}
"""


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "{log}", "--decisions", "-"),
        ("replay", "{log}", "--verify"),
        ("why", "stuck", "{log}", "--user", "ann", "--json"),
        ("diff", "{log}", "--after", "{rules}"),
        ("replay", "{log}", "--rules", "{rules}"),
    ],
)
def test_a_store_on_redis_is_read_as_a_file_is(words: tuple[str, ...], both: tuple[str, str], tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "rules.yaml").write_text(LATER)
    file, redis = [run(*[word.format(log=log, rules=rules) for word in words]) for log in both]
    assert (file.exit_code, file.output.replace(both[0], "LOG")) == (
        redis.exit_code,
        redis.output.replace(both[1], "LOG"),
    )
    assert redis.exit_code == 0
    assert redis.output


def test_what_was_recorded_on_redis_is_reproduced_exactly(both: tuple[str, str]) -> None:
    assert "reproduced exactly" in run("replay", both[1], "--verify").output


def test_the_events_of_a_store_on_redis_are_written_out(both: tuple[str, str], tmp_path: Path) -> None:
    written = []
    for number, log in enumerate(both):
        output = tmp_path / f"{number}.jsonl"
        assert run("import", log, "--sort", "--output", output).exit_code == 0
        written.append(output.read_text())
    assert written[0] == written[1]
    assert written[0].count("\n") > 10


def test_a_file_may_be_named_as_settings_do(both: tuple[str, str]) -> None:
    assert run("replay", f"sqlite:{both[0]}").output == run("replay", both[0]).output


def test_decisions_are_not_written_over_the_store_they_come_from(both: tuple[str, str]) -> None:
    result = run("replay", f"sqlite:{both[0]}", "--decisions", both[0])
    assert result.exit_code == 2
    assert "is the log itself" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay", "{redis}", "{file}"), "a store is replayed alone"),
        (("replay", "{redis}", "--jobs", "2"), "a store is replayed by one process"),
        (("replay", "{redis}", "--format", "jsonl"), "a store has its own"),
        (("replay", "redis://127.0.0.1:1/0"), "cannot be reached"),
        (("replay", "{redis}/3"), "expected a store such as"),
        (("replay", "redis://:secret@127.0.0.1/0"), "PROACTIVE_STORE_PASSWORD"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(words: tuple[str, ...], said: str, both: tuple[str, str]) -> None:
    file, redis = both
    result = run(*[word.format(file=file, redis=redis) for word in words])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "secret@" not in result.stderr


def test_a_password_comes_from_the_environment(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fill() -> None:
        store = await RedisStore.open(server.address)
        await record_into(store)
        await store.close()

    asyncio.run(fill())
    server.ask("CONFIG", "SET", "requirepass", "open sesame")
    try:
        without = run("replay", server.url)
        monkeypatch.setenv("PROACTIVE_STORE_PASSWORD", "open sesame")
        with_it = run("replay", server.url, "--verify")
    finally:
        server.ask_all([["AUTH", "open sesame"], ["CONFIG", "SET", "requirepass", ""]])
    assert without.exit_code == 2
    assert "PROACTIVE_STORE_PASSWORD" in without.stderr
    assert with_it.exit_code == 0

"""A store that was trimmed on disk: what is said of it, and that every command goes on reading it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from engine.cli.db_trim import trim
from engine.cli.main import app_for
from engine.core.model import Event
from engine.core.units import DAY, HOUR, MINUTE, parse_at
from engine.loading.load import load
from engine.replay.blocks import read_blocks
from engine.storage.base import Entry
from engine.storage.lock import FileLock
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS
from engine.turn import Turns

RULES = """
version: 1
rules:
  - id: idle
    trigger: {inactivity: 5m}
    message: {type: question, text: "{{ user.id }}?"}
    max: {max: 2, per: day}
  - id: three
    trigger: {count: {event: test.failed, at_least: 3, within: 50h}}
    message: {type: suggestion, text: "{{ trigger.count }}"}
"""
LATER = RULES.replace("5m", "4m")


async def record(path: Path, now: int) -> None:
    """Four days, the last of them until ``now``; on the second rules change, and dan is there on the first alone."""
    store = await SqliteStore.open(path, partition_count=2, durability="normal")
    turns = Turns(store)
    await turns.recover()
    for day, text in enumerate((RULES, LATER, LATER, LATER)):
        begin = now - (4 - day) * DAY
        if day < 2:
            rules = load({"rules.yaml": text}, KINDS)
            await store.save_rules(rules.hash, rules.sources)
            await turns.change_rules(rules, begin)
        for hour in range(1, 24):
            at = begin + hour * HOUR
            for user in ("ann", "bob", "dan")[: 3 if day == 0 else 2]:
                kind = "test.failed" if hour % 20 == 0 else "edit"
                await turns.make([Entry("event", at, user, Event(kind, user, at, {"n": hour}))], at, due=True)
            await turns.make([], at + 40 * MINUTE, due=True, tick=True)
    await store.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kept") / "proactive.db"
    asyncio.run(record(path, time.time_ns() // 1000))
    return path


@pytest.fixture
def whole(recorded: Path, tmp_path: Path) -> Path:
    path = tmp_path / "proactive.db"
    path.write_bytes(recorded.read_bytes())
    return path


@pytest.fixture
def trimmed(whole: Path) -> Path:
    trim(whole, "36h")
    return whole


def run(*words: str | Path) -> Result:
    strings = [str(word) for word in words]
    return CliRunner().invoke(app_for(strings), strings)


def rows(path: Path, query: str) -> int:
    with sqlite3.connect(path) as db:
        count: int = db.execute(query).fetchone()[0]
    db.close()
    return count


def test_it_says_what_went_and_where_the_log_begins(whole: Path) -> None:
    before = rows(whole, "select count(*) from log")
    result = run("db", "trim", whole, "--keep", "36h", "--no-archive")
    assert result.exit_code == 0, result.output
    out = result.stdout
    gone = before - rows(whole, "select count(*) from log")
    assert gone > 100
    assert out.startswith(f"folded {gone} entries, and 1 moment of rules; the log begins at 20")
    assert rows(whole, "select count(*) from bases") == 3
    assert rows(whole, "select count(*) from rule_sets") == 1


def test_twice_is_once(trimmed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(trimmed, "select count(*) from log")
    capsys.readouterr()
    trim(trimmed, "36h")
    assert capsys.readouterr().out.startswith("nothing to fold: no tick before 20")
    assert rows(trimmed, "select count(*) from log") == before


def test_a_file_that_a_server_has_is_left_to_it(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = FileLock(whole)
    lock.take()
    before = rows(whole, "select count(*) from log")
    with pytest.raises(typer.Exit) as stopped:
        trim(whole, "36h")
    lock.release()
    assert stopped.value.exit_code == 1
    assert "is in use by another server" in capsys.readouterr().err
    assert rows(whole, "select count(*) from log") == before


@pytest.mark.parametrize(
    ("name", "keep", "why"),
    [
        ("proactive.db", "soon", "--keep: "),
        ("none.db", "36h", "none.db: there is no such file"),
    ],
)
def test_what_cannot_be_trimmed_is_said(
    whole: Path, capsys: pytest.CaptureFixture[str], name: str, keep: str, why: str
) -> None:
    with pytest.raises(typer.Exit) as stopped:
        trim(whole.with_name(name), keep)
    assert stopped.value.exit_code == 2
    assert why in capsys.readouterr().err
    assert not whole.with_name("none.db").exists()


def happened(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        lines = [line for (line,) in db.execute("select line from log where kind in ('event', 'send')")]
    db.close()
    return lines


def archived(folder: Path) -> list[str]:
    return [line.decode() for path in folder.rglob("*.zst") for line in b"".join(read_blocks(str(path))).splitlines()]


@pytest.mark.parametrize("by", ["option", "settings", "variable"])
def test_what_is_folded_is_in_the_archive_before(
    by: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, folder, config = happened(whole), tmp_path / "archive", tmp_path / "config.yaml"
    config.write_text("store: sqlite:proactive.db\n" + "keep: 90d\narchive: archive\n" * (by == "settings"))
    if by == "variable":
        monkeypatch.setenv("PROACTIVE_ARCHIVE", str(folder))
    words = ["--archive", folder] if by == "option" else ["--config", config]
    result = run("db", "trim", whole, "--keep", "36h", *words)
    assert result.exit_code == 0, result.output
    assert f"Z, what was before it is in {folder}\n" in result.stdout
    left = happened(whole)
    border = result.stdout.partition("the log begins at ")[2].partition(",")[0]
    assert parse_at(border) % DAY > 21 * HOUR  # whole days, and there is a tick every two hours
    assert len(left) < len(before)
    assert sorted(left + archived(folder)) == sorted(before)
    again = run("db", "trim", whole, "--keep", "36h", *words)
    assert again.stdout.startswith("nothing to fold")
    assert sorted(left + archived(folder)) == sorted(before)


def test_nothing_is_folded_that_the_archive_cannot_have(whole: Path, tmp_path: Path) -> None:
    before = happened(whole)
    (tmp_path / "archive").write_text("a file")
    result = run("db", "trim", whole, "--keep", "36h", "--archive", tmp_path / "archive")
    assert result.exit_code == 1
    assert f'the archive "{tmp_path / "archive"}" cannot be written' in result.stderr
    assert happened(whole) == before


@pytest.mark.parametrize(
    ("settings", "words", "code", "said"),
    [
        ("store: sqlite:other.db", ["--config", "{config}"], 2, "is not the store of the settings"),
        ("store: redis://127.0.0.1:1/0", ["--config", "{config}"], 2, "name its settings with --config"),
        ("archive: [a]", ["--config", "{config}"], 1, "archive"),
        ("archive: a", ["--config", "{config}", "--no-archive"], 2, "expected one of --archive, --no-archive and"),
        ("", ["--config", "{config}"], 2, "name its settings with --config"),
        ("", [], 2, "name its settings with --config"),
    ],
)
def test_where_nobody_says_whether_it_is_archived_nothing_is_folded(
    settings: str, words: list[str], code: int, said: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    before, config = happened(whole), elsewhere / "config.yaml"
    config.write_text(settings)
    result = run("db", "trim", whole, "--keep", "36h", *[word.format(config=config) for word in words])
    assert result.exit_code == code
    assert said in result.stderr
    assert happened(whole) == before


def test_the_store_of_the_settings_that_name_no_archive_is_folded_without_one(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole.parent)
    result = run("db", "trim", whole, "--keep", "36h")
    assert result.exit_code == 0, result.output
    assert "is in" not in result.stdout


def test_what_is_left_is_verified(trimmed: Path) -> None:
    kept = rows(trimmed, "select count(*) from decisions")
    result = run("replay", trimmed, "--verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"verified: {kept} decisions of 2 users reproduced exactly"
    events = rows(trimmed, "select count(*) from log where user in ('ann', 'bob')")
    assert f"{events} of 3 users" in result.stdout


def test_a_base_that_was_tampered_with_is_found(trimmed: Path) -> None:
    with sqlite3.connect(trimmed) as db:
        db.execute("update bases set state = (select state from bases where user = 'dan') where user = 'ann'")
    db.close()
    result = run("replay", trimmed, "--verify")
    assert result.exit_code == 1
    assert 'of user "ann"' in result.output


def test_other_rules_can_be_tried_on_what_is_left(trimmed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(RULES.replace("5m", "30m"))
    result = run("replay", trimmed, "--rules", other)
    assert result.exit_code == 0, result.output
    result = run("diff", trimmed, "--after", other)
    assert result.exit_code == 0, result.output
    result = run("sweep", trimmed, "--set", "idle.trigger.inactivity=3m,30m")
    assert result.exit_code == 0, result.output


def test_why_and_capture_tell_of_what_is_left(trimmed: Path, tmp_path: Path) -> None:
    result = run("why", "idle", trimmed, "--user", "ann", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told
    with sqlite3.connect(trimmed) as db:
        [line] = db.execute("select line from decisions where user = 'ann' order by number desc limit 1").fetchone()
    db.close()
    at = json.loads(line)["at"]
    result = run("capture", trimmed, "--user", "ann", "--around", at)
    assert result.exit_code == 0, result.output
    result = run("capture", trimmed, "--user", "dan", "--around", at)
    assert result.exit_code == 2
    assert 'all that user "dan" did is folded' in result.output


def test_a_page_of_what_is_left_counts_what_is_left(trimmed: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = run("replay", trimmed, "--report", page)
    assert result.exit_code == 0, result.output
    assert page.exists()


def test_what_is_exported_is_what_is_left(trimmed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = run("import", trimmed, "--output", out)
    assert result.exit_code == 0, result.output
    assert len(out.read_text().splitlines()) == rows(trimmed, "select count(*) from log where user != ''")

"""What a server starts with while its rule files have errors."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.app import Server
from engine.cli.serve import announcement
from engine.folder import load_folder
from engine.loading.diagnostic import RuleErrors
from engine.parts import readiness_of
from engine.settings import Settings
from engine.starting_rules import starting_rules
from engine.storage.base import Commit, Entry
from engine.storage.opening import open_store

GOOD = "version: 1\nrules: [{id: hi, trigger: {event: hello}, message: {type: notification, text: hi}}]\n"
OTHER = GOOD.replace("text: hi", "text: welcome")
BAD = GOOD.replace("event: hello", "evnt: hello")
WITHIN_S = 20.0


async def served_once(start_server: Any, tmp_path: Path) -> str:
    server = await start_server(rules=GOOD)
    await server.stop()
    return str(server.rules.hash)


async def test_a_server_starts_with_the_rules_that_held_and_says_so(start_server: Any, tmp_path: Path) -> None:
    held = await served_once(start_server, tmp_path)
    with structlog.testing.capture_logs() as lines:
        server = await start_server(rules=BAD)
    assert server.rules.hash == held
    problem = f'{tmp_path.as_posix()}/rules/rules.yaml:2:28: unknown key "evnt", did you mean "event"? [unknown-key]'
    store = await open_store(f"sqlite:{tmp_path / 'test.db'}", read_only=True)
    moments = await store.rule_moments()
    await store.close()
    assert len(moments) == 1, "the same rules do not begin to hold once more"

    health = await server.health()
    assert health["status"] == "degraded"
    assert health["rules"]["problems"] == [problem]
    errors = [line for line in lines if line["log_level"] == "error"]
    assert [line["event"] for line in errors] == [
        "! rule files have errors, what held goes on holding",
        "! rules",
    ]
    assert (errors[0]["rules_hash"], errors[1]["problem"]) == (held, problem)
    screen = announcement(server)
    assert screen[2].startswith("Rules: 1 rule that held last, the files in ")
    assert f"go on holding (hash {held}):" in screen[4]
    assert screen[5:] == [problem, "They hold as soon as they are mended; no restart is needed."]


async def test_it_is_as_ready_as_after_a_reload_that_failed(start_server: Any, tmp_path: Path) -> None:
    await served_once(start_server, tmp_path)
    server = await start_server(rules=BAD)
    parts = server._parts()
    ready = await readiness_of(parts)
    assert ready.ok
    assert ready.notes[0] == "the rule files have errors, the former rules go on holding"
    assert await parts.ruling.reloader.reload() is None
    figures, _ = parts.metrics.render()
    assert b"proactive_rule_problems 1.0\n" in figures
    assert b'proactive_reloads_total{outcome="failed"}' in figures


async def test_mended_files_hold_without_a_restart(start_server: Any, tmp_path: Path) -> None:
    held = await served_once(start_server, tmp_path)
    file, reports, reloaded = tmp_path / "rules" / "rules.yaml", [], asyncio.Event()

    def on_report(text: str) -> None:
        reports.append(text)
        if text.startswith("Rules reloaded: "):
            reloaded.set()

    file.write_text(BAD, encoding="utf-8")
    settings = Settings(rules=file.parent, store=f"sqlite:{tmp_path / 'test.db'}", ws_port=0, http_port=0)
    async with Server(settings, on_report=on_report) as server:
        assert reports[0].startswith("Rules not loaded, those of ")
        assert server.rules.hash == held
        file.write_text(OTHER, encoding="utf-8")
        async with asyncio.timeout(WITHIN_S):
            await reloaded.wait()
        assert server.rules.hash == load_folder(file.parent).hash != held
        assert (await server.health())["status"] == "ok"


async def test_files_that_are_again_as_they_held_are_fine(start_server: Any, tmp_path: Path) -> None:
    held = await served_once(start_server, tmp_path)
    server = await start_server(rules=BAD)
    (tmp_path / "rules" / "rules.yaml").write_text(GOOD, encoding="utf-8")
    assert await server._parts().ruling.reloader.reload() is None
    assert (server.rules.hash, (await server.health())["status"]) == (held, "ok")


async def test_a_folder_that_is_gone_is_such_an_error(start_server: Any, tmp_path: Path) -> None:
    held = await served_once(start_server, tmp_path)
    found = await starting_rules(tmp_path / "elsewhere", f"sqlite:{tmp_path / 'test.db'}")
    assert found.rules.hash == held
    assert "there is nothing" in found.problems[0]


@pytest.mark.parametrize("store", ["memory:", "sqlite:new.db", "sqlite:none/new.db"])
async def test_at_the_first_start_files_with_errors_are_refused(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(BAD, encoding="utf-8")
    with pytest.raises(RuleErrors, match='unknown key "evnt"'):
        await Server(Settings(rules=tmp_path, store=store, ws_port=0, http_port=0)).start()
    assert os.listdir(tmp_path) == ["rules.yaml"], "and nothing is left behind"


async def test_a_store_that_held_no_rules_yet_is_a_first_start(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'empty.db'}"
    await (await open_store(store)).close()
    (tmp_path / "rules.yaml").write_text(BAD, encoding="utf-8")
    with pytest.raises(RuleErrors):
        await starting_rules(tmp_path, store)


async def test_rules_that_this_version_does_not_accept_are_passed_over(start_server: Any, tmp_path: Path) -> None:
    held = await served_once(start_server, tmp_path)
    name = f"sqlite:{tmp_path / 'test.db'}"
    store = await open_store(name)
    await store.save_rules("later", {"rules.yaml": "version: 9\n"})
    [(first, _)] = await store.rule_moments()
    for partition in range(store.partition_count):
        [batch] = await store.poll([partition], -1)
        entry = Entry("rules", batch.last_at + 1, rules_hash="later")
        await store.commit([Commit(partition, batch.version, batch.cursor + 1, [entry])])
    await store.close()
    (tmp_path / "rules" / "rules.yaml").write_text(BAD, encoding="utf-8")
    found = await starting_rules(tmp_path / "rules", name)
    assert (found.rules.hash, found.since) == (held, first)

"""A dry run cannot send: no command of it opens a connection, and nothing that could is even imported."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import law
import pytest

from engine.core.model import Event
from engine.loading.load import load
from engine.storage.base import Entry
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS
from engine.turn import Turns

ROOT = Path(__file__).parent.parent
COMMANDS = ("capture", "diff", "import_logs", "replay", "simulate", "sweep", "why")
# What speaks to clients, or to others on behalf of the server.
SENDERS = ("engine.transport", "engine.live", "engine.app", "engine.inbox", "engine.responders")
LIBRARIES = ("aiohttp", "websockets")

# Python tells its audit hooks of every socket and of all that is done with it. One thing is allowed, where it is said:
# the pair of sockets by which an event loop wakes itself, of which neither end has a name that anybody could reach.
WATCHED = """
import os, socket, sys
allowed = {allowed!r}
def watch(event, args):
    if not event.startswith("socket."):
        return
    if event == "socket.__new__" and allowed and args[1] in (-1, socket.AF_UNIX):
        return
    print("LEAK", event, args, file=sys.stderr, flush=True)
    os._exit(99)  # whoever catches exceptions does not catch this
sys.addaudithook(watch)
from engine.cli.main import main
try:
    main()
finally:
    found = [name for name in sys.modules if name.startswith({named!r})]
    print("IMPORTED", *sorted(found), file=sys.stderr)
"""
RULES = """
version: 1
rules:
  - {id: hello, trigger: {event: a}, message: {type: question, text: "Hello {{ user.id }}"}}
  - {id: idle, trigger: {inactivity: 5m}, message: {type: question, text: "There?"}}
"""


def watched(place: Path, *words: str, allowed: bool = False) -> subprocess.CompletedProcess[str]:
    program = WATCHED.format(allowed=allowed, named=(*SENDERS, *LIBRARIES))
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("leak")
    (place / "rules.yaml").write_text(RULES)
    (place / "other.yaml").write_text(RULES.replace("5m", "2m"))
    events = [{"at": 1_774_605_600 + 60 * n, "user": f"u{n % 3}", "type": "a"} for n in range(30)]
    (place / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    asyncio.run(record(place / "store.db"))
    return place


async def record(path: Path) -> None:
    store = await SqliteStore.open(path, partition_count=1)
    turns = Turns(store)
    await turns.recover()
    rules = load({"rules.yaml": RULES}, KINDS)
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, 0)
    await turns.make([Entry("event", 9, "ann", Event("a", "ann", 9, {}))], 9, due=True)
    await store.close()


@pytest.mark.parametrize(
    "words",
    [
        "replay log.jsonl --rules rules.yaml --decisions out.jsonl --report replay.html",
        "replay log.jsonl --rules rules.yaml --jobs 2",
        "replay log.jsonl --rules rules.yaml --memory 16MB",
        "diff log.jsonl --before rules.yaml --after other.yaml",
        "why hello --user u1 log.jsonl --rules rules.yaml",
        "sweep log.jsonl --rules rules.yaml --set idle.trigger.inactivity=2m,5m",
        "capture log.jsonl --rules rules.yaml --user u1 --around 2026-03-27T10:10:00Z",
        "import log.jsonl",
        "simulate --users 3 --days 1 --seed 1",
    ],
)
def test_no_socket_is_made_and_no_sender_imported(place: Path, words: str) -> None:
    done = watched(place, *words.split())
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "IMPORTED"
    assert done.stdout


def test_the_store_of_a_server_is_read_without_a_connection(place: Path) -> None:
    done = watched(place, "replay", "store.db", "--verify", allowed=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "IMPORTED"
    assert "reproduced exactly" in done.stdout


def test_the_watch_sees_a_socket_and_a_sender(place: Path) -> None:
    asked = watched(place, "send", "ann", "Hello")
    assert asked.returncode == 99 or "engine.transport" in asked.stderr or "aiohttp" in asked.stderr
    assert watched(place, "replay", "store.db", "--verify").returncode == 99


def reached(module: str) -> set[str]:
    """The modules of the engine that importing one leads to, wherever in it an import stands."""
    sources = law.sources()
    found: set[str] = set()
    waiting = [module]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for _, name in law.imports(sources[path]):
            parts = name.removeprefix("engine.").split(".") if name.startswith("engine.") else []
            # `from engine.a.b import c`: c is a module of the package b, or a name in the module b; each package on
            # the way runs its `__init__`.
            for length in range(1, len(parts) + 1):
                start = "/".join(parts[:length])
                waiting += [one for one in (f"{start}.py", f"{start}/__init__.py") if one in sources]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_no_way_of_imports_leads_from_a_dry_run_to_a_sender(command: str) -> None:
    parts = tuple(name.removeprefix("engine.") for name in SENDERS)
    ways = {path for path in reached(f"cli/{command}.py") if law.part_of(path) in parts}
    assert ways == set()


def test_the_ways_are_seen_where_there_are_any() -> None:
    assert "transport/hub.py" in reached("cli/serve.py")

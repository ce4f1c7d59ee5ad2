"""The engine keeps the law of the house (`law.py`), and the law notices when it does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import law
import pytest

from engine.triggers import KINDS

SOURCES = law.sources()
HERE = Path(__file__).parent
RULES_PAGE = HERE.parent / "docs" / "rules.md"

Check = Callable[[str, str], list[str]]


def violations(check: Check, parts: tuple[str, ...] = ()) -> list[str]:
    return [
        line
        for path, source in SOURCES.items()
        if not parts or law.part_of(path) in parts
        for line in check(path, source)
    ]


def test_every_part_of_the_engine_has_its_arrows_written_down() -> None:
    assert {law.part_of(path) for path in SOURCES} == {*law.ARROWS, *law.KNOW_ALL}


def test_arrows_point_inwards() -> None:
    assert violations(law.wrong_arrows) == []


def test_no_arrow_is_allowed_that_nobody_needs() -> None:
    used = {arrow for path, source in SOURCES.items() for arrow in law.used_arrows(path, source)}
    allowed = {(part, arrow) for part, arrows in law.ARROWS.items() for arrow in arrows}
    assert allowed - used == set()


def test_pure_layers_think_and_do_not_touch() -> None:
    assert violations(law.impurities, law.PURE) == []


def test_every_exception_is_still_needed() -> None:
    found = {
        (path, what)
        for path, what in law.EXCEPTIONS
        if any(module.split(".")[0] == what for _, module in law.imports(SOURCES[path])) or f".{what}(" in SOURCES[path]
    }
    assert found == set(law.EXCEPTIONS)


def test_no_file_is_longer_than_400_lines_and_no_function_than_a_screen() -> None:
    assert violations(law.too_long) == []


def test_every_module_says_what_it_is() -> None:
    assert violations(law.undocumented) == []


def test_no_module_has_state_of_its_own() -> None:
    assert violations(law.shared_state) == []


def test_every_file_that_defines_a_kind_of_trigger_is_registered() -> None:
    defining = {
        path.removeprefix("triggers/").removesuffix(".py")
        for path, source in SOURCES.items()
        if path.startswith("triggers/") and not path.endswith("__init__.py") and "KIND" in assigned_names(source)
    }
    assert defining == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trigger_is_tested(kind: str) -> None:
    assert (HERE / "triggers" / f"test_{kind}.py").exists() or (HERE / "vectors" / f"{kind}.yaml").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trigger_is_documented(kind: str) -> None:
    headings = re.findall(r"^#+ .*$", RULES_PAGE.read_text("utf-8"), re.MULTILINE)
    assert any(f"`{kind}`" in heading for heading in headings)


def assigned_names(source: str) -> set[str]:
    return {name for node in ast.parse(source).body for name, _ in law._assigned(node)}


# The law notices. Each row: where the source is supposed to stand, the source, and what must be said ("" for nothing).

ARROW_CASES = [
    ("core/x.py", "from engine.core.model import Event", ""),
    ("core/x.py", "from engine.storage.base import Store", "core may not know storage.base.Store"),
    ("core/x.py", "def f():\n    import engine.live", "x.py:2: core may not know live"),
    ("core/x.py", "from engine import live", "core may not know live"),
    ("core/x.py", "from .model import Event", "a relative import"),
    ("core/x.py", "from engine.triggers import KINDS", "core may not know triggers.KINDS"),
    ("triggers/x.py", "from engine.loading.load import load", "triggers may not know loading.load.load"),
    ("loading/x.py", "from engine.triggers import KINDS", "loading may not know triggers.KINDS"),
    ("storage/x.py", "from engine.live import Live", "storage may not know live.Live"),
    ("transport/x.py", "from engine.driver import Driver", ""),
    ("transport/x.py", "from engine.live import Live", "transport may not know live.Live"),
    ("transport/x.py", "from engine.turn import Turns", "transport may not know turn.Turns"),
    ("transport/x.py", "from engine.storage.base import OutboxMessage", ""),
    ("transport/x.py", "from engine.storage.sqlite import SqliteStore", "transport may not know storage.sqlite"),
    ("transport/x.py", "from engine.replay.driver import replay", "transport may not know replay.driver.replay"),
    ("live.py", "from engine.transport.hub import Hub", "live may not know transport.hub.Hub"),
    ("live.py", "from engine.cli.main import main", "live may not know cli.main.main"),
    ("app.py", "from engine.transport.hub import Hub", ""),
    ("app.py", "from engine.cli.main import main", "app may not know cli.main.main"),
    ("cli/x.py", "from engine.app import Server", ""),
    ("core/x.py", "import enginery", ""),
]

PURITY_CASES = [
    ("core/x.py", "import json\nimport msgspec", ""),
    *[
        ("core/x.py", f"import {name}", f"x.py:1: {name} has")
        for name in ("asyncio", "os", "random", "secrets", "socket", "time", "uuid", "logging")
    ],
    ("core/x.py", "from os import path", "os has"),
    ("core/x.py", "from time import time", "time has"),
    ("core/x.py", "import os.path as p", "os has"),
    ("core/x.py", "import requests", "requests has"),
    ("triggers/x.py", "import yaml", "yaml has"),
    ("loading/x.py", "import yaml", ""),
    ("core/x.py", "import importlib.resources", "importlib has"),
    ("core/zones.py", "import importlib.resources", ""),
    *[("core/x.py", f"y = {name}(z)", f"{name} has") for name in ("open", "print", "hash", "id", "input")],
    ("core/x.py", "y = sorted(z, key=id)", "id has"),
    ("core/x.py", "y = map(hash, z)", "hash has"),
    ("core/x.py", "def f(hash):\n    g(hash, key=hash)", ""),
    ("core/x.py", "y = z.id", ""),
    ("core/x.py", "y = datetime.now()", "now has"),
    ("core/x.py", "y = datetime.datetime.utcnow()", "utcnow has"),
    ("core/x.py", "y = date.today()", "today has"),
    ("core/x.py", "y = state.now", ""),
    ("core/x.py", "# print(x), datetime.now()\ny = 'open(x)'", ""),
]

LENGTH_CASES = [
    ("x.py", "x = 1\n" * 400, ""),
    ("x.py", "x = 1\n" * 401, "401 lines, at most 400"),
    ("x.py", "def f():\n" + "    x = 1\n" * 69, ""),
    ("x.py", "def f():\n" + "    x = 1\n" * 70, "f has 71 lines, at most 70"),
    ("x.py", "class A:\n    async def f():\n" + "        x = 1\n" * 70, "f has 71 lines"),
    ("x.py", "class A:\n" + "    x = 1\n" * 100, ""),
]

DOCSTRING_CASES = [
    ("x.py", '"""What it is."""', ""),
    ("x.py", "", "no docstring"),
    ("x.py", "# What it is.\nx = 1", "no docstring"),
    ("x.py", '"""  """', "no docstring"),
]

STATE_CASES = [
    ("x.py", "TABLE = {'a': 1}\n_TABLE: list[int] = [1]\n__all__ = ['x']", ""),
    ("x.py", "cache = {}", "cache can be changed"),
    ("x.py", "cache: dict[str, int] = {}", "cache can be changed"),
    ("x.py", "seen = set()", "seen can be changed"),
    ("x.py", "queue = deque()", "queue can be changed"),
    ("x.py", "Alias = dict[str, int]\nlimit = 3\npair = (1, 2)", ""),
    ("x.py", "def f():\n    cache = {}\n    cache['a'] = 1\n    cache.update(b=2)", ""),
    ("x.py", "TABLE = {}\ndef f():\n    TABLE['a'] = 1", "x.py:3: TABLE is changed"),
    ("x.py", "TABLE = {}\ndef f():\n    del TABLE['a']", "TABLE is changed"),
    ("x.py", "TABLE = []\ndef f():\n    TABLE.append(1)", "TABLE is changed"),
    ("x.py", "from y import TABLE\nTABLE.clear()", "TABLE is changed"),
    ("x.py", "import y\ny.TABLE['a'] = 1", "TABLE is changed"),
    ("x.py", "count = 0\ndef f():\n    global count\n    count = 1", "global count"),
]


@pytest.mark.parametrize(
    ("check", "path", "source", "said"),
    [
        (check, *case)
        for check, cases in (
            (law.wrong_arrows, ARROW_CASES),
            (law.impurities, PURITY_CASES),
            (law.too_long, LENGTH_CASES),
            (law.undocumented, DOCSTRING_CASES),
            (law.shared_state, STATE_CASES),
        )
        for case in cases
    ],
)
def test_the_law_notices(check: Check, path: str, source: str, said: str) -> None:
    found = check(path, source)
    assert len(found) == (1 if said else 0)
    assert not said or said in found[0]

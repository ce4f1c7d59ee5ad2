"""A live server for any test: real sockets on free ports, a real SQLite file, rules of the test's own.

And the law of CI: where the variable CI is set, a test that is skipped fails the run. And no test is timed: how long
an example of hypothesis takes says more of the machine than of the code.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from engine.app import Server
from engine.settings import Settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

RULES = """\
version: 1
rules:
  - id: failing
    trigger: {event: {event: test.failed}}
    message: {type: suggestion, text: "{{ event.test }} fails. Want a hint?", options: [Yes please, Not now]}
  - id: stuck
    trigger: {keywords: {any: [stuck]}}
    message: {type: question, text: "Where are you stuck?"}
  - id: show
    trigger: {event: {event: code.wanted}}
    message:
      type: code_suggestion
      text: Look
      data: {code: "print(1)", language: python, explanation: It prints.}
"""

# Of several workers each takes the next file when it has done one. These take longest, and come first: else a worker
# would be left with one of them when the others have nothing to do. Servers under load do not begin together.
LONG = (
    "scale/test_scale.py",
    "fleet/test_simulated_fleet.py",
    "test_live_equals_replay.py",
    "replay/test_hostile_logs.py",
    "core/test_evaluate.py",
    "cli/test_replay_jobs.py",
    "fuzz/test_targets.py",
    "transport/test_http_fuzz.py",
    "chaos/test_chaos.py",
    "cli/test_serve_connect_send.py",
    "fleet/test_gateway_processes.py",
    "fleet/test_worker_process.py",
    "cli/test_db_command.py",
    "test_migration.py",
    "test_readme.py",
    "test_command_pages.py",
    "test_replay_page.py",
    "test_no_leak.py",
    "transport/test_widget_browser.py",
)
FOLDER = Path(__file__).parent
SKIPS_FAIL = os.environ.get("CI", "").lower() not in ("", "0", "false")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {FOLDER / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


def skipped_tests(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [] if reporter is None else reporter.stats.get("skipped", [])


def pytest_sessionfinish(session: pytest.Session) -> None:
    if SKIPS_FAIL and skipped_tests(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if SKIPS_FAIL and (skipped := skipped_tests(config)):
        terminalreporter.section("skipped, which fails the run in CI")
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr}")


StartServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    """``await start_server(rules=TEXT, responder=…, **settings)``; all that were started are stopped."""
    async with AsyncExitStack() as running:

        async def start(rules: str = RULES, **given: Any) -> Server:
            folder = tmp_path / "rules"
            folder.mkdir(exist_ok=True)
            (folder / "rules.yaml").write_text(rules, encoding="utf-8")
            # A word is the setting, a function the test's own.
            own = [name for name in ("responder", "on_user_response") if callable(given.get(name))]
            hooks = {name: given.pop(name) for name in own}
            settings = Settings(
                **{"ws_port": 0, "http_port": 0, "rules": folder, "store": f"sqlite:{tmp_path / 'test.db'}", **given}
            )
            return await running.enter_async_context(Server(settings, **hooks))

        yield start


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    return await start_server()

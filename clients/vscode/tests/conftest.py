"""A VS Code of each version for the tests, with the extension as it is now, and servers for it to talk to."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from backend_process import BackendProcess, StartBackend
from playwright.sync_api import Browser, BrowserContext
from vscode_window import EXTENSION, OpenWindow, StartVsCode, VsCode, Window, set_folder
from xdist.scheduler import LoadScopeScheduling

from tests.widget_page import chromium

# The oldest that package.json promises to work in, and a new one: those that `make test-vscode` installs.
VERSIONS = ("1.100.3", "1.139.1")


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


class ByVersion(LoadScopeScheduling):
    """All tests in one version to one worker, so that it starts that VS Code once; the others to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return next((version for version in VERSIONS if version in nodeid.partition("[")[2]), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByVersion:
    return ByVersion(config, log)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .vsix, made of what the sources are now; of several workers the first makes it."""
    told = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    command = ["npm", "run", "--silent", "package"]
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
    with (EXTENSION / "node_modules" / ".packaging.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        made = EXTENSION / "dist" / f"proactive-{told['version']}.vsix"
        if lock.read() != run:
            done = subprocess.run(command, cwd=EXTENSION, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            lock.truncate(0)
            lock.write(run)
        return Path(shutil.copy(made, tmp_path_factory.mktemp("package")))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def vscode(version: str, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsCode]:
    """One for all tests that need nothing of their own in it; what its user is asked at the first run is settled."""
    with ExitStack() as stopping:
        one = VsCode(version, tmp_path_factory.mktemp("vscode"), {"proactive.activity.enabled": False})
        stopping.callback(one.stop)
        one.unpack(package)
        one.start()
        yield one


@pytest.fixture(scope="module")
def start_vscode(version: str, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartVsCode]:
    """``start_vscode({…})``: one of the test's own, whose user has set this and has not been asked anything yet."""
    with ExitStack() as stopping:

        def start(
            settings: dict[str, Any],
            *,
            as_users_do: bool = False,
            environment: dict[str, str] | None = None,
            flags: Sequence[str] = (),
        ) -> VsCode:
            one = VsCode(version, tmp_path_factory.mktemp("vscode"), settings, environment)
            stopping.callback(one.stop)
            if as_users_do:
                one.install(package)
            else:
                one.unpack(package)
            one.start(*flags)
            return one

        yield start


@pytest.fixture(scope="module")
def context(version: str, browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture(scope="module")
def start_backend(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartBackend]:
    """``start_backend(RULES, "responder: echo")``; all that were started are killed. Each ``version`` has its own."""
    with ExitStack() as stopping:

        def start(rules: Path | str, settings: str = "") -> BackendProcess:
            one = BackendProcess(tmp_path_factory.mktemp("backend"), rules, settings)
            stopping.callback(one.kill)
            return one

        yield start


@pytest.fixture(scope="module")
def open_window(tmp_path_factory: pytest.TempPathFactory, context: BrowserContext) -> Iterator[OpenWindow]:
    """``open_window(vscode, backend, files={"a.py": "…"}, settings={"proactive.toasts": "none"})``, of the user ann."""
    with ExitStack() as closing:

        def open_one(
            vscode: VsCode,
            backend: BackendProcess,
            files: dict[str, str] | None = None,
            settings: dict[str, Any] | None = None,
        ) -> Window:
            folder = tmp_path_factory.mktemp("folder")
            for name, text in (files or {}).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
            set_folder(folder, backend, settings)
            window = Window(vscode, context, folder)
            closing.callback(window.close)
            return window

        yield open_one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Of a test that failed it is kept what its windows looked like, and what the extension and the server wrote."""
    report = yield
    if report.failed:
        name = re.sub(r"\W+", "-", item.name).strip("-")
        for number, window in enumerate(Window.opened):
            with suppress(Exception):
                window.picture(f"failed-{name}-{number}")
                report.sections.append((f"Output channel of window {number}", "\n".join(window.output())))
        for one in BackendProcess.started:
            with suppress(OSError):
                report.sections.append((f"server of {one.folder.name}", one.log()[-4000:]))
    return report

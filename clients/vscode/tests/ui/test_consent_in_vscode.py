"""The first run of the extension in a real VS Code, installed as users install it: it asks, and reports what it may."""

from __future__ import annotations

import pytest
from backend_process import BackendProcess, StartBackend
from vscode_window import OpenWindow, StartVsCode, VsCode, Window

RULES = "version: 1\nrules: []\n"
FILES = {"a.py": "x = 1\n", "b.py": "y = 2\n"}
OF_THE_CHAT = {"session.start", "user.identify", "user.preferences", "chat_message"}
QUESTION = "May Proactive tell your server what you do in the editor"
NOTHING = "No activity is reported"


@pytest.fixture(scope="module")
def backend(start_backend: StartBackend) -> BackendProcess:
    started: BackendProcess = start_backend(RULES, "responder: echo")
    return started


@pytest.fixture(scope="module")
def fresh(start_vscode: StartVsCode) -> VsCode:
    """Nobody has ever used the extension in it."""
    started: VsCode = start_vscode({}, as_users_do=True)
    return started


@pytest.fixture(scope="module")
def window(fresh: VsCode, open_window: OpenWindow, backend: BackendProcess) -> Window:
    opened: Window = open_window(fresh, backend, FILES)
    return opened


def kinds(backend: BackendProcess, user: str = "ann") -> list[str]:
    return [kind for kind, _ in backend.happened(user)]


def chat(window: Window, text: str) -> None:
    """What is told by then is at the server by the time of the answer."""
    window.open_view()
    window.say(text)
    window.view.get_by_role("article", name="Answer").get_by_text(text).wait_for()


def test_it_asks_once_and_until_it_may_it_tells_nothing_of_what_is_done(
    window: Window, backend: BackendProcess
) -> None:
    window.toast(QUESTION).wait_for()
    window.picture("consent")
    window.open_file("a.py")
    window.edit("before = 1\n")
    chat(window, "The chat works without")
    assert set(kinds(backend)) <= OF_THE_CHAT
    window.listed(QUESTION).get_by_role("button", name="Allow").click()
    window.until_output("Activity is reported: files, diagnostics, tests, commands, tasks, debugging, idle, focus")
    window.open_file("b.py")
    window.until(lambda: "file.opened" in kinds(backend), "the file that was opened")
    [told] = [data for kind, data in backend.happened("ann") if kind == "file.opened"]
    assert told["file"] == "b.py"
    assert str(window.folder) not in str(backend.timeline("ann"))


def test_the_answer_holds_after_a_restart_and_can_be_taken_back(window: Window, backend: BackendProcess) -> None:
    window.reload()
    # It said so at its first start as well, before anybody was asked.
    before = window.output().count(NOTHING)
    window.command("Proactive: What Is Reported of My Activity?")
    window.choose("Report nothing of it")
    window.until(lambda: window.output().count(NOTHING) > before, "the word that nothing is reported")
    chat(window, "That was all")
    assert window.toast(QUESTION).count() == 0
    told = kinds(backend).count("file.opened")
    window.open_file("a.py")
    chat(window, "Now it is quiet")
    assert kinds(backend).count("file.opened") == told


def test_with_the_telemetry_of_the_editor_off_it_neither_asks_nor_tells(
    start_vscode: StartVsCode, open_window: OpenWindow, backend: BackendProcess
) -> None:
    off = {"telemetry.telemetryLevel": "off", "proactive.activity.enabled": True}
    window = open_window(start_vscode(off), backend, FILES, {"proactive.user": "bob"})
    window.until_output(NOTHING, "WebSocket connected")
    window.open_file("a.py")
    chat(window, "Off is off")
    assert window.toast(QUESTION).count() == 0
    assert set(kinds(backend, "bob")) <= OF_THE_CHAT

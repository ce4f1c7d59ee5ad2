"""What becomes of the chat in a real VS Code while doors of the server are shut, or all of it is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backend_process import BackendProcess, StartBackend
from tunnel import Tunnel
from vscode_window import OpenWindow, VsCode, Window

RULES = "version: 1\nrules: []\n"


@pytest.fixture(scope="module")
def backend(start_backend: StartBackend) -> BackendProcess:
    return start_backend(RULES, "responder: echo")


@pytest.fixture(scope="module")
def tunnel(backend: BackendProcess) -> Iterator[Tunnel]:
    """The only way to the server's WebSocket that the extension knows."""
    one = Tunnel(backend.ws_port)
    yield one
    one.shut()


@pytest.fixture(scope="module")
def window(vscode: VsCode, open_window: OpenWindow, backend: BackendProcess, tunnel: Tunnel) -> Window:
    window = open_window(vscode, backend, settings={"proactive.webSocketUrl": f"ws://127.0.0.1:{tunnel.port}"})
    window.open_view()
    window.state("Connected").wait_for()
    return window


def test_without_websockets_it_goes_over_http_and_with_them_back(window: Window, tunnel: Tunnel) -> None:
    tunnel.shut()
    window.state("Connected over HTTP").wait_for()
    window.say("By HTTP")
    window.view.get_by_role("article", name="Answer").get_by_text("By HTTP").wait_for()
    tunnel.open()
    window.command("Proactive: Connect Again")
    window.state("Connected").wait_for()
    window.say("By WebSocket")
    window.view.get_by_role("article", name="Answer").get_by_text("By WebSocket").wait_for()
    window.until_output(
        "WebSocket connected", "Attempting to reconnect...", "Using HTTP fallback", "WebSocket connected"
    )


def test_what_is_said_while_the_server_is_gone_waits_is_marked_and_arrives_once(
    window: Window, backend: BackendProcess
) -> None:
    before = len(window.output())
    backend.kill()
    window.state("Reconnecting…").wait_for()
    window.say("Are you there?")
    said = window.message("Are you there?").first
    said.get_by_text("Waiting to be sent").wait_for()
    window.state("Reconnecting… · 1 waiting to be sent").wait_for()
    window.picture("away")
    # Neither a dialog nor a toast: whoever works is not disturbed by it.
    assert window.page.locator(".monaco-dialog-box").count() == 0
    assert window.page.locator(".notifications-toasts .notification-list-item").count() == 0
    backend.start()
    window.state("Connected").wait_for()
    window.view.get_by_role("article", name="Answer").get_by_text("Are you there?").wait_for()
    window.until(lambda: said.inner_text() == "Are you there?", "its mark gone")
    chats = [data for kind, data in backend.happened("ann") if kind == "chat_message"]
    assert [data["message"] for data in chats].count("Are you there?") == 1
    since = window.output()[before:]
    assert since.count("Attempting to reconnect...") == 1
    assert since[-1] == "WebSocket connected"


def test_what_waits_outlives_the_window(
    vscode: VsCode, open_window: OpenWindow, backend: BackendProcess, window: Window
) -> None:
    backend.kill()
    window.state("Reconnecting…").wait_for()
    window.say("Before the window closed")
    window.message("Before the window closed").get_by_text("Waiting to be sent").wait_for()
    window.reload()
    window.open_view()
    window.message("Before the window closed").get_by_text("Waiting to be sent").wait_for()
    backend.start()
    window.view.get_by_role("article", name="Answer").get_by_text("Before the window closed").wait_for()
    chats = [data for kind, data in backend.happened("ann") if kind == "chat_message"]
    assert [data["message"] for data in chats].count("Before the window closed") == 1

"""The shipped tutor and somebody whose test keeps failing, in a real VS Code: nothing in between is made up."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest
from backend_process import ROOT, BackendProcess, StartBackend
from vscode_window import OpenWindow, StartVsCode, Window

PYTEST = f"{sys.executable} -m pytest -p no:cacheprovider"
FILES = {
    "basket.py": "def total(prices):\n    return 0\n",
    "test_basket.py": "from basket import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
    ".vscode/tasks.json": json.dumps(
        {
            "version": "2.0.0",
            "tasks": [
                {
                    "label": "tests",
                    "type": "shell",
                    "command": PYTEST,
                    "group": {"kind": "test", "isDefault": True},
                    "presentation": {"reveal": "silent"},
                    "problemMatcher": [],
                }
            ],
        }
    ),
}
TEST = "test_basket.py::test_total"


def zone_where_it_is_noon() -> str:
    """For the tutor keeps quiet at night, by the clock of each user."""
    behind = datetime.now(UTC).hour - 12
    return f"Etc/GMT{behind:+d}"  # of these + is behind


@pytest.fixture(scope="module")
def backend(start_backend: StartBackend) -> BackendProcess:
    started: BackendProcess = start_backend(ROOT / "rules")
    return started


@pytest.fixture(scope="module")
def window(start_vscode: StartVsCode, open_window: OpenWindow, backend: BackendProcess) -> Window:
    # Their tests need none of the plugins of ours, which take longer than they do.
    environment = {"TZ": zone_where_it_is_noon(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    vscode = start_vscode({"proactive.activity.enabled": True}, environment=environment)
    opened: Window = open_window(vscode, backend, FILES)
    opened.until_output("WebSocket connected")
    return opened


def failed(backend: BackendProcess) -> list[str]:
    """The failing tests that the server has heard of."""
    return [data["test"] for kind, data in backend.happened("ann") if kind == "test.failed"]


def run_in_terminal(window: Window, backend: BackendProcess) -> None:
    before = len(failed(backend))
    window.page.keyboard.type(f"{PYTEST}\n")
    window.until(lambda: len(failed(backend)) == before + 1, "the failing test at the server")


def run_as_task(window: Window, backend: BackendProcess) -> None:
    before = backend.count("ann", "test.run")
    window.command("Tasks: Run Test Task")
    window.until(lambda: backend.count("ann", "test.run") == before + 1, "the run at the server")


def test_three_failing_runs_earn_an_offer_and_not_now_keeps_the_rule_quiet(
    window: Window, backend: BackendProcess
) -> None:
    window.open_file("basket.py")
    window.edit("# not yet\n")
    window.page.keyboard.press("Control+S")
    window.until(lambda: backend.count("ann", "file.saved") == 1, "the saved file")
    window.open_terminal()
    for _ in range(3):
        run_in_terminal(window, backend)
    assert failed(backend) == [TEST] * 3
    assert backend.decisions("ann", "failing-again") == ["held"]
    # Its quiet time of 10 s passes: nobody types.
    window.open_view()
    offer = window.message(f"{TEST} has failed 3 times in a row")
    offer.wait_for()
    window.picture("tutor")
    offer.get_by_text("Why am I seeing this?").click()
    offer.get_by_text("failing-again").wait_for()
    offer.get_by_role("button", name="Not now").click()
    offer.get_by_text("You answered: Not now").wait_for()
    window.until(lambda: backend.count("ann", "message.answered") == 1, "the answer")

    # Of the first task in a terminal the oldest VS Code does not tell what it wrote.
    while len(failed(backend)) < 6:
        assert backend.count("ann", "task.finished") < 4
        run_as_task(window, backend)
    window.until(lambda: len(backend.decisions("ann", "failing-again")) > 2, "the next decision")
    assert backend.decisions("ann", "failing-again")[:3] == ["held", "sent", "cooldown"]
    assert window.message("has failed").count() == 1

    backend.stop()
    told = backend.run("why", "failing-again", "editor.db", "--user", "ann", "--no-changes")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "cooldown" in told.stdout
    verified = backend.run("replay", "editor.db", "--verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr

"""Suggested code in a real VS Code: shown as a diff, put in its place, let be."""

from __future__ import annotations

from typing import Any

import pytest
from backend_process import BackendProcess, StartBackend
from vscode_window import OpenWindow, VsCode, Window

CODE = "for one in many:\n    print(one)"
BEFORE = "def f(many):\n    x = 1\n    return x\n"
NAMES = [f"{name}.py" for name in ("cursor", "diff", "rejected", "meanwhile", "other", "inside")]


@pytest.fixture(scope="module")
def backend(start_backend: StartBackend) -> BackendProcess:
    one: BackendProcess = start_backend("version: 1\nrules: []\n")
    return one


@pytest.fixture(scope="module")
def window(vscode: VsCode, open_window: OpenWindow, backend: BackendProcess) -> Window:
    """One for all: each test has a file of its own, and the first begins where nothing is open."""
    window: Window = open_window(vscode, backend, dict.fromkeys(NAMES, BEFORE) | {"src/b.py": "one = 1\ntwo = 2\n"})
    window.open_view()
    window.state("Connected").wait_for()
    return window


def suggest(backend: BackendProcess, explanation: str, **more: Any) -> None:
    data = {"code": CODE, "language": "python", "explanation": explanation, **more}
    backend.ask("POST", "/messages", {"to": {"user": "ann"}, "type": "code_suggestion", "data": data})


def press(window: Window, explanation: str, name: str) -> None:
    window.message(explanation).get_by_role("button", name=name, exact=True).click()


def became(backend: BackendProcess, explanation: str) -> list[str]:
    messages = [one["message"] for one in backend.timeline("ann") if one["kind"] == "message"]
    [found] = [one for one in messages if one.get("data", {}).get("explanation") == explanation]
    return [one["outcome"] if isinstance(one, dict) else str(one) for one in found["became"]]


def open_at_line_2(window: Window, name: str) -> None:
    window.open_file(name)
    window.page.keyboard.press("Control+Home")
    window.page.keyboard.press("ArrowDown")
    window.page.keyboard.press("End")
    window.status("Ln 2, Col 10").wait_for()


def compare_with_line_2(window: Window, backend: BackendProcess, name: str, explanation: str) -> None:
    """With all that stands in it."""
    open_at_line_2(window, name)
    window.page.keyboard.press("Shift+Home")
    suggest(backend, explanation)
    press(window, explanation, "Show diff")
    window.tab("Suggestion").wait_for()


def test_where_nothing_is_open_it_becomes_a_document(window: Window, backend: BackendProcess) -> None:
    suggest(backend, "Alone")
    press(window, "Alone", "Show diff")
    window.tab("Suggestion: a new document").wait_for()
    press(window, "Alone", "Accept")
    window.tab("Untitled-1").wait_for()
    window.until_text(CODE)
    window.status("Python").wait_for()


def test_what_is_accepted_stands_where_the_cursor_is_and_is_undone_in_one_step(
    window: Window, backend: BackendProcess
) -> None:
    open_at_line_2(window, "cursor.py")
    suggest(backend, "At the cursor")
    press(window, "At the cursor", "Accept")
    window.until_text("def f(many):\n    x = 1\n    for one in many:\n        print(one)\n    return x\n")
    window.message("At the cursor").get_by_text("Taken into your code").wait_for()
    window.page.keyboard.press("Control+Z")
    window.until_text(BEFORE)
    window.until(lambda: "engaged" in str(became(backend, "At the cursor")), "the outcome")


def test_a_diff_shows_it_and_its_buttons_decide(window: Window, backend: BackendProcess) -> None:
    compare_with_line_2(window, backend, "diff.py", "As a diff")
    window.page.locator(".editor.modified .view-line").filter(has_text="for one in many").wait_for()
    window.picture("suggestion-diff")
    window.page.get_by_role("button", name="Accept the Suggestion").click()
    window.until_text("def f(many):\n    for one in many:\n        print(one)\n    return x\n")
    window.tab("Suggestion").wait_for(state="detached")


def test_what_is_rejected_is_gone(window: Window, backend: BackendProcess) -> None:
    compare_with_line_2(window, backend, "rejected.py", "To reject")
    window.page.get_by_role("button", name="Reject the Suggestion").click()
    window.message("To reject").wait_for(state="detached")
    window.tab("Suggestion").wait_for(state="detached")
    window.until_text(BEFORE)
    window.until(lambda: "dismissed" in str(became(backend, "To reject")), "the outcome")


def test_what_was_typed_meanwhile_is_never_replaced_unseen(window: Window, backend: BackendProcess) -> None:
    compare_with_line_2(window, backend, "meanwhile.py", "Meanwhile")
    window.tab("meanwhile.py").filter(has_not_text="Suggestion").click()  # the diff stays open
    window.until_text(BEFORE)
    window.page.keyboard.press("Control+Home")
    window.page.keyboard.type("# above\n")
    window.page.keyboard.press("ArrowDown")
    window.page.keyboard.press("End")
    window.page.keyboard.type("0")
    window.until_text("# above\ndef f(many):\n    x = 10\n    return x\n")
    press(window, "Meanwhile", "Accept")
    window.toast("meanwhile.py has been changed where the suggestion goes").wait_for()
    window.page.locator(".editor.original .view-line").filter(has_text="x = 10").wait_for()
    press(window, "Meanwhile", "Accept")
    window.until_text("# above\ndef f(many):\n    for one in many:\n        print(one)\n    return x\n")


def test_a_suggestion_may_name_its_file_and_lines(window: Window, backend: BackendProcess) -> None:
    open_at_line_2(window, "other.py")
    suggest(backend, "By name", file="src/b.py", range={"start": {"line": 0}, "end": {"line": 0}})
    press(window, "By name", "Show diff")
    window.tab("b.py").filter(has_text="Suggestion").wait_for()
    press(window, "By name", "Accept")
    window.until_text("for one in many:\n    print(one)\ntwo = 2\n")


def test_a_file_outside_of_the_workspace_is_left_alone(window: Window, backend: BackendProcess) -> None:
    window.open_file("inside.py")
    suggest(backend, "Outside", file="../../etc/hosts")
    press(window, "Outside", "Accept")
    window.toast("there is no such text file in this workspace").wait_for()
    window.message("Outside").get_by_role("button", name="Accept").wait_for()
    window.until_text(BEFORE)

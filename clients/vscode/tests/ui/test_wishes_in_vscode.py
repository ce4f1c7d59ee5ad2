"""Questions, and how much somebody wants to hear, in a real VS Code: buttons, toasts, the dial, quiet, mute."""

from __future__ import annotations

from typing import Any

import pytest
from backend_process import BackendProcess, StartBackend
from vscode_window import OpenWindow, VsCode, Window

RULES = """\
version: 1
rules:
  - id: stuck
    trigger: {keywords: {any: [stuck], event: [chat_message]}}
    message: {type: suggestion, text: "Take a smaller input."}
    cooldown: none
  - id: lost
    trigger: {keywords: {any: [lost], event: [chat_message]}}
    message: {type: suggestion, text: "Read the first line again."}
    cooldown: none
"""


@pytest.fixture(scope="module")
def backend(start_backend: StartBackend) -> BackendProcess:
    started: BackendProcess = start_backend(RULES, "responder: echo")
    return started


@pytest.fixture(scope="module")
def window(vscode: VsCode, open_window: OpenWindow, backend: BackendProcess) -> Window:
    opened: Window = open_window(vscode, backend)
    opened.open_view()
    opened.state("Connected").wait_for()
    return opened


def answers(backend: BackendProcess) -> list[Any]:
    return [data["response"] for kind, data in backend.happened("ann") if kind == "message.answered"]


def test_a_question_is_answered_by_its_button(window: Window, backend: BackendProcess) -> None:
    backend.say("ann", "How is it going?", "question", options=["Fine", "I am stuck here"])
    question = window.message("How is it going?")
    question.get_by_role("button", name="Fine").click()
    question.get_by_text("You answered: Fine").wait_for()
    assert question.get_by_role("button", name="I am stuck here").count() == 0
    window.until(lambda: answers(backend)[-1:] == ["Fine"], "the answer at the server")
    # The view is before everybody's eyes: no toast.
    assert window.toast("How is it going?").count() == 0


def test_a_toast_asks_while_the_view_is_hidden_and_its_buttons_answer(window: Window, backend: BackendProcess) -> None:
    window.hide_view()
    backend.say("ann", "Shall we go on?", "question", options=["Yes please", "Not now"])
    toast = window.toast("Shall we go on?")
    toast.wait_for()
    window.picture("toast")
    toast.get_by_role("button", name="Yes please").click()
    window.until(lambda: answers(backend)[-1:] == ["Yes please"], "the answer at the server")
    toast.wait_for(state="detached")
    window.open_view()
    window.message("Shall we go on?").get_by_text("You answered: Yes please").wait_for()


def test_a_toast_that_is_closed_is_no_answer_and_what_is_less_urgent_is_counted(
    window: Window, backend: BackendProcess
) -> None:
    window.hide_view()
    backend.say("ann", "This is for later", "suggestion")
    backend.say("ann", "And this to know", "notification")
    backend.say("ann", "Is it clear?", "question", options=["Yes"])
    toast = window.toast("Is it clear?")
    toast.wait_for()
    window.badge.get_by_text("3", exact=True).wait_for()
    assert window.toast("").count() == 1
    toast.hover()
    toast.locator("a.codicon-notifications-clear").click()
    toast.wait_for(state="detached")
    window.status("(3 new)").wait_for()
    assert "message.dismissed" not in [kind for kind, _ in backend.happened("ann")]
    window.open_view()
    window.message("Is it clear?").get_by_role("button", name="Yes").wait_for()
    window.badge.wait_for(state="hidden")


def test_the_dial_in_the_status_bar_is_a_wish(window: Window, backend: BackendProcess) -> None:
    window.status("Proactive: Normal").click()
    window.choose("Less")
    window.status("Proactive: Less").wait_for()
    assert backend.wishes("ann")["level"] == "less"
    window.status("Proactive: Less").click()
    window.picture("dial")
    window.choose("Normal")
    window.status("Proactive: Normal").wait_for()
    window.until(lambda: backend.wishes("ann")["level"] == "normal", "the wish at the server")


def test_who_is_left_in_peace_hears_nothing_until_they_wake_it(window: Window, backend: BackendProcess) -> None:
    window.open_view()
    window.command("Proactive: Quiet for 15 Minutes")
    window.status("Snoozed until").wait_for()
    window.until(lambda: backend.wishes("ann")["snoozedUntil"], "the wish at the server")
    window.say("I am stuck, quietly")
    window.view.get_by_role("article", name="Answer").get_by_text("I am stuck, quietly").wait_for()
    window.until(lambda: backend.decisions("ann", "stuck") == ["muted"], "the message held back")
    assert window.message("Take a smaller input.").count() == 0
    window.command("Proactive: Wake Up")
    window.status("Proactive: Normal").wait_for()
    window.say("Still stuck")
    window.message("Take a smaller input.").wait_for()


def test_a_rule_is_muted_where_it_speaks(window: Window, backend: BackendProcess) -> None:
    window.open_view()
    window.say("I am lost")
    message = window.message("Read the first line again.")
    message.get_by_text("Why am I seeing this?").click()
    message.get_by_role("button", name="Mute this rule").click()
    message.get_by_text("You will not hear from this rule again").wait_for()
    window.until(lambda: backend.wishes("ann")["muted"] == ["lost"], "the wish at the server")
    window.say("Quite lost")
    window.until(lambda: backend.decisions("ann", "lost")[-1:] == ["muted"], "the second one held back")
    assert message.count() == 1

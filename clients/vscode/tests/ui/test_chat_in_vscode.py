"""The chat in the side bar of a real VS Code: what is said and answered there, and what code of it can be used for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from backend_process import StartBackend
from model_voice import ModelVoice, model_voice
from vscode_window import OpenWindow, VsCode, Window

RULES = "version: 1\nrules: []\n"


@pytest.fixture(scope="module")
def voice() -> Iterator[ModelVoice]:
    with model_voice() as voice:
        yield voice


@pytest.fixture(scope="module")
def window(vscode: VsCode, open_window: OpenWindow, start_backend: StartBackend, voice: ModelVoice) -> Window:
    backend = start_backend(RULES, voice.settings)
    window = open_window(vscode, backend, {"a.py": "x = 1\n\n"})
    window.open_view()
    window.state("Connected").wait_for()
    return window


def test_an_answer_is_seen_while_it_is_written_and_outlives_a_hidden_view(window: Window, voice: ModelVoice) -> None:
    window.say("How do I loop?")
    voice.say("With a ")
    answer = window.view.get_by_role("article", name="Answer")
    answer.get_by_text("With a").wait_for()
    assert answer.get_attribute("aria-busy") == "true"
    window.hide_view()
    voice.say("for:\n```py\n", "for i in range(3):\n", "    print(i)\n```\n", "That is all.", ends=True)
    window.open_view()
    answer.get_by_text("That is all.").wait_for()
    window.view.locator("article.answer[aria-busy=false]").wait_for()
    assert window.message("How do I loop?").first.inner_text() == "How do I loop?"  # it waits no longer
    assert answer.count() == 1
    window.until_output("WebSocket connected")


def test_code_of_an_answer_can_be_copied_and_inserted_where_the_cursor_is(window: Window) -> None:
    window.open_file("a.py")
    window.page.keyboard.press("Control+End")
    answer = window.view.get_by_role("article", name="Answer").filter(has_text="range(3)")
    answer.get_by_role("button", name="Copy code").click()
    window.until(lambda: window.page.evaluate("navigator.clipboard.readText()") == "for i in range(3):\n    print(i)")
    answer.get_by_role("button", name="Insert").click()
    window.until_text("x = 1\n\nfor i in range(3):\n    print(i)")
    window.picture("inserted")
    window.page.keyboard.press("Control+Z")
    window.until_text("x = 1\n\n")


@pytest.mark.parametrize(
    ("colours", "contrast", "worn"),
    [("dark", "none", "vscode-dark"), ("light", "none", "vscode-light"), ("dark", "active", "vscode-high-contrast")],
)
def test_the_view_wears_the_theme_of_the_editor(window: Window, colours: Any, contrast: Any, worn: str) -> None:
    window.page.emulate_media(color_scheme=colours, forced_colors=contrast)
    window.view.locator(f"body.{worn}").wait_for()
    window.until(lambda: window.text_colour() == window.text_colour_of_side_bar(), "the colour of the side bar")
    window.picture(worn)

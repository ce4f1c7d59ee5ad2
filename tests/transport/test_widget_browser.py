"""The chat widget on the demo page in a real Chromium: what a person reads, presses and is told.

What needs no browser is tested beside the widget's sources, and the page's headers in test_http_demo.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext
from widget_page import WITHIN_MS, Backend, WidgetPage, chromium, serving

from engine.responders.base import ChatMessage

ROOT = Path(__file__).parent.parent.parent
RULES = """\
version: 1
rules:
  - id: failing
    trigger: {event: {event: test.failed}}
    message: {type: question, text: "{{ event.test }} fails. Want a hint?", options: [Yes please, Not now]}
  - id: passed
    trigger: {event: test.passed}
    message: {type: suggestion, text: "{{ event.test }} passes."}
  - id: show
    trigger: {event: code.wanted}
    message:
      type: code_suggestion
      text: Look
      data: {code: "print(1 < 2)", language: python, explanation: It prints.}
"""
HOSTILE = "<img src=x onerror=window.hacked=1></script><script>window.hacked=1</script>\u202e&lt;b&gt;"
# Every line about the connection, from now on.
NOTE_LINES = """() => {
  const line = document.querySelector("proactive-widget").shadowRoot.querySelector(".foot [role=status]");
  window.lines = [];
  new MutationObserver(() => window.lines.push(line.textContent)).observe(line, { childList: true });
}"""
ANSWER = ["In a loop:\n", "```py\nfor i in x:\n", "    pass\n", "```\nThat is all."]


async def respond(message: ChatMessage) -> AsyncIterator[str]:
    for piece in ANSWER:
        await asyncio.sleep(0)
        yield piece


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with serving(tmp_path, RULES, respond) as backend:
        yield backend


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    yield context
    context.close()


@pytest.fixture
def widget(context: BrowserContext, backend: Backend) -> Iterator[WidgetPage]:
    """The page, connected; whatever a test did with it, nothing went wrong there."""
    opened = WidgetPage(context, backend)
    yield opened
    assert opened.troubles == []


def tell(widget: WidgetPage, event: dict[str, Any]) -> None:
    assert widget.page.evaluate("(event) => Proactive.widget.send(event)", event)


def until(widget: WidgetPage, holds: Callable[[], bool]) -> None:
    """Ask the server until it says so."""
    for _ in range(WITHIN_MS // 50):
        if holds():
            return
        widget.page.wait_for_timeout(50)
    raise AssertionError("it never came to be")


def test_a_newcomer_sees_a_message_of_the_rules_that_come_along(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, ROOT / "rules") as backend:
        context = browser.new_context()
        widget = WidgetPage(context, backend)
        widget.message("I keep quiet").wait_for()
        widget.page.get_by_role("button", name="Ask about the knapsack problem").click()
        widget.message("Shall we do the first one together?").get_by_role("button", name="Yes please").click()
        widget.message("You answered: Yes please").wait_for()
        widget.page.get_by_role("button", name="Let a test fail three times").click()
        widget.page.get_by_text("is on the server's disk").nth(3).wait_for()
        until(widget, lambda: [kind for kind, _ in backend.happened(widget.user())].count("test.failed") == 3)
        assert widget.troubles == []
        context.close()


def test_a_question_is_answered_by_the_keyboard_alone(widget: WidgetPage, backend: Backend) -> None:
    tell(widget, {"type": "test.failed", "test": "t1"})
    question = widget.message("t1 fails")
    question.wait_for()
    widget.page.keyboard.press("Escape")  # nothing of the widget has the focus: nothing is closed
    widget.page.get_by_label("Your message").focus()
    widget.press_until("Shift+Tab", "Yes please")
    widget.page.keyboard.press("Enter")
    widget.message("You answered: Yes please").wait_for()
    assert widget.focused() == "Question"  # the button is gone, the focus is still near
    until(widget, lambda: any(kind == "message.answered" for kind, _ in backend.happened(widget.user())))
    assert [kind for kind, _ in backend.happened(widget.user())].count("user_response") == 1
    until(widget, lambda: any(kind == "message.seen" for kind, _ in backend.happened(widget.user())))


def test_a_question_without_options_is_answered_in_ones_own_words(widget: WidgetPage, backend: Backend) -> None:
    backend.say("Where are you?", "question")
    field = widget.page.get_by_label("Your answer")
    field.fill("In a loop")
    field.press("Enter")
    widget.message("You answered: In a loop").wait_for()
    until(widget, lambda: any(data.get("response") == "In a loop" for _, data in backend.happened(widget.user())))


def test_escape_closes_and_the_launcher_opens(widget: WidgetPage) -> None:
    panel = widget.page.get_by_role("dialog", name="proactive")
    widget.page.get_by_role("button", name="Settings").click()
    widget.press_until("Tab", "15 minutes")
    widget.page.keyboard.press("Escape")
    assert widget.focused() == "Settings"
    assert panel.is_visible()
    widget.page.keyboard.press("Escape")
    assert panel.is_hidden()
    assert widget.focused() == "proactive"
    widget.page.keyboard.press("Enter")
    assert panel.is_visible()
    assert widget.focused() == "Your message"


def test_a_closed_panel_shows_questions_and_counts_the_rest(widget: WidgetPage, backend: Backend) -> None:
    page = widget.page
    page.get_by_role("button", name="Close").click()
    backend.say("Try this")
    page.get_by_role("button", name="proactive 1 new").wait_for()
    peek = page.get_by_role("region", name="New question")
    assert peek.is_hidden()
    backend.say("How is it going?", "question", options=["Fine"])
    peek.get_by_text("How is it going?").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "PROACTIVE-WIDGET"  # where the focus was: the launcher
    assert widget.focused().startswith("proactive")
    assert not any(kind == "message.seen" for kind, _ in backend.happened(widget.user()))
    peek.get_by_role("button", name="Show the question").click()
    assert peek.is_hidden()
    assert widget.message("Try this").is_visible()
    until(widget, lambda: [kind for kind, _ in backend.happened(widget.user())].count("message.seen") == 2)


def test_why_names_the_rule_which_can_be_muted_and_unmuted(widget: WidgetPage, backend: Backend) -> None:
    tell(widget, {"type": "test.passed", "test": "t1"})
    message = widget.message("t1 passes.")
    message.get_by_text("Why am I seeing this?").click()
    message.get_by_text("The rule “passed” found that this may help you").wait_for()
    message.get_by_role("button", name="Mute this rule").click()
    widget.message("You will not hear from this rule again").wait_for()
    until(widget, lambda: backend.wishes(widget.user())["muted"] == ["passed"])
    widget.page.get_by_role("button", name="Settings").click()
    widget.page.get_by_role("button", name="Unmute passed").click()
    until(widget, lambda: backend.wishes(widget.user())["muted"] == [])


def test_the_dial_and_the_snoozes_are_wishes(widget: WidgetPage, backend: Backend) -> None:
    page = widget.page
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Normal").focus()
    page.keyboard.press("ArrowLeft")
    until(widget, lambda: backend.wishes(widget.user())["level"] == "less")
    assert page.get_by_role("radio", name="Less").is_checked()
    page.get_by_role("button", name="15 minutes").click()
    page.get_by_text("Quiet until").wait_for()
    quarter = backend.wishes(widget.user())["snoozedUntil"]
    tell(widget, {"type": "test.passed", "test": "t1"})
    page.get_by_role("button", name="Wake up").click()
    page.get_by_role("button", name="Until tomorrow").click()
    until(widget, lambda: (backend.wishes(widget.user())["snoozedUntil"] or 0) > quarter)
    assert widget.message("t1 passes.").count() == 0


def test_what_is_put_away_is_gone_and_told(widget: WidgetPage, backend: Backend) -> None:
    tell(widget, {"type": "test.failed", "test": "t1"})
    widget.page.get_by_role("button", name="Put this question away").click()
    assert widget.message("t1 fails").count() == 0
    until(widget, lambda: any(kind == "message.dismissed" for kind, _ in backend.happened(widget.user())))


def test_an_answer_is_written_piece_by_piece_and_its_code_can_be_copied(
    widget: WidgetPage, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    field = widget.page.get_by_label("Your message")
    field.fill("How?")
    field.press("Enter")
    answer = widget.page.get_by_role("article", name="Answer")
    answer.get_by_text("That is all.").wait_for()
    widget.page.locator("article.answer[aria-busy=false]").wait_for()
    assert answer.locator("pre").inner_text() == "for i in x:\n    pass"
    answer.get_by_role("button", name="Copy code").click()
    widget.page.locator(".unseen").filter(has_text="Copied").wait_for()
    assert widget.page.evaluate("navigator.clipboard.readText()") == "for i in x:\n    pass"
    assert widget.message("How?").first.inner_text() == "How?"  # it waits no longer


def test_code_that_is_offered_is_code(widget: WidgetPage) -> None:
    tell(widget, {"type": "code.wanted"})
    message = widget.message("It prints.")
    message.wait_for()
    assert message.locator("code").inner_text() == "print(1 < 2)"


def test_hostile_texts_stay_texts(widget: WidgetPage, backend: Backend) -> None:
    fence = f"```{HOSTILE.replace(' ', '')}\n{HOSTILE}\n```"
    backend.say(f"{HOSTILE}\n{fence}", "question", options=[HOSTILE])
    question = widget.message("onerror").first
    question.wait_for()
    assert question.locator("p").first.inner_text() == HOSTILE
    assert question.locator("img, script, b").count() == 0
    assert question.locator(".option").inner_text() == HOSTILE
    question.locator(".option").click()
    widget.message("You answered").wait_for()
    widget.page.get_by_label("Your message").fill(HOSTILE)
    widget.page.keyboard.press("Enter")
    tell(widget, {"type": "test.passed", "test": HOSTILE})
    widget.message("passes.").wait_for()
    assert widget.page.evaluate("window.hacked") is None


def test_what_is_said_offline_waits_is_marked_and_goes_when_the_network_is_back(
    widget: WidgetPage, context: BrowserContext, backend: Backend
) -> None:
    context.set_offline(True)
    widget.cut()
    widget.state("Offline: no network").wait_for()
    field = widget.page.get_by_label("Your message")
    field.fill("Are you there?")
    field.press("Enter")
    widget.message("Waiting to be sent").wait_for()
    widget.state("Offline: no network · 1 waiting to be sent").wait_for()
    context.set_offline(False)
    widget.state("Connected").wait_for()
    widget.message("That is all.").wait_for()
    said = [data for kind, data in backend.happened(widget.user()) if kind == "chat_message"]
    assert [data["message"] for data in said] == ["Are you there?"]
    assert widget.message("Waiting to be sent").count() == 0


def test_a_connection_that_breaks_comes_back_by_itself(widget: WidgetPage) -> None:
    widget.page.evaluate(NOTE_LINES)
    widget.cut()
    until(widget, lambda: widget.page.evaluate("window.lines") == ["Reconnecting…", "Connected"])


def test_two_tabs_are_two_devices_of_one_user(widget: WidgetPage, context: BrowserContext, backend: Backend) -> None:
    other = WidgetPage(context, backend)
    assert other.user() == widget.user()
    tell(widget, {"type": "test.failed", "test": "t1"})
    widget.message("t1 fails").wait_for()
    other.message("t1 fails").get_by_role("button", name="Not now").click()
    widget.message("Answered elsewhere").wait_for()
    assert widget.page.get_by_role("button", name="Not now").count() == 0
    assert widget.state("Connected").is_visible()
    assert other.troubles == []


def test_a_question_is_still_there_on_the_next_page(widget: WidgetPage) -> None:
    tell(widget, {"type": "test.failed", "test": "t1"})
    widget.message("t1 fails").wait_for()
    widget.page.reload()
    widget.state("Connected").wait_for()
    widget.message("t1 fails").get_by_role("button", name="Yes please").click()
    widget.message("You answered: Yes please").wait_for()


def test_who_is_somebody_new_leaves_nothing_behind(widget: WidgetPage) -> None:
    tell(widget, {"type": "test.failed", "test": "t1"})
    widget.message("t1 fails").wait_for()
    before = widget.user()
    with widget.page.expect_navigation():
        widget.page.get_by_role("button", name="Be somebody new").click()
    widget.state("Connected").wait_for()
    assert widget.user() != before
    assert widget.message("t1 fails").count() == 0


@pytest.mark.parametrize(("width", "is_sheet"), [(480, False), (479, True), (320, True)])
def test_on_narrow_screens_the_panel_is_a_sheet(widget: WidgetPage, width: int, is_sheet: bool) -> None:
    page = widget.page
    page.set_viewport_size({"width": width, "height": 700})
    panel = page.get_by_role("dialog", name="proactive")
    # It rises to its place when it opens.
    panel.evaluate("(panel) => Promise.all(panel.getAnimations().map((one) => one.finished))")
    box = panel.bounding_box()
    assert box is not None
    assert (box["width"] == width) is is_sheet
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert round(box["y"] + box["height"]) <= 700  # a layout is not exact to the last bit
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_who_wants_less_motion_sees_none(browser: Browser, backend: Backend) -> None:
    for wish, name in (("no-preference", "rise"), ("reduce", "none")):
        context = browser.new_context(reduced_motion=wish)  # type: ignore[arg-type]
        widget = WidgetPage(context, backend)
        panel = widget.page.get_by_role("dialog", name="proactive")
        assert panel.evaluate("(panel) => getComputedStyle(panel).animationName") == name
        context.close()


def test_a_page_without_a_websocket_goes_by_http(context: BrowserContext, backend: Backend) -> None:
    context.add_init_script("delete window.WebSocket")
    widget = WidgetPage(context, backend, connects=False)
    widget.state("Connected over HTTP").wait_for()
    tell(widget, {"type": "test.failed", "test": "t1"})
    widget.message("t1 fails").wait_for()
    assert widget.troubles == []

"""The extension's view in Chromium, with a host that only listens: what is shown, what is told, and what stays."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from panel_page import EXTENSION, THEMES, PanelPage, answer, code_suggestion, message, said
from playwright.sync_api import Browser, BrowserContext, expect

AXE = (Path(EXTENSION).parent / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
CSS = (EXTENSION / "media" / "panel.css").read_text("utf-8")
CODE = "def total(prices):\n    return sum(prices)  # " + "and so on " * 20
Begin = Callable[..., PanelPage]


def everything() -> list[dict[str, Any]]:
    """One of each kind that there is to draw."""
    return [
        message(1, "Three tests are green again.", "notification"),
        said(1, "Why is the total wrong?"),
        answer(1, f"Begin `result` with **zero**:\n```python\n{CODE}\n```"),
        message(2, "You could run only the failing test."),
        code_suggestion(3, CODE, explanation="It costs nothing when it is empty.", file="src/shop/till/total.py"),
        message(4, "Shall we look at it together?", "question", options=["Yes please", "Not now"]),
        message(5, "What were you trying to do?", "question"),
        message(6, "Which framework?", "question", options=["pytest"], fate="answered", response="pytest"),
        message(7, "Is it of use?", "question", options=["Yes"], fate="expired"),
        said(2, "And how do I round it?", is_waiting=True),
        said(3, "And how do I " + "really" * 40 + " round it?", trouble="Not taken: too long"),
    ]


def many(count: int = 40) -> list[dict[str, Any]]:
    return [message(number, f"Message {number}") for number in range(100, 100 + count)]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """The view as its sources are now."""
    subprocess.run(["node", "scripts/build.mjs"], cwd=EXTENSION, capture_output=True, timeout=60, check=True)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 320, "height": 640})
    yield context
    context.close()


@pytest.fixture
def begin(context: BrowserContext) -> Iterator[Begin]:
    """Every test ends with nothing wrong on its page, and nothing that the policy had to forbid."""
    begun: list[PanelPage] = []

    def begin_one(items: list[dict[str, Any]] | None = None, theme: str = "dark") -> PanelPage:
        begun.append(PanelPage(context, theme, items))
        return begun[-1]

    yield begin_one
    for panel in begun:
        assert (panel.troubles, panel.violations) == ([], [])


# How it looks


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [200, 320, 1300])
def test_axe_finds_nothing_and_nothing_is_cut_off(browser: Browser, theme: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700})
    panel = PanelPage(context, theme)
    _assert_sound(panel)
    panel.tell(kind="all", items=everything(), now=1_774_605_900_000)
    _assert_sound(panel)
    panel.page.locator("summary").last.click()
    panel.button("Settings").click()
    panel.tell(kind="wishes", level="less", snoozedUntil=1_774_606_800_000, muted=["stuck", "a-name-that-" * 8, "*"])
    panel.tell(kind="state", state="offline", line="Offline: sign in again · 2 waiting to be sent", canReconnect=True)
    panel.button("Try again").wait_for()
    _assert_sound(panel)
    assert panel.troubles == []
    context.close()


def _assert_sound(panel: PanelPage) -> None:
    found = panel.axe(AXE)
    assert found == []
    wide = panel.page.evaluate(
        "[...document.querySelectorAll('main *')].filter((one) => !one.closest('pre, .bar span, .unseen')"
        " && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.className || one.tagName)"
    )
    assert wide == []


def test_every_colour_and_font_is_the_themes() -> None:
    rules = re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)
    rules = re.sub(r"@media \(forced-colors: active\) \{.*", "", rules, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-f]{3}|rgb|hsl|\bcolor-mix", rules)
    for name, value in re.findall(r"([\w-]*(?:color|background|font-family|outline|border)): ([^;]+);", rules):
        words = set(re.sub(r"var\([^;]*\)", "", value).split())
        plain = {"inherit", "none", "transparent", "currentColor", "solid", "dashed", "0", "1px", "1.5px", "3px", "50%"}
        assert words <= plain, f"{name}: {value}"
    own = set(re.findall(r"^ {2}(--[\w-]+):", rules, flags=re.MULTILINE))
    assert {name for name in re.findall(r"var\((--[\w-]+)", rules) if not name.startswith("--vscode-")} <= own


@pytest.mark.parametrize("theme", THEMES)
def test_a_question_is_louder_than_a_suggestion_and_that_than_a_note(begin: Begin, theme: str) -> None:
    panel = begin(everything(), theme)
    weight = "(one) => getComputedStyle(one.querySelector('p')).fontWeight"
    edge = "(one) => parseFloat(getComputedStyle(one).borderInlineStartWidth)"
    frame = "(one) => parseFloat(getComputedStyle(one).borderTopWidth)"
    size = "(one) => parseFloat(getComputedStyle(one.querySelector('p')).fontSize)"
    question = panel.item("Shall we look")
    suggestion = panel.item("only the failing")
    note = panel.item("green again")
    assert int(question.evaluate(weight)) > int(suggestion.evaluate(weight))
    assert question.evaluate(edge) > suggestion.evaluate(edge)
    assert suggestion.evaluate(frame) > note.evaluate(frame)
    assert suggestion.evaluate(size) > note.evaluate(size)
    assert int(panel.item("Which framework?").evaluate(weight)) < int(question.evaluate(weight))


def test_one_who_has_heard_nothing_yet_reads_what_this_is(begin: Begin) -> None:
    panel = begin()
    panel.page.get_by_role("heading", name="It speaks up when it can help").wait_for()
    panel.button("Choose how much you hear").click()
    panel.page.get_by_role("group", name="Settings").wait_for()
    assert panel.focused() == "Settings"
    panel.put(message(1, "Hello"))
    expect(panel.page.get_by_role("heading", name="It speaks up")).to_have_count(0)
    panel.tell(kind="erase", id="m1")
    panel.page.get_by_role("heading", name="It speaks up").wait_for()


def test_hostile_texts_stay_texts(begin: Begin) -> None:
    hostile = "<img src=x onerror=\"told.push('bad')\"><script>told.push('bad')</script>`<b>` **<i>**"
    panel = begin([message(1, hostile, "question", options=[hostile], rule=hostile, why=hostile), said(1, hostile)])
    panel.put(answer(1, f"```<b>\n{hostile}\n```"))
    panel.put(code_suggestion(2, hostile, explanation=hostile))
    panel.tell(kind="state", state="connected", line=hostile, canReconnect=False)
    panel.tell(kind="wishes", level="normal", snoozedUntil=None, muted=[hostile])
    panel.button("Settings").click()
    assert panel.page.locator("main img, main script, main b, main i").count() == 0
    assert "bad" not in panel.page.evaluate("told")


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("src/a.py", "src/a.py"),
        ("x" * 120, "x" * 120),
        ("folder/" * 9000 + "a.py", "…" + ("folder/" * 20 + "a.py")[-119:]),
        (" src/ \n a.py", "src/ a.py"),
        ("<b>", "<b>"),
    ],
)
def test_a_suggestion_says_beside_its_buttons_which_file_it_changes(begin: Begin, file: str, shown: str) -> None:
    panel = begin([code_suggestion(1, CODE, file=file)])
    beside = panel.page.get_by_role("group", name=f"This change of {shown}", exact=True)
    expect(beside.get_by_role("button", name="Accept")).to_be_visible()
    assert beside.locator("code").text_content() == shown
    panel.put(code_suggestion(1, CODE, file=file, fate="accepted"))
    expect(beside).to_have_count(0)


@pytest.mark.parametrize("more", [{}, {"file": ""}, {"file": 5}, {"file": None}])
def test_a_suggestion_for_where_the_user_is_names_no_file(begin: Begin, more: dict[str, Any]) -> None:
    panel = begin([code_suggestion(1, CODE, **more)])
    beside = panel.page.get_by_role("group", name="This change", exact=True)
    expect(beside.get_by_role("button")).to_have_text(["Accept", "Reject", "Show diff"])
    expect(beside.locator("code")).to_have_count(0)


# What is told


@pytest.mark.parametrize(
    ("of", "name", "told"),
    [
        ("Shall we look", "Not now", {"kind": "answer", "id": "m4", "response": "Not now"}),
        ("Shall we look", "Put this question away", {"kind": "dismiss", "id": "m4"}),
        ("only the failing", "Put this suggestion away", {"kind": "dismiss", "id": "m2"}),
        ("green again", "Put this note away", {"kind": "dismiss", "id": "m1"}),
        ("costs nothing", "Accept", {"kind": "accept", "id": "m3"}),
        ("costs nothing", "Reject", {"kind": "reject", "id": "m3"}),
        ("costs nothing", "Show diff", {"kind": "compare", "id": "m3"}),
        ("Begin", "Insert code at the cursor", {"kind": "insert", "code": CODE, "language": "python"}),
    ],
)
def test_what_is_pressed_is_told(begin: Begin, of: str, name: str, told: dict[str, Any]) -> None:
    panel = begin(everything())
    panel.item(of).get_by_role("button", name=name, exact=True).click()
    assert panel.told == [told]


def test_why_opens_once_and_its_rule_can_be_muted(begin: Begin) -> None:
    panel = begin([message(1, "A suggestion")])
    why = panel.item("A suggestion").get_by_text("Why am I seeing this?")
    why.click()
    panel.page.get_by_text("t1 failed three times in five minutes.").wait_for()
    panel.page.get_by_text("The rule “stuck” found").wait_for()
    panel.button("Mute this rule").click()
    assert panel.told == [{"kind": "opened", "id": "m1"}, {"kind": "mute", "id": "m1"}]
    panel.put(message(1, "A suggestion", fate="muted"))
    panel.page.get_by_text("You will not hear from this rule again").wait_for()
    expect(panel.button("Mute this rule")).to_have_count(0)


def test_a_question_without_options_is_answered_in_ones_own_words(begin: Begin) -> None:
    panel = begin([message(1, "What were you trying to do?", "question")])
    panel.page.get_by_label("Your answer").fill("  ")
    panel.page.keyboard.press("Enter")
    panel.page.get_by_label("Your answer").fill(" To sort it ")
    panel.page.keyboard.press("Enter")
    assert panel.told == [{"kind": "answer", "id": "m1", "response": "To sort it"}]


def test_the_dial_the_snoozes_and_what_is_muted_are_behind_the_gear(begin: Begin) -> None:
    panel = begin()
    panel.button("Settings").click()
    assert panel.page.get_by_role("radio", name="Normal").is_checked()
    panel.page.get_by_role("radio", name="Normal").focus()
    panel.page.keyboard.press("ArrowLeft")
    panel.button("15 minutes").click()
    panel.button("Until tomorrow").click()
    panel.tell(kind="wishes", level="less", snoozedUntil=1_774_606_800_000, muted=["stuck"])
    panel.page.get_by_text("Quiet until").wait_for()
    assert panel.page.get_by_role("radio", name="Less").is_checked()
    panel.button("Wake up").click()
    panel.button("Unmute stuck").click()
    assert panel.told == [
        {"kind": "level", "level": "less"},
        {"kind": "snooze", "how": "quarter"},
        {"kind": "snooze", "how": "tomorrow"},
        {"kind": "snooze", "how": "wake"},
        {"kind": "unmute", "name": "stuck"},
    ]


def test_the_line_says_how_it_is_connected_and_offers_to_try_again(begin: Begin) -> None:
    panel = begin()
    expect(panel.page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    expect(panel.button("Try again")).to_be_hidden()
    panel.tell(kind="state", state="offline", line="Offline: sign in again", canReconnect=True)
    panel.button("Try again").click()
    assert panel.told == [{"kind": "reconnect"}]


# Writing


def test_enter_sends_and_shift_enter_begins_a_line(begin: Begin) -> None:
    panel = begin()
    field = panel.page.get_by_label("Your message")
    low = field.bounding_box()
    field.press_sequentially("one")
    panel.page.keyboard.press("Shift+Enter")
    field.press_sequentially("two")
    high = field.bounding_box()
    assert low is not None
    assert high is not None
    assert high["height"] > low["height"]
    panel.page.keyboard.press("Enter")
    panel.page.keyboard.press("Enter")
    field.fill("three")
    panel.button("Send").click()
    assert panel.told == [{"kind": "say", "text": "one\ntwo"}, {"kind": "say", "text": "three"}]
    assert field.input_value() == ""


def test_what_waits_is_marked_until_it_has_gone(begin: Begin) -> None:
    panel = begin([said(1, "Hello", is_waiting=True)])
    panel.item("Hello").get_by_text("Waiting to be sent").wait_for()
    panel.put(said(1, "Hello"))
    expect(panel.page.get_by_text("Waiting to be sent")).to_have_count(0)
    panel.put(said(1, "Hello", trouble="Not taken: too long"))
    panel.item("Hello").get_by_text("Not taken: too long").wait_for()


def test_an_answer_is_written_piece_by_piece_and_its_code_can_be_copied(begin: Begin, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = begin([said(1, "How?")])
    for text in ("So", "So:\n```python\nprint(1", "So:\n```python\nprint(1)\n```"):
        panel.put(answer(1, text, is_writing=True))
        assert panel.item("So").get_attribute("aria-busy") == "true"
    panel.put(answer(1, "So:\n```python\nprint(1)\n```"))
    assert panel.item("So").count() == 1
    assert panel.item("So").get_attribute("aria-busy") == "false"
    panel.button("Copy code").click()
    expect(panel.button("Copy code")).to_have_text("Copied")
    assert panel.page.evaluate("navigator.clipboard.readText()") == "print(1)"
    # That holds for a while: it can be copied again.
    expect(panel.button("Copy code")).to_have_text("Copy", timeout=10_000)


def test_only_what_was_copied_last_is_said_to_be_copied(begin: Begin, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = begin([answer(1, "```\none\n```\n```\ntwo\n```")])
    first, second = panel.button("Copy code").nth(0), panel.button("Copy code").nth(1)
    first.click()
    expect(first).to_have_text("Copied")
    second.click()
    expect(second).to_have_text("Copied")
    expect(first).to_have_text("Copy")


# What stays


def test_drafts_outlive_a_view_that_is_hidden(begin: Begin) -> None:
    items = [message(1, "What were you trying to do?", "question")]
    panel = begin(items)
    panel.page.get_by_label("Your message").fill("one\ntwo\nthree")
    panel.page.get_by_label("Your answer").fill("To sort")
    panel.come_back(items)
    assert panel.page.get_by_label("Your message").input_value() == "one\ntwo\nthree"
    assert panel.page.get_by_label("Your answer").input_value() == "To sort"
    panel.page.get_by_label("Your answer").press("Enter")
    panel.page.get_by_label("Your message").press("Enter")
    panel.come_back(items)
    assert panel.page.get_by_label("Your message").input_value() == ""
    assert panel.page.get_by_label("Your answer").input_value() == ""


def test_an_answer_that_is_being_written_outlives_another_drawing(begin: Begin) -> None:
    panel = begin([message(1, "Where?", "question")])
    panel.page.get_by_label("Your answer").fill("Here")
    panel.put(message(1, "Where?", "question", trouble="Not taken: try again"))
    assert panel.page.get_by_label("Your answer").input_value() == "Here"


def test_an_answer_that_is_being_written_goes_with_its_question(begin: Begin) -> None:
    questions = [message(number, f"Where {number}?", "question") for number in range(4)]
    panel = begin(questions)
    for number in range(4):
        panel.item(f"Where {number}?").get_by_label("Your answer").fill(f"Here {number}")
    panel.tell(kind="erase", id="m0")
    assert panel.drafts == {f"m{number}": f"Here {number}" for number in (1, 2, 3)}
    panel.put(message(1, "Where 1?", "question", fate="expired"))
    assert panel.drafts == {"m2": "Here 2", "m3": "Here 3"}
    # While the view was hidden one was answered elsewhere.
    panel.come_back([message(2, "Where 2?", "question", fate="elsewhere"), questions[3]])
    assert panel.drafts == {"m3": "Here 3"}
    panel.come_back([])
    assert panel.drafts == {}


def test_what_another_version_has_kept_does_no_harm(begin: Begin) -> None:
    panel = begin()
    for state in ("5", '"a"', "[]", '{"draft": 5, "place": {"id": 7}, "drafts": {"m1": {}}}'):
        panel.page.evaluate("(state) => sessionStorage.setItem('state', state)", state)
        panel.come_back([message(1, "Where?", "question")])
        assert panel.page.get_by_label("Your answer").input_value() == ""


def test_who_reads_the_latest_goes_on_to_do_so(begin: Begin) -> None:
    panel = begin(many())
    assert panel.is_at_end()
    panel.put(message(1, "Another\n" * 5))
    assert panel.is_at_end()
    panel.put(answer(1, "Writing\n" * 30, is_writing=True))
    assert panel.is_at_end()
    panel.page.get_by_label("Your message").fill("one\n" * 8)
    panel.until(
        "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)"
        "(document.querySelector('.list'))"
    )
    panel.come_back(many(50))
    assert panel.is_at_end()


def test_who_reads_further_up_stays_there(begin: Begin) -> None:
    panel = begin(many())
    panel.list.evaluate("(list) => { list.scrollTop = 700; }")
    top = panel.item("Message 110").bounding_box()
    panel.put(message(1, "Another"))
    panel.put(answer(1, "Writing\n" * 30, is_writing=True))
    panel.tell(kind="erase", id="m139")
    assert panel.scrolled() == 700
    panel.until("sessionStorage.getItem('state')?.includes('place')")
    panel.come_back(many(50))
    assert panel.item("Message 110").bounding_box() == top


def test_who_says_something_sees_it(begin: Begin) -> None:
    panel = begin(many())
    panel.list.evaluate("(list) => { list.scrollTop = 0; }")
    panel.put(said(1, "Hello"))
    assert panel.is_at_end()


# Keyboard and screen reader


def test_escape_closes_the_settings_and_the_focus_goes_back(begin: Begin) -> None:
    panel = begin()
    panel.button("Settings").click()
    panel.page.get_by_role("radio", name="Normal").focus()
    panel.page.keyboard.press("Escape")
    expect(panel.page.get_by_role("group", name="Settings")).to_be_hidden()
    assert panel.focused() == "Settings"
    assert panel.button("Settings").get_attribute("aria-expanded") == "false"


def test_all_of_it_can_be_reached_with_tab_in_the_order_that_it_is_seen(begin: Begin) -> None:
    panel = begin([message(1, "Shall we?", "question", options=["Yes", "No"])])
    reached = []
    for _ in range(8):
        panel.page.keyboard.press("Tab")
        reached.append(panel.focused())
    why = "Why am I seeing this?"
    assert reached == [
        "Settings", "Messages", "Put this question away", "Yes", "No", why, "Your message", "Send",
    ]  # fmt: skip


def test_the_focus_stays_near_what_goes_away(begin: Begin) -> None:
    panel = begin([message(1, "First"), message(2, "Second")])
    panel.item("First").get_by_role("button", name="Put this suggestion away").focus()
    panel.tell(kind="erase", id="m1")
    assert panel.page.evaluate("document.activeElement.dataset.id") == "m2"
    panel.tell(kind="erase", id="m2")
    assert panel.focused() == "Messages"


def test_the_host_gives_the_focus_to_the_field_or_to_a_message(begin: Begin) -> None:
    panel = begin(many())
    panel.tell(kind="focus", id="m105")
    assert panel.page.evaluate("document.activeElement.dataset.id") == "m105"
    expect(panel.item("Message 105")).to_be_in_viewport()
    panel.tell(kind="focus")
    assert panel.focused() == "Your message"
    panel.tell(kind="focus", id="gone")
    assert panel.focused() == "Your message"


def test_what_is_new_is_read_out_and_what_was_there_is_not(begin: Begin) -> None:
    panel = begin()
    seen = panel.page.evaluate_handle(
        "(() => { const log = document.querySelector('.list'); const seen = [];"
        " new MutationObserver((all) => all.forEach((one) => seen.push(one.target.getAttribute('aria-live'))))"
        ".observe(log, { childList: true }); return seen; })()"
    )
    panel.tell(kind="all", items=many(3), now=0)
    assert set(seen.json_value()) == {"off"}
    expect(panel.list).to_have_attribute("aria-live", "polite")
    panel.tell(kind="announce", text="You answered: Yes")
    expect(panel.page.get_by_role("status").filter(has_text="You answered: Yes")).to_have_count(1)

"""Reports in a real browser, opened from disk with no network: what a person sees, points at, types and prints.

What cannot be tried without a browser is here, and no more; it is the slowest of the tests of reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from typer.testing import CliRunner

from engine.cli.main import app_for
from tests.widget_page import chromium

ROOT = Path(__file__).parent.parent.parent.parent
TUTOR = ROOT / "examples" / "logs" / "tutor.jsonl"
VIEWS: list[tuple[int, int, Any]] = [(1280, 800, "light"), (390, 844, "light"), (390, 844, "dark"), (1280, 800, "dark")]
SWEPT = "failing-again.trigger.count.at_least=2,3"
SWEPT_TOO = "stuck-on-test.trigger.inactivity.for=2m,3m"
REPORTS = {
    "replay": ["replay", TUTOR, "--rules", ROOT / "rules"],
    "diff": ["diff", TUTOR, "--before", ROOT / "rules", "--after", "edited"],
    "sweep": ["sweep", TUTOR, "--rules", ROOT / "rules", "--set", SWEPT],
    "grid": ["sweep", TUTOR, "--rules", ROOT / "rules", "--set", SWEPT, "--set", SWEPT_TOO],
}
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=hacked=1>\"'\u2028\u202e\0&lt;"
HOSTILE_RULES = """
version: 1
rules:
  - id: says
    trigger: {event: "*"}
    condition: event.at_reported == 1 or default(event.more, 1) == 1
    message: {type: question, text: "{{ event.text }}"}
    cooldown: 10m
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each report of the tutor's log, made by its command."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "edited").mkdir()
    text = (ROOT / "rules" / "tutor.yaml").read_text("utf-8")
    edited = text.replace("at_least: 3, within: 10m", "at_least: 2, within: 10m")
    assert edited != text
    (folder / "edited" / "tutor.yaml").write_text(edited, "utf-8")
    made = {}
    for name, words in REPORTS.items():
        made[name] = folder / f"{name}.html"
        run(*[folder / "edited" if word == "edited" else word for word in words], "--report", made[name])
    return made


def run(*words: object) -> str:
    given = list(map(str, words))
    result = CliRunner().invoke(app_for(given), given)
    assert result.exit_code == 0, result.output
    return result.stdout


class Opened:
    """A page, with all that went wrong on it and all that it asked for."""

    def __init__(self, browser: Browser, path: Path, width: int, height: int, scheme: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
        )
        self.page: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-ready]", timeout=10_000)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def open_page(browser: Browser, path: Path, width: int = 1280, height: int = 800, scheme: str = "light") -> Opened:
    return Opened(browser, path, width, height, scheme)


def open_timeline_table(page: Page) -> None:
    """It is made when the browser tells that it was opened, which is a moment after the click."""
    page.click("#timelines summary")
    page.locator("#timeline-table tbody tr").first.wait_for()


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_drawn_whole_at_any_size_and_in_any_light(
    browser: Browser, reports: dict[str, Path], name: str
) -> None:
    with open_page(browser, reports[name]) as opened:
        page = opened.page
        for width, height, scheme in VIEWS:
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)
            # What is drawn anew is drawn with the next frame.
            page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            assert opened.troubles == []
            shown = page.evaluate(SHOWN)
            assert shown["width"] <= width
            assert all(wide > 250 and high > 100 and drawn for wide, high, drawn in shown["charts"])
            assert (sum(map(int, re.findall(r"\d+", shown["ground"])[:3])) < 384) == (scheme == "dark")
        assert opened.requests == [reports[name].as_uri()]


SHOWN = """() => ({
    width: document.documentElement.scrollWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    charts: [...document.querySelectorAll(".chart")].map((chart) => {
        const inner = chart.querySelector("svg, canvas").getBoundingClientRect();
        return [inner.width, inner.height, chart.querySelector("svg path, canvas") !== null];
    }),
})"""


def mark_at(page: Page, outcome: str) -> dict[str, Any]:
    """A mark of that outcome that no other mark covers, and where it is on the screen."""
    found: dict[str, Any] = page.evaluate(
        """(outcome) => {
            const frame = drawn.find(({ name }) => name === "timelines");
            frame.element.scrollIntoView({ block: "center" });
            const of = (it) => it.outcome === outcome;
            const [series, group] = [...frame.groups.entries()].find(([, { points }]) => points.some(of));
            const mark = group.points.find(of);
            const box = frame.element.getBoundingClientRect();
            const [x, y] = frame.chart.convertToPixel({ seriesIndex: series }, [mark.at, mark.row]);
            return { ...mark, x: box.x + x, y: box.y + y };
        }""",
        outcome,
    )
    return found


def test_pointing_at_what_was_kept_back_tells_the_reason(browser: Browser, reports: dict[str, Path]) -> None:
    with open_page(browser, reports["replay"]) as opened:
        mark = mark_at(opened.page, "cooldown")
        # It stands a little below its line, as CSS pixels of the option say.
        opened.page.mouse.move(mark["x"], mark["y"] + 11)
        tip = opened.page.wait_for_selector(".tip", timeout=3000)
        assert tip is not None
        assert re.search(r"cooldown of \d+m until 2026-03-0", tip.inner_text())
        opened.page.mouse.click(mark["x"], mark["y"] + 11)
        assert "proactive why" in opened.page.inner_text("#timeline-mark")


def test_the_keyboard_goes_from_mark_to_mark_and_zooms(browser: Browser, reports: dict[str, Path]) -> None:
    with open_page(browser, reports["replay"]) as opened:
        page = opened.page
        page.focus('[data-chart="timelines"]')
        seen = []
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "+", "-", "Escape"):
            page.keyboard.press(key)
            seen.append(page.inner_text("#timeline-mark"))
        assert len(set(seen[:3])) == 3
        assert "simulated-08" in seen[0]
        assert "simulated-04" in seen[2]
        assert opened.troubles == []


def test_colours_and_series_can_be_switched_by_the_keyboard(browser: Browser, reports: dict[str, Path]) -> None:
    with open_page(browser, reports["replay"]) as opened:
        page = opened.page
        page.focus("#theme")
        page.keyboard.press("Enter")
        assert page.inner_text("#theme") == "Light colours"
        button = page.locator("#outcomes .legend button").first
        button.focus()
        page.keyboard.press("Space")
        assert button.get_attribute("aria-pressed") == "false"
        page.get_by_role("button", name="Shares").press("Enter")
        assert "100%" in page.inner_text('[data-chart="outcomes"]')
        page.select_option("#timeline-user", label="simulated-03")
        page.uncheck("#timeline-pauses")
        assert opened.troubles == []


def test_the_tables_have_the_numbers_of_the_command(browser: Browser, reports: dict[str, Path]) -> None:
    printed = run(*REPORTS["replay"])
    rows = {}
    for line in printed.splitlines()[1:]:
        if not line:
            break
        # What does not fit goes on below, without a name.
        if not line.startswith(" "):
            name, candidates, sent, users = line.split()[:4]
            rows[name] = [candidates, sent, users]
    with open_page(browser, reports["replay"]) as opened:
        table = opened.page.locator("#outcomes table")
        titles = table.locator("thead th").all_text_contents()
        shown = {}
        for row in table.locator("tbody tr").all():
            cells = row.locator("th, td").all_text_contents()
            shown[cells[0]] = [cells[titles.index(name)] for name in ("candidates", "sent", "users reached")]
        assert shown == rows
        assert f"events       {opened.page.inner_text('.cards div:nth-child(1) dd')} of" in printed
        open_timeline_table(opened.page)
        assert opened.page.locator("#timeline-table tbody tr").count() > 73


def test_on_paper_the_tables_are_open(browser: Browser, reports: dict[str, Path]) -> None:
    with open_page(browser, reports["replay"], scheme="dark") as opened:
        page = opened.page
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.locator("#outcomes details").get_attribute("open") is not None
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert page.locator("#outcomes details").get_attribute("open") is None
        assert opened.troubles == []


def write_log(folder: Path, lines: list[str]) -> tuple[Path, Path]:
    (folder / "rules").mkdir()
    (folder / "rules" / "a.yaml").write_text(HOSTILE_RULES, "utf-8")
    (folder / "log.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")
    return folder / "log.jsonl", folder / "rules"


def test_hostile_texts_stay_texts(browser: Browser, tmp_path: Path) -> None:
    import json

    lines = [
        json.dumps({"at": 1774605600 + second, "user": HOSTILE, "type": HOSTILE, "data": {"text": HOSTILE}})
        for second in (0, 60, 3600)
    ]
    log, rules = write_log(tmp_path, lines)
    run("replay", log, "--rules", rules, "--report", tmp_path / "out.html")
    with open_page(browser, tmp_path / "out.html") as opened:
        page = opened.page
        page.focus('[data-chart="timelines"]')
        page.keyboard.press("ArrowRight")
        open_timeline_table(page)
        page.locator("#outcomes details summary").click()
        assert opened.troubles == []
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("[document.scripts.length, document.images.length]") == [3, 0]
        for place in ("#timeline-table", "#timeline-mark", "#timelines .legend"):
            assert "</script><script>window.hacked=1" in page.inner_text(place)
        assert "\\u202e␀&lt;" in page.inner_text("#timeline-table")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (['{"at": 1774605600, "user": "ann", "type": "a", "text": "x"}'], "sent"),
        (['{"at": 1774605600, "user": "ann", "type": "a", "more": 2, "text": "x"}'], "No message was sent"),
        (['{"at": 1774605600, "user": "ann", "type": "session.end"}'], "No message was sent"),
    ],
)
def test_a_log_with_next_to_nothing_makes_a_page(browser: Browser, tmp_path: Path, lines: list[str], said: str) -> None:
    log, rules = write_log(tmp_path, lines)
    run("replay", log, "--rules", rules, "--report", tmp_path / "out.html")
    with open_page(browser, tmp_path / "out.html", 390, 844) as opened:
        assert opened.troubles == []
        assert said in opened.page.inner_text("main")
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390

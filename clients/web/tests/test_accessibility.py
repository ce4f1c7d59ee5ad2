"""The widget and the demo page as axe sees them, in light and dark, wide and narrow: `make test-web`.

axe comes from npm, so these are not among the tests that need Python alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.widget_page import Backend, WidgetPage, chromium, serving

AXE = (Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
TEXT = "Try this:\n```python\n" + "print(1) " * 40 + "\n```"
VIEWS: list[tuple[Any, int]] = [("light", 1100), ("dark", 1100), ("light", 400), ("dark", 400)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with serving(tmp_path_factory.mktemp("axe"), "version: 1\nrules: []\n") as backend:
        yield backend


def violations(widget: WidgetPage) -> list[str]:
    # Text that is still coming in is fainter than it will be.
    widget.page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    found = json.loads(
        widget.page.evaluate("axe.run({resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations))")
    )
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(("scheme", "width"), VIEWS)
def test_axe_finds_nothing(browser: Browser, backend: Backend, scheme: Any, width: int) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )
    widget = WidgetPage(context, backend)
    widget.page.evaluate(AXE)
    assert violations(widget) == []
    widget.page.evaluate("Proactive.widget.open()")
    for kind in ("question", "suggestion", "notification"):
        backend.say(TEXT, kind, options=["Yes", "No"] if kind == "question" else [])
    backend.say("Where?", "question")
    widget.page.get_by_label("Your answer").wait_for()
    widget.page.get_by_label("Your message").fill("Hi")
    widget.page.keyboard.press("Enter")
    widget.message("No AI is configured").wait_for()
    widget.page.locator("summary").first.click()
    assert violations(widget) == []
    widget.page.get_by_role("button", name="Settings").click()
    widget.page.get_by_role("button", name="15 minutes").click()
    widget.page.get_by_text("Quiet until").wait_for()
    assert violations(widget) == []
    context.set_offline(True)
    widget.cut()
    widget.state("Offline: no network").wait_for()
    assert violations(widget) == []
    context.set_offline(False)
    widget.state("Connected").wait_for()
    widget.page.get_by_role("button", name="Close").click()
    backend.say("How is it going?", "question", options=["Fine"])
    widget.page.get_by_role("region", name="New question").wait_for()
    assert violations(widget) == []
    context.close()

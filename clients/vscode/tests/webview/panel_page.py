"""The extension's view in Chromium without VS Code: the built page, a host that is a list, and the theme's variables.

It claims nothing itself. `themes.json` has the variables that VS Code 1.139 sets, of those that
panel.css uses.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, Route

HERE = Path(__file__).parent
EXTENSION = HERE.parent.parent
THEMES: dict[str, Any] = json.loads((HERE / "themes.json").read_text("utf-8"))
# With TLS, for there is no clipboard without; no request leaves the browser.
ORIGIN = "https://panel.test/"
FILES = {"panel.js": EXTENSION / "dist" / "panel.js", "panel.css": EXTENSION / "media" / "panel.css"}
KINDS = {"js": "text/javascript", "css": "text/css"}
NOW_MS = 1_774_605_900_000
WITHIN_MS = 10_000
# As in panel_provider.ts, where 'self' is the origin of the extension's files.
PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'nonce-n'; style-src 'self'">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="stylesheet" href="panel.css">
    <title>Proactive</title>
  </head>
  <body>
    <script nonce="n" src="panel.js"></script>
  </body>
</html>
"""
# The state outlives the page, as it does in VS Code where the view was hidden.
HOST = """
window.told = [];
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
window.acquireVsCodeApi = () => ({
  postMessage: (message) => window.told.push(structuredClone(message)),
  getState: () => JSON.parse(sessionStorage.getItem("state") ?? "null") ?? undefined,
  setState: (state) => sessionStorage.setItem("state", JSON.stringify(state)),
});
const dress = (theme) => {
  const dressing = new MutationObserver(() => {
    if (document.body === null) return;
    dressing.disconnect();
    document.body.className = theme.class;
    const { style } = document.documentElement;
    for (const [name, value] of Object.entries(theme.variables)) style.setProperty(name, value);
    style.background = theme.background;
  });
  dressing.observe(document, { childList: true, subtree: true });
};
"""


def message(number: int, text: str, kind: str = "suggestion", **more: Any) -> dict[str, Any]:
    """An item as the host has it. ``more`` is of its frame, but for ``fate``, ``response`` and ``trouble``."""
    of_item = {name: more.pop(name) for name in ("fate", "response", "trouble") if name in more}
    frame = {
        "type": "backend_message",
        "message": text,
        "messageType": kind,
        "timestamp": NOW_MS // 1000 - 60,
        "id": f"m{number}",
        "rule": "stuck",
        "why": "t1 failed three times in five minutes.",
        **({"questionId": f"m{number}"} if kind == "question" else {}),
        **more,
    }
    return {"kind": "message", "id": f"m{number}", "frame": frame, "isSeen": False, **of_item}


def code_suggestion(number: int, code: str, **more: Any) -> dict[str, Any]:
    item = message(number, "", type="code_suggestion", code=code, language="python", **more)
    del item["frame"]["message"], item["frame"]["messageType"]
    return item


def said(number: int, text: str, *, is_waiting: bool = False, **more: Any) -> dict[str, Any]:
    return {"kind": "said", "id": f"e{number}", "text": text, "isWaiting": is_waiting, **more}


def answer(number: int, text: str, *, is_writing: bool = False) -> dict[str, Any]:
    return {"kind": "answer", "id": f"answer:e{number}", "text": text, "isWriting": is_writing}


class PanelPage:
    """The view in one page; what went wrong on it is in `troubles`."""

    def __init__(self, context: BrowserContext, theme: str = "dark", items: list[dict[str, Any]] | None = None) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WITHIN_MS)
        self.troubles: list[str] = []
        self.page.on("console", lambda line: self.troubles.append(line.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.route(re.compile("^" + re.escape(ORIGIN)), self._serve)
        self.page.add_init_script(f"{HOST}dress({json.dumps(THEMES[theme])});")
        self.page.goto(ORIGIN)
        self.begin(items or [])

    def _serve(self, route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN)
        if name == "":
            route.fulfill(body=PAGE, content_type="text/html")
        elif name in FILES:
            route.fulfill(body=FILES[name].read_bytes(), content_type=KINDS[name.rpartition(".")[2]])
        else:
            route.fulfill(status=404)

    def begin(self, items: list[dict[str, Any]]) -> None:
        """As the host does after `ready`."""
        self.until("window.told.some((one) => one.kind === 'ready')")
        self.tell(kind="state", state="connected", line="Connected", canReconnect=False)
        self.tell(kind="wishes", level="normal", snoozedUntil=None, muted=[])
        self.tell(kind="all", items=items, now=NOW_MS)

    def come_back(self, items: list[dict[str, Any]]) -> None:
        """The view was hidden, and is shown again."""
        self.page.reload()
        self.begin(items)

    def tell(self, **given: Any) -> None:
        self.page.evaluate("(data) => window.dispatchEvent(new MessageEvent('message', { data }))", given)

    def put(self, item: dict[str, Any]) -> None:
        self.tell(kind="put", item=item)

    @property
    def told(self) -> list[dict[str, Any]]:
        """What the host was told since the view was ready, and since this was asked last."""
        found: list[dict[str, Any]] = self.page.evaluate("window.told.splice(0)")
        return [one for one in found if one["kind"] != "ready"]

    def until(self, holds: str) -> None:
        """Until this JavaScript is true. Playwright's own way to wait evaluates texts, which the policy forbids."""
        self.page.evaluate(
            f"new Promise((done, fail) => {{ const end = performance.now() + {WITHIN_MS}; const look = () => {{"
            f" if ({holds}) done(); else if (performance.now() > end) fail(new Error('it never came to be'));"
            " else requestAnimationFrame(look); }; look(); })"
        )

    def axe(self, script: str) -> list[str]:
        """What axe has to object to. ``script``: axe itself."""
        self.page.evaluate(script)
        found = json.loads(
            self.page.evaluate("axe.run({resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations))")
        )
        return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]

    @property
    def violations(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.violations")
        return found

    @property
    def drafts(self) -> dict[str, str]:
        """Answers that are kept while they are written, by the question's id."""
        found: dict[str, str] = self.page.evaluate("JSON.parse(sessionStorage.getItem('state')).drafts")
        return found

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def item(self, text: str) -> Locator:
        return self.page.locator("article").filter(has_text=text)

    @property
    def list(self) -> Locator:
        return self.page.get_by_role("log", name="Messages")

    def focused(self) -> str:
        """What has the focus, as a screen reader would call it."""
        found = self.page.evaluate(
            "(() => { const one = document.activeElement;"
            " return one.ariaLabel ?? one.getAttribute('aria-label') ?? one.textContent; })()"
        )
        assert isinstance(found, str)
        return found

    def scrolled(self) -> int:
        return int(self.list.evaluate("(list) => list.scrollTop"))

    def is_at_end(self) -> bool:
        return bool(self.list.evaluate("(one) => one.scrollHeight - one.scrollTop - one.clientHeight < 2"))

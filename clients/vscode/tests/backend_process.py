"""`proactive serve` in a process of its own, for an editor to talk to: started, killed, asked.

It claims nothing itself.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]
LISTENS = re.compile(r"(?:WebSocket|HTTP) server started on ")
WITHIN_S = 60.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class BackendProcess:
    """Its files are in ``folder``: the settings, the store and what it logs. It comes back on the same ports.

    ``rules``: a folder, or a file's text. ``settings``: more lines for config.yaml. ``started``: all that run now.
    """

    started: ClassVar[list[BackendProcess]] = []

    def __init__(self, folder: Path, rules: Path | str, settings: str = "") -> None:
        if isinstance(rules, str):
            (folder / "rules").mkdir()
            (folder / "rules" / "rules.yaml").write_text(rules, encoding="utf-8")
            rules = folder / "rules"
        self.folder = folder
        self.ws_port, self.http_port = free_port(), free_port()
        lines = [
            f"ws_port: {self.ws_port}",
            f"http_port: {self.http_port}",
            f"rules: {rules}",
            "store: sqlite:editor.db",
            "log: {level: debug}",
            settings,
        ]
        (folder / "config.yaml").write_text("\n".join(lines), encoding="utf-8")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("PROACTIVE_")}
        self._environment["PYTHONPATH"] = str(ROOT)
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> None:
        """Returns when it listens."""
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, "serve"],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        self._process = process
        self.started.append(self)
        heard = 0
        while heard < 2:
            line = process.stdout.readline()
            assert line, f"the server did not start: {self.log()[-2000:]}"
            heard += LISTENS.search(line) is not None
        # It may go on writing.
        self._reader = threading.Thread(target=process.stdout.read)
        self._reader.start()

    def kill(self) -> None:
        """SIGKILL: nothing is written or said any more."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait until all is written."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.started.remove(self)
        os.killpg(process.pid, how)
        try:
            process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            assert process.stdout is not None
            self._reader.join()
            process.stdout.close()

    def log(self) -> str:
        return (self.folder / "server.log").read_text("utf-8", errors="replace")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command beside it: ``run("replay", "editor.db", "--verify")``."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.http_url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer: dict[str, Any] = json.load(reply)
            return answer

    def say(self, user: str, text: str, kind: str = "suggestion", **more: Any) -> None:
        self.ask("POST", "/messages", {"to": {"user": user}, "type": kind, "text": text, **more})

    def timeline(self, user: str) -> list[dict[str, Any]]:
        """What happened to the user, what was decided and sent; oldest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/users/{user}/timeline?limit=500")["items"]
        return found[::-1]

    def happened(self, user: str) -> list[tuple[str, dict[str, Any]]]:
        """Types and data of the user's events."""
        return [(item["type"], item["data"]) for item in self.timeline(user) if item["kind"] == "event"]

    def count(self, user: str, kind: str) -> int:
        return sum(one == kind for one, _ in self.happened(user))

    def decisions(self, user: str, rule: str) -> list[str]:
        """The outcomes of the rule's candidates, and of what became of those that were held."""
        items = [item for item in self.timeline(user) if item["kind"] == "decision" and item["rule"] == rule]
        return [str(item["outcome"]) for item in items]

    def wishes(self, user: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/users/{user}/timeline?limit=1")["preferences"]
        return found


StartBackend = Callable[..., BackendProcess]

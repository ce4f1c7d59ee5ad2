"""The servers that are measured, each in a process of its own, and what the system knows of it. It measures nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv-live"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

SETTINGS = """\
ws_port: 0
http_port: 0
rules: rules
store: sqlite:live.db
log: {format: json, level: warning}
"""
# Nothing of what is measured is to be refused.
WITHOUT_LIMITS = "limits: {client_events_per_s: none, user_events_per_s: none, messages_per_s: none}\n"
RULES = """\
version: 1
rules:
  - id: asked
    trigger: {event: asked}
    message: {type: suggestion, text: "asked {{ event.n }}"}
  - id: failing
    trigger: {count: {event: failed, at_least: 3, within: 10m}}
    message: {type: suggestion, text: "{{ trigger.count }} failures"}
"""


class Served:
    """A server under way; ``ports`` are of WebSocket and, where it has that, HTTP."""

    def __init__(self, command: Sequence[str], folder: Path, ports: int = 1) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=(folder / "server.log").open("ab"),
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert self.process.stdout is not None
        self.ports: list[int] = []
        while len(self.ports) < ports:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"{' '.join(command)} did not start: {(folder / 'server.log').read_text()[-2000:]}")
            if found := re.search(r"(\d+)\s*$", line):
                self.ports.append(int(found[1]))

    @property
    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """Of all its threads, since it started."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def serve_proactive(folder: Path, rules: str = RULES) -> Served:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "rules.yaml").write_text(rules, encoding="utf-8")
    (folder / "config.yaml").write_text(SETTINGS + WITHOUT_LIMITS, encoding="utf-8")
    command = [sys.executable, "-c", "from engine.cli.main import main; main()", "serve", "--config", "config.yaml"]
    return Served(command, folder, ports=2)


def serve_echo(folder: Path) -> Served:
    return Served([sys.executable, str(HERE / "echo_server.py"), "0"], folder)


def serve_ceiling(folder: Path) -> Served:
    return Served([sys.executable, str(HERE / "ceiling_server.py"), "0"], folder)


def serve_socketio(folder: Path, mode: str) -> Served:
    return Served([str(VENV / "bin" / "python"), str(HERE / "socketio_server.py"), mode, "0"], folder)


def install_socketio() -> str:
    """Into an environment of its own. What went wrong, or nothing."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    with suppress(OSError, subprocess.TimeoutExpired):
        ended = subprocess.run(
            [*pip, "-r", str(HERE / "requirements.txt")], capture_output=True, text=True, timeout=600, check=False
        )
        return "" if ended.returncode == 0 else ended.stderr.strip().splitlines()[-1]
    return "pip did not run"

"""A server that asks everybody who they are, as a process of its own, and credentials: those it takes, and others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jwt

from engine.transport.keys import SCOPES, new_key, write_keys

ROOT = Path(__file__).parent.parent
SECRET = "a-secret-of-the-settings-0123456789abcdef"
API_KEY = "sk-of-the-model-0123456789abcdef"
CONFIG = """\
ws_port: 0
http_port: 0
responder: echo
auth: {tokens: {}, backend_keys: keys.json}
log: {format: json, level: debug}
"""
RULES = """\
version: 1
rules:
  - id: failing
    trigger: {event: {event: test.failed}}
    message: {type: question, text: "{{ event.test }} fails?"}
"""
COMMAND = [sys.executable, "-c", "from engine.cli.main import main; main()"]
WITHIN_S = 30.0


def token(user: str, exp: int = 4_000_000_000, secret: str = SECRET) -> str:
    return jwt.encode({"sub": user, "exp": exp}, secret, algorithm="HS256")


GOOD, EXPIRED, FORGED = token("ann"), token("ann", 1), token("ann", secret="another-secret-0123456789abcdef-0123")


class GuardedServer:
    """Its files are in ``folder``; `run` runs other commands there."""

    def __init__(self, folder: Path) -> None:
        (folder / "rules").mkdir()
        (folder / "rules" / "rules.yaml").write_text(RULES)
        (folder / "config.yaml").write_text(CONFIG)
        self.key, kept = new_key("all", SCOPES, "now")
        self.unknown_key, _ = new_key("gone", SCOPES, "now")
        write_keys(folder / "keys.json", [kept])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PROACTIVE_")}
        environment["PYTHONPATH"] = str(ROOT)
        self._folder, self._environment = folder, environment
        self.process = subprocess.Popen(
            [*COMMAND, "serve"],
            cwd=folder,
            env={**environment, "PROACTIVE_AUTH_TOKENS_SECRET": SECRET, "PROACTIVE_OPENAI_API_KEY": API_KEY},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(2)]
        self.ws_url, self.http_url = (line.split()[-1] for line in lines)

    @property
    def credentials(self) -> tuple[str, ...]:
        return (SECRET, API_KEY, GOOD, EXPIRED, FORGED, self.key, self.unknown_key)

    def run(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Another command beside it, which is not told the secrets."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self._folder,
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def written(self) -> str:
        """All that it has written, once it is stopped."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=WITHIN_S)
        return out + err

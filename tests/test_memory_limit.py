"""The memory of a real process against its limit, seen from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what a process has in memory now")
def test_a_server_without_memory_says_so_takes_nothing_new_and_is_as_before_when_there_is_some(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, str(HERE / "memory_server.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert any(reason.startswith("there is no memory: ") for reason in told["readyz"]["reasons"]), told["readyz"]
    status, retry_after, body = told["events"]
    assert (status, retry_after, body["code"], body["retryAfter"]) == (503, "5", "overloaded", 5)
    assert told["connection"] == [503, "5"]
    assert (told["frame"]["type"], told["frame"]["code"], told["frame"]["retryAfter"]) == ("error", "overloaded", 5)
    assert told["ping"] == {"type": "pong"}
    assert told["afterwards"] == 202

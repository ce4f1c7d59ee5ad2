"""``--memory`` bounds what a dry run takes, and changes nothing else."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EVENTS = 150_000
RULES = """
version: 1
rules:
  - {id: fussy, trigger: {event: edit}, condition: event.n > 95, message: {type: question, text: x}}
  - {id: never, trigger: {event: {event: edit, where: event.n > 100}}, message: {type: question, text: x}}
"""
MEASURED = """
import re, sys
from engine.cli.main import main
try:
    main()
finally:
    # Not ru_maxrss: that knows of the process from which this one was started, too.
    [peak] = re.findall(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())
    print(peak, file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the most that a process took")
def test_the_bound_is_kept_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    chance = random.Random(1)
    log = tmp_path / "log.jsonl"
    with log.open("w") as stream:
        for number in range(EVENTS):
            data = {"n": chance.randrange(100), "text": f"some words {number} that are not the same each time"}
            at = 1_774_605_600 + chance.randrange(10**6)
            event = {"id": f"e{number}", "at": at, "user": f"u{chance.randrange(900)}", "type": "edit", "data": data}
            stream.write(json.dumps(event) + "\n")
    (tmp_path / "rules.yaml").write_text(RULES)

    def run(log: Path, *words: str) -> tuple[bytes, int]:
        called = ["replay", str(log), "--rules", str(tmp_path / "rules.yaml"), "--decisions", "-", *words]
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *called],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            timeout=120,
        )
        *rest, peak = done.stderr.splitlines()
        return done.stdout + b"\n".join(rest), int(peak) * 1024

    little = tmp_path / "little.jsonl"
    little.write_text(log.read_text()[: 1 << 20].rsplit("\n", 1)[0])
    _, empty = run(little)
    whole, free = run(log)
    same, bounded = run(log, "--memory", "16MB")
    assert same == whole
    # What the interpreter and a batch take is in all three; decisions may take a quarter besides.
    assert free - empty > 70_000_000
    assert bounded - empty < 2 * 16_000_000

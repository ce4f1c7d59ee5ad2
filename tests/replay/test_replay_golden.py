"""The shipped rules on the shipped log: every decision, byte for byte.

Where a change of either is meant: ``UPDATE_GOLDEN=1 python -m pytest tests/replay/test_replay_golden.py``.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from engine.core.rules import Timeline
from engine.folder import load_folder
from engine.replay.bad_records import BadRecords
from engine.replay.driver import replay
from engine.replay.reading import read_logs
from engine.storage.codec import encode_decision

ROOT = Path(__file__).parent.parent.parent
LOG = ROOT / "examples" / "logs" / "tutor.jsonl"
GOLDEN = Path(__file__).parent / "golden" / "tutor.decisions.jsonl"


def test_the_shipped_log_is_what_its_script_writes():
    script = runpy.run_path(str(ROOT / "scripts" / "simulate_log.py"))
    assert LOG.read_text(encoding="utf-8") == "".join(script["lines"]())


def test_the_shipped_log_says_that_it_is_simulated():
    lines = LOG.read_text(encoding="utf-8").splitlines()
    assert all('"user":"simulated-' in line for line in lines)
    assert '"simulated":true' in lines[0]


def test_the_shipped_rules_decide_on_the_shipped_log_as_they_did():
    bad = BadRecords()
    events = read_logs([str(LOG)], None, bad)
    replayed = replay(events, Timeline(load_folder(ROOT / "rules")))
    found = b"".join(encode_decision(decision) + b"\n" for decision in replayed.decisions())
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(found)
    assert bad.total == 0
    assert replayed.faults == []
    assert found.splitlines() == GOLDEN.read_bytes().splitlines()

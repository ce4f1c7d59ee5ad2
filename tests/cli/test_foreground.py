"""Commands that serve in the foreground: each says in lines why it cannot start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.main import main

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize("command", ["serve", "gateway", "worker"])
def test_settings_that_cannot_be_meant_are_told_with_their_place(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("nonsense: 1\n", encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main([command, "--config", str(config)])
    assert left.value.code == 1
    assert capsys.readouterr().err.startswith(f'{config}:1:1: unknown key "nonsense"; ')


@pytest.mark.parametrize("command", ["gateway", "worker"])
def test_a_store_that_nobody_can_share_is_told_with_the_command(command: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("store: sqlite:one.db\n", encoding="utf-8")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text("version: 1\nrules: []\n", encoding="utf-8")
    program = "from engine.cli.main import main; main()"
    words = [sys.executable, "-c", program, command, "--http-port", "0"]
    done = subprocess.run(words, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"proactive {command}: ")
    assert "needs a store on Redis" in done.stderr

"""Runs the commands of a page of documentation, in a folder that has what the page says it has. It knows no page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pages import Block
from repository import ALONE

ROOT = Path(__file__).parent.parent
PROACTIVE = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from engine.cli.main import main
main()
"""


def furnish(folder: Path, blocks: Sequence[Block]) -> None:
    """Put there the command ``proactive``, the shipped rules and examples, and the files that the page writes."""
    (folder / "bin").mkdir()
    command = folder / "bin" / "proactive"
    command.write_text(PROACTIVE, encoding="utf-8")
    command.chmod(0o755)
    shutil.copytree(ROOT / "rules", folder / "rules")
    shutil.copytree(ROOT / "examples", folder / "examples")
    for block in blocks:
        if block.word:
            path = folder / block.word
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(block.text, encoding="utf-8")


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run it in the shell as a reader would."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env={**os.environ, **ALONE, "PATH": path},
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def check_commands(folder: Path, blocks: Sequence[Block], not_run: Mapping[str, str] = {}) -> None:
    """Run every block of commands; the block of text behind one is all that it prints.

    ``not_run`` are lines that need what there is not, and why.
    """
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language == "sh":
            commands = [line for line in block.text.splitlines() if line not in not_run]
            done = run(folder, "\n".join(commands))
            assert done.returncode == 0, f"{block}: {done.stderr}"
            if following is not None and following.language == "text":
                assert done.stdout == following.text, str(block)

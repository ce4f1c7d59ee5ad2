"""The pages about single commands: what they say to type works, and prints what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_pages import ROOT, check_commands, furnish
from pages import blocks_of

# Each with the lines that are not run, and why.
PAGES: dict[str, dict[str, str]] = {
    "diff.md": {},
    "reports.md": {},
    "simulate.md": {},
    "sweep.md": {},
    "why.md": {},
}


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_the_page_print_what_it_says(name: str, tmp_path: Path) -> None:
    blocks = blocks_of(ROOT / "docs" / name)
    furnish(tmp_path, blocks)
    check_commands(tmp_path, blocks, PAGES[name])

"""What is vendored is what its makers published, with its licences, and goes along where the engine is installed."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from html import unescape
from pathlib import Path

from engine.replay.page.document import HERE, LIBRARY, NOTICES, SCRIPTS, Document, write

ROOT = Path(__file__).parent.parent.parent.parent
# As scripts/vendor_echarts.sh prints them.
VERSION = "6.1.0"
SUMS = {
    "LICENSE": "634293835b43a6dd2094fa39182a3d9a6b9ca43b7fdb9ac354e8037af2a3093a",
    "LICENSE-d3": "e1211892da0b0e0585b7aebe8f98c1274fba15bafe47fa1f4ee8a7a502c06304",
    "NOTICE": "d491d358344f842685c1b1585970999db65fe30ecf7ef3867af8814f4016c016",
    "echarts.common.min.js": "61f13280aba3161f77fc801bf5f9c786f55f10432153a0683fc5cc0700b013d5",
}


def test_the_library_and_its_licences_are_what_was_published() -> None:
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in LIBRARY.parent.iterdir()} == SUMS


def test_the_library_is_of_the_version_that_the_script_fetches() -> None:
    assert f'"{VERSION}"' in LIBRARY.read_text("utf-8")
    assert f"version=${{1:-{VERSION}}}" in (ROOT / "scripts" / "vendor_echarts.sh").read_text("utf-8")


def test_nothing_of_the_page_is_left_out_of_the_repository_and_so_of_the_wheel() -> None:
    assets = [LIBRARY, HERE / "page.css", *(HERE / name for name in SCRIPTS)]
    assert all(path.is_file() for path in assets)
    ignored = subprocess.run(["git", "check-ignore", *map(str, assets)], cwd=ROOT, capture_output=True, text=True)
    assert ignored.stdout == ""
    assert {path.name for path in HERE.glob("*.js")} == set(SCRIPTS)


def test_every_page_has_the_licences_of_what_it_holds() -> None:
    page = unescape(write(Document("x", (), (), (), (), {})).decode())
    for name in NOTICES:
        assert (LIBRARY.parent / name).read_text("utf-8").strip() in page
    assert {*NOTICES, LIBRARY.name} == set(SUMS)


def test_no_script_holds_what_would_end_it_within_the_page() -> None:
    for path in (LIBRARY, *(HERE / name for name in SCRIPTS)):
        text = path.read_text("utf-8").lower()
        assert "</script" not in text
        assert "<!--" not in text

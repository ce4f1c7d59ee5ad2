"""The README does what it says: its commands are run, its rules are loaded and tried, its outputs are compared."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Block, blocks_of, check_yaml, frames_of, matches, rules_before, run_timeline

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "README.md"
BLOCKS = blocks_of(PAGE)
WITHIN_S = 60.0
# Commands that are not run here, and why.
NOT_RUN = {
    "make run": "it makes an environment and then does what `proactive serve` does, which is run",
    "make test": "it is what runs this test",
    ". .venv/bin/activate": "the commands are found on a path of the test's own",
    "pip install .": "it needs the registry; that the wheel holds what it should is checked below",
}
SHELL = "#!/bin/sh\n"
# On the path of the commands under their own names: addresses are those of the server of this test, and what
# `curl` would ask is asked, for it need not be on the machine.
PROACTIVE = f"""#!{sys.executable}
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from engine.cli.main import main
words = sys.argv[1:]
if words[0] == "connect":
    words += ["--url", os.environ["WS_URL"]]
if words[0] == "send":
    words += ["--http", os.environ["HTTP_URL"]]
if words[0] == "serve":
    words += ["--ws-port", "0", "--http-port", "0"]
main(words)
"""
CURL = f"""#!{sys.executable}
import os, sys
from urllib.request import urlopen
silent, url, flag, body = sys.argv[1:]
assert (silent, flag) == ("-s", "-d")
print(urlopen(url.replace("http://127.0.0.1:7777", os.environ["HTTP_URL"]), body.encode()).read().decode())
"""


class Sandbox:
    """A folder like a fresh checkout, in which the blocks are run in their order; one server may be running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.folder.mkdir()
        for name in ("rules", "examples"):
            shutil.copytree(ROOT / name, self.folder / name)
        shutil.copy(ROOT / "config.yaml", self.folder)
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (("proactive", PROACTIVE), ("curl", CURL)):
            (programs / name).write_text(text, encoding="utf-8")
            (programs / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PROACTIVE_")}
        self.environment = {**kept, "PATH": f"{programs}:{kept['PATH']}", "PYTHONPATH": str(ROOT)}
        self.server: subprocess.Popen[str] | None = None

    def write(self, block: Block) -> None:
        path = self.folder / block.word
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def serve(self, command: str) -> None:
        assert self.server is None
        self.server = self.start(["sh", "-c", f"exec {command}"])
        assert self.server.stdout is not None
        lines = [self.server.stdout.readline() for _ in range(4)]
        assert lines[0].startswith("WebSocket server started on ws://127.0.0.1:")
        self.environment["WS_URL"], self.environment["HTTP_URL"] = (line.split()[-1] for line in lines[:2])

    def run(self, commands: str, typed: str = "") -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", commands], cwd=self.folder, env=self.environment, text=True, input=typed,
            capture_output=True, timeout=WITHIN_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, words: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            words, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def stop(self, process: subprocess.Popen[str] | None) -> None:
        if process is not None:
            with process:
                process.send_signal(signal.SIGINT)
                assert process.wait(WITHIN_S) == 0


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path)
    yield sandbox
    if sandbox.server is not None:
        with sandbox.server:
            sandbox.server.kill()


def test_the_commands_do_what_the_page_says(sandbox: Sandbox) -> None:
    for block, following in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
        if block.word:
            sandbox.write(block)
        elif block.language == "sh":
            commands = [line for line in block.text.splitlines() if line not in NOT_RUN]
            printed = ""
            if commands == ["proactive serve"]:
                sandbox.serve(commands[0])
            elif commands:
                printed = sandbox.run("\n".join(commands), "I am stuck\n")
            if following is not None and following.language == "text":
                assert printed == following.text, str(block)
            if "connect" in block.text:
                assert "That sounds frustrating." in printed
            if "/chat" in block.text:
                assert "No AI is configured" in printed
                assert "That sounds frustrating." in printed
            if "--verify" in block.text:
                assert re.search(r"^verified: \d+ decisions? of \d+ users? reproduced exactly$", printed, re.MULTILINE)
    sandbox.stop(sandbox.server)


def test_nothing_is_left_out_without_need() -> None:
    lines = {line for block in BLOCKS if block.language == "sh" for line in block.text.splitlines()}
    assert set(NOT_RUN) <= lines


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=str)
def test_the_yaml_is_accepted(block: Block) -> None:
    check_yaml(block)


@pytest.mark.parametrize("number", [n for n, block in enumerate(BLOCKS) if block.language == "timeline"])
def test_the_rule_does_what_the_timeline_says_and_the_client_gets_the_frame(number: int) -> None:
    expected, came, frames = run_timeline(rules_before(BLOCKS, number), BLOCKS[number].text)
    assert came == expected
    [frame] = frames_of(BLOCKS[number + 1])
    assert matches(frame, frames[-1])


def test_the_program_runs(sandbox: Sandbox) -> None:
    [block] = [block for block in BLOCKS if block.language == "python"]
    (sandbox.folder / "program.py").write_text(block.text, encoding="utf-8")
    sandbox.environment |= {"PROACTIVE_WS_PORT": "0", "PROACTIVE_HTTP_PORT": "0"}
    sandbox.server = sandbox.start([sys.executable, "program.py"])
    assert sandbox.server.stdout is not None
    sandbox.environment["WS_URL"] = sandbox.server.stdout.readline().strip()
    assert "You said: Hello" in sandbox.run("proactive connect --client-id ann", "Hello\n")
    sandbox.stop(sandbox.server)


def test_every_link_leads_somewhere() -> None:
    for page in (PAGE, ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")):
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith("https://"):
                continue
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """The names by which headings are linked to: lower case, without punctuation, with dashes for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_wheel_holds_the_engine_and_the_example_rules_and_nothing_else() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"only-include": ["engine", "rules"], "sources": {"rules": "engine/shipped/rules"}}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
def test_a_lock_has_hashes_and_says_nothing_about_where_things_come_from(name: str) -> None:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    for line in lines[1:]:
        assert re.fullmatch(r"[a-z0-9-]+==[^ /]+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line

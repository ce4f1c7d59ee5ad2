"""proactive and other engines with the same rules: `make bench-peers`, or ``python -m benchmarks.peers.run``.

Installs the peers into ``.venv-peers`` and ``node/node_modules``, runs each in a process of its own, compares what
fired, and prints a table in Markdown. What cannot be installed or run is a row that says why. It must not import any
peer.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import log
from benchmarks.peers.rules import COUNTS, PLAIN, RULES, SEQUENCES, Firing, Rule

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv-peers"
NODE = HERE / "node"
TIMEOUT_SECONDS = 180  # after which a peer is stopped; several times what the slowest takes for all its runs
INSTALL_SECONDS = 600

NO_SILENCE = PLAIN + COUNTS + SEQUENCES


@dataclass(frozen=True)
class Peer:
    """``package`` is its name in ``requirements.txt`` or in ``node/package.json``; None is what has no other."""

    name: str
    module: str
    package: str | None
    says: tuple[Rule, ...]
    remark: str


HEADING = """\
| engine | rules | firings | the same | events per CPU second | proactive on these rules | times as fast | |
|---|---:|---:|---|---:|---:|---:|---|"""
BY_HAND = "a program: what remembers is written by hand"
EACH_ITS_OWN = "no silence of one user; each rule that remembers has a ruleset of its own"
PEERS = (
    Peer("proactive", "proactive", None, RULES, "rules of two or three lines"),
    Peer("Bytewax", "bytewax", "bytewax", RULES, BY_HAND),
    Peer("naive loop, APScheduler", "naive", "APScheduler", RULES, BY_HAND),
    Peer("drools_jpy", "drools", "drools_jpy", NO_SILENCE, EACH_ITS_OWN),
    Peer("durable_rules", "durable_rules", "durable_rules", NO_SILENCE, EACH_ITS_OWN),
    Peer("zen-engine", "zen", "zen-engine", PLAIN, "conditions only"),
    Peer("json-rules-engine, Node", "json_rules_engine", "json-rules-engine", PLAIN, "conditions only"),
)


@dataclass(frozen=True)
class Result:
    """What came of one peer: ``trouble`` is why there is nothing else."""

    seconds: float = 0.0
    firings: frozenset[Firing] = frozenset()
    trouble: str = ""


def main() -> None:
    """Exits with 1 if a peer fires otherwise than proactive."""
    troubles = install_python() | install_node()
    events = log.events(log.LOG_EVENTS)
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {machine()}; {len(events):,} events\n")
    print(
        "| engine | rules | firings | the same | events per CPU second | proactive on these rules | times as fast | |"
    )
    print("|---|---:|---:|---|---:|---:|---:|---|")
    ours: dict[tuple[Rule, ...], Result] = {}
    differ = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
        for peer in PEERS:
            if peer.says not in ours:
                ours[peer.says] = run(PEERS[0], peer.says, path)
            own = ours[peer.says]
            trouble = troubles.get(peer.package or "", "")
            found = own if peer is PEERS[0] else Result(trouble=trouble) if trouble else run(peer, peer.says, path)
            print(row(peer, found, own, len(events)), flush=True)
            differ |= not found.trouble and found.firings != own.firings
    sys.exit(1 if differ else 0)


def row(peer: Peer, found: Result, own: Result, events: int) -> str:
    name = f"{peer.name} {version(peer)}".strip()
    if found.trouble or own.trouble:
        return f"| {name} | {len(peer.says)} | | | | | | did not run: {found.trouble or own.trouble} |"
    rate, reference = events / found.seconds, events / own.seconds
    same = difference(found.firings, own.firings)
    return (
        f"| {name} | {len(peer.says)} | {len(found.firings):,} | {same} | {rate:,.0f} | {reference:,.0f} "
        f"| {reference / rate:.1f} | {peer.remark} |"
    )


def difference(found: frozenset[Firing], own: frozenset[Firing]) -> str:
    missing, more = len(own - found), len(found - own)
    return f"no: {missing:,} missing, {more:,} more" if missing or more else "yes"


def run(peer: Peer, told: Sequence[Rule], path: Path) -> Result:
    """The peer in a process of its own; it writes its result into a file, for engines print what they like."""
    result = path.with_name("result.json")
    result.unlink(missing_ok=True)
    command = [str(python()) if peer.package else sys.executable, "-m", f"benchmarks.peers.{peer.module}"]
    ids = ",".join(rule.id for rule in told)
    if (NODE / f"{peer.module}.mjs").exists():
        command = ["node", str(NODE / f"{peer.module}.mjs")]
        ids = json.dumps([{"id": rule.id, "type": rule.on.type, "tests": rule.on.tests} for rule in PLAIN])
    ended = call([*command, str(path), str(result), ids], TIMEOUT_SECONDS)
    if ended or not result.exists():
        return Result(trouble=ended or "it wrote no result")
    made = json.loads(result.read_text(encoding="utf-8"))
    return Result(made["seconds"], frozenset((user, rule, at) for user, rule, at in made["firings"]))


def install_python() -> dict[str, str]:
    """Each package by itself, so that one that cannot be built keeps none of the others away. Package → trouble."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = [line for line in lines if line and not line.startswith("#")]
    if not python().exists():
        say(f"making {VENV.name}")
        venv.create(VENV, with_pip=True)
    troubles = {}
    for line in needed:
        package = line.split(">")[0]
        say(f"installing {line}")
        pip = [str(python()), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", line]
        if trouble := call(pip, INSTALL_SECONDS):
            troubles[package] = f"not installed: {trouble}"
    return troubles


def install_node() -> dict[str, str]:
    package = "json-rules-engine"
    if (NODE / "node_modules" / package / "package.json").exists():
        return {}
    say(f"installing {package}")
    trouble = call(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(NODE)], INSTALL_SECONDS)
    return {package: f"not installed: {trouble}"} if trouble else {}


def call(command: Sequence[str], timeout: float) -> str:
    """Run it to its end. Returns what went wrong: the last line that it wrote about that, or nothing."""
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError:
        return f"there is no `{command[0]}` here"
    except subprocess.TimeoutExpired:
        return f"stopped after {timeout:g} s"
    if ended.returncode == 0:
        return ""
    lines = (ended.stderr.strip() or ended.stdout.strip() or "it said nothing").splitlines()
    return f"{lines[-1].strip()} (exit code {ended.returncode})".replace("|", "/")


def environment() -> Mapping[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def python() -> Path:
    return VENV / "bin" / "python"


def version(peer: Peer) -> str:
    if peer.package is None or not python().exists():
        return ""
    manifest = NODE / "node_modules" / peer.package / "package.json"
    if manifest.exists():
        told: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        return str(told["version"])
    code = f"import importlib.metadata as told; print(told.version({peer.package!r}))"
    ended = subprocess.run([str(python()), "-c", code], capture_output=True, text=True, check=False)
    return ended.stdout.strip()


def machine() -> str:
    """The processor by name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""All targets, one after the other, for as long as it is told: `make fuzz`, or ``python -m fuzz.run --minutes 10``.

Makes ``.venv-fuzz`` with atheris in it, keeps what it has learnt about each target in ``.fuzz/corpus``, writes findings
to ``.fuzz/findings``, and prints how many inputs it has tried. Exits with 1 if there is a finding.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from fuzz.target import SLOW_S, TooSlow, attempt_within
from fuzz.targets import TARGETS, target

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv-fuzz"
KEPT = ROOT / ".fuzz"
INSTALL_SECONDS = 600
# What ends a target as a hang or as a glutton: generous, for the code is instrumented and the machine has other work.
HANG_S = 25
MEMORY_MIB = 1024

_TRIED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


@dataclass(frozen=True)
class Result:
    tried: int
    findings: tuple[str, ...]
    trouble: str = ""


def main() -> None:
    options = _options()
    python = _install()
    print("| target | inputs | findings |\n|---|---:|---|")
    failed = False
    for name in options.targets:
        result = run(name, python, options.minutes * 60 / len(options.targets))
        shown = "; ".join(result.findings) or "none"
        print(f"| {name} | {result.tried:,} | {result.trouble or shown} |", flush=True)
        failed = failed or bool(result.findings or result.trouble)
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="of all targets together")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)}")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f'there is no target "{unknown[0]}"')
    return options


def run(name: str, python: Path, seconds: float) -> Result:
    """Fuzz one target, then try again what it says it has found."""
    corpus, findings = KEPT / "corpus" / name, KEPT / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = target(name)
    for seed in chosen.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = KEPT / f"{name}.words"
    words.write_text("".join(f'"{_as_word(word)}"\n' for word in chosen.words), encoding="ascii")
    before = {path.name for path in findings.iterdir()}
    command = [
        str(python), "-m", "fuzz.one", name, str(corpus), f"-dict={words}", f"-max_len={chosen.size_max}",
        f"-max_total_time={max(int(seconds), 1)}", f"-artifact_prefix={findings}/", "-print_final_stats=1",
        f"-timeout={HANG_S}", f"-rss_limit_mb={MEMORY_MIB}", "-verbosity=1",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    found = [path for path in sorted(findings.iterdir()) if path.name not in before]
    tried = _TRIED.search(done.stderr)
    log = KEPT / f"{name}.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    trouble = "" if tried is not None or found else f"it ended with {done.returncode}, see {log.relative_to(ROOT)}"
    confirmed = [path for path in found if not path.name.startswith("slow-") or _is_slow(name, path)]
    shown = tuple(str(path.relative_to(ROOT)) for path in confirmed)
    return Result(int(tried[1]) if tried else 0, shown, trouble)


def _is_slow(name: str, path: Path) -> bool:
    """Whether it is slow without the instruments as well."""
    try:
        attempt_within(target(name), path.read_bytes(), SLOW_S)
    except TooSlow:
        return True
    path.unlink()
    return False


def _as_word(word: str) -> str:
    """As libFuzzer's dictionaries have it. Marks of one byte are written as they are, all else in UTF-8."""
    raw = word.encode("latin-1") if word and max(word) <= "\xff" else word.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in raw)


def _install() -> Path:
    python = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    for what in (["--require-hashes", "-r", "requirements.lock"], ["-r", "fuzz/requirements.txt"]):
        subprocess.run([*pip, *what], cwd=ROOT, timeout=INSTALL_SECONDS, check=True)
    return python


if __name__ == "__main__":
    main()

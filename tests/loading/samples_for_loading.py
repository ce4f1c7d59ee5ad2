"""Rule files to load, and how the tests load them."""

from __future__ import annotations

from pathlib import Path

from engine.core.rules import RuleSet
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.yaml"))
GOOD = sorted((HERE / "good").glob("*.yaml"))
SHIPPED = sorted((HERE.parents[1] / "rules").rglob("*.yaml"))


def text_of(path: Path) -> str:
    # Bytes, so that no line break is changed on the way.
    return path.read_bytes().decode("utf-8")


def load_texts(*texts: str) -> RuleSet:
    """The texts as files 1.yaml, 2.yaml …"""
    return load({f"{number}.yaml": text for number, text in enumerate(texts, 1)}, KINDS)


def errors_of(*texts: str) -> tuple[Diagnostic, ...]:
    try:
        load_texts(*texts)
    except RuleErrors as errors:
        return errors.diagnostics
    return ()


def rule(rule_id: str = "hello", trigger: str = "{event: a.b}", extra: str = "") -> str:
    """One rule as it stands below ``rules:``."""
    lines = [
        f"  - id: {rule_id}",
        f"    trigger: {trigger}",
        "    message: {type: question, text: Well?}",
        *([f"    {extra}"] if extra else []),
    ]
    return "\n".join(lines) + "\n"


def file_of(*rules: str) -> str:
    return "version: 1\nrules:\n" + "".join(rules)

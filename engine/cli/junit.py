"""What checks found, as the XML that build servers read (JUnit's, as Jenkins and GitLab understand it)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

# What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

MARKS = ("−", "+", "~")


@dataclass(frozen=True, slots=True)
class Checked:
    """One test or invariant and what came of it: ``lines`` say why it failed, none where it passed."""

    name: str
    path: str
    line: int
    seconds: float
    lines: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return bool(self.lines)

    @property
    def headline(self) -> str:
        """The first line that tells what is wrong, rather than what was as expected."""
        return next((line for line in self.lines if line.startswith(MARKS)), self.lines[0]).strip()


def junit(checks: Sequence[Checked]) -> bytes:
    """A test suite for each file, in the order of the checks."""
    root = ElementTree.Element("testsuites", _totals("proactive test", checks))
    for path in dict.fromkeys(check.path for check in checks):
        mine = [check for check in checks if check.path == path]
        suite = ElementTree.SubElement(root, "testsuite", _totals(path, mine))
        for check in mine:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                {
                    "name": _clean(check.name),
                    "classname": _clean(path.removesuffix(".yaml").removesuffix(".yml")),
                    "file": _clean(path),
                    "line": str(check.line),
                    "time": f"{check.seconds:.6f}",
                },
            )
            if check.failed:
                failure = ElementTree.SubElement(case, "failure", {"message": _clean(check.headline)})
                failure.text = _clean("\n".join(check.lines))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _totals(name: str, checks: Sequence[Checked]) -> dict[str, str]:
    return {
        "name": _clean(name),
        "tests": str(len(checks)),
        "failures": str(sum(check.failed for check in checks)),
        "errors": "0",
        "time": f"{sum(check.seconds for check in checks):.6f}",
    }


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)

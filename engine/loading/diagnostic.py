"""What is wrong with a rule file, and where: the one form in which the author of rules is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One thing that is wrong. ``line`` and ``column`` count from 1, in characters. Sorts as one reads."""

    path: str
    line: int
    column: int
    message: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message} [{self.code}]"


class RuleErrors(Exception):
    """Rules that cannot be loaded, with every reason. ``diagnostics`` are sorted and without repeats."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(set(diagnostics)))
        super().__init__("\n".join(map(str, self.diagnostics)))

    @property
    def summary(self) -> str:
        """``3 errors in 2 files``."""
        count, files = len(self.diagnostics), len({found.path for found in self.diagnostics})
        return f"{counted(count, 'error')} in {counted(files, 'file')}"

    def under(self, folder: str) -> RuleErrors:
        """The same with paths as seen from where ``folder`` is."""
        prefix = folder.rstrip("/") + "/" if folder not in ("", ".") else ""
        return RuleErrors(replace(found, path=prefix + found.path) for found in self.diagnostics)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

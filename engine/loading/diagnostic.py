"""What is wrong with a rule file, and where: the one form in which the author of rules is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One thing that is wrong. ``line`` and ``column`` count from 1, in characters. Sorts as one reads.

    Both are 0 where no place in a file is meant: a folder that is not there, a variable of the environment.
    """

    path: str
    line: int
    column: int
    message: str
    code: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.message} [{self.code}]"


class RuleErrors(Exception):
    """Rules that cannot be loaded, with every reason. ``diagnostics`` are sorted and without repeats."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(set(diagnostics)))
        super().__init__("\n".join(map(str, self.diagnostics)))

    @property
    def summary(self) -> str:
        """``3 errors in 2 files``; the files are left out where an error stands in none."""
        errors = counted(len(self.diagnostics), "error")
        if not all(found.line for found in self.diagnostics):
            return errors
        return f"{errors} in {counted(len({found.path for found in self.diagnostics}), 'file')}"

    def under(self, folder: str) -> RuleErrors:
        """The same with paths as seen from where ``folder`` is."""
        prefix = folder.rstrip("/") + "/" if folder not in ("", ".") else ""
        return RuleErrors(replace(found, path=prefix + found.path) for found in self.diagnostics)


def counted(count: int, noun: str) -> str:
    """``1,500 events``."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"

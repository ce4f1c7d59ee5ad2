"""A folder of rule files, from the disk to text. It understands nothing of what it reads.

Paths within a folder are relative to it, with forward slashes on every system: rules mean the same wherever
they lie. In errors they are as the user would open them.
"""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG

from engine.core.rules import RuleSet
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.load import Loaded, load_with_tests
from engine.loading.tree import FILE_BYTES_MAX, LINE_BREAK
from engine.triggers import KINDS

SUFFIXES = (".yaml", ".yml")
FILES_MAX = 1000
# Where the wheel puts a copy of the example rules, and where they lie in a checkout.
SHIPPED_RULES = (Path(__file__).parent / "shipped" / "rules", Path(__file__).parent.parent / "rules")


def shipped_rules() -> Path | None:
    """The folder of the example rules that come with the package; None where they have been taken out."""
    return next((folder for folder in SHIPPED_RULES if folder.is_dir()), None)


def load_folder(path: str | Path) -> RuleSet:
    """The rules of a folder, or of a single file. Raises `RuleErrors`."""
    return load_folder_with_tests(path).rules


def load_folder_with_tests(path: str | Path) -> Loaded:
    """The same with the tests and invariants that stand beside the rules. Raises `RuleErrors`."""
    sources = read_folder(path)
    try:
        return load_with_tests(sources, KINDS)
    except RuleErrors as errors:
        raise errors.under(_base(Path(path)).as_posix()) from None


def opened_as(path: str | Path, name: str) -> str:
    """How the user would open the file that is called ``name`` within the folder."""
    return (_base(Path(path)) / name).as_posix()


def read_folder(path: str | Path) -> dict[str, str]:
    """Path → text of every rule file below ``path``, sorted by path; a single file is accepted as well.

    Files and folders whose names begin with a dot are left out. Raises `RuleErrors` for what cannot be read and
    for a folder without rule files: both are more likely a slip than meant.
    """
    root = Path(path)
    base = _base(root)
    errors: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for name in _names(root):
        try:
            # Opening a pipe would wait for somebody to write into it.
            if not S_ISREG((base / name).stat().st_mode):
                errors.append(Diagnostic(name, 0, 0, "cannot be read: not a regular file", "unreadable"))
                continue
            # One byte more than is allowed, so that the loader sees that it is too many.
            with (base / name).open("rb") as stream:
                sources[name] = text_of(stream.read(FILE_BYTES_MAX + 1), name)
        except OSError as error:
            errors.append(Diagnostic(name, 0, 0, f"cannot be read: {_reason(error)}", "unreadable"))
        except RuleErrors as refused:
            errors.extend(refused.diagnostics)
    if errors:
        raise RuleErrors(errors).under(base.as_posix())
    return sources


def look(path: str | Path) -> frozenset[tuple[str, int, int, int, int]]:
    """What can be seen of the rule files without reading them: it differs where they may have changed.

    Links are followed. Empty where there is nothing, or where it cannot be looked at.
    """
    root = Path(path)
    base = _base(root)
    seen = set()
    try:
        for name in _names(root):
            found = (base / name).stat()
            seen.add((name, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size))
    except (OSError, RuleErrors):
        return frozenset()
    return frozenset(seen)


def _base(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _names(root: Path) -> list[str]:
    """The rule files below ``root``, relative to it."""
    if root.is_file():
        return [root.name]
    if not root.is_dir():
        raise _refused(root, f"expected a folder of rules or a rule file, and there is nothing; {_mend()}", "no-rules")
    names = []
    for folder, inner, files in os.walk(root, onerror=_raise):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        names.extend([(Path(folder) / name).relative_to(root).as_posix() for name in files if is_rule_file(name)])
    if not names:
        raise _refused(root, f"no rule files in {root.as_posix()}; they end in .yaml or .yml", "no-rules")
    if len(names) > FILES_MAX:
        raise _refused(root, f"expected at most {FILES_MAX} rule files, got {len(names)}", "too-large")
    return sorted(names)


def is_rule_file(name: str) -> bool:
    """By its name within the folder: no part of it begins with a dot."""
    return name.endswith(SUFFIXES) and not any(part.startswith(".") for part in name.split("/"))


def _refused(path: Path, message: str, code: str) -> RuleErrors:
    return RuleErrors([Diagnostic(path.as_posix(), 0, 0, message, code)])


def _mend() -> str:
    examples = shipped_rules()
    copy = f', or begin with the examples: cp -r "{examples}" rules' if examples else ""
    return f"name the folder (--rules DIR; of check, lint, schedule and test just DIR){copy}"


def _raise(error: OSError) -> None:
    raise _refused(Path(str(error.filename)), f"cannot be read: {_reason(error)}", "unreadable") from error


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()


def text_of(content: bytes, name: str) -> str:
    """UTF-8 to text; raises `RuleErrors` with the place of the first byte that is none."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(content) > FILE_BYTES_MAX:  # perhaps a character that was cut in two; too long in any case
            return content.decode("utf-8", "replace")
        lines = LINE_BREAK.split(content[: error.start].decode("utf-8"))
        message = f"expected UTF-8, got the byte 0x{content[error.start]:02X}; save the file as UTF-8"
        place = Diagnostic(name, len(lines), len(lines[-1]) + 1, message, "not-utf-8")
        raise RuleErrors([place]) from None

"""A folder of rule files as it was at a git revision, from git to text. It changes nothing, and asks git alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.folder import FILES_MAX, is_rule_file, text_of
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.tree import FILE_BYTES_MAX

GIT_SECONDS = 30.0  # a call that takes longer waits for something: a lock, a network drive
SHOWN_DIGITS = 9  # of a commit's name
REGULAR_FILES = ("100644", "100755")  # modes of tree entries: gitformat-index(5); links and submodules are no rules


class NoRevision(Exception):
    """There is no such revision, or no git; the text says which and what can be done."""


@dataclass(frozen=True, slots=True)
class Revision:
    """``name`` is how the user called it, with the folder, as messages put it before the name of a file."""

    name: str
    commit: str
    sources: dict[str, str]

    def __str__(self) -> str:
        return f"{self.name} ({self.commit[:SHOWN_DIGITS]})"


def read_revision(reference: str, path: str | Path) -> Revision:
    """The rule files below ``path``, a folder or a file of a work tree that need not be there any more.

    ``reference`` is whatever git takes for a commit (``HEAD~2``, ``origin/main``, a tag). Raises `NoRevision`, and
    `RuleErrors` where the revision has no rule files there, or some that are not UTF-8.
    """
    try:
        top, within = _place_of(Path(path))
    except NoRevision as missing:
        raise NoRevision(f'"{reference}" is no folder of rules, and for a git revision {missing}') from None
    try:
        commit = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    except subprocess.CalledProcessError:
        raise NoRevision(f'"{reference}" is neither a folder of rules nor a revision that git knows here') from None
    name = f"{reference}:{within}"
    commit = commit.strip()
    try:
        return Revision(name, commit, _read(top, commit, within, name))
    except subprocess.CalledProcessError as error:
        raise NoRevision(f"{name}: git says: {(error.stderr or b'').decode(errors='replace').strip()}") from None


def in_work_tree(path: str | Path) -> bool:
    """Whether the path lies in a git repository."""
    try:
        _place_of(Path(path))
    except NoRevision:
        return False
    return True


def _place_of(path: Path) -> tuple[Path, str]:
    """The work tree in which the path lies, and the path within it."""
    absolute = Path(os.path.abspath(path))
    there = next(folder for folder in (absolute, *absolute.parents) if folder.is_dir())
    try:
        top = Path(_git(there, "rev-parse", "--show-toplevel").rstrip("\n"))
    except subprocess.CalledProcessError:
        raise NoRevision(f"{path} does not lie in a git repository") from None
    # The one may be named through links, the other never is.
    within = (there.resolve() / absolute.relative_to(there)).relative_to(top.resolve())
    return top, within.as_posix()


def _read(top: Path, commit: str, within: str, name: str) -> dict[str, str]:
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *([within] if within != "." else []))
    blobs = {}  # by path
    for entry in filter(None, listed.split("\0")):
        about, _, path = entry.partition("\t")
        mode, _, blob = about.split(" ")
        if mode in REGULAR_FILES:
            blobs[path] = blob
    is_file = within in blobs
    base = PurePosixPath(within).parent if is_file else PurePosixPath(within)
    names = {PurePosixPath(path).relative_to(base).as_posix(): blob for path, blob in blobs.items()}
    wanted = {name: blob for name, blob in sorted(names.items()) if is_file or is_rule_file(name)}
    if not wanted:
        raise RuleErrors([Diagnostic(name, 0, 0, "no rule files there; they end in .yaml or .yml", "no-rules")])
    if len(wanted) > FILES_MAX:
        message = f"expected at most {FILES_MAX} rule files, got {len(wanted)}"
        raise RuleErrors([Diagnostic(name, 0, 0, message, "too-large")])
    contents = _contents(top, list(wanted.values()))
    sources: dict[str, str] = {}
    errors: list[Diagnostic] = []
    for short, content in zip(wanted, contents, strict=True):
        try:
            # One byte more than is allowed, so that the loader sees that it is too many.
            sources[short] = text_of(content[: FILE_BYTES_MAX + 1], short)
        except RuleErrors as refused:
            errors.extend(refused.diagnostics)
    if errors:
        raise RuleErrors(errors).under(name)
    return sources


def _contents(top: Path, blobs: Sequence[str]) -> list[bytes]:
    """Each blob's bytes, in one call: git-cat-file(1), batch output."""
    said = _run(top, ["cat-file", "--batch"], "".join(f"{blob}\n" for blob in blobs).encode())
    contents = []
    for _ in blobs:
        head, _, said = said.partition(b"\n")
        size = int(head.rsplit(b" ", 1)[1])
        contents.append(said[:size])
        said = said[size + 1 :]
    return contents


def _git(folder: Path, *words: str) -> str:
    return _run(folder, words).decode("utf-8", "surrogateescape")


def _run(folder: Path, words: Sequence[str], given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], input=given, capture_output=True, check=True, timeout=GIT_SECONDS
        )
    except FileNotFoundError:
        raise NoRevision("git is not installed; name two folders of rules") from None
    except subprocess.TimeoutExpired:
        raise NoRevision(f"git gave no answer within {GIT_SECONDS:.0f} seconds") from None
    return done.stdout

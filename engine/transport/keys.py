"""The keys of backends: 32 random bytes each, of which the file has the hash, what they are for, and nothing else.

SHA-256 is enough for such a key: a slow hash guards secrets that people choose, against lists of what people choose;
of 2**256 keys there is no list. The file can be shown to anybody; whoever can write it can let himself in.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engine.core.refusal import Refused
from engine.transport.watched import WatchedFile

Scope = Literal["events", "messages", "users", "rules", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

KEY_PREFIX = "pk_"  # by it people and scanners of repositories tell what they have found
KEY_BYTES = 32
KEY_LENGTH_MAX = 128  # characters that are looked at
KEYS_MAX = 1000
FILE_BYTES_MAX = 1024 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BackendKey:
    """``created`` is RFC 3339. When a key was last used is not kept: it would write to the file at every request."""

    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created: str
    note: str = ""


class Keyring:
    """The keys of a file, read again when it changes. Raises `Refused` for one that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._file = watched(path)

    def scopes_of(self, key: str) -> Collection[Scope] | None:
        """None for what is no key of the file. Takes as long whichever it is."""
        digest = digest_of(key[:KEY_LENGTH_MAX])
        found: Collection[Scope] | None = None
        for kept in self._file.current():
            if hmac.compare_digest(digest, kept.sha256):
                found = kept.scopes
        return found


def watched(path: Path) -> WatchedFile[tuple[BackendKey, ...]]:
    made_by = "make it, with a first key: proactive key add NAME --scopes events,messages"
    return WatchedFile(path, lambda content: _checked(path, content), FILE_BYTES_MAX, made_by)


def read_key_file(path: Path) -> tuple[BackendKey, ...]:
    """What is in it now. Raises `Refused`."""
    return watched(path).current()


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key(name: str, scopes: Iterable[Scope], created: str, note: str = "") -> tuple[str, BackendKey]:
    """The key itself, to be shown once, and what is kept of it."""
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    wanted = set(scopes)
    return key, BackendKey(name, digest_of(key), tuple([s for s in SCOPES if s in wanted]), created, note)


def read_keys(content: bytes) -> tuple[BackendKey, ...]:
    """What `write_keys` wrote. Raises `Refused`."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused("expected JSON, got something else", hint='"proactive key add" writes it') from None
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise Refused(f'expected {{"keys": […]}} with at most {KEYS_MAX} keys')
    keys = tuple([_read_key(item, f"keys[{number}]") for number, item in enumerate(listed)])
    if len({key.name for key in keys}) < len(keys):
        raise Refused("expected each key to have a name of its own")
    return keys


def _read_key(item: Any, place: str) -> BackendKey:
    if not isinstance(item, dict) or set(item) - {"note"} != {"name", "sha256", "scopes", "created"}:
        raise Refused(f"{place}: expected name, sha256, scopes, created and note")
    if not isinstance(item["name"], str) or not NAME.fullmatch(item["name"]):
        raise Refused(f"{place}: expected a name of letters, digits and ._-, at most 64")
    if not isinstance(item["sha256"], str) or not DIGEST.fullmatch(item["sha256"]):
        raise Refused(f"{place}: expected sha256 to be 64 hexadecimal digits")
    scopes = item["scopes"]
    if not isinstance(scopes, list) or not scopes or not all(scope in SCOPES for scope in scopes):
        raise Refused(f"{place}: expected scopes of {', '.join(SCOPES)}")
    if not isinstance(item["created"], str) or not isinstance(item.get("note", ""), str):
        raise Refused(f"{place}: expected created and note to be text")
    return BackendKey(item["name"], item["sha256"], tuple(scopes), item["created"], item.get("note", ""))


def write_keys(path: Path, keys: Iterable[BackendKey]) -> None:
    """All of it or nothing, readable by its owner alone. Raises OSError; `FileExistsError` while another writes."""
    beside = path.with_name(f".{path.name}.new")
    text = json.dumps({"keys": [asdict(key) for key in keys]}, ensure_ascii=False, indent=2) + "\n"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _checked(path: Path, content: bytes) -> tuple[BackendKey, ...]:
    """Raises `Refused` also where others than the owner may write the file, for they could add a key."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused("others may write it, and let themselves in so", hint=f"chmod 600 {path}")
    return read_keys(content)

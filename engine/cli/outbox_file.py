"""The file in which a device keeps what was typed and not sent, from one start to the next. It sends nothing.

Its owner alone can read it, for people's words stand in it. Of two terminals of one device the second has no file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path

import msgspec

from engine.cli.outbox import FRAME_BYTES_MAX, WAITING_MAX, Entry, Frame

try:
    import fcntl
except ImportError:  # Windows has no flock; there nobody watches over this
    fcntl = None  # type: ignore[assignment]

FILE_BYTES_MAX = 2 * WAITING_MAX * FRAME_BYTES_MAX


class NoOutboxFile(Exception):
    """Nothing can be kept; the text says why."""


class _KeptEntry(msgspec.Struct):
    id: str
    frame: Frame
    user: str = ""


class _Kept(msgspec.Struct):
    url: str
    client: str
    waiting: list[_KeptEntry]


class OutboxFile:
    """That of one device of one server."""

    def __init__(self, folder: Path, url: str, client: str) -> None:
        self._url = url
        self._client = client
        name = hashlib.sha256(f"{url}\n{client}".encode()).hexdigest()[:24]
        self.path = folder / f"{name}.json"
        self._lock: TextIOWrapper | None = None

    def open(self) -> list[Entry]:
        """What the former start has left. Nobody else has the file until `close`. Raises `NoOutboxFile`."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self.path.with_suffix(".lock").open("a", encoding="ascii")
        except OSError as error:
            raise NoOutboxFile(f"cannot write to {self.path.parent}: {_why(error)}") from None
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            entries = self._read()
        except BlockingIOError:
            lock.close()
            raise NoOutboxFile(f"another terminal is {self._client}") from None
        except OSError as error:
            lock.close()
            raise NoOutboxFile(f"cannot read {self.path}: {_why(error)}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            lock.close()
            raise NoOutboxFile(f"cannot make sense of {self.path}; whoever removes it begins anew") from None
        self._lock = lock
        return entries

    def keep(self, entries: list[Entry]) -> None:
        """Write down what waits now, whole or not at all. Raises `NoOutboxFile`."""
        try:
            if not entries:
                self.path.unlink(missing_ok=True)
                return
            kept = _Kept(self._url, self._client, [_KeptEntry(entry.id, entry.frame, entry.user) for entry in entries])
            beside = self.path.with_suffix(".new")
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(kept))
            beside.replace(self.path)
        except OSError as error:
            raise NoOutboxFile(f"cannot write to {self.path}: {_why(error)}") from None

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _read(self) -> list[Entry]:
        """Raises `OSError`, `msgspec.MsgspecError`."""
        try:
            with self.path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX)
        except FileNotFoundError:
            return []
        kept = msgspec.json.decode(text, type=_Kept)
        return [Entry(each.id, each.frame, each.user, has_waited=True) for each in kept.waiting[:WAITING_MAX]]


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where a user's programs keep their state, by the XDG Base Directory Specification, which passes over a relative
    ``XDG_STATE_HOME``.
    """
    given = Path(environment.get("XDG_STATE_HOME", ""))
    base = given if given.is_absolute() else Path(environment.get("HOME", "~")).expanduser() / ".local" / "state"
    return base / "proactive"


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

"""Sessions whose clients are gone and whose ends are not yet recorded. It ends none itself.

They are those of an earlier process, and those whose end could not be made durable at the time. Each ends when
its user comes back, or else when the grace is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.core.units import MINUTE

GRACE = MINUTE  # how long they stay open for clients to come back
USERS_AT_ONCE = 100
RESUMABLE = "s_"  # what the name of a session begins with that a client may take up again (level 1 of the protocol)


def is_resumable(name: str) -> bool:
    return name.startswith(RESUMABLE)


class StaleSessions:
    """By user, the names of the sessions. ``until`` is when the grace is over, None where there are none."""

    def __init__(self, grace: int = GRACE) -> None:
        self._grace = grace
        self._names: dict[str, list[str]] = {}
        self.until: int | None = None

    def add(self, sessions: Mapping[str, list[str]], now: int) -> None:
        for user, names in sessions.items():
            if names:
                self._names.setdefault(user, []).extend(names)
        if self._names and self.until is None:
            self.until = now + self._grace

    def pop(self, user: str) -> list[str]:
        """The user is back: those of the user's sessions that nobody can take up again. They are to end now."""
        names = self._names.pop(user, [])
        resumable = [name for name in names if is_resumable(name)]
        if resumable:
            self._names[user] = resumable
        return [name for name in names if not is_resumable(name)]

    def resumable(self, user: str) -> list[str]:
        """The sessions of a user whose clients may yet take them up again."""
        return [name for name in self._names.get(user, ()) if is_resumable(name)]

    def resume(self, user: str, name: str) -> bool:
        """A client takes its session up again: whether it can."""
        names = self._names.get(user, [])
        if name not in names or not is_resumable(name):
            return False
        names.remove(name)
        if not names:
            del self._names[user]
        return True

    def forget(self, user: str) -> None:
        self._names.pop(user, None)

    def take(self) -> Iterator[dict[str, list[str]]]:
        """All of them, `USERS_AT_ONCE` at a time; none is left."""
        taken, self._names, self.until = list(self._names.items()), {}, None
        for start in range(0, len(taken), USERS_AT_ONCE):
            yield dict(taken[start : start + USERS_AT_ONCE])

    def __len__(self) -> int:
        return len(self._names)

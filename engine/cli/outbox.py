"""What was typed and the server does not have yet: in order, bounded, each once. It sends nothing and reads no file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

WAITING_MAX = 100  # more than anybody types while a server is away
BYTES_MAX = 1024 * 1024  # of all frames that wait together
FRAME_BYTES_MAX = 65_536  # of one, where no `welcome` has said otherwise

Frame = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """One frame. ``id`` is what an `ack` names it by; ``user`` whose it is, "" where nobody had said so yet.

    ``is_sent``: over the connection that there is. ``has_waited``: there was none when it was typed.
    """

    id: str
    frame: Frame
    user: str = ""
    is_sent: bool = False
    has_waited: bool = False

    @property
    def size(self) -> int:
        """Bytes of the frame."""
        return len(msgspec.json.encode(self.frame))


class Outbox:
    """``keep`` is told all that waits whenever that changes."""

    def __init__(self, waiting: Iterable[Entry] = (), keep: Callable[[list[Entry]], None] | None = None) -> None:
        self._entries = list(waiting)
        self._keep = keep

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    @property
    def is_full(self) -> bool:
        return len(self._entries) >= WAITING_MAX

    def add(self, entry: Entry) -> str:
        """Put it behind the others. "" where that is done, else why it cannot be."""
        if self.is_full:
            return f"{WAITING_MAX} wait already; this one was not kept"
        if sum(each.size for each in self._entries) + entry.size > BYTES_MAX:
            return "too much waits already; this one was not kept"
        self._entries.append(entry)
        self._changed()
        return ""

    def remove(self, entry: Entry) -> None:
        """The server has it, or never will."""
        # By identity: whoever types an event with an id may type it twice.
        self._entries = [each for each in self._entries if each is not entry]
        self._changed()

    def clear(self) -> int:
        """None of it is to go any more; how many there were."""
        count = len(self._entries)
        self._entries = []
        self._changed()
        return count

    def next_unsent(self) -> Entry | None:
        return next((entry for entry in self._entries if not entry.is_sent), None)

    def unsend_all(self) -> None:
        """The connection is lost: what was on its way may have arrived or not, and goes again over the next."""
        for entry in self._entries:
            entry.is_sent = False

    def _changed(self) -> None:
        if self._keep is not None:
            self._keep(self._entries)

"""What waits for its turn: what clients say, in their order, and before it the driver's own receipts.

It evaluates nothing, and nobody is woken by it: the driver takes out what one turn may hold.

A receipt says that a message of a rule has been handed to its user. It goes before what waits, so that rules see
that a message arrived before they see what its reader did next. It never takes the place of an input: receipts have
a bound of their own, and in each turn room of their own beside the inputs. One that finds no room is dropped with a
word in the log, as is one whose turn fails: the message was handed over all the same, it is only not known.

Beside them wait the messages that have reached all whom they are for: they leave the outbox with whatever turn is next.

A rule that speaks whenever a message has arrived would go on for ever. So a chain of messages of which each was caused
by the arrival of the one before has an end: beyond `CHAIN_MAX` there are no more receipts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from engine.core.model import Event
from engine.observer import Trace
from engine.pending import Pending
from engine.storage.base import Entry, OutboxMessage, StoreError

DELIVERED = "message.delivered"  # the type of a receipt
QUEUE_MAX = 10_000  # inputs that wait for their turn; beyond it clients are refused
RECEIPTS_MAX = 10_000  # receipts that wait; beyond it they are dropped
TURN_MAX = 1_000  # inputs of one turn: a bound on how long a transaction is, and on how long a timer waits behind one
RECEIPTS_WAIT_MAX = 8_000  # receipts that wait while timers are due and nothing else waits
RECEIPTS_TURN_MAX = 500  # receipts of one turn, besides its inputs
CHAIN_MAX = 10  # receipts of which each made a rule say what the next is about
RECEIPTED_MAX = 20_000  # messages by which one that is handed over twice is recognised

log = structlog.get_logger("live")


class Overloaded(Exception):
    """More inputs wait than the driver is willing to hold. The client should keep them and try again."""


class Behind(Overloaded):
    """What is asked for has to wait for what was said before, and that was not evaluated in time. Ask again."""


@dataclass(slots=True)
class Request:
    """Entries that are acknowledged together; for ``done`` None nobody waits. ``trace`` is the observer's."""

    entries: list[Entry]
    done: Pending[list[Entry]] | None
    trace: Trace = None
    lose: Callable[[int], None] | None = None  # told how many entries there were for which nobody waits

    def has(self, event_type: str) -> bool:
        return any(entry.event is not None and entry.event.type == event_type for entry in self.entries)

    def succeed(self, entries: list[Entry]) -> None:
        if self.done is not None:
            self.done.set_result(entries)

    def fail(self, error: Exception) -> None:
        if self.done is None:
            if self.lose is not None:
                self.lose(len(self.entries))
            log.warning("! receipts lost", messages=len(self.entries), error=str(error))
        else:
            self.done.set_exception(error)


class Inbox:
    """``count`` is how many inputs of clients wait. It is true while anything waits."""

    def __init__(self) -> None:
        self.count = 0
        self.receipts_lost = 0  # since the start
        self._requests: deque[Request] = deque()
        self._receipts: deque[Entry] = deque()
        self._receipted: OrderedDict[str, int] = OrderedDict()  # and the place of each in its chain, from 1
        self._causes: OrderedDict[str, str] = OrderedDict()
        self._relayed: dict[str, str] = {}  # by id of the message, its user

    def __bool__(self) -> bool:
        return bool(self._requests or self._receipts or self._relayed)

    @property
    def has_requests(self) -> bool:
        return bool(self._requests)

    def check_room(self, count: int) -> None:
        """Raises `Overloaded` where so many more inputs may not wait."""
        if self.count + count > QUEUE_MAX:
            raise Overloaded(f"{self.count} inputs wait already, at most {QUEUE_MAX} may")

    def put(self, entries: list[Entry], trace: Trace = None) -> Pending[list[Entry]]:
        """They wait. What is returned is done when their turn has been made, or could not be."""
        done: Pending[list[Entry]] = Pending()
        self._requests.append(Request(entries, done, trace))
        self.count += len(entries)
        return done

    def put_relayed(self, messages: Iterable[OutboxMessage]) -> None:
        """These messages are to leave the outbox."""
        self._relayed.update((outgoing.message.id, outgoing.user) for outgoing in messages)

    @property
    def receipts(self) -> int:
        """How many receipts wait."""
        return len(self._receipts)

    @property
    def relayed(self) -> Mapping[str, str]:
        """Ids of the messages that leave the outbox with the next turn, and their users."""
        return self._relayed

    def drop_relayed(self, message_ids: Iterable[str]) -> None:
        """They have left the outbox."""
        for message_id in message_ids:
            self._relayed.pop(message_id, None)

    def forget(self, user: str) -> None:
        """What waits about the user's messages is of nobody any more."""
        self._relayed = {message_id: whose for message_id, whose in self._relayed.items() if whose != user}
        self._receipts = deque(entry for entry in self._receipts if entry.user != user)

    def refuse(self, event_type: str, error: StoreError) -> None:
        """What waits together with an event of this type is not to happen: whoever waits for it is told why."""
        refused = [request for request in self._requests if request.has(event_type)]
        if not refused:
            return
        self._requests = deque(request for request in self._requests if not request.has(event_type))
        self.count -= sum(len(request.entries) for request in refused)
        for request in refused:
            request.fail(error)

    def note_causes(self, causes: Mapping[str, str]) -> None:
        """Which messages, by id, were caused by the arrival of which other."""
        self._causes.update(causes)
        while len(self._causes) > RECEIPTED_MAX:
            self._causes.popitem(last=False)

    def put_receipts(self, handed: Iterable[OutboxMessage], at: int) -> None:
        """These messages have been handed to their users. Once is enough for each; the application's own have none."""
        dropped = 0
        for outgoing in handed:
            message_id = outgoing.message.id
            if not outgoing.rule or message_id in self._receipted:
                continue
            place = self._receipted.get(self._causes.pop(message_id, ""), 0) + 1
            if len(self._receipts) == RECEIPTS_MAX and place <= CHAIN_MAX:
                dropped += 1
                continue
            self._receipted[message_id] = place if place <= CHAIN_MAX else 0
            if len(self._receipted) > RECEIPTED_MAX:
                self._receipted.popitem(last=False)
            if place > CHAIN_MAX:
                # It is known all the same: told of again, as it leaves the outbox, it begins no other chain.
                log.warning("! rules go on answering receipts", rule_id=outgoing.rule, user_id=outgoing.user)
                continue
            event = Event(DELIVERED, outgoing.user, at, {"message_id": message_id})
            self._receipts.append(Entry("event", at, outgoing.user, event))
        if dropped:
            self._lose(dropped)
            log.warning("! receipts lost", messages=dropped, error=f"{RECEIPTS_MAX} wait already")

    def take(self, *, timers_due: bool = False) -> list[Request]:
        """What the next turn holds: receipts first, then at least one request, if there is any.

        While ``timers_due`` and nothing else waits, receipts wait as well, unless most of their room is taken: somebody
        is to be spoken to at that moment, and nobody sees when a receipt is taken in.
        """
        taken: list[Request] = []
        wait = timers_due and not self._requests and len(self._receipts) < RECEIPTS_WAIT_MAX
        number = 0 if wait else min(RECEIPTS_TURN_MAX, len(self._receipts))
        receipts = [self._receipts.popleft() for _ in range(number)]
        if receipts:
            # No input is put off by it: time goes no further than to the first that waits.
            latest = self._requests[0].entries[0].at if self._requests and self._requests[0].entries else None
            taken.append(Request([_no_later(entry, latest) for entry in receipts], None, lose=self._lose))
        count = 0
        while self._requests and (not count or count + len(self._requests[0].entries) <= TURN_MAX):
            taken.append(self._requests.popleft())
            count += len(taken[-1].entries)
        self.count -= count
        return taken

    def _lose(self, receipts: int) -> None:
        self.receipts_lost += receipts


def _no_later(entry: Entry, at: int | None) -> Entry:
    if at is None or entry.at <= at or entry.event is None:
        return entry
    return msgspec.structs.replace(entry, at=at, event=msgspec.structs.replace(entry.event, at=at))

"""What must hold when the storm is over, from the books of the devices and the log of the server. It starts nothing.

**Events.** One that was acknowledged stands in the log once; one that was not, once or not at all.

**Messages.** A message is *owed* to a device of level 1 if a session that the device knew of (by its `welcome`) was
open when it was decided, and did not end later; unless it has expired, its rule has withdrawn it, or the user has
answered, dismissed or muted it. What is owed is received once, told apart by its id. And every message of a user of
level 1 has been received by one device at least, however long the others were gone: a device that was gone for longer
than `resume_within`, so that its session ended, is owed only what no other device has received. To a plain client a
message is handed, which can be lost with the connection, as docs/protocol.md says; it is owed none.

What a program was told is on its way (``202`` of ``POST /messages``) is in the log, once however often it was asked
for, and is owed as other messages are. Nobody receives what was not decided, and one `asked` makes one message,
whatever was sent how often.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.model import Event
from engine.core.units import parse_at
from engine.storage.sqlite import SqliteStore
from tests.chaos.people import Backend, Device, PlainDevice

READ_AT_ONCE = 2_000
SHOWN_MAX = 5  # of each kind of violation
SETTLED = ("message.answered", "message.dismissed", "message.muted")


@dataclass(frozen=True)
class Decided:
    """A message that the server has decided on; ``client`` is the one device that it is for, "" for all of the user."""

    id: str
    user: str
    rule: str
    text: str
    at: int
    expires_at: int | None
    client: str = ""
    event_id: str = ""


@dataclass
class Record:
    """What the server's store says happened."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    messages: dict[str, Decided] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)
    sent_twice: list[str] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    began: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    outbox: int = 0
    faults: int = 0


@dataclass
class Verdict:
    """``figures`` are for the table; ``violations`` by kind, each with whom to look at."""

    figures: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    suspects: set[str] = field(default_factory=set)  # names of devices

    def blame(self, kind: str, what: str, device: str = "") -> None:
        self.violations[kind].append(what)
        if device:
            self.suspects.add(device)

    @property
    def holds(self) -> bool:
        return not self.violations

    def lines(self) -> list[str]:
        shown = []
        for kind, all_of_them in self.violations.items():
            shown.append(f"{kind}: {len(all_of_them)}")
            shown += [f"  {one}" for one in all_of_them[:SHOWN_MAX]]
        return shown


async def read_record(path: Path) -> Record:
    """The whole log and all decisions of a store that no server has open."""
    store = await SqliteStore.open(path)
    record = Record()
    try:
        for partition in range(store.partition_count):
            after = 0
            while entries := await store.log(partition, after, READ_AT_ONCE):
                after += len(entries)
                record.entries += len(entries)
                for entry in entries:
                    if entry.event is not None:
                        _note_event(record, entry.event)
                    elif entry.message is not None:
                        said = entry.message
                        if said.id in record.messages:
                            record.sent_twice.append(said.id)
                        record.messages[said.id] = Decided(
                            said.id, entry.user, "", said.text, entry.at, said.expires_at, entry.client
                        )
            for line in await store.decisions(partition):
                _note_decision(record, line)
        described = await store.describe()
        record.outbox, record.faults = int(described["outbox"]), int(described["faults"])
    finally:
        await store.close()
    return record


def _note_event(record: Record, event: Event) -> None:
    record.events[event.user, event.id] += 1
    if event.type == "session.start" and event.session:
        record.began.setdefault(event.session, event.at)
    elif event.type == "session.end" and event.session:
        record.ended[event.session] = event.at
    elif event.type == "asked":
        record.asked.add((event.user, event.id))
    elif event.type in SETTLED:
        record.settled.add(event.data["message_id"])


def _note_decision(record: Record, line: bytes) -> None:
    made = json.loads(line)
    said = made["message"]
    if said is None:
        return
    if made["outcome"] == "cancelled" and made.get("was") == "sent":
        record.withdrawn.add(said["id"])
    if made["outcome"] != "sent":
        return
    if said["id"] in record.messages:
        record.sent_twice.append(said["id"])
    expires = said.get("expires_at")
    record.messages[said["id"]] = Decided(
        said["id"],
        made["user"],
        made["rule"],
        said["text"],
        parse_at(made["at"]),
        None if expires is None else parse_at(expires),
        event_id=made.get("event", ""),
    )


def judge(
    record: Record,
    devices: list[Device],
    plain: list[PlainDevice],
    backend: Backend,
    *,
    over_at: int,
    sessions_last: bool,
) -> Verdict:
    """``over_at``: microseconds, when the last connection was closed; what expired before is owed to nobody.

    ``sessions_last``: whether devices came back within `resume_within`, so that no session may have ended.
    """
    verdict = Verdict()
    _judge_events(record, devices, plain, verdict)
    _judge_decisions(record, verdict)
    _judge_backend(record, backend, verdict)
    _judge_sessions(record, devices, verdict, sessions_last=sessions_last)
    _judge_messages(record, devices, verdict, over_at)
    _judge_sources(record, devices, plain, verdict)
    if record.faults:
        verdict.blame("faults in the server", f"{record.faults} entries were set aside")
    verdict.figures |= {"entries in the log": record.entries, "messages decided": len(record.messages)}
    return verdict


def _judge_events(record: Record, devices: list[Device], plain: list[PlainDevice], verdict: Verdict) -> None:
    lost = doubled = acknowledged = 0
    for device in devices:
        said = [f"{device.name}/{event_id}" for event_id in device.client.acknowledged]
        acknowledged += len(said)
        for logged_as in said:
            if record.events[device.user, logged_as] == 0:
                lost += 1
                verdict.blame("acknowledged events that are not in the log", logged_as, device.name)
        for event_id in device.client.unacknowledged:
            verdict.blame("events never acknowledged", f"{device.name}/{event_id}", device.name)
        for complaint in device.client.complaints:
            verdict.blame("what no server may do", f"{device.name}: {complaint}", device.name)
        for event_id, error in device.client.refused.items():
            verdict.blame("events refused", f"{device.name}/{event_id}: {error}", device.name)
    for one in plain:
        acknowledged += len(one.acknowledged)
        for event_id in one.acknowledged:
            if record.events[one.user, event_id] == 0:
                lost += 1
                verdict.blame("acknowledged events that are not in the log", event_id, one.name)
    owner = {device.user: device.name for device in devices}
    for (user, event_id), times in record.events.items():
        if times > 1:
            doubled += 1
            verdict.blame("events more than once in the log", f"{event_id} of {user}: {times}", owner.get(user, user))
    verdict.figures |= {"events acknowledged": acknowledged, "events lost": lost, "events doubled": doubled}


def _judge_decisions(record: Record, verdict: Verdict) -> None:
    """No gate of the rule `asked` ever closes: what is in the log has had its message, once."""
    made = Counter((message.user, message.event_id) for message in record.messages.values() if message.rule == "asked")
    for user, event_id in record.asked:
        if made[user, event_id] != 1:
            times = made[user, event_id]
            verdict.blame("events without their one message", f"{event_id} of {user}: {times} messages")


def _judge_backend(record: Record, backend: Backend, verdict: Verdict) -> None:
    """Whether the users have them too, `_judge_messages` says, of these as of those of rules."""
    for message_id, user in backend.sent.items():
        found = record.messages.get(message_id)
        if found is None or found.user != user:
            verdict.blame("messages of the backend that are not in the log", f"{message_id} to {user}")
    verdict.figures["messages of the backend"] = len(backend.sent)


def _judge_sessions(record: Record, devices: list[Device], verdict: Verdict, *, sessions_last: bool) -> None:
    ended = 0
    for device in devices:
        for session in device.client.sessions:
            if session not in record.began:
                verdict.blame("sessions that never began", f"{session} of {device.name}", device.name)
            if session in record.ended:
                ended += 1
                if sessions_last:
                    verdict.blame("sessions that ended too soon", f"{session} of {device.name}", device.name)
    verdict.figures["sessions ended"] = ended


def _judge_messages(record: Record, devices: list[Device], verdict: Verdict, over_at: int) -> None:
    by_user: dict[str, list[Device]] = defaultdict(list)
    for device in devices:
        by_user[device.user].append(device)
    gone = record.withdrawn | record.settled
    owed = lost = 0
    for message in record.messages.values():
        owners = by_user.get(message.user, [])
        expired = message.expires_at is not None and message.expires_at <= over_at
        if not owners or expired or message.id in gone:
            continue
        for device in owners:
            if not _is_owed(record, device, message):
                continue
            owed += 1
            if message.id not in device.client.messages:
                lost += 1
                verdict.blame("messages lost", f"{message} to {device.name}", device.name)
        if not any(message.id in device.client.messages for device in owners):
            verdict.blame("messages that nobody of a user received", str(message), owners[0].name)
    verdict.figures |= {"messages owed to a device": owed, "messages lost": lost}


def _is_owed(record: Record, device: Device, message: Decided) -> bool:
    if message.client not in ("", device.name):
        return False
    return any(
        session not in record.ended and record.began.get(session, message.at) < message.at
        for session in device.client.sessions
    )


def _judge_sources(record: Record, devices: list[Device], plain: list[PlainDevice], verdict: Verdict) -> None:
    doubled = received = repeated = 0
    books = [(device.name, device.user, device.client.messages) for device in devices]
    books += [(one.name, one.user, one.messages) for one in plain]
    for name, user, messages in books:
        received += len(messages)
        for message_id in messages:
            found = record.messages.get(message_id)
            if found is None or found.user != user:
                verdict.blame("messages that were not decided", f"{message_id} to {name}", name)
        for text in _more_than_once(_asked(record, messages)):
            doubled += 1
            verdict.blame("messages doubled", f'"{text}" under several ids to {name}', name)
    for message_id in record.sent_twice:
        doubled += 1
        verdict.blame("messages doubled", f"{message_id} was decided on twice")
    repeated = sum(device.client.repeated for device in devices) + sum(one.repeated for one in plain)
    verdict.figures |= {
        "messages received": received,
        "messages redelivered": repeated,
        "messages doubled": doubled,
        "withdrawn told": sum(len(device.client.withdrawn) for device in devices),
    }


def _asked(record: Record, messages: Iterable[str]) -> list[str]:
    found = [record.messages[message_id] for message_id in messages if message_id in record.messages]
    return [message.text for message in found if message.rule == "asked"]


def _more_than_once(texts: Iterable[str]) -> list[str]:
    return [text for text, times in Counter(texts).items() if times > 1]

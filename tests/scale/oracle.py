"""The one judge of all scenarios: what a store has come to, against its own log and against what outsiders know.

* One thread that replays the log with the product's own replay gives every state, byte for byte, and every decision.
* Nothing that was acknowledged is missing in the log, nothing that happens once is there twice, nothing is there that
  nobody said; and what was acknowledged before something else was said stands before it.
* Whoever sits somewhere has been shown whatever was decided for them, as it was decided, and nothing else.

It changes nothing, and knows neither which scenario it was nor what was broken in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from engine.core.evaluate import advance
from engine.core.model import Decision, is_activity
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import parse_at
from engine.replay.driver import Ran, history_of, run_users
from engine.replay.recording import Recording, RecordingUnusable, recorded_rules, recording_of
from engine.replay.verify import difference
from engine.storage.base import Entry, Store, partition_of
from engine.storage.codec import encode_decision
from tests.chaos.verdict import Verdict
from tests.scale.journal import Journal, Seat

PAGE = 2_000
SETTLED = ("message.answered", "message.dismissed", "message.muted")


@dataclass
class History:
    """All that a store has, by partition, and the states by user. ``outbox``: ids of messages that still wait."""

    recording: Recording
    entries: list[list[tuple[int, Entry]]]
    cursors: list[int]
    states: dict[str, bytes]
    outbox: int = 0
    faults: int = 0

    @property
    def partition_count(self) -> int:
        return self.recording.partition_count

    def horizon(self, partition: int) -> int:
        """The moment of the last entry: so far can everybody's time have come."""
        return self.entries[partition][-1][1].at if self.entries[partition] else -1


@dataclass(frozen=True)
class Made:
    """A message that was decided on, or that the application sent."""

    user: str
    text: str
    expires_at: int | None
    source: tuple[str, str] | None  # rule and event, where an event caused it


@dataclass
class Messages:
    made: dict[str, Made] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)  # withdrawn, or settled by their reader: nobody need be shown them

    def add(self, message_id: str, made: Made) -> None:
        if message_id in self.made:
            self.twice.append(message_id)
        self.made[message_id] = made


async def read_history(store: Store) -> History:
    """While nobody writes to it."""
    recording = await recording_of(store)
    entries: list[list[tuple[int, Entry]]] = []
    states: dict[str, bytes] = {}
    for number in range(store.partition_count):
        entries.append([])
        place = recording.folded[number].number
        while page := await store.numbered(number, place, PAGE):
            entries[-1] += page
            place = page[-1][0]
        after = 0
        while rows := await store.states(number, after, PAGE):
            states.update((user, state) for _, user, state in rows)
            after = rows[-1][0]
    batches = await store.poll(list(range(store.partition_count)), -1, entries_max=0)
    described = await store.describe()
    cursors = [batch.cursor for batch in batches]
    return History(recording, entries, cursors, states, int(described["outbox"]), int(described["faults"]))


def judge(history: History, journal: Journal, *, over_at: int) -> Verdict:
    """``over_at``: microseconds, when nobody listened any more; what expired before is owed to nobody."""
    verdict = judge_store(history)
    _judge_inputs(history, journal, verdict)
    _judge_shown(history, journal, over_at, verdict)
    return verdict


def judge_store(history: History) -> Verdict:
    """As far as nobody outside needs to be asked."""
    verdict = Verdict()
    _judge_log(history, verdict)
    _judge_rules(history, verdict)
    _judge_replay(history, verdict)
    if history.faults:
        verdict.blame("faults", f"{history.faults} entries were set aside")
    return verdict


def _judge_log(history: History, verdict: Verdict) -> None:
    for number, entries in enumerate(history.entries):
        folded = history.recording.folded[number]
        expected, at = folded.number, folded.at
        for place, entry in entries:
            expected += 1
            if place != expected and not folded.erasures:
                verdict.blame("gaps in the log", f"partition {number}: number {place} where {expected} was next")
                expected = place
            if entry.at < at:
                verdict.blame("moments that go back", f"partition {number}, number {place}: {entry.at} after {at}")
            at = max(at, entry.at)
        if history.cursors[number] != expected:
            verdict.blame("entries never evaluated", f"partition {number}: {history.cursors[number]} of {expected}")
    verdict.figures["entries in the log"] = sum(map(len, history.entries))


def _judge_rules(history: History, verdict: Verdict) -> None:
    """What holds from a moment on stands at that moment in every partition, and one alone holds from there."""
    moments = Counter(at for at, _ in history.recording.rule_moments)
    for at, times in moments.items():
        if times > 1:
            verdict.blame("two rule sets of one moment", str(at))
    for number, entries in enumerate(history.entries):
        there = {(entry.at, entry.rules_hash) for _, entry in entries if entry.kind == "rules"}
        for moment in history.recording.rule_moments:
            if moment not in there and moment[0] > history.recording.folded[number].at:
                verdict.blame("rules that a partition was not told of", f"partition {number}: {moment}")
    verdict.figures["rule sets"] = len(history.recording.rule_moments)


def _judge_inputs(history: History, journal: Journal, verdict: Verdict) -> None:
    times: Counter[tuple[str, str]] = Counter()
    by_user: dict[str, list[str]] = {}
    for entries in history.entries:
        for _, entry in entries:
            if entry.event is None or not entry.once:
                continue
            times[entry.user, entry.event.id] += 1
            by_user.setdefault(entry.user, []).append(entry.event.id)
            # What is no activity a gateway says by itself, of sessions and of messages that were handed over.
            if is_activity(entry.event.type) and (entry.user, entry.event.id) not in journal.said:
                verdict.blame("events that nobody said", f"{entry.event.id} of {entry.user}")
    lost = 0
    for (user, event_id), said in journal.said.items():
        if said.acknowledged is not None and not times[user, event_id]:
            lost += 1
            verdict.blame("acknowledged events that are not in the log", f"{event_id} of {user}")
    for (user, event_id), count in times.items():
        if count > 1:
            verdict.blame("events more than once in the log", f"{event_id} of {user}: {count}")
    for user, event_ids in by_user.items():
        _judge_order(user, event_ids, journal, verdict)
    verdict.figures |= {"events acknowledged": journal.acknowledged, "events lost": lost}


def _judge_order(user: str, event_ids: list[str], journal: Journal, verdict: Verdict) -> None:
    """Nothing may stand behind what was said after it had been acknowledged."""
    soonest: float = math.inf  # acknowledgement of whatever stands further behind
    which = ""
    for event_id in reversed(event_ids):
        said = journal.said.get((user, event_id))
        if said is None:
            continue
        if said.sent > soonest:
            verdict.blame("events out of order", f"{event_id} of {user} stands before {which}, acknowledged before it")
        if said.acknowledged is not None and said.acknowledged < soonest:
            soonest, which = said.acknowledged, event_id


def _judge_replay(history: History, verdict: Verdict) -> None:
    """The replay runs to the end of the log, and what the store has is let run as far: where a user's time stands
    between two wake-ups is nobody's business, what came of it is."""
    unseen = set(history.states)
    try:
        timeline = recorded_rules(history.recording)
    except (RecordingUnusable, ValueError) as error:
        verdict.blame("a log that cannot be replayed", str(error))
        return
    decisions = 0
    for ran in run_users(history.recording.activity(), [timeline], came_to=lambda user: _horizon(history, user)):
        unseen.discard(ran.user)
        _judge_user(history, timeline, ran, verdict)
        decisions += len(history.recording.decisions.get(ran.user, ()))
        for fault in ran.faults():
            verdict.blame("faults", f"{fault.user}: {fault.trace.strip()[-300:]}")
    for user in sorted(unseen):
        verdict.blame("states of users of whom the log has nothing", user)
    verdict.figures |= {"users": len(history.states), "decisions": decisions}


def _horizon(history: History, user: str) -> int:
    return history.horizon(partition_of(user, history.partition_count))


def _judge_user(history: History, timeline: Timeline, ran: Ran, verdict: Verdict) -> None:
    user = ran.user
    encoded = history.states.get(user)
    if encoded is None:
        verdict.blame("users without a state", user)
        return
    state = UserState.decode(encoded)
    ticked = history.recording.ticks.get(partition_of(user, history.partition_count), -1)
    if state.wake is not None and state.wake <= ticked:
        verdict.blame("wake-ups that were passed over", f"{user}: {state.wake}, though time came to {ticked}")
    rest: list[Decision] = []
    timeline.history = history_of(ran.events)
    advance(timeline, state, _horizon(history, user), rest)
    replayed = ran.evaluated[0]
    if state.encode() != replayed.state.encode():
        verdict.blame("states that differ", f"{user}\n    stored:   {state.encode()!r}\n    replayed: "
                      f"{replayed.state.encode()!r}")  # fmt: skip
    recorded = [*history.recording.decisions.get(user, ()), *map(encode_decision, rest)]
    found = difference(user, recorded, replayed.decisions)
    if found is not None:
        verdict.blame("decisions that differ", str(found))


class _Said(msgspec.Struct):
    id: str
    text: str
    expires_at: str | None = None


class _Line(msgspec.Struct):
    user: str
    rule: str
    outcome: str
    message: _Said | None = None
    was: str | None = None
    event: str = ""


_lines = msgspec.json.Decoder(_Line)


def messages_of(history: History) -> Messages:
    found = Messages()
    for user, lines in history.recording.decisions.items():
        for line in lines:
            made = _lines.decode(line)
            if made.message is None:
                continue
            if made.outcome == "cancelled" and made.was == "sent":
                found.gone.add(made.message.id)
            if made.outcome == "sent":
                expires = made.message.expires_at
                source = (made.rule, made.event) if made.event else None
                until = None if expires is None else parse_at(expires)
                found.add(made.message.id, Made(user, made.message.text, until, source))
    for entries in history.entries:
        for _, entry in entries:
            if entry.message is not None:
                found.add(entry.message.id, Made(entry.user, entry.message.text, entry.message.expires_at, None))
            elif entry.event is not None and entry.event.type in SETTLED:
                found.gone.add(str(entry.event.data.get("message_id")))
    return found


def _judge_shown(history: History, journal: Journal, over_at: int, verdict: Verdict) -> None:
    messages = messages_of(history)
    for message_id in messages.twice:
        verdict.blame("messages decided on twice", message_id)
    owed_to: dict[str, set[str]] = {}
    for message_id, made in messages.made.items():
        expired = made.expires_at is not None and made.expires_at <= over_at
        if message_id not in messages.gone and not expired:
            owed_to.setdefault(made.user, set()).add(message_id)
    owed = lost = 0
    for name, seat in journal.seats.items():
        mine = owed_to.get(seat.user, set())
        owed += len(mine)
        for message_id in sorted(mine - seat.shown.keys()):
            lost += 1
            verdict.blame("messages lost", f"{message_id} to {name}: {messages.made[message_id].text}")
        _judge_seat(name, seat, messages, verdict)
    verdict.figures |= {
        "messages decided": len(messages.made),
        "messages owed": owed,
        "messages lost": lost,
        "messages shown": sum(len(seat.shown) for seat in journal.seats.values()),
        "repeats dropped": sum(seat.times.total() - len(seat.shown) for seat in journal.seats.values()),
        "left in the outbox": history.outbox,
    }


def _judge_seat(name: str, seat: Seat, messages: Messages, verdict: Verdict) -> None:
    sources: list[tuple[str, str]] = []
    for message_id, text in seat.shown.items():
        made = messages.made.get(message_id)
        if made is None or made.user != seat.user:
            verdict.blame("messages that were not decided", f"{message_id} to {name}: {text}")
        elif made.text != text:
            verdict.blame("messages with other words", f"{message_id} to {name}: {text}, not {made.text}")
        elif made.source is not None:
            sources.append(made.source)
    for rule, event_id in _more_than_once(sources):
        verdict.blame("shown twice under two ids", f"rule {rule}, event {event_id}, to {name}")


def _more_than_once(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [each for each, times in Counter(found).items() if times > 1]

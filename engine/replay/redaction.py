"""A captured test without what says who it was: names, ids and texts replaced as far as the same is decided without.

It judges nothing by its looks: whether something can go is found out by running the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from engine.core.model import LIFECYCLE_PREFIX, Event, Json
from engine.core.rules import Rule
from engine.replay.capture import Captured
from engine.replay.reads import Reads, reads_of
from engine.triggers.keywords import Keywords, fold

SOMEONE = "someone"
NAMES_MAX = 200  # that are tried for the user, where draws depend on it
# What is said in these fields is no secret: the engine's own words, names of rules and topics.
KEPT_FIELDS: Mapping[str, frozenset[str]] = {
    "user.preferences": frozenset({"level", "muted", "mute", "unmute", "snoozed", "snoozedUntil"}),
}
ABOUT_MESSAGES = frozenset({"rule", "message_id"})


@dataclass(slots=True)
class Redacted:
    """The test, and what of it could not be replaced without another being decided."""

    captured: Captured
    left: list[str] = field(default_factory=list)


def redact(captured: Captured) -> Redacted:
    """Fields that no rule looks at go; the strings of others, the user, sessions and ids become others alike."""
    reads = reads_of(captured.rules, captured.rules.policy)
    expected = captured.marks(captured.decisions, with_texts=False)
    result = Redacted(captured)

    def same(events: Sequence[Event], user: str | None = None) -> bool:
        return captured.marks(captured.run(events, user), with_texts=False) == expected

    events = list(captured.events)
    ids = _StandIn(frozenset(), frozenset(), "id")
    ways: tuple[tuple[str, tuple[Callable[[Event], Event], ...]], ...] = (
        ("fields that no rule seems to look at", (lambda event: _less_unread(event, reads),)),
        ("the ids of events", (lambda event: _identified(event, ""), lambda event: _identified(event, ids(event.id)))),
    )
    for what, changes in ways:
        # The first way that will do.
        tried = ([change(event) for event in events] for change in changes)
        found = next((some for some in tried if same(some)), None)
        if found is None:
            result.left.append(what)
        else:
            events = found
    events = _replaced(events, reads, captured, same, result.left)
    user = next((name for name in _names() if same(_of(events, name), name)), None)
    if user is None:
        result.left.append("the name of the user, on which draws depend")
        user = captured.user
    captured.user = user
    captured.events = _of(events, user)
    captured.decisions = captured.run(captured.events) or []
    return result


def _names() -> list[str]:
    return [SOMEONE, *(f"{SOMEONE}-{number}" for number in range(2, NAMES_MAX + 1))]


def _of(events: Sequence[Event], user: str) -> list[Event]:
    return [msgspec.structs.replace(event, user=user) for event in events]


def _less_unread(event: Event, reads: Reads) -> Event:
    """Less the fields that nothing looks at."""
    data = {name: value for name, value in event.data.items() if _is_kept(event.type, name, reads)}
    return msgspec.structs.replace(event, data=data)


def _identified(event: Event, name: str) -> Event:
    return msgspec.structs.replace(event, id=name if event.id else "")


def _is_kept(event_type: str, name: str, reads: Reads) -> bool:
    if event_type == "user.identify" and reads.looks_at("user", name):
        return True
    if event_type.startswith(LIFECYCLE_PREFIX) and name in ABOUT_MESSAGES:
        return True
    return reads.looks_at("event", name) or name in KEPT_FIELDS.get(event_type, ())


def _replaced(
    events: list[Event],
    reads: Reads,
    captured: Captured,
    same: Callable[[Sequence[Event]], bool],
    left: list[str],
) -> list[Event]:
    """With other strings in every field of which nobody minds it; those of which somebody does are named."""
    words = _words(captured.rules.rules)
    options = {option for rule in captured.rules for option in _options(rule)}
    names = sorted({
        (event.type == "user.identify", name)
        for event in events
        for name, value in event.data.items()
        if name not in KEPT_FIELDS.get(event.type, ()) and not _is_about(event, name) and _has_text(value)
    })  # fmt: skip
    for is_attribute, name in names:
        kept = words if name in reads.texts else frozenset[str]()
        stand_in = _StandIn(kept, options if name == "response" else frozenset())
        changed = [
            _with(event, name, stand_in) if (event.type == "user.identify") == is_attribute else event
            for event in events
        ]
        without = [_less(event, name) if is_attribute and event.type == "user.identify" else event for event in events]
        if is_attribute and same(without):
            events = without
        elif same(changed):
            events = changed
        else:
            left.append(f"{'user' if is_attribute else 'event'}.{name}")
    sessions = _StandIn(frozenset(), frozenset(), "session")
    changed = [
        event if event.session is None else msgspec.structs.replace(event, session=sessions(event.session))
        for event in events
    ]
    if same(changed):
        return changed
    left.append("the names of sessions")
    return events


def _is_about(event: Event, name: str) -> bool:
    return event.type.startswith(LIFECYCLE_PREFIX) and name in ABOUT_MESSAGES


def _has_text(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_has_text, value.values()))
    return any(map(_has_text, value)) if isinstance(value, list) else isinstance(value, str)


def _with(event: Event, name: str, stand_in: Callable[[str], str]) -> Event:
    if name not in event.data:
        return event
    return msgspec.structs.replace(event, data={**event.data, name: _each(event.data[name], stand_in)})


def _less(event: Event, name: str) -> Event:
    return msgspec.structs.replace(event, data={key: value for key, value in event.data.items() if key != name})


def _each(value: Json, stand_in: Callable[[str], str]) -> Json:
    if isinstance(value, dict):
        return {key: _each(item, stand_in) for key, item in value.items()}
    if isinstance(value, list):
        return [_each(item, stand_in) for item in value]
    return stand_in(value) if isinstance(value, str) else value


class _StandIn:
    """One text for another of the same shape, different ones for different ones; ``kept`` are words that stay."""

    def __init__(self, kept: frozenset[str], whole: set[str] | frozenset[str], base: str = "") -> None:
        self.kept = kept
        self.whole = whole
        self.base = base
        self.known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        if text in self.whole:
            return text
        if text not in self.known:
            shape = self.base or self._shape(text)
            taken = set(self.known.values())
            number = 2
            found = f"{self.base}-1" if self.base else shape
            while found in taken:
                found = f"{shape}-{number}"
                number += 1
            self.known[text] = found
        return self.known[text]

    def _shape(self, text: str) -> str:
        """Letters as x, digits as 0, but for the words that are kept."""
        stays = [False] * len(text)
        lowered = fold(text) if len(fold(text)) == len(text) else text.lower()
        for word in sorted(self.kept) if len(lowered) == len(text) else ():
            place = lowered.find(word)
            while place >= 0:
                stays[place : place + len(word)] = [True] * len(word)
                place = lowered.find(word, place + 1)
        return "".join(character if stay else _masked(character) for character, stay in zip(text, stays, strict=True))


def _masked(character: str) -> str:
    if character.isdigit():
        return "0"
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return character if character.isascii() and character.isprintable() else " "


def _words(rules: Sequence[Rule]) -> frozenset[str]:
    """The words that keyword rules look for, folded."""
    return frozenset(
        word
        for rule in rules
        for trigger in rule.triggers
        if isinstance(trigger, Keywords)
        for word, _ in trigger.any | trigger.all | trigger.none
    )


def _options(rule: Rule) -> list[str]:
    spec = rule.message
    return [*spec.options, *(option for variant in spec.variants for option in variant.options)]

"""A captured test without what says who it was: names, ids and texts replaced as far as the same is decided without.

It judges nothing by its looks: whether something can go is found out by running the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from engine.core.model import LIFECYCLE_PREFIX, Event, Json
from engine.core.rules import Rule
from engine.replay.capture import Captured
from engine.replay.reads import Reads, reads_of
from engine.scenario import switched
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
    rules = [rule for rule in switched(captured.rules, captured.only) if rule.mode != "off"]
    reads = reads_of(rules, captured.rules.policy)
    expected = captured.marks(captured.decisions, with_texts=False)
    result = Redacted(captured)

    def same(events: Sequence[Event], user: str | None = None) -> bool:
        return captured.marks(captured.run(events, user), with_texts=False) == expected

    events = list(captured.events)
    # Where a rule takes the event as a whole, what no rule names may still be of no account.
    named = replace(reads, event=set(reads.event), user=set(reads.user), all_of=set())
    for taken, fields in (("event", named.event), ("user", named.user)):
        if taken in reads.all_of:
            fields.update(reads.named)
    ids = _StandIn(frozenset(), frozenset(), "id")
    ways: tuple[tuple[str, tuple[Callable[[Event], Event], ...]], ...] = (
        (
            "fields that no rule seems to look at",
            (lambda event: _less_unread(event, named), lambda event: _less_unread(event, reads)),
        ),
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
    is_unnamed = any(not _is_kept(event.type, name, named) for event in events for name in event.data)
    if is_unnamed and not result.left:
        result.left.append("the names of fields, of which a rule takes all")
    events = _replaced(events, rules, reads, same, result.left)
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
    rules: Sequence[Rule],
    reads: Reads,
    same: Callable[[Sequence[Event]], bool],
    left: list[str],
) -> list[Event]:
    """With other strings in every field of which nobody minds it; those of which somebody does are named."""
    words = _words(rules)
    options = frozenset(option for rule in rules for option in _options(rule))
    keys = _StandIn(frozenset(), frozenset(reads.named), "key")
    names = sorted({
        (event.type == "user.identify", name)
        for event in events
        for name, value in event.data.items()
        if not _is_known(event, name) and _has_text(value, reads.named)
    })  # fmt: skip
    for is_attribute, name in names:
        kept = words if name in reads.texts else frozenset[tuple[str, bool]]()
        texts = _StandIn(kept, options if name == "response" else frozenset())
        what = f"{'user' if is_attribute else 'event'}.{name}"
        places = [
            place
            for place, event in enumerate(events)
            if (event.type == "user.identify") == is_attribute and name in event.data and not _is_known(event, name)
        ]
        for told, other in _ways(what, texts, keys, reads.named, is_attribute):
            changed = list(events)
            for place in places:
                changed[place] = _with(events[place], name, other)
            if same(changed):
                events = changed
                left += [told] if told else []
                break
        else:
            left.append(what)
    sessions = _StandIn(frozenset(), frozenset(), "session")
    changed = [
        event if event.session is None else msgspec.structs.replace(event, session=sessions(event.session))
        for event in events
    ]
    if same(changed):
        return changed
    left.append("the names of sessions")
    return events


def _is_known(event: Event, name: str) -> bool:
    """Whether it is said in the engine's own words."""
    is_about = event.type.startswith(LIFECYCLE_PREFIX) and name in ABOUT_MESSAGES
    return is_about or name in KEPT_FIELDS.get(event.type, ())


def _has_text(value: Json, named: Collection[str]) -> bool:
    """Whether it has a text in it, or a key that no rule names."""
    if isinstance(value, dict):
        return any(key not in named or _has_text(item, named) for key, item in value.items())
    return any(_has_text(item, named) for item in value) if isinstance(value, list) else isinstance(value, str)


def _ways(
    what: str, texts: _StandIn, keys: _StandIn, named: Collection[str], may_go: bool
) -> Iterator[tuple[str, Callable[[Json], Json | None]]]:
    """Other values for a field, and what has to be told of each; the one that says least comes first."""
    if may_go:
        yield "", lambda value: None
    yield "", lambda value: _each(_pruned(value, named), texts, keys)
    yield "", lambda value: _each(value, texts, keys)
    yield f"the keys in {what}", lambda value: _each(value, texts, str)


def _with(event: Event, name: str, other: Callable[[Json], Json | None]) -> Event:
    """With another value in the field, without the field for None."""
    rest = {key: value for key, value in event.data.items() if key != name}
    value = other(event.data[name])
    data = rest if value is None else {key: value if key == name else old for key, old in event.data.items()}
    return msgspec.structs.replace(event, data=data)


def _pruned(value: Json, named: Collection[str]) -> Json:
    """Less what stands in it under keys that no rule names."""
    if isinstance(value, dict):
        return {key: _pruned(item, named) for key, item in value.items() if key in named}
    return [_pruned(item, named) for item in value] if isinstance(value, list) else value


def _each(value: Json, texts: Callable[[str], str], keys: Callable[[str], str]) -> Json:
    if isinstance(value, dict):
        return {keys(key): _each(item, texts, keys) for key, item in value.items()}
    if isinstance(value, list):
        return [_each(item, texts, keys) for item in value]
    return texts(value) if isinstance(value, str) else value


class _StandIn:
    """One text for another of the same shape, different ones for different ones.

    ``kept`` are words that stay, folded, and whether they stand for any ending; ``whole`` are texts that stay.
    """

    def __init__(self, kept: frozenset[tuple[str, bool]], whole: frozenset[str], base: str = "") -> None:
        self.kept = kept
        self.whole = whole
        self.base = base
        self.known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        if text in self.whole:
            return text
        if text not in self.known:
            shape = self.base or self._shape(text)
            taken = {*self.known.values(), *self.whole}
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
        for word, is_prefix in sorted(self.kept) if len(lowered) == len(text) else ():
            place = lowered.find(word)
            while place >= 0:
                end = place + len(word)
                # A part of a longer word is none that is looked for.
                if not _in_word(lowered, place - 1) and (is_prefix or not _in_word(lowered, end)):
                    stays[place:end] = [True] * len(word)
                place = lowered.find(word, place + 1)
        return "".join(character if stay else _masked(character) for character, stay in zip(text, stays, strict=True))


def _in_word(text: str, place: int) -> bool:
    return 0 <= place < len(text) and (text[place].isalnum() or text[place] == "_")


def _masked(character: str) -> str:
    if character.isdigit():
        return "0"
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return character if character.isascii() and character.isprintable() else " "


def _words(rules: Sequence[Rule]) -> frozenset[tuple[str, bool]]:
    """The words that keyword rules look for, folded, and whether they stand for any ending."""
    return frozenset(
        word
        for rule in rules
        for trigger in rule.triggers
        if isinstance(trigger, Keywords)
        for word in trigger.any | trigger.all | trigger.none
    )


def _options(rule: Rule) -> list[str]:
    spec = rule.message
    return [*spec.options, *(option for variant in spec.variants for option in variant.options)]

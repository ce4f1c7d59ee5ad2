"""``keywords``: fires at an event whose text holds certain words. It remembers nothing.

All words of all rules are found in one pass over the text (Aho and Corasick, CACM 18(6), 1975); word borders
are checked after the hit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

from ahocorasick_rs import AhoCorasick, MatchKind

from engine.core import shapes
from engine.core.dispatch import Watch
from engine.core.groups import FIELD, look_up, parse_field
from engine.core.matcher import EVENT_TYPES, WHERE, Matcher
from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.rules import Fired, Policy, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState

WORD_LENGTH_MAX = 200

SHAPE = shapes.Fields(
    keys={
        "any": shapes.Words(doc="At least one of these words."),
        "all": shapes.Words(doc="Every one of these words."),
        "none": shapes.Words(doc="None of these words."),
        "field": shapes.Parsed(
            parse=parse_field, pattern=FIELD.pattern, doc="The data field that holds the text; by default message."
        ),
        "event": shapes.ListOf(
            item=EVENT_TYPES.item,
            one_will_do=True,
            length_max=EVENT_TYPES.length_max,
            doc="The events that are looked at; by default chat_message.",
        ),
        "where": WHERE,
    },
    at_least_one=("any", "all", "none"),
    doc="At an event whose text holds the words. A * at the end of a word stands for any ending.",
)


def fold(text: str) -> str:
    """Text as words are compared: NFKC, case-folded, runs of white space as one space."""
    if text.isascii():
        folded = text.lower()
    else:
        # Folding can undo the normal form (U+0345, for one), so it is made again, as Unicode 3.13 does in D146.
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # All white space but the plain space is unprintable: most texts need not be taken apart.
    return folded.strip(" ") if "  " not in folded and folded.isprintable() else " ".join(folded.split())


class Word:
    """A word of a rule: folded, and whether it stands for any ending."""

    __slots__ = ("key", "prefix", "text")

    def __init__(self, written: str) -> None:
        self.prefix = written.endswith("*")
        self.text = fold(written[:-1] if self.prefix else written).strip()
        self.key = (self.text, self.prefix)
        if not self.text:
            raise Refused(f'expected a word, got "{written}"')
        if len(self.text) > WORD_LENGTH_MAX:
            raise Refused(f"expected a word of at most {WORD_LENGTH_MAX} characters, got {len(self.text)}")


class Keywords(Trigger):
    __slots__ = ("all", "any", "field", "matcher", "none")
    kind = "keywords"
    indexes_events = True

    def __init__(self, key: str, matcher: Matcher, field: str, words: dict[str, frozenset[tuple[str, bool]]]) -> None:
        super().__init__(key, event_types=matcher.event_types)
        self.matcher = matcher
        self.field = field
        self.any = words["any"]
        self.all = words["all"]
        self.none = words["none"]

    def matches(self, found: dict[tuple[str, bool], list[tuple[int, str]]], scope: Scope) -> Fired | None:
        """``found``: where each word stands in the text, as ``(start, text)``."""
        keys = found.keys()
        if (self.any and self.any.isdisjoint(keys)) or not self.all <= keys or not self.none.isdisjoint(keys):
            return None
        if not self.matcher.holds(scope):
            return None
        hits = {hit for key in self.any | self.all for hit in found.get(key, ())}
        # In the order of the text; of two that start together the longer one is meant.
        texts = [text for _, text in sorted(hits, key=lambda hit: (hit[0], -len(hit[1])))]
        distinct = list(dict.fromkeys(texts))
        facts: dict[str, Any] = {"keyword": distinct[0], "keywords": distinct} if distinct else {"keywords": []}
        return Fired(facts, scope.event)

    def missed(self, scope: Scope) -> str | None:
        event = scope.event
        text = None if event is None else look_up(event.data, self.field)
        if not isinstance(text, str):
            return f'the field "{self.field}" holds no text'
        index = FieldIndex([Watch(0, 0, _NO_RULE, self)])
        folded = fold(text)
        found = index.words(folded, index.scan(folded, overlapping=True))
        lacking = sorted(word for word, _ in self.all - found.keys())
        unwelcome = sorted(word for word, _ in self.none & found.keys())
        if self.any and self.any.isdisjoint(found):
            return "the text has none of the words"
        if lacking:
            return f'the text has no "{lacking[0]}"'
        return f'the text has "{unwelcome[0]}"' if unwelcome else self.matcher.missed(scope)

    @classmethod
    def index_events(cls, watches: Sequence[Watch]) -> KeywordIndex:
        return KeywordIndex(watches)


_NO_RULE: Any = None  # an index looks at the triggers alone


class KeywordIndex:
    """The keyword triggers that look at one set of event types, by the field they look at."""

    __slots__ = ("fields",)

    def __init__(self, watches: Sequence[Watch]) -> None:
        by_field: dict[str, list[Watch]] = {}
        for watch in watches:
            assert isinstance(watch.trigger, Keywords)
            by_field.setdefault(watch.trigger.field, []).append(watch)
        self.fields = tuple((field, "." in field, FieldIndex(found)) for field, found in by_field.items())

    def observe(self, state: UserState, event: Event, policy: Policy) -> list[tuple[Watch, Fired]]:
        hits: list[tuple[Watch, Fired]] = []
        data = event.data
        for field, nested, index in self.fields:
            text = data.get(field)
            if text is None and nested:
                text = look_up(data, field)
            if isinstance(text, str):
                folded = fold(text)
                raw = index.scan(folded, overlapping=True)
                if raw or index.unasked:
                    hits += index.observe(folded, raw, Scope(state, event, state.now, policy))
        return hits


class FieldIndex:
    """One automaton for all words that anybody looks for in one field."""

    __slots__ = ("by_word", "patterns", "scan", "unasked")

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.by_word: dict[tuple[str, bool], list[Watch]] = {}
        # Triggers that only exclude words are asked at every text.
        self.unasked: list[Watch] = []
        texts: dict[str, list[bool]] = {}
        for watch in watches:
            trigger = watch.trigger
            assert isinstance(trigger, Keywords)
            for text, prefix in sorted(trigger.any | trigger.all | trigger.none):
                endings = texts.setdefault(text, [])
                if prefix not in endings:
                    endings.append(prefix)
            # Where all words are asked for, any one of them leads to the trigger.
            leads = trigger.any or (frozenset([min(trigger.all)]) if trigger.all else frozenset())
            if not leads:
                self.unasked.append(watch)
            for key in sorted(leads):
                self.by_word.setdefault(key, []).append(watch)
        self.patterns = tuple((text, tuple(endings)) for text, endings in texts.items())
        automaton = AhoCorasick([text for text, _ in self.patterns], matchkind=MatchKind.Standard)
        self.scan = automaton.find_matches_as_indexes

    def observe(self, folded: str, raw: list[tuple[int, int, int]], scope: Scope) -> list[tuple[Watch, Fired]]:
        """``raw``: what `scan` found in the folded text, as pattern, start and end, whole words or not."""
        found = self.words(folded, raw)
        asked = {watch[:2]: watch for key in found for watch in self.by_word.get(key, ())}
        hits = []
        for watch in (*asked.values(), *self.unasked):
            trigger = watch.trigger
            assert isinstance(trigger, Keywords)
            fired = trigger.matches(found, scope)
            if fired is not None:
                hits.append((watch, fired))
        return hits

    def words(self, folded: str, raw: list[tuple[int, int, int]]) -> dict[tuple[str, bool], list[tuple[int, str]]]:
        """The hits that stand as words: no letter, digit or underscore before them, nor (unless a prefix) behind."""
        found: dict[tuple[str, bool], list[tuple[int, str]]] = {}
        length = len(folded)
        for number, start, end in raw:
            if start and _joins(folded[start - 1]):
                continue
            text, endings = self.patterns[number]
            whole = end == length or not _joins(folded[end])
            for prefix in endings:
                if prefix:
                    stop = end
                    while stop < length and _joins(folded[stop]):
                        stop += 1
                    found.setdefault((text, True), []).append((start, folded[start:stop]))
                elif whole:
                    found.setdefault((text, False), []).append((start, text))
        return found


def _joins(character: str) -> bool:
    return character.isalnum() or character == "_"


def _build(values: dict[str, Any], key: str) -> Keywords:
    words = {name: frozenset(Word(written).key for written in values.get(name, ())) for name in ("any", "all", "none")}
    both = (words["any"] | words["all"]) & words["none"]
    if both:
        raise Refused(f'"{min(both)[0]}" is asked for and excluded at once, so this can never fire')
    matcher = Matcher(values.get("event", ("chat_message",)), values.get("where"))
    return Keywords(key, matcher, values.get("field", "message"), words)


KIND = shapes.Kind(
    "keywords",
    SHAPE,
    _build,
    facts={
        "keyword": "the first word found in the text",
        "keywords": "all distinct words found, in the order of the text",
    },
)

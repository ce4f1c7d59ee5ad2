"""Rule sets and events as hypothesis draws them, from a small world in which they often meet."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.units import MINUTE, SECOND, parse_at
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T09:58:00Z")
TYPES = ("e", "test.failed", "test.run", "chat_message")
SPANS = ("30s", "1m", "2m", "5m")
GAPS = (0, 1, SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 7 * MINUTE)

spans = st.sampled_from(SPANS)
types = st.sampled_from((*TYPES, "test.*", "*", ["e", "test.*"], ["test.run", "test.failed"]))
wheres = st.sampled_from(
    (
        "event.n > 1",
        "event.n == 1",
        'event.test == "t1"',
        'event.n > 0 and "t2" == event.test',
        'event.test == null or event.test == "t1"',
        "event.test == null",
        "defined(event.n)",
    )
)
matchers = st.one_of(types.map(lambda name: {"event": name}), st.fixed_dictionaries({"event": types, "where": wheres}))
words = st.lists(st.sampled_from(("help", "stuck", "hel*", "not stuck")), min_size=1, max_size=2, unique=True)
fields = st.sampled_from(("n", "test", ["n", "test"]))
counts = st.fixed_dictionaries(
    {"at_least": st.integers(1, 3), "within": spans},
    optional={"group_by": fields, "distinct": st.sampled_from(("n", "test")), "reset_on": matchers},
)
sequences = st.fixed_dictionaries(
    {"steps": st.lists(matchers, min_size=2, max_size=3), "within": spans},
    optional={"group_by": fields, "without": matchers},
)
absences = st.fixed_dictionaries({"after": matchers, "no": matchers, "within": spans}, optional={"group_by": fields})
triggers = st.one_of(
    matchers.map(lambda matcher: {"event": matcher}),
    st.fixed_dictionaries({"any": words}, optional={"event": types}).map(lambda written: {"keywords": written}),
    spans.map(lambda span: {"inactivity": span}),
    st.fixed_dictionaries({"for": spans, "after": matchers}).map(lambda written: {"inactivity": written}),
    st.tuples(matchers, counts).map(lambda parts: {"count": {**parts[0], **parts[1]}}),
    sequences.map(lambda written: {"sequence": written}),
    absences.map(lambda written: {"absence": written}),
    spans.map(lambda span: {"schedule": {"every": span}}),
    st.sampled_from(("*/2 * * * *", "0 10 * * *")).map(lambda cron: {"schedule": {"cron": cron}}),
)
caps = st.sampled_from(
    ({"max": 1, "per": "session"}, {"max": 2, "per": "2m"}, {"max": 3, "per": "day"}, {"max": 4, "per": "user"})
)
rules = st.fixed_dictionaries(
    {
        "trigger": st.lists(triggers, min_size=1, max_size=2),
        "priority": st.integers(-1, 1),
        "message": st.sampled_from(
            (
                {"type": "question", "text": "{{ trigger.kind }}"},
                {"type": "suggestion", "text": "{{ event.n }} {{ session.events }}", "fallback": "hm", "expires": "5m"},
                {"type": "notification", "text": "{{ event.test }}"},
            )
        ),
    },
    optional={
        "cooldown": spans,
        "warmup": spans,
        "max": st.lists(caps, min_size=1, max_size=2),
        "mode": st.sampled_from(("live", "shadow", "off")),
        "condition": st.sampled_from(("event.n > 0", "session.events > 1", "now.minute % 2 == 0", "user.level < 2")),
    },
)
policies = st.fixed_dictionaries({}, optional={"simultaneous": st.integers(1, 2), "session_timeout": spans})


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    """A rule file as JSON, which is YAML."""
    written = draw(st.lists(rules, min_size=2, max_size=6))
    page = {"version": 1, "policy": draw(policies)}
    return json.dumps({**page, "rules": [{"id": f"r{number}", **rule} for number, rule in enumerate(written)]})


def compiled(text: str) -> RuleSet:
    """The rule set; a drawn text that repeats a trigger within a rule is drawn again."""
    try:
        return load({"rules.yaml": text}, KINDS)
    except RuleErrors as errors:
        if all(found.code == "repeated-trigger" for found in errors.diagnostics):
            reject()
        raise


data = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from((0, 1, 2, True, "1", None)),
        "test": st.sampled_from(("t1", "t2", None, 1, ["t1"])),
        "message": st.sampled_from(("help", "I am stuck", "helpless", "not stuck", 7)),
    },
)


@st.composite
def event_lists(draw: st.DrawFn, user: str = "ann", sessions: bool = True) -> list[Event]:
    """In order of time; the first at `START`. Gaps are the rules' own spans and a microsecond to either side."""
    lifecycle = ("session.start", "session.end", "user.identify", "ping") if sessions else ()
    events: list[Event] = []
    at = START
    for _ in range(draw(st.integers(0, 12).map(lambda few: 12 - few))):
        fields: dict[str, Any] = draw(data)
        event_type = draw(st.sampled_from((*TYPES, *TYPES, *lifecycle)))
        if event_type == "user.identify":
            fields = {"level": draw(st.integers(1, 3))}
        session = draw(st.sampled_from((None, "s1", "s2"))) if event_type.startswith("session.") else None
        events.append(Event(event_type, user, at, fields, f"{user}-{len(events)}", session))
        at += max(draw(st.sampled_from(GAPS)) + draw(st.sampled_from((-1, 0, 1))), 0)
    return events

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
types = st.sampled_from((*TYPES, "test.*", "*", "message.*", ["e", "test.*"], ["test.run", "test.failed"]))
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
group_by = {"group_by": st.sampled_from(("test", ["test", "n"]))}
counts = st.fixed_dictionaries(
    {"event": types, "at_least": st.integers(1, 3), "within": spans},
    optional={"where": wheres, "distinct": st.just("n"), "reset_on": matchers, **group_by},
)
sequences = st.fixed_dictionaries(
    {"steps": st.lists(matchers, min_size=2, max_size=3), "within": spans}, optional={"without": matchers, **group_by}
)
absences = st.fixed_dictionaries({"after": matchers, "no": matchers, "within": spans}, optional=group_by)
sessions = st.one_of(
    st.sampled_from(("start", "end")),
    spans.map(lambda span: {"returned_after": span}),
    spans.map(lambda span: {"lasted": span}),
)
answers = st.lists(st.sampled_from(("Yes", "answered", "dismissed", "ignored")), min_size=1, unique=True)
# Every drawn folder has the rules r0 and r1.
responses = st.fixed_dictionaries({"to": st.sampled_from(("r0", "r1"))}, optional={"is": answers})
triggers = st.one_of(
    matchers.map(lambda matcher: {"event": matcher}),
    st.fixed_dictionaries({"any": words}, optional={"event": types}).map(lambda written: {"keywords": written}),
    spans.map(lambda span: {"inactivity": span}),
    st.fixed_dictionaries({"for": spans, "after": matchers}).map(lambda written: {"inactivity": written}),
    spans.map(lambda span: {"schedule": {"every": span}}),
    st.sampled_from(("*/2 * * * *", "0 10 * * *")).map(lambda cron: {"schedule": {"cron": cron}}),
    counts.map(lambda written: {"count": written}),
    sequences.map(lambda written: {"sequence": written}),
    absences.map(lambda written: {"absence": written}),
    sessions.map(lambda written: {"session": written}),
    responses.map(lambda written: {"response": written}),
)
LIMITS = ({"max": 1, "per": "session"}, {"max": 2, "per": "2m"}, {"max": 3, "per": "day"}, {"max": 4, "per": "user"})
caps = st.lists(st.sampled_from(LIMITS), min_size=1, max_size=2)
levels = st.sampled_from(("less", "normal", "more"))
deliveries = st.one_of(
    st.fixed_dictionaries(
        {"at": st.lists(matchers, min_size=1, max_size=2), "within": spans},
        optional={"otherwise": st.sampled_from(("send", "drop")), "quiet_for": spans, "cancel_on": matchers},
    ),
    st.fixed_dictionaries(
        {"quiet_for": spans, "within": spans},
        optional={"otherwise": st.sampled_from(("send", "drop")), "cancel_on": matchers},
    ),
    st.fixed_dictionaries({"cancel_on": matchers}),
)
VARIANTS = [
    {"id": "a", "weight": 2, "text": "{{ event.n }} a", "fallback": "a"},
    {"id": "b", "text": "{{ trigger.kind }} b"},
    {"id": "c", "text": "c", "options": ["No"]},
]
messages = st.sampled_from(
    (
        {"type": "question", "text": "{{ trigger.kind }}", "options": ["Yes", "No"], "expires": "1m"},
        {"type": "question", "text": "{{ trigger.kind }}"},
        {"type": "suggestion", "text": "{{ event.n }} {{ session.events }}", "fallback": "hm", "expires": "5m"},
        {"type": "notification", "text": "{{ event.test }}"},
        {"type": "question", "variants": VARIANTS},
    )
)
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "cooldown": spans,
    "cooldown_by": st.sampled_from(("test", "n", "message_id")),
    "on_dismiss": st.fixed_dictionaries({"cooldown": st.just("x2")}, optional={"up_to": spans}),
    "on_answer": st.just("reset"),
    "warmup": spans,
    "max": caps,
    "mode": st.sampled_from(("live", "shadow", "off")),
    "condition": st.sampled_from(("event.n > 0", "session.events > 1", "now.minute % 2 == 0", "user.level < 2")),
    "level": levels,
    "topic": st.sampled_from(("testing", "style")),
    "offline": st.sampled_from(("keep", "drop")),
    "quiet_hours": st.sampled_from(
        ("none", "soon", ["soon", "later"], {"then": "hold"}, {"in": "later", "then": "drop"})
    ),
    "urgent": st.booleans(),
    "budget": st.sampled_from(("none", "shared", ["shared", "patience"])),
    "holdout": st.sampled_from(("0%", "30%", "100%")),
    "deliver": deliveries,
}
# Without those that they need, these cannot stand.
NEEDED = {"cooldown_by": ("cooldown",), "on_dismiss": ("cooldown",), "on_answer": ("on_dismiss", "cooldown")}


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule with a few of all keys: with many of them hardly anything would ever be sent."""
    rule = {
        "trigger": draw(st.lists(triggers, min_size=1, max_size=2)),
        "priority": draw(st.integers(-1, 1)),
        "message": draw(messages),
    }
    for name in draw(st.lists(st.sampled_from(tuple(KEYS)), max_size=3)):
        for key in (*NEEDED.get(name, ()), name):
            rule[key] = draw(KEYS[key])
    return rule


wide = st.sampled_from(({"max": 2, "per": "1m"}, {"max": 4, "per": "5m"}, {"max": 5, "per": "session"}, *LIMITS[2:]))
budgets = st.fixed_dictionaries({"limits": st.lists(wide, min_size=1, max_size=2)}, optional={"reset_on": matchers})
levelled = st.builds(lambda limit, level: {**limit, "level": level}, wide, levels)
charges = st.fixed_dictionaries({"event": types}, optional={"where": wheres, "cost": st.integers(1, 3)})
patience = st.fixed_dictionaries(
    {"limits": st.lists(levelled, min_size=1, max_size=2)},
    optional={"reset_on": matchers, "charged_by": st.lists(charges, min_size=1, max_size=2)},
)
# The drawn events begin at `START`, which is 09:58 in UTC.
soon = st.sampled_from(({"from": "10:00", "to": "10:02"}, {"from": "10:05", "to": "00:00", "days": ["fri"]}))
later = st.sampled_from(
    ({"from": "10:05", "to": "10:10", "then": "hold"}, {"from": "09:00", "to": "10:00", "then": "hold"})
)
policies = st.fixed_dictionaries(
    {
        "budgets": st.fixed_dictionaries({"shared": budgets, "patience": patience}),
        "quiet_hours": st.fixed_dictionaries({"soon": soon, "later": later}),
    },
    optional={
        "simultaneous": st.integers(1, 2),
        "session_timeout": spans,
        "seed": st.just("spring"),
        "holdout": st.sampled_from(("0%", "20%")),
    },
)


@st.composite
def rule_texts(draw: st.DrawFn) -> str:
    """A rule file as JSON, which is YAML."""
    written = draw(st.lists(rules(), min_size=2, max_size=5))
    page = {"version": 1, "policy": draw(policies)}
    return json.dumps({**page, "rules": [{"id": f"r{number}", **rule} for number, rule in enumerate(written)]})


def compiled(text: str) -> RuleSet:
    """The rule set; a drawn text with errors that cannot be kept from being drawn is drawn again."""
    try:
        return load({"rules.yaml": text}, KINDS)
    except RuleErrors as errors:
        if all(found.code in ("repeated-trigger", "unknown-option") for found in errors.diagnostics):
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


RECEIPTS = ("delivered", "seen", "engaged", "answered", "dismissed", "muted", "expired")
receipts = st.fixed_dictionaries(
    {"rule": st.sampled_from(("r0", "r1", "r2", "gone"))}, optional={"response": st.sampled_from(("Yes", "other"))}
)
moments = st.sampled_from([None, "2026-03-27T10:00:00Z", "2026-03-27T10:03:00Z", "2026-03-27T10:30:00Z"])
names = st.sampled_from(("r0", "r1", "testing", "style", "*"))
wishes = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(("off", "less", "normal", "more")),
        "muted": st.lists(names, max_size=2),
        "snoozedUntil": moments,
        "snoozed": st.dictionaries(names, moments, max_size=2),
    },
)
zones = st.sampled_from(("Etc/UTC", "Europe/Paris", "Asia/Kolkata"))
attributes = st.fixed_dictionaries({"level": st.integers(1, 3)}, optional={"timezone": zones})
LIFECYCLE = ("session.start", "session.end", "user.identify", "user.preferences", "ping", "message.*", "message.*")


@st.composite
def event_lists(draw: st.DrawFn, user: str = "ann", sessions: bool = True) -> list[Event]:
    """In order of time; the first at `START`. Gaps are the rules' own spans and a microsecond to either side."""
    kinds = (*TYPES, *TYPES, *TYPES, *(LIFECYCLE if sessions else ()))
    events: list[Event] = []
    at = START
    for _ in range(draw(st.integers(0, 16).map(lambda few: 16 - few))):
        event_type = draw(st.sampled_from(kinds))
        if event_type == "message.*":
            event_type = f"message.{draw(st.sampled_from(RECEIPTS))}"
        fields: dict[str, Any] = draw(
            attributes
            if event_type == "user.identify"
            else wishes
            if event_type == "user.preferences"
            else receipts
            if event_type.startswith("message.")
            else data
        )
        session = draw(st.sampled_from((None, "s1", "s2"))) if event_type.startswith("session.") else None
        events.append(Event(event_type, user, at, fields, f"{user}-{len(events)}", session))
        at += max(draw(st.sampled_from(GAPS)) + draw(st.sampled_from((-1, 0, 1))), 0)
    return events

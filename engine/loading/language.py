"""What a rule file may say, key by key: the page of reference that the loader reads by. Declarations only.

The kinds of triggers bring their own shapes. Keys of the language that are not built yet are `Later`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.core import shapes
from engine.core.model import MESSAGE_TYPES_TAKEN
from engine.core.refusal import Refused
from engine.core.rules import Per
from engine.core.units import parse_duration
from engine.core.zones import parse_zone
from engine.loading.invariants import invariants_shape
from engine.loading.scenarios import TESTS

LATER = shapes.Later()
RULES_MAX = 10_000  # of one file
WORDS_MAX = 10_000  # of one list
CAP_MAX = 1000
PRIORITY_MAX = 1_000_000
SIMULTANEOUS_MAX = 100
TRIGGERS_MAX = 20
CONDITIONS_MAX = 20
CAPS_MAX = 10
OPTIONS_MAX = 20

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_MESSAGE_TYPE = r"[a-z][a-z0-9_.-]{0,63}"
_LIST_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
_PERIODS: dict[str, Per] = {"session": "session", "day": "day", "user": "user"}
# What clients show as a text and nothing else.
TEXT_TYPES = ("question", "suggestion", "notification")
# What the protocol itself puts into the frame of a message.
DATA_KEYS_TAKEN = (
    "expiresAt", "id", "message", "messageType", "options", "questionId", "rule", "seq", "timestamp", "type", "why",
)  # fmt: skip


def parse_id(text: str) -> str:
    if not re.fullmatch(_ID, text):
        raise Refused(
            f'expected an id of at most 64 letters, digits, "-", "_" and ".", got "{text[:80]}"', code="bad-id"
        )
    return text


def parse_message_type(text: str) -> str:
    if not re.fullmatch(_MESSAGE_TYPE, text):
        raise Refused(f'expected a type such as "question", "suggestion" or "notification", got "{text[:80]}"')
    if text in MESSAGE_TYPES_TAKEN:
        raise Refused(f'the type "{text}" has a meaning of its own in the protocol', hint="choose another word")
    return text


def parse_per(text: str) -> Per:
    period = _PERIODS.get(text)
    if period is not None:
        return period
    try:
        return parse_duration(text)
    except Refused:
        expected = 'a duration such as "90s", "5m" or "1h30m", "session", "day" or "user"'
        raise Refused(f'expected {expected}, got "{text}"') from None


def parse_list_name(text: str) -> str:
    if not re.fullmatch(_LIST_NAME, text):
        raise Refused(f'expected a name of letters, digits, "_" and "-", got "{text[:80]}"')
    return text


def parse_option(text: str) -> str:
    if not text.strip():
        raise Refused(f'expected some text, got "{text}"')
    return text


COOLDOWN = shapes.duration("How long the rule keeps quiet towards a user after it has sent them something.")
EXPIRES = shapes.duration("How long after it was sent the message is still worth showing.")
WARMUP = shapes.duration("How long after the start of a session the rule keeps quiet.")
PRIORITY = shapes.Integer(
    minimum=-PRIORITY_MAX, maximum=PRIORITY_MAX, doc="Who goes first at the same moment: the higher; 0 if absent."
)
MODE = shapes.Choice(
    words=("live", "shadow", "off"),
    doc="live sends; shadow goes through every gate and never sends; off is not evaluated. live if absent.",
)
PER = shapes.Parsed(
    parse=parse_per,
    pattern=f"^(session|day|user|{shapes.SPAN})$",
    examples=("session", "day", "1h"),
    doc="Per session, per day of the user's calendar, per user for ever, or in a sliding span.",
)
CAPS = shapes.ListOf(
    one_will_do=True,
    length_max=CAPS_MAX,
    item=shapes.Fields(
        keys={
            "max": shapes.Integer(minimum=1, maximum=CAP_MAX, doc="How many messages at most."),
            "per": PER,
        },
        required=("max", "per"),
    ),
    doc="How many messages of this rule a user gets at most, per period. All caps hold.",
)
CONDITION = shapes.ListOf(
    one_will_do=True,
    length_max=CONDITIONS_MAX,
    item=shapes.Expression(doc="An expression that must hold."),
    doc="What must hold when the trigger fires: an expression, or several that must all hold.",
)

MESSAGE = shapes.Fields(
    keys={
        "type": shapes.Parsed(
            parse=parse_message_type,
            pattern=f"^(?!({'|'.join(MESSAGE_TYPES_TAKEN)})$){_MESSAGE_TYPE}$",
            examples=("question", "suggestion", "notification"),
            doc="How a client shows it: question, suggestion, notification, or a word of your own.",
        ),
        "text": shapes.Template(
            doc="What the user reads, a Jinja template. A type of your own may have its fields in data alone."
        ),
        "fallback": shapes.Text(doc="Plain text that is sent when the template fails."),
        "options": shapes.ListOf(
            item=shapes.Parsed(parse=parse_option, pattern=r"\S", doc="An answer the user can choose."),
            length_max=OPTIONS_MAX,
            doc="The answers the user can choose from.",
        ),
        "data": shapes.TemplateTree(
            doc="Further fields of the message; text in it, at any depth, is a Jinja template."
        ),
        "expires": EXPIRES,
        "variants": LATER,
    },
    required=("type",),
    at_least_one=("text", "data"),
    doc="What the rule says.",
)

# What a rule may leave to the defaults of its file.
DEFAULTS: dict[str, shapes.Shape] = {
    "priority": PRIORITY,
    "cooldown": COOLDOWN,
    "max": CAPS,
    "warmup": WARMUP,
    "expires": EXPIRES,
    "mode": MODE,
    "cooldown_by": LATER,
    "offline": LATER,
    "quiet_hours": LATER,
    "urgent": LATER,
    "budget": LATER,
    "topic": LATER,
    "holdout": LATER,
    "deliver": LATER,
    "on_dismiss": LATER,
    "on_answer": LATER,
}

POLICY = shapes.Fields(
    keys={
        "timezone": shapes.Parsed(
            parse=parse_zone,
            examples=("Etc/UTC", "Europe/Paris"),
            doc="The IANA time zone of users who have none of their own; Etc/UTC if absent.",
        ),
        "simultaneous": shapes.Integer(
            minimum=1,
            maximum=SIMULTANEOUS_MAX,
            doc="How many messages one event or moment may send to a user; 1 if absent.",
        ),
        "session_timeout": shapes.duration("How long after the last activity an implicit session ends; 30m if absent."),
        "budgets": LATER,
        "quiet_hours": LATER,
        "seed": LATER,
        "holdout": LATER,
    },
    doc="What holds for all rules of the folder; it stands in one file only.",
)

LISTS = shapes.MapOf(
    item=shapes.Words(doc="Words, which a keywords trigger inserts with @ and the list's name, in quotes."),
    doc="Reusable words, shared by all files of the folder.",
)


def trigger_shape(kinds: Mapping[str, shapes.Kind]) -> shapes.Fields:
    built: dict[str, shapes.Shape] = {name: kind.shape for name, kind in kinds.items()}
    later = {name: LATER for name in ("count", "sequence", "absence", "session", "response") if name not in built}
    return shapes.Fields(
        keys=built | later,
        exactly_one=tuple(built),
        beside={"where": "event"} if "event" in built else {},
        one_of_list=True,
        doc="When the rule may speak.",
    )


def rule_shape(kinds: Mapping[str, shapes.Kind]) -> shapes.Fields:
    return shapes.Fields(
        keys={
            "id": shapes.Parsed(
                parse=parse_id,
                pattern=f"^{_ID}$",
                examples=("idle-check-in",),
                doc="The stable name: what the engine remembers of the rule follows it. Unique across the folder.",
            ),
            "description": shapes.Text(doc="What the rule is for; nobody but its authors reads it."),
            "trigger": shapes.ListOf(
                item=trigger_shape(kinds),
                one_will_do=True,
                length_max=TRIGGERS_MAX,
                doc="When the rule may speak: one trigger, or several of which any fires it.",
            ),
            "condition": CONDITION,
            "message": MESSAGE,
            **DEFAULTS,
            "was": LATER,
        },
        required=("id", "trigger", "message"),
        doc="One rule: when to speak, on what condition, what to say, and how often at most.",
    )


def file_shape(kinds: Mapping[str, shapes.Kind]) -> shapes.Fields:
    """The shape of a whole file."""
    return shapes.Fields(
        keys={
            "version": shapes.Integer(minimum=1, maximum=1, doc="The version of the rule language: 1."),
            "lists": LISTS,
            "defaults": shapes.Fields(keys=DEFAULTS, doc="For the rules of this file; a rule overrides them."),
            "rules": shapes.ListOf(
                item=rule_shape(kinds), length_min=0, length_max=RULES_MAX, doc="The rules, in order."
            ),
            "policy": POLICY,
            "tests": TESTS,
            "invariants": invariants_shape(PER),
        },
        required=("version",),
        doc="A rule file.",
    )

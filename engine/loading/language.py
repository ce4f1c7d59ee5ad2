"""What a rule file may say, key by key: the page of reference that the loader reads by. Declarations only.

The kinds of triggers bring their own shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from engine.core import shapes
from engine.core.groups import FIELD
from engine.core.model import MESSAGE_TYPES_TAKEN
from engine.core.refusal import Refused
from engine.core.remembered import LEVELS
from engine.core.zones import parse_zone
from engine.loading.invariants import invariants_shape
from engine.loading.policy import (
    BUDGET,
    HOLDOUT,
    MATCHERS,
    MAX,
    PER,
    POLICY_NAME,
    QUIET_HOURS,
    RULE_BUDGETS,
    RULE_QUIET_HOURS,
    SEED_MAX,
)
from engine.loading.scenarios import TESTS

RULES_MAX = 10_000  # of one file
WORDS_MAX = 10_000  # of one list
PRIORITY_MAX = 1_000_000
SIMULTANEOUS_MAX = 100
TRIGGERS_MAX = 20
CONDITIONS_MAX = 20
CAPS_MAX = 10
OPTIONS_MAX = 20
VARIANTS_MAX = 20
WEIGHT_MAX = 1000
FACTOR_MAX = 100

_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_MESSAGE_TYPE = r"[a-z][a-z0-9_.-]{0,63}"
_LIST_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
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


def parse_list_name(text: str) -> str:
    if not re.fullmatch(_LIST_NAME, text):
        raise Refused(f'expected a name of letters, digits, "_" and "-", got "{text[:80]}"')
    return text


def parse_factor(text: str) -> int:
    match = re.fullmatch(r"x([1-9]\d{0,2})", text, re.ASCII)
    if match is None or not 2 <= int(match.group(1)) <= FACTOR_MAX:
        raise Refused(f'expected a factor from "x2" to "x{FACTOR_MAX}", got "{text[:80]}"')
    return int(match.group(1))


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
CAPS = shapes.ListOf(
    one_will_do=True,
    length_max=CAPS_MAX,
    item=shapes.Fields(
        keys={
            "max": MAX,
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

TEXT = shapes.Template(
    doc="What the user reads, a Jinja template. A type of your own may have its fields in data alone."
)
COMPOSE = shapes.Template(
    doc="What a responder is asked to write in the text's place, a Jinja template; the text is sent where it cannot."
)
FALLBACK = shapes.Text(doc="Plain text that is sent when the template fails.")
OPTIONS = shapes.ListOf(
    item=shapes.Parsed(parse=parse_option, pattern=r"\S", doc="An answer the user can choose."),
    length_max=OPTIONS_MAX,
    doc="The answers the user can choose from.",
)
DATA = shapes.TemplateTree(doc="Further fields of the message; text in it, at any depth, is a Jinja template.")
ID = shapes.Parsed(parse=parse_id, pattern=f"^{_ID}$", examples=("idle-check-in",))
VARIANTS = shapes.ListOf(
    item=shapes.Fields(
        keys={
            "id": replace(ID, examples=("ask",), doc="Its name, which a decision for it has."),
            "weight": shapes.Integer(
                minimum=1, maximum=WEIGHT_MAX, doc="How often it is drawn, against the others; 1 if absent."
            ),
            "text": TEXT,
            "compose": COMPOSE,
            "fallback": FALLBACK,
            "options": OPTIONS,
            "data": DATA,
        },
        required=("id", "text"),
    ),
    length_max=VARIANTS_MAX,
    doc="Several ways of saying it, of which one is drawn. What a variant does not have is the message's.",
)
MESSAGE = shapes.Fields(
    keys={
        "type": shapes.Parsed(
            parse=parse_message_type,
            pattern=f"^(?!({'|'.join(MESSAGE_TYPES_TAKEN)})$){_MESSAGE_TYPE}$",
            examples=("question", "suggestion", "notification"),
            doc="How a client shows it: question, suggestion, notification, or a word of your own.",
        ),
        "text": TEXT,
        "variants": VARIANTS,
        "compose": COMPOSE,
        "fallback": FALLBACK,
        "options": OPTIONS,
        "data": DATA,
        "expires": EXPIRES,
    },
    required=("type",),
    at_least_one=("text", "data", "variants"),
    at_most_one=("text", "variants"),
    # What a responder cannot write in time is said all the same.
    needs={"compose": ("text", "variants")},
    doc="What the rule says: a text, data, or variants.",
)
DELIVER = shapes.Fields(
    keys={
        "at": MATCHERS,
        "within": shapes.duration("How long the message is held at most."),
        "otherwise": shapes.Choice(words=("send", "drop"), doc="What becomes of it when that is over; send if absent."),
        "quiet_for": shapes.duration("How long the user must have done nothing when it is sent."),
        "cancel_on": MATCHERS,
    },
    at_least_one=("at", "quiet_for", "cancel_on"),
    # A wait has an end, and what is said of an end is said of a wait.
    needs={
        "at": ("within",),
        "quiet_for": ("within",),
        "within": ("at", "quiet_for"),
        "otherwise": ("at", "quiet_for"),
    },
    doc="When the message is sent: at an event that makes a good moment, or when the user pauses.",
)

# What a rule may leave to the defaults of its file.
DEFAULTS: dict[str, shapes.Shape] = {
    "priority": PRIORITY,
    "cooldown": COOLDOWN,
    "max": CAPS,
    "warmup": WARMUP,
    "expires": EXPIRES,
    "mode": MODE,
    "cooldown_by": replace(
        FIELD, doc="A data field of the event: the cooldown is separate for each value. Events without it share one."
    ),
    "on_dismiss": shapes.Fields(
        keys={
            "cooldown": shapes.Parsed(
                parse=parse_factor,
                pattern=r"^x([2-9]|[1-9][0-9]|100)$",
                examples=("x2",),
                doc="What it is multiplied by.",
            ),
            "up_to": shapes.duration("How long the cooldown becomes at most."),
        },
        required=("cooldown",),
        doc="Every dismissal of a message of this rule makes its cooldown longer.",
    ),
    "on_answer": shapes.Choice(words=("reset",), doc="An answer makes the cooldown what it was."),
    "topic": shapes.Parsed(
        parse=parse_id, pattern=f"^{_ID}$", examples=("testing",), doc="What it is about; users can mute a topic."
    ),
    "level": shapes.Choice(
        words=LEVELS[1:], doc="The least that a user must want to hear for the rule to speak; normal if absent."
    ),
    "offline": shapes.Choice(
        words=("drop", "keep"), doc="What becomes of a message to a user who is absent; drop if absent."
    ),
    "quiet_hours": RULE_QUIET_HOURS,
    "urgent": shapes.Flag(doc="Whether the rule speaks in quiet hours; false if absent."),
    "budget": RULE_BUDGETS,
    "holdout": HOLDOUT,
    "deliver": DELIVER,
}

# Defaults that a rule takes back with `none`. The others have a word that says what holds without them.
TAKEN_BACK = (
    "cooldown", "max", "warmup", "expires", "cooldown_by", "on_dismiss", "on_answer", "topic", "holdout", "deliver",
)  # fmt: skip


def or_none(name: str, *, is_default: bool) -> shapes.Shape:
    """The shape of a key that has a default, among the defaults and in a rule."""
    shape = DEFAULTS[name]
    if name not in TAKEN_BACK:
        return shape
    doc = shape.doc if is_default else f"{shape.doc} Or none, whatever the defaults say."
    return shapes.OrNone(item=shape, is_default=is_default, doc=doc)


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
        "budgets": shapes.MapOf(item=BUDGET, names=POLICY_NAME, doc="Limits that rules share, by name."),
        "quiet_hours": shapes.MapOf(
            item=QUIET_HOURS, names=POLICY_NAME, doc="When nobody is to be disturbed, by name."
        ),
        "seed": shapes.Text(length_max=SEED_MAX, doc="Goes into every draw: with another, other users are held out."),
        "holdout": HOLDOUT,
    },
    doc="What holds for all rules of the folder; it stands in one file only.",
)

LISTS = shapes.MapOf(
    item=shapes.Words(doc="Words, which a keywords trigger inserts with @ and the list's name, in quotes."),
    names=shapes.Parsed(parse=parse_list_name, pattern=f"^{_LIST_NAME}$"),
    doc="Reusable words, shared by all files of the folder.",
)


def trigger_shape(kinds: Mapping[str, shapes.Kind]) -> shapes.Fields:
    built: dict[str, shapes.Shape] = {name: kind.shape for name, kind in kinds.items()}
    return shapes.Fields(
        keys=built,
        exactly_one=tuple(built),
        beside={"where": "event"} if "event" in built else {},
        one_of_list=True,
        doc="When the rule may speak.",
    )


def rule_shape(kinds: Mapping[str, shapes.Kind]) -> shapes.Fields:
    return shapes.Fields(
        keys={
            "id": replace(
                ID, doc="The stable name: what the engine remembers of the rule follows it. Unique across the folder."
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
            "variants": VARIANTS,
            **{name: or_none(name, is_default=False) for name in DEFAULTS},
            "was": shapes.Parsed(
                parse=parse_id, pattern=f"^{_ID}$", doc="The id that the rule had before; what is remembered follows."
            ),
        },
        required=("id", "trigger", "message"),
        inside={"variants": "message"},
        doc="One rule: when to speak, on what condition, what to say, and how often at most.",
    )


def file_shape(kinds: Mapping[str, shapes.Kind]) -> shapes.Fields:
    """The shape of a whole file."""
    return shapes.Fields(
        keys={
            "version": shapes.Integer(minimum=1, maximum=1, doc="The version of the rule language: 1."),
            "standalone": shapes.Flag(
                doc="Whether the file is a whole of its own, left out where a folder is read; false if absent."
            ),
            "lists": LISTS,
            "defaults": shapes.Fields(
                keys={name: or_none(name, is_default=True) for name in DEFAULTS},
                doc="For the rules of this file; a rule overrides them.",
            ),
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

"""What a folder's `policy:` may say, and how rules refer to it: budgets, quiet hours, the shares of holdouts.

Declarations, and the values that are made of what was read by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.core import shapes
from engine.core.cron import parse_time_of_day
from engine.core.matcher import EVENT_TYPES, MATCHER, WHERE, Matcher
from engine.core.quiet import QuietHours
from engine.core.refusal import Refused
from engine.core.remembered import LEVELS
from engine.core.rules import Budget, Charge, Limit, Per
from engine.core.scope import WEEKDAYS
from engine.core.units import parse_duration

COUNT_MAX = 1000
LIMITS_MAX = 10
COST_MAX = 100
MATCHERS_MAX = 20
NAMES_MAX = 20
SEED_MAX = 256
_PERIODS: dict[str, Per] = {"session": "session", "day": "day", "user": "user"}
_NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
_PERCENT = re.compile(r"(100(?:\.0{1,4})?|\d{1,2}(?:\.\d{1,4})?) ?%", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,6})?|\.\d{1,6}", re.ASCII)
NONE = "none"  # in place of a name: of none of them


def parse_per(text: str) -> Per:
    period = _PERIODS.get(text)
    if period is not None:
        return period
    try:
        return parse_duration(text)
    except Refused as refused:
        expected = 'a duration such as "90s", "5m" or "1h30m", "session", "day" or "user"'
        raise Refused(f'expected {expected}, got "{text}"', hint=refused.hint) from None


def parse_percent(text: str) -> float:
    """``"10%"`` to 0.1; from 0% to 100%, with up to four digits behind the point."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise Refused(f'expected a percentage from "0%" to "100%", got "{text[:80]}"', hint=_meant_percent(text))
    return float(match.group(1)) / 100


def _meant_percent(text: str) -> str:
    """A hint for a share that was written as a number: 0.1 and 10 are 10%, 1 may be either."""
    if not _NUMBER.fullmatch(text):
        return ""
    number = Decimal(text)
    # One is all of them, or one in a hundred.
    shares = ([number] if number >= 1 else []) + ([number * 100] if number <= 1 else [])
    written = [f"{share.normalize():f}%" for share in shares]
    right = [f'"{share}"' for share in written if _PERCENT.fullmatch(share)]
    return f"did you mean {' or '.join(right)}?" if right else ""


def is_name(text: str) -> bool:
    return re.fullmatch(_NAME, text) is not None


def parse_name(text: str) -> str:
    """A name that stands for a budget or quiet hours, or ``none``."""
    if not is_name(text):
        raise Refused(f'expected a name of letters, digits, "_" and "-", got "{text[:80]}"')
    return text


def parse_policy_name(text: str) -> str:
    """The name of a budget or of quiet hours, where it is given."""
    if text == NONE:
        raise Refused(f'"{NONE}" stands for none of them', hint="choose another name")
    return parse_name(text)


POLICY_NAME = shapes.Parsed(parse=parse_policy_name, pattern=f"^(?!{NONE}$){_NAME}$")
PER = shapes.Parsed(
    parse=parse_per,
    pattern=f"^(session|day|user|{shapes.SPAN})$",
    examples=("session", "day", "1h"),
    doc="Per session, per day of the user's calendar, per user for ever, or in a sliding span.",
)
MAX = shapes.Integer(minimum=1, maximum=COUNT_MAX, doc="How many messages at most.")
HOLDOUT = shapes.Parsed(
    parse=parse_percent,
    pattern=r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?) ?%$",
    examples=("10%",),
    doc="The share of users to whom it is not sent, so that others can be compared with them.",
)
MATCHERS = shapes.ListOf(
    item=MATCHER,
    one_will_do=True,
    length_max=MATCHERS_MAX,
    doc="Which events: one matcher or several, any of which matches.",
)
NAMES = shapes.ListOf(
    item=shapes.Parsed(parse=parse_name, pattern=f"^{_NAME}$", examples=(NONE,), doc="A name of the policy, or none."),
    one_will_do=True,
    length_max=NAMES_MAX,
    doc="Names of the policy's quiet hours, or none; all of them if absent.",
)
THEN = shapes.Choice(words=("drop", "hold"), doc="Whether a message is dropped or held until they end; drop if absent.")
TIME_OF_DAY = shapes.Parsed(
    parse=parse_time_of_day,
    pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
    examples=("22:00",),
    doc="When they begin, a local time in the user's zone.",
)

BUDGET = shapes.Fields(
    keys={
        "limits": shapes.ListOf(
            one_will_do=True,
            length_max=LIMITS_MAX,
            item=shapes.Fields(
                keys={
                    "max": replace(MAX, doc="How much may be spent at most; a message costs 1."),
                    "per": PER,
                    "level": shapes.Choice(
                        words=LEVELS[1:], doc="The limit binds only users who have chosen this level; all if absent."
                    ),
                },
                required=("max", "per"),
            ),
            doc="How much may be spent, per period. All limits hold.",
        ),
        "charged_by": shapes.ListOf(
            one_will_do=True,
            length_max=MATCHERS_MAX,
            item=shapes.Fields(
                keys={
                    "event": EVENT_TYPES,
                    "where": WHERE,
                    "cost": shapes.Integer(minimum=1, maximum=COST_MAX, doc="What one event costs; 1 if absent."),
                },
                required=("event",),
                shorthand="event",
            ),
            doc="Events that charge the budget; if there are any, messages do not.",
        ),
        "reset_on": shapes.ListOf(
            item=MATCHER, one_will_do=True, length_max=MATCHERS_MAX, doc="Events that empty the budget."
        ),
    },
    required=("limits",),
    doc="Limits that rules share.",
)
QUIET_HOURS = shapes.Fields(
    keys={
        "days": shapes.ListOf(
            item=shapes.Choice(words=WEEKDAYS),
            one_will_do=True,
            length_max=7,
            doc="The days on which they start; every day if absent.",
        ),
        "from": TIME_OF_DAY,
        "to": replace(TIME_OF_DAY, doc="When they end, a local time that lies outside; may be on the next day."),
        "then": THEN,
    },
    required=("from", "to"),
    doc="When nobody is to be disturbed, in the user's zone; they may cross midnight.",
)
RULE_QUIET_HOURS = shapes.Fields(
    keys={"in": NAMES, "then": THEN},
    shorthand="in",
    at_least_one=("in", "then"),
    doc="The quiet hours of the policy that the rule keeps, or none; all of them if absent.",
)
RULE_BUDGETS = shapes.ListOf(
    item=NAMES.item,
    one_will_do=True,
    length_max=NAMES_MAX,
    doc="The budgets of the policy that the rule draws on, or none; all of them if absent.",
)


def make_budget(name: str, values: Mapping[str, Any]) -> Budget:
    return Budget(
        name,
        tuple([Limit(limit["max"], limit["per"], limit.get("level")) for limit in values["limits"]]),
        tuple([Charge(Matcher.build(charge), charge.get("cost", 1)) for charge in values.get("charged_by", ())]),
        tuple([Matcher.build(matcher) for matcher in values.get("reset_on", ())]),
    )


def make_quiet_hours(name: str, values: Mapping[str, Any]) -> QuietHours:
    """Raises `Refused` for hours that are none, or all."""
    start, end = (hour * 60 + minute for hour, minute in (values["from"], values["to"]))
    if start == end:
        raise Refused('expected "from" and "to" to differ', under="to", hint='"00:00" to "23:59" is nearly all day')
    days = frozenset(WEEKDAYS.index(day) for day in values.get("days", WEEKDAYS))
    return QuietHours(name, days, start, end, values.get("then", "drop"))

"""Rules that mean harm, and what becomes of each: refused with a code, or run to an outcome within bounds.

Run as a program (by test_hostile_rules.py) it tries them all under a bound of memory and a watchdog, and prints a line
for each: what came of it. It ends at once where one takes longer than `HANG_S`.
"""

from __future__ import annotations

import faulthandler
import json
import resource
from dataclasses import dataclass
from typing import Any

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import HOUR, SECOND, parse_at
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS

MEMORY_BYTES_MAX = 1024**3  # of addresses; importing the engine takes about a tenth of it
HANG_S = 30  # a watchdog and no measure: the worst of them take a tenth of a second
START = parse_at("2026-03-27T10:00:00Z")
# What a client can put into one frame to make it worse.
DATA: dict[str, Any] = {
    "message": "a" * 60_000, "n": 9e307, "test": "t", "items": list(range(9_000)),
    "deep": json.loads("[" * 30 + "]" * 30),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """``expected`` is the code of the first error, or the outcome of the first decision, or "loads" for neither."""

    name: str
    text: str
    expected: str


def _rules(*rules: dict[str, Any], **more: Any) -> str:
    """The rules as a file; each has what it needs besides what is said of it."""
    whole = [
        {"id": f"r{number}", "trigger": {"event": "e"}, "message": {"type": "question", "text": "t"}, **rule}
        for number, rule in enumerate(rules)
    ]
    return json.dumps({"version": 1, **more, "rules": whole})


def _regex(pattern: str) -> str:
    return _rules({"condition": f"matches(event.message, {json.dumps(pattern)})"})


def _condition(source: str) -> str:
    return _rules({"condition": source})


def _template(source: str) -> str:
    return _rules({"message": {"type": "question", "text": source}})


def _trigger(**trigger: Any) -> str:
    return _rules({"trigger": trigger})


def _laughs(levels: int) -> str:
    lines = ["version: 1", "lists:", "  a0: &a0 [" + "ha, " * 9 + "]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


REGEXES = [
    ("nested repetition", "(a+)+$b", "condition"),
    ("a choice of the same", "(a|a)*b", "condition"),
    ("many ways to share a text", "(.*a){25}[bc]$", "condition"),
    ("an automaton without end", "(a|b)*a(a|b){30}c$", "condition"),
    ("a program too long for the text", "[^x]{1,500}y", "condition"),
    ("a class of all letters many times", r"(?i)\pL{900}$", "bad-regex"),
    ("repetitions of repetitions", "((a{100}){100}){100}", "bad-regex"),
    ("a repetition too large", "a{1001}", "bad-regex"),
    ("a reference back", r"(a+)\1", "bad-regex"),
    ("a look ahead", "(?=a+)b", "bad-regex"),
    ("a long alternation", "|".join(f"abc{n}" for n in range(80)), "condition"),
    ("one character too many", "a" * 501, "too-large"),
    ("brackets", "(" * 240 + "a" + ")" * 240, "sent"),
]
CONDITIONS = [
    ("long searches in one expression", " or ".join(["matches(event.message, '(.*a){9}$b')"] * 30), "condition"),
    ("lists in lists", "[" * 50 + "1" + "]" * 50, "too-large"),
    ("brackets", "(" * 500 + "1" + ")" * 500, "too-large"),
    ("signs", "-" * 1900 + "1", "too-large"),
    ("fields of fields", "event" + ".a" * 900, "too-large"),
    ("sums", "+".join(["event.n"] * 90), "too-large"),
    ("a number of many digits", "9" * 1900 + " > 1", "too-large"),
    ("a number without end", "1e99999 > 1", "too-large"),
    ("a power", "9 ** 9 ** 9 > 1", "bad-expression"),
    ("a text grows", "'a' * 10000 * 10000 == 'b'", "condition"),
    ("a list grows", "len([1] * 1000 * 1000) > 1", "condition"),
    ("numbers overflow", "event.n * 10 > 1", "condition"),
    ("a text of digits", "int(event.message) > 1", "condition"),
    ("a duration overflows", "session.age * 9223372036854775807 > 1s", "condition"),
    ("durations beyond all years", "3660d + 3660d + session.age > 1s", "sent"),
    ("deep values compared", "event.deep == event.deep", "sent"),
    ("the longest list", "min(event.items) == max(event.items)", "condition"),
    ("Python", "().__class__.__bases__[0]", "bad-expression"),
    ("a comprehension", "[x for x in event.items]", "bad-expression"),
]
TEMPLATES = [
    ("loops in loops",
     "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}", "render_error"),
    ("loops in loops in loops", "{% for a in [1] %}" * 11 + "{% endfor %}" * 11, "bad-template"),
    ("a text times a number", "{{ ('a' * 16000) * 16000 }}", "render_error"),
    ("a list times a number", "{{ [1] * 1000000000 }}", "render_error"),
    ("a range", "{{ range(1000000000)|list }}", "render_error"),
    ("a macro that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "bad-template"),
    ("a loop that calls itself", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "bad-template"),
    ("lists that hold themselves", "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}", "render_error"),
    ("texts that double", "{% set a = 'aa' %}" + "{% set a = a ~ a %}" * 60, "render_error"),
    ("a join", "{{ range(9000)|join('a' * 1000) }}", "render_error"),
    ("a chain of filters", "{{ 'a'" + "|replace('a', 'aa')" * 40 + " }}", "render_error"),
    ("a chain too long", "{{ 'a'" + "|upper" * 300 + " }}", "bad-template"),
    ("a replacement of nothing", "{{ ('a' * 16000)|replace('', 'b' * 16000) }}", "render_error"),
    ("a width of many digits", "{{ '%99999999d'|format(1) }}", "render_error"),
    ("a width from the data", "{{ '%*d'|format(99999999, 1) }}", "render_error"),
    ("many widths", "{{ ('%999d' * 60)|format(" + ", ".join("1" * 60) + ") }}", "render_error"),
    ("a method of widths", "{{ 'a'.ljust(1000000000) }}", "bad-template"),
    ("a power", "{{ 9 ** 9 ** 9 }}", "bad-template"),
    ("sorting again and again", "{% for i in range(9999) %}{% set x = range(5000)|sort %}{% endfor %}", "render_error"),
    ("titles again and again",
     "{% for i in range(9999) %}{% set x = ('a b' * 5000)|title %}{% endfor %}", "render_error"),
    ("splitting again and again",
     "{% for i in range(9999) %}{% set x = event.message.split('a') %}{% endfor %}", "render_error"),
    ("looking for the same",
     "{% for i in range(9999) %}{% set x = 0.5 in event['items'] %}{% endfor %}", "render_error"),
    ("a message without end", "{% for i in range(9999) %}{{ 'aaaaaaaaaa' }}{% endfor %}", "render_error"),
    ("Python", "{{ ''.__class__.__mro__ }}", "render_error"),
    ("a template too long", "{{ 1 }}" * 2000, "too-large"),
]  # fmt: skip
TRIGGERS = [
    ("a day that never comes", {"schedule": {"cron": "0 0 30 2 *"}}, "bad-cron"),
    ("a day that none of these months has", {"schedule": {"cron": "0 0 31 2,4,6 *"}}, "bad-cron"),
    ("a day every four years", {"schedule": {"cron": "0 0 29 2 *"}}, "loads"),
    ("a step of nothing", {"schedule": {"cron": "*/0 * * * *"}}, "bad-cron"),
    ("every millisecond", {"schedule": {"every": "1ms"}}, "bad-value"),
    ("the longest span", {"inactivity": "3660d"}, "loads"),
    ("a span too long", {"inactivity": "3661d"}, "bad-value"),
    ("a span of many digits", {"inactivity": "9" * 5000 + "d"}, "bad-value"),
    ("a span of nothing", {"inactivity": "0s"}, "bad-value"),
    ("a count without end", {"count": {"event": "e", "at_least": 10**9, "within": "1h"}}, "bad-value"),
    ("the largest count", {"count": {"event": "e", "at_least": 1000, "within": "3660d", "group_by": "test"}}, "loads"),
    ("a sequence without end", {"sequence": {"steps": ["e"] * 50, "within": "1h"}}, "too-large"),
    ("words without end", {"keywords": {"any": [f"w{n}" for n in range(20_000)], "event": "e"}}, "too-large"),
    ("a word without end", {"keywords": {"any": ["w" * 100_000], "event": "e"}}, "too-large"),
    ("an answer to itself", {"response": {"to": "r0"}}, "loads"),
]
FILES = [
    ("aliases of aliases", _laughs(9), "too-large"),
    ("an alias of itself", "version: 1\nlists: &a {x: *a}", "bad-alias"),
    ("lists without end", "version: 1\nrules: " + "[" * 100_000, "too-deep"),
    ("keys below keys", "".join(" " * n + "a:\n" for n in range(900)), "too-deep"),
    ("questions", "? " * 200_000, "too-deep"),
    ("a file too large", "#" * (1024 * 1024 + 1), "too-large"),
    ("a number of many digits", "version: " + "9" * 200_000, "bad-value"),
    ("a tag", "version: !!python/object/apply:os.system ['true']", "tag"),
    ("many anchors", "version: 1\nlists: {x: [" + ",".join(f"&a{n} w{n}" for n in range(20_000)) + "]}", "too-large"),
    ("many lists", "version: 1\nlists: {" + ", ".join(f"l{n}: [a]" for n in range(20_000)) + "}\nrules: []", "loads"),
    ("many unknown keys", "version: 1\n" + "".join(f"k{n}: 1\n" for n in range(10_000)), "unknown-key"),
    ("one key many times", "version: 1\n" + "k: 1\n" * 20_000, "unknown-key"),
    ("many documents", "--- a\n" * 100_000, "many-documents"),
    ("many rules", _rules(*({} for _ in range(3_000))), "sent"),
    ("many counts", _rules(*({"trigger": {"count": {"event": "e",
     "at_least": 3, "within": "1h"}}} for _ in range(2_000))), "sent"),
]  # fmt: skip
CASES = [
    *(Case(f"regex: {name}", _regex(pattern), expected) for name, pattern, expected in REGEXES),
    *(Case(f"condition: {name}", _condition(source), expected) for name, source, expected in CONDITIONS),
    *(Case(f"template: {name}", _template(source), expected) for name, source, expected in TEMPLATES),
    *(Case(f"trigger: {name}", _trigger(**trigger), expected) for name, trigger, expected in TRIGGERS),
    *(Case(f"file: {name}", text, expected) for name, text, expected in FILES),
]


def outcome(text: str) -> tuple[str, ...]:
    """The codes of all errors; else the outcomes of what the rules decided on a few events, "loads" for none."""
    try:
        timeline = Timeline(load({"a.yaml": text}, KINDS))
    except RuleErrors as errors:
        return tuple(sorted({error.code for error in errors.diagnostics}))
    state = UserState("ann")
    decisions: list[Decision] = []
    at = START
    for number in range(3):
        at += SECOND
        apply(timeline, state, Event("e", "ann", at, DATA, f"e{number}"), decisions)
        state = UserState.decode(state.encode())
    advance(timeline, state, at + HOUR, decisions)
    return (decisions[0].outcome if decisions else "loads",)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    for case in CASES:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        print(json.dumps([case.name, outcome(case.text)]), flush=True)
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()

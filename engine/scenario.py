"""Runs the rules' own tests in virtual time, through the functions of the live server. It reads and prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.core.model import Decision, Outcome
from engine.core.reasons import explain
from engine.core.rules import Rule, RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import format_duration
from engine.isolation import evaluate_user
from engine.loading.scenarios import Expected, Pattern, Scenario
from engine.loading.wording import shorten
from engine.near import ended, nearest_miss

Mark = str  # "=" as expected, "-" missing, "+" not expected, "~" different


@dataclass(frozen=True, slots=True)
class Row:
    """A message that was expected, one that was sent, or both of a pair; ``why`` are lines that explain the mark."""

    mark: Mark
    at: int
    expected: Expected | None
    sent: Decision | None
    why: tuple[str, ...] = ()


@dataclass(slots=True)
class Result:
    """What came of a test. ``rows`` are empty where it expects no complete list; ``broken`` tells of the rest."""

    scenario: Scenario
    decisions: list[Decision]
    rows: list[Row] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.broken and not self.faults and all(row.mark == "=" for row in self.rows)

    def lines(self) -> list[str]:
        """Why it did not pass, as text."""
        told = self._table() if any(row.mark != "=" for row in self.rows) else []
        told += self.broken
        for fault in self.faults:
            told += ["the engine failed:", *fault.rstrip().splitlines()]
        return told

    def _table(self) -> list[str]:
        cells = [(row, _expected(row.expected, self.scenario), _sent(row, self.scenario)) for row in self.rows]
        width = max(len("expected"), *(len(expected) for _, expected, _ in cells))
        told = [f"  {'expected':<{width}}  got"]
        for row, expected, sent in cells:
            mark = " " if row.mark == "=" else row.mark.replace("-", "−")
            told.append(f"{mark} {expected:<{width}}  {sent}".rstrip())
            told += [f"    {line}" for line in row.why]
        return told


def run_scenario(rules: RuleSet, scenario: Scenario) -> Result:
    """Run one test from nothing. It takes as long as its events do, whatever time passes in it."""
    tested = switched(rules, scenario.rules)
    timeline = Timeline(tested)
    evaluated = evaluate_user(timeline, lambda: UserState(scenario.user), scenario.events, scenario.until)
    result = Result(scenario, evaluated.decisions, faults=[trace for _, trace in evaluated.faults])
    if not result.faults:
        if scenario.expect is not None:
            result.rows = [explained(row, timeline, scenario, evaluated.decisions) for row in compared(result)]
        result.broken = [
            *_unwanted(scenario, evaluated.decisions),
            *_unmet(timeline, scenario, evaluated.decisions),
        ]
    return result


def switched(rules: RuleSet, on: Sequence[str] | None) -> RuleSet:
    """The rule set in which all rules but those that are named are off; the same where none are."""
    if on is None:
        return rules
    some = tuple([rule if rule.id in on else replace(rule, mode="off") for rule in rules])
    return RuleSet(some, rules.policy, rules.hash, rules.sources)


def compared(result: Result) -> list[Row]:
    """Each message beside the one that was expected at its moment of its rule, in order of time."""
    waiting: dict[tuple[int, str], list[Decision]] = {}
    for decision in result.decisions:
        if decision.outcome == "sent":
            waiting.setdefault((decision.at, decision.rule), []).append(decision)
    rows = []
    for expected in result.scenario.expect or ():
        sent = waiting.get((expected.at, expected.rule))
        if sent:
            decision = sent.pop(0)
            why = tuple(differences(expected, decision))
            rows.append(Row("~" if why else "=", expected.at, expected, decision, why))
        else:
            rows.append(Row("-", expected.at, expected, None))
    rows += [Row("+", decision.at, None, decision) for left in waiting.values() for decision in left]
    return sorted(rows, key=lambda row: row.at)


def differences(expected: Expected, decision: Decision) -> list[str]:
    """What of a message is not as expected, a line each."""
    message = decision.message
    assert message is not None
    told = []
    if expected.type is not None and message.type != expected.type:
        told.append(f'type: expected "{expected.type}", got "{message.type}"')
    if expected.text is not None and message.text.strip() != expected.text.strip():
        told.append(f'text: expected "{expected.text}", got "{message.text}"')
    told += [
        f'text: expected a text that contains "{part}", got "{message.text}"'
        for part in expected.contains
        if part not in message.text
    ]
    if expected.options is not None and message.options != expected.options:
        told.append(f"options: expected {_list(expected.options)}, got {_list(message.options)}")
    if expected.variant is not None and decision.variant != expected.variant:
        told.append(f'variant: expected "{expected.variant}", got {_quoted(decision.variant)}')
    return told


def explained(row: Row, timeline: Timeline, scenario: Scenario, decisions: Sequence[Decision]) -> Row:
    """A missing message with the trace of its nearest miss."""
    if row.mark != "-" or row.expected is None:
        return row
    return replace(row, why=tuple(_trace(timeline, scenario, row.expected.rule, row.at, decisions)))


def _trace(timeline: Timeline, scenario: Scenario, rule_id: str, at: int, decisions: Sequence[Decision]) -> list[str]:
    rule = next(rule for rule in timeline.latest if rule.id == rule_id)
    # What was sent as it was expected is no miss.
    kept = {(expected.at, expected.rule) for expected in scenario.expect or ()}
    rest = [
        decision for decision in decisions if (decision.at, decision.rule) not in kept or decision.outcome != "sent"
    ]
    return _miss(timeline, scenario, rule, at, rest)


def _miss(timeline: Timeline, scenario: Scenario, rule: Rule, at: int, decisions: Sequence[Decision]) -> list[str]:
    left_out = scenario.rules is not None and rule.id not in scenario.rules
    off = 'it is not among the "rules" of this test' if left_out else 'it is off, "mode: off"'
    return nearest_miss(timeline, rule, scenario.events, at, decisions, off).lines(scenario.start)


def _unwanted(scenario: Scenario, decisions: Sequence[Decision]) -> list[str]:
    return [
        f"line {pattern.line}: expected {_pattern(pattern, scenario, wanted=False)}, "
        f"got at {_offset(decision.at, scenario)}: {ended(decision, scenario.start)}"
        for pattern in scenario.expect_not
        for decision in decisions
        if matches(pattern, decision, scenario.start)
    ]


def _unmet(timeline: Timeline, scenario: Scenario, decisions: Sequence[Decision]) -> list[str]:
    told = []
    for pattern in scenario.expect_outcomes:
        if any(matches(pattern, decision, scenario.start) for decision in decisions):
            continue
        told.append(f"line {pattern.line}: expected {_pattern(pattern, scenario, wanted=True)}, got none")
        at = scenario.until if pattern.at is None else pattern.at
        rule = next(rule for rule in timeline.latest if rule.id == pattern.rule)
        told += [f"    {line}" for line in _miss(timeline, scenario, rule, at, decisions)]
    return told


def matches(pattern: Pattern, decision: Decision, start: int) -> bool:
    """``start``: that of the test. A part of the reason counts as it is told by a test, and as it is recorded."""
    if decision.rule != pattern.rule or pattern.outcome not in (None, decision.outcome):
        return False
    if pattern.at not in (None, decision.at):
        return False
    part = pattern.reason_contains
    recorded = "" if decision.reason is None else f"{decision.outcome}: {explain(decision.reason)}"
    return part is None or part in recorded or part in ended(decision, start)


def _pattern(pattern: Pattern, scenario: Scenario, *, wanted: bool) -> str:
    rule, outcome = pattern.rule, pattern.outcome
    if outcome in _VERBS:
        what = f"{rule} {'to be' if wanted else 'not to be'} {outcome}"
    else:
        what = f"{'a' if wanted else 'no'} candidate of {rule}" + (f" to end as {outcome}" if outcome else "")
    at = "" if pattern.at is None else f" at {_offset(pattern.at, scenario)}"
    reason = "" if pattern.reason_contains is None else f' because of "{pattern.reason_contains}"'
    return what + at + reason


def _offset(at: int, scenario: Scenario) -> str:
    return f"+{format_duration(at - scenario.start)}"


# The outcomes that say of a message what was done with it.
_VERBS: tuple[Outcome, ...] = ("sent", "held", "cancelled")


def _expected(expected: Expected | None, scenario: Scenario) -> str:
    if expected is None:
        return ""
    wanted = [expected.type, *(f'"…{shorten(part)}…"' for part in expected.contains)]
    if expected.text is not None:
        wanted.append(f'"{shorten(expected.text)}"')
    if expected.options is not None:
        wanted.append(_list(expected.options))
    if expected.variant is not None:
        wanted.append(f"variant {expected.variant}")
    return " ".join([_offset(expected.at, scenario), expected.rule, *filter(None, wanted)])


def _sent(row: Row, scenario: Scenario) -> str:
    decision = row.sent
    if decision is None or decision.message is None:
        return ""
    message = decision.message
    told = f'{_offset(decision.at, scenario)} {decision.rule} {message.type} "{shorten(message.text)}"'
    # Most often nobody asks for the options, and they are long.
    return told if row.expected is None or row.expected.options is None else f"{told} {_list(message.options)}"


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join(words) + "]"


def _quoted(word: str | None) -> str:
    return "none" if word is None else f'"{word}"'

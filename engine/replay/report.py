"""What a dry run found, as text: a table per rule and a summary. It computes from decisions and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from engine.core.model import OUTCOMES
from engine.core.rules import Rule
from engine.core.units import DAY, SECOND, format_duration, show_at
from engine.replay.bad_records import BadRecords
from engine.replay.driver import FaultFound
from engine.replay.tally import FAULTS_SHOWN_MAX, RuleCount, Tally, count_rules

__all__ = ["RuleCount", "claims_row", "count_rules", "details", "rule_table", "span_told", "summary"]

WIDTH = 80
RULE_WIDTH_MAX = 22  # leaves room for "render_error" and its number


def rule_table(rules: Iterable[Rule], counts: Mapping[str, RuleCount]) -> list[str]:
    """One row per rule, in rule order; those that never fired too. Rules of the past that have gone come last."""
    modes: dict[str, str] = {rule.id: rule.mode for rule in rules}
    names = [*modes, *sorted(rule for rule in counts if rule not in modes)]
    if not names:
        return ["no rules"]
    left = min(max(len(name) for name in ["rule", *names]), RULE_WIDTH_MAX)
    lines = [f"{'rule':<{left}}  {'candidates':>10}  {'sent':>9}  {'users':>7}  other outcomes"]
    for name in names:
        count = counts.get(name, RuleCount())
        notes = [
            f"{outcome} {count.outcomes[outcome]:,}"
            for outcome in OUTCOMES
            if outcome != "sent" and count.outcomes[outcome]
        ]
        if name not in modes:
            notes.append("no longer a rule")
        elif modes[name] == "off":
            notes.append("off")
        if len(name) > left:
            # A long name has a line of its own rather than being cut: it is what the reader will search for.
            lines.append(name)
            name = ""
        row = f"{name:<{left}}  {count.candidates:>10,}  {count.outcomes['sent']:>9,}  {count.reached:>7,}  "
        lines += _wrapped(row, [note + "," for note in notes[:-1]] + notes[-1:])
    return lines


def _wrapped(row: str, words: Sequence[str]) -> list[str]:
    """The words behind the row; those that do not fit go on below, under the first."""
    indent = " " * len(row)
    lines, line = [], row
    for word in words:
        if line not in (row, indent) and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = indent
        line += word if line in (row, indent) else f" {word}"
    return [text.rstrip() for text in [*lines, line]]


def summary(tally: Tally, bad: BadRecords, until: int | None = None) -> list[str]:
    """The lines under the table. Candidates and outcomes are counted apart, so that they can be compared."""
    lines = [_row("events", f"{tally.events:,} of {_number(tally.users, 'user')}")]
    if tally.first is not None and tally.last is not None:
        lines.append(_row("from", show_at(tally.first)))
        lines.append(_row("to", f"{show_at(tally.last)} ({span_told(tally.last - tally.first)})"))
    if until is not None:
        lines.append(_row("time ran to", show_at(until)))
    if tally.left_out:
        lines.append(_row("left out", f"{_number(tally.left_out, 'event')} after --until"))
    totals: Counter[str] = Counter()
    for count in tally.rules.values():
        totals += count.outcomes
    parts = [f"{outcome} {totals[outcome]:,}" for outcome in OUTCOMES if totals[outcome]]
    equation = [part + " +" for part in parts[:-1]] + parts[-1:]
    lines += _wrapped(_row("candidates", f"{tally.candidates:,}" + (" = " if parts else "")), equation)
    lines.append(_row("reached", _number(tally.reached, "user")))
    if totals["held"]:
        when = "when the log ends; --until TIME lets time run on" if until is None else "at that moment"
        lines.append(_row("still held", f"{_number(totals['held'], 'message')} {when}"))
    lines.append(_row("bad records", _reasons(bad)))
    if tally.fault_count:
        lines.append(_row("faults", f"{tally.fault_count:,}: events left out, because the engine failed on them"))
    return lines


def claims_row(count: int, broken: int) -> str:
    """How many of ``count`` invariants hold."""
    if broken:
        return _row("invariants", f"{count - broken:,} of {count:,} hold")
    return _row("invariants", f"{count:,} hold{'s' if count == 1 else ''}")


def details(bad: BadRecords, faults: Sequence[FaultFound]) -> list[str]:
    """The first bad records and the first faults, for the error stream."""
    lines = [*bad.declared, *map(str, bad.shown)]
    if bad.further:
        lines.append(f"… and {_number(bad.further, 'further bad record')}")
    for fault in faults[:FAULTS_SHOWN_MAX]:
        where = "as time ran on" if fault.event is None else f"at {show_at(fault.event.at)}, {fault.event.type}"
        lines.append(f'the engine failed on an event of user "{fault.user}" {where}:')
        lines += fault.trace.rstrip().splitlines()
    return lines


def _row(name: str, value: str) -> str:
    return f"{name:<13}{value}"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _reasons(bad: BadRecords) -> str:
    if not bad.total:
        return "0"
    return f"{bad.total:,}: " + ", ".join(f"{reason} {count:,}" for reason, count in bad.by_reason())


def span_told(span: int) -> str:
    """How long a log is, for people: in seconds, from two days on in days."""
    return f"{span / DAY:,.1f} days" if span >= 2 * DAY else format_duration(span - span % SECOND)

"""The report of a dry run: from gathered figures to the sections of a page. It gathers nothing and reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.core.model import OUTCOMES, Json
from engine.core.rules import Rule, RuleSet
from engine.core.units import MILLISECOND
from engine.replay.page.about import About, moment, number, span_text
from engine.replay.page.document import Card, Document, Section, write
from engine.replay.page.gather import SENT_COUNTED_MAX, Gathered
from engine.replay.page.markup import EMPTY, Cell, Column, Html, said, table
from engine.replay.page.over_time import days, days_data, hours, hours_data, week
from engine.replay.tally import RuleCount, Tally

CHART_RULES_MAX = 40  # bars; the table has all rules
# Where messages per user go beyond this, bars stand for more than one number.
SINGLE_BARS_MAX = 60
STEPS = (1, 2, 5)
NAMES_MAX = 1_000_000  # characters of names, reasons and texts on the timelines, each counted once
SHORT = 80  # characters of a name that always has room: of rules, outcomes and types there are few


def replay_page(tally: Tally, gathered: Gathered, rules: RuleSet, about: About) -> bytes:
    """The whole file. ``rules`` are those that held last; rules of the past stand below them."""
    ranked = _in_order(tally.rules, rules)
    sections = [
        _outcomes(ranked),
        hours(gathered, tally.users, rules.policy),
        week(gathered),
        days(gathered.days),
        _per_user(gathered, tally.users),
        _timelines(gathered, tally.users),
    ]
    shown_rules = _busy(ranked)
    data = {
        "logs": list(about.logs),
        "ruleFolder": about.rules,
        "outcomes": list(OUTCOMES),
        "rules": [
            [name, count.reached, [count.outcomes[outcome] for outcome in OUTCOMES]] for name, count in shown_rules
        ],
        "hours": hours_data(gathered, rules.policy),
        "days": days_data(gathered.days),
        "perUser": _per_user_data(gathered),
        "timelines": _timelines_data(gathered),
    }
    span = span_text(tally.first, tally.last)
    origin = [*about.origin(), *([("Time", span)] if span else [])]
    if about.until is not None:
        left_out = f", {number(tally.left_out, 'event')} after it left out" if tally.left_out else ""
        origin.append(("Until", moment(about.until) + left_out))
    document = Document("Dry run", about.labels(), origin, _cards(tally, gathered, about), sections, data)
    return write(document)


def _in_order(counts: Mapping[str, RuleCount], rules: Iterable[Rule]) -> list[tuple[str, RuleCount]]:
    names = [rule.id for rule in rules]
    names += sorted(counts.keys() - set(names))
    return [(name, counts.get(name) or RuleCount()) for name in names]


def _busy(ranked: Sequence[tuple[str, RuleCount]]) -> list[tuple[str, RuleCount]]:
    """Those on the chart: all, or where there are too many those with the most candidates, in the same order."""
    most = sorted(range(len(ranked)), key=lambda place: (-ranked[place][1].candidates, place))[:CHART_RULES_MAX]
    return [ranked[place] for place in sorted(most)]


def _cards(tally: Tally, gathered: Gathered, about: About) -> list[Card]:
    sent = sum(count.outcomes["sent"] for count in tally.rules.values())
    rate = f"{sent / gathered.user_days:,.2f}" if gathered.user_days else "0"
    cards = [
        Card("Events", f"{tally.events:,}"),
        Card("Users", f"{tally.users:,}"),
        Card("Messages", f"{sent:,}", f"of {number(tally.candidates, 'candidate')}"),
        Card("Reached", f"{tally.reached:,}", f"{tally.reached / tally.users:.1%} of the users" if tally.users else ""),
        Card("Messages per user and day", rate, f"over {number(gathered.user_days, 'day')} on which a user was active"),
        about.bad_records(),
    ]
    if tally.fault_count:
        cards.append(Card("Faults", f"{tally.fault_count:,}", "events left out, because the engine failed on them"))
    return cards


def _outcomes(ranked: Sequence[tuple[str, RuleCount]]) -> Section:
    used = [outcome for outcome in OUTCOMES if any(count.outcomes[outcome] for _, count in ranked)]
    columns = [
        Column("rule", user_text=True),
        Column("candidates", numeric=True),
        Column("users reached", numeric=True),
        *[Column(outcome, numeric=True) for outcome in used],
    ]
    rows: list[list[Cell]] = [
        [name, count.candidates, count.reached, *[count.outcomes[outcome] for outcome in used]]
        for name, count in ranked
    ]
    fired = any(count.candidates for _, count in ranked)
    lead = "What became of each rule's candidates: a message, or the gate at which it ended."
    if len(ranked) > CHART_RULES_MAX:
        lead += (
            f" The chart has the {CHART_RULES_MAX} of {len(ranked):,} rules with the most candidates, the table all."
        )
    return Section(
        "outcomes",
        "Outcomes per rule",
        lead,
        "outcomes" if fired else "",
        Html(
            '<p class="controls" role="group" aria-label="Scale">'
            '<button type="button" data-scale="count" aria-pressed="true">Numbers</button>'
            '<button type="button" data-scale="share" aria-pressed="false">Shares</button></p>'
        ),
        EMPTY if fired else said("No rule had a candidate."),
        table("Outcomes per rule", columns, rows) if ranked else EMPTY,
    )


def _per_user(gathered: Gathered, users: int) -> Section:
    columns = [Column("messages"), Column("users", numeric=True), Column("share of users", numeric=True)]
    bars = _per_user_data(gathered)
    if not bars:
        return Section("per-user", "Messages per user", content=said("The log has no users."))
    rows: list[list[Cell]] = [[name, count, f"{count / users:.1%}"] for name, count in bars]
    lead = "How many users got how many messages over the whole log."
    return Section(
        "per-user",
        "Messages per user",
        lead,
        "perUser",
        tables=table("Messages per user", columns, rows),
    )


def _per_user_data(gathered: Gathered) -> list[tuple[str, int]]:
    """``(messages, users)``: number by number, or from 1, 2, 5, 10, 20 … up to before the next."""
    counts = gathered.per_user
    if not counts:
        return []
    most = max(counts)
    if most <= SINGLE_BARS_MAX:
        return [(str(number), counts[number]) for number in range(most + 1)]
    starts = [0, 1, *[step * 10**power for power in range(5) for step in STEPS if 1 < step * 10**power <= most]]
    bars = []
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        end = following - 1 if following is not None else most
        users = sum(count for number, count in counts.items() if start <= number <= end)
        name = f"{start:,}" if start == end else f"{start:,}–{end:,}"
        bars.append((name if end < SENT_COUNTED_MAX else f"{start:,} or more", users))
    return bars


def _timelines(gathered: Gathered, users: int) -> Section:
    columns = [
        Column("user", user_text=True),
        *[Column(name, numeric=True) for name in ("messages", "other decisions", "events", "marks on the chart")],
    ]
    rows: list[list[Cell]] = [
        [one.user, one.sent, one.mark_count - one.sent, one.event_count, len(one.events) + len(one.marks)]
        for one in gathered.busiest
    ]
    if not gathered.busiest:
        return Section("timelines", "The busiest users", content=said("The log has no users."))
    lead = (
        "Events are dots, coloured by their type; messages are flags; what was held or kept back is grey, its reason"
        " comes when you point at it. Zoom by the slider, by two fingers, or by Ctrl and the wheel. On the keyboard the"
        " arrows go from mark to mark and from user to user, + and − zoom. Times are UTC."
    )
    if len(gathered.busiest) < users:
        lead = f"The {len(gathered.busiest)} with the most messages, then events. {lead}"
    picker = (
        '<p class="controls"><label for="timeline-user">Show</label> <select id="timeline-user"></select>'
        ' <button type="button" id="timeline-reset">Whole time</button>'
        ' <label><input type="checkbox" id="timeline-pauses" checked> leave out long pauses</label></p>'
    )
    detail = '<div id="timeline-mark" class="mark" role="status" aria-live="polite"></div>'
    return Section(
        "timelines",
        "The busiest users",
        lead,
        "timelines",
        Html(picker),
        Html(detail),
        Html(table("The busiest users", columns, rows) + '<div id="timeline-table"></div>'),
    )


def _timelines_data(gathered: Gathered) -> Json:
    """Users with their marks, names and texts by their places in lists, moments in milliseconds."""
    names: dict[str, int] = {}
    room = NAMES_MAX

    def place(name: str) -> int:
        nonlocal room
        if name not in names:
            # What has no room is too much to be read, too; its moment, rule and outcome are there all the same.
            name = name if len(name) <= max(room, SHORT) else "…"
            room -= len(name)
        return names.setdefault(name, len(names))

    users = [
        {
            "user": one.user,
            "of": [one.event_count, one.mark_count],
            "events": [[at // MILLISECOND, place(name)] for at, name in one.events],
            "marks": [
                [
                    mark.at // MILLISECOND,
                    *map(place, (mark.rule, mark.outcome, mark.was, mark.reason, mark.text)),
                ]
                for mark in one.marks
            ],
        }
        for one in gathered.busiest
    ]
    return {"users": users, "names": list(names)}

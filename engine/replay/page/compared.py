"""The report of a comparison: what two rule sets said to the same people, as the sections of a page. It compares
nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.core.model import Decision
from engine.core.units import show_at
from engine.replay.diff import KINDS_OF_CHANGE, Diff, RuleDiff
from engine.replay.page.about import About, number, span_text
from engine.replay.page.document import Card, Document, Section, write
from engine.replay.page.gather import TEXT_MAX, cut, told
from engine.replay.page.markup import EMPTY, Cell, Column, Html, said, table

CHART_RULES_MAX = 40  # bars; the table has all rules
USERS_SHOWN_MAX = 50
CHANGES_SHOWN_MAX = 20  # of one user


def diff_page(diff: Diff, before: str, after: str, about: About) -> bytes:
    """The whole file. ``before`` and ``after`` are how the user calls the two rule sets."""
    shown = _most_changed(diff.rules)
    data = {
        "kinds": list(KINDS_OF_CHANGE),
        "changes": [[one.rule, [one.changes[kind] for kind in KINDS_OF_CHANGE]] for one in shown],
        "messages": [[one.rule, one.before.messages, one.after.messages] for one in shown],
    }
    span = span_text(diff.first, diff.last)
    origin = [*about.origin(), ("Before", before), ("After", after), *([("Time", span)] if span else [])]
    sections = [_by_rule(diff, len(shown)), _messages(diff), _people(diff)]
    return write(Document("What an edit changes", about.labels(), origin, _cards(diff, about), sections, data))


def _most_changed(rules: Sequence[RuleDiff]) -> list[RuleDiff]:
    """The rules on the charts, in their order: those with the most changes where there are too many."""
    changed = [place for place, one in enumerate(rules) if one.is_changed]
    most = sorted(changed, key=lambda place: (-rules[place].changes.total(), place))[:CHART_RULES_MAX]
    return [rules[place] for place in sorted(most)]


def _cards(diff: Diff, about: About) -> list[Card]:
    total = diff.total
    cards = [
        Card("Events", f"{diff.run_events:,}", f"of {number(diff.run_users, 'user')}"),
        Card("Messages", both(total.before.messages, total.after.messages), f"{diff.unchanged:,} as before"),
    ]
    for kind in KINDS_OF_CHANGE:
        note = f"by {number(total.users[kind], 'user')}" if total.changes[kind] else ""
        cards.append(Card(kind.capitalize(), f"{total.changes[kind]:,}", note))
    reach = [
        f"{diff.newly_reached:,} had no message before" if diff.newly_reached else "",
        f"{diff.lost_from_reach:,} have none any more" if diff.lost_from_reach else "",
    ]
    cards.append(Card("Users who notice", f"{diff.changed_users:,}", ", ".join(filter(None, reach))))
    cards.append(about.bad_records())
    if diff.faults:
        cards.append(Card("Faults", f"{diff.faults:,}", "events left out, because the engine failed on them"))
    return cards


def both(before: int, after: int) -> str:
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


def _by_rule(diff: Diff, shown: int) -> Section:
    columns = [
        Column("rule", user_text=True),
        Column("edit", user_text=True),
        *[Column(name, numeric=True) for name in ("messages", "users", *KINDS_OF_CHANGE)],
        Column("gained, before", user_text=True),
        Column("lost, now", user_text=True),
    ]
    rows: list[list[Cell]] = [_rule_row(one) for one in [*diff.rules, diff.total]]
    changed = sum(one.is_changed for one in diff.rules)
    lead = (
        "Messages that are new to the right, those that are gone to the left; moved and reworded ones beside the new."
    )
    if changed > shown:
        lead += f" The chart has the {shown} of {changed:,} rules with the most changes, the table all."
    idle = [f"{one.rule} ({one.edit})" for one in diff.rules if one.edit and not one.is_changed]
    content = EMPTY if changed else said("Nobody would notice: every message is as it was.")
    return Section(
        "changes",
        "Changes per rule",
        lead if changed else "",
        "changes" if changed else "",
        content=Html(content + (said(f"Edits without effect: {', '.join(idle)}") if idle else EMPTY)),
        tables=table("Changes per rule", columns, rows),
    )


def _rule_row(one: RuleDiff) -> list[Cell]:
    return [
        one.rule,
        one.edit,
        both(one.before.messages, one.after.messages),
        both(one.before.users, one.after.users),
        *[one.changes[kind] for kind in KINDS_OF_CHANGE],
        *[_causes(one, kind == "gained") for kind in ("gained", "lost")],
    ]


def _causes(one: RuleDiff, gained: bool) -> str:
    """What its messages were before, or are now, by outcome, the commonest first."""
    causes = one.causes["gained" if gained else "lost"]
    ordered = sorted(causes.items(), key=lambda cause: (-cause[1], cause[0]))
    return ", ".join([f"{name} {count:,}" for name, count in ordered])


def _messages(diff: Diff) -> Section:
    if not any(one.is_changed for one in diff.rules):
        return Section("messages", "Messages before and after", content=said("No rule's messages change."))
    lead = "Messages of the rules whose messages change, before and after; the table above has the numbers."
    return Section("messages", "Messages before and after", lead, "messages")


def _people(diff: Diff) -> Section:
    if not diff.users:
        return Section("people", "Who notices", content=said("Nobody."))
    shown = diff.users[:USERS_SHOWN_MAX]
    columns = [
        Column("user", user_text=True),
        Column("change"),
        Column("rule", user_text=True),
        *[Column(name) for name in ("at, before", "at, after")],
        *[Column(name, user_text=True) for name in ("text before", "text after", "why")],
    ]
    lead = f"The changes of {number(len(shown), 'user')}, those with the most first"
    if diff.changed_users > len(shown):
        lead += f", of {diff.changed_users:,}"
    lead += f"; at most {CHANGES_SHOWN_MAX} of each."
    content = table("Who notices", columns, _change_rows(diff), is_stacked=True)
    return Section("people", "Who notices", lead, content=content)


def _change_rows(diff: Diff) -> Iterator[list[Cell]]:
    for user in diff.users[:USERS_SHOWN_MAX]:
        for change in user.changes[:CHANGES_SHOWN_MAX]:
            kind = change.kind + (", reworded" if change.kind == "moved" and change.is_reworded else "")
            yield [
                user.user,
                Html(f'<span class="kind {change.kind}">{kind}</span>'),
                change.rule,
                *[_at(decision) for decision in (change.before, change.after)],
                *[_text(decision) for decision in (change.before, change.after)],
                cut(change.why, TEXT_MAX),
            ]
        if user.total > CHANGES_SHOWN_MAX:
            yield [user.user, f"and {user.total - CHANGES_SHOWN_MAX:,} more", *[""] * 6]


def _at(decision: Decision | None) -> str:
    return "" if decision is None else show_at(decision.at)


def _text(decision: Decision | None) -> str:
    return "" if decision is None or decision.message is None else told(decision.message)

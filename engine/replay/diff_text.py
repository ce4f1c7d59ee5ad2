"""A `Diff` as text: for a terminal, and as Markdown for a comment under a pull request. It computes nothing anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from engine.core.model import Decision
from engine.core.units import format_duration, show_at
from engine.loading.diagnostic import counted
from engine.replay.diff import KINDS_OF_CHANGE, Change, Diff, Kind, RuleDiff, UserChanges
from engine.replay.report import span_told

MARKS: Mapping[Kind, str] = {"gained": "+", "lost": "−", "moved": "→", "reworded": "≠"}
RULE_WIDTH_MAX = 24
WIDTH = 80
HEADS = ("messages", "users", "gained", "lost", "moved", "reworded")
TEXT_MAX = 200  # characters of a message that are shown
CAUSES_SHOWN_MAX = 3
CHANGES_SHOWN_MAX = 10  # of one user
# GitHub takes comments of up to 65,536 characters; some room is left for what a workflow writes around it.
MARKDOWN_MAX = 60_000


def table(diff: Diff) -> list[str]:
    """One row for each rule whose messages are not as they were, and one for all; then the edits without effect."""
    shown = [*(one for one in diff.rules if one.is_changed), diff.total]
    name_width = min(max(len(one.rule) for one in shown), RULE_WIDTH_MAX)
    rows = [HEADS, *(_cells(one) for one in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_row("rule", HEADS, name_width, widths)]
    for one in shown:
        if len(one.rule) > name_width:
            # A long name has a line of its own rather than being cut: it is what the reader will search for.
            lines.append(one.rule)
        lines.append(_row(one.rule if len(one.rule) <= name_width else "", _cells(one), name_width, widths))
        lines += (
            wrap(_note(one), WIDTH, initial_indent="    ", subsequent_indent="    ") if one is not diff.total else []
        )
    idle = [f"{one.rule} ({one.edit})" for one in diff.rules if one.edit and not one.is_changed]
    return [*lines, "", *_wrapped("without effect", ", ".join(idle))] if idle else lines


def _row(name: str, cells: Sequence[str], name_width: int, widths: Sequence[int]) -> str:
    row = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return f"{name:<{name_width}}  {row}".rstrip()


def _wrapped(label: str, text: str) -> list[str]:
    return wrap(f"{label}: {text}", WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _cells(one: RuleDiff) -> list[str]:
    return [
        _both(one.before.messages, one.after.messages),
        _both(one.before.users, one.after.users),
        *(f"{one.changes[kind]:,}" for kind in KINDS_OF_CHANGE),
    ]


def _both(before: int, after: int) -> str:
    return f"{before:,}" if before == after else f"{before:,} → {after:,}"


def _note(one: RuleDiff) -> str:
    """What was done to the rule, and what its messages would have been instead."""
    notes = [one.edit or "not edited"]
    for kind, verb in _VERBS.items():
        causes = one.causes[kind]
        if causes and one.edit not in ("new", "gone"):
            told = [f"{name} {count:,}" for name, count in _commonest(causes)]
            notes.append(f"{kind}: {verb} {', '.join(told)}")
    return "; ".join(notes)


_VERBS: Mapping[Kind, str] = {"gained": "before", "lost": "now"}


def _commonest(causes: Mapping[str, int]) -> list[tuple[str, int]]:
    ordered = sorted(causes.items(), key=lambda cause: (-cause[1], cause[0]))
    if len(ordered) <= CAUSES_SHOWN_MAX:
        return ordered
    rest = sum(count for _, count in ordered[CAUSES_SHOWN_MAX:])
    return [*ordered[:CAUSES_SHOWN_MAX], ("others", rest)]


def summary(diff: Diff) -> list[str]:
    """The lines under the table."""
    if diff.first is None or diff.last is None:
        return ["events     0"]
    changes, users = diff.total.changes, diff.total.users
    lines = [
        f"events     {diff.run_events:,} of {counted(diff.run_users, 'user')}, "
        f"{show_at(diff.first)} to {show_at(diff.last)} ({span_told(diff.last - diff.first)})",
        f"messages   {_both(diff.total.before.messages, diff.total.after.messages)}, {diff.unchanged:,} as before",
    ]
    told = [
        f"{changes[kind]:,} {kind} by {counted(users[kind], 'user')}"
        + (f" ({diff.moved_reworded:,} of them reworded)" if kind == "moved" and diff.moved_reworded else "")
        for kind in KINDS_OF_CHANGE
        if changes[kind]
    ]
    lines.append(f"changes    {', '.join(told) if told else 'none'}")
    if diff.changed_users:
        reach = [
            f"{diff.newly_reached:,} had none before" if diff.newly_reached else "",
            f"{diff.lost_from_reach:,} have none any more" if diff.lost_from_reach else "",
        ]
        of = f"{diff.changed_users:,} of {counted(diff.run_users, 'user')} notice"
        lines.append("people     " + "; ".join(filter(None, [of, *reach])))
    return lines


def people(diff: Diff, most: int) -> list[str]:
    """The users with the most changes, at most so many, and their changes."""
    lines: list[str] = []
    for user in diff.users[:most]:
        lines += ["", f"{user.user}: {counted(user.total, 'change')}"]
        shown = user.changes if most == 1 else user.changes[:CHANGES_SHOWN_MAX]
        for change in shown:
            lines += [f"  {line}" for line in change_lines(change)]
        if len(shown) < user.total:
            lines.append(f"  … and {user.total - len(shown):,} more; all with --user {user.user}")
    if diff.changed_users > len(diff.users[:most]) and most > 1:
        lines += ["", f"… and {counted(diff.changed_users - len(diff.users[:most]), 'further user')}"]
    return lines


def change_lines(change: Change) -> list[str]:
    """What is different of a message: when, of which rule, what it says, and why."""
    mark = MARKS[change.kind]
    at = change.at if change.before is None else change.before.at
    head = f"{mark} {show_at(at)} {change.rule}"
    before, after = text_of(change.before), text_of(change.after)
    if change.kind == "moved":
        head += f" {apart(change)}"
    lines = [head if change.is_reworded else f'{head} "{after or before}"']
    if change.is_reworded:
        lines += [f'    - "{before}"', f'    + "{after}"', *wording_lines(change)]
    if change.why:
        lines.append(f"    {change.why}")
    return lines


def wording_lines(change: Change) -> list[str]:
    """What is different beside the text."""
    assert change.before is not None
    assert change.after is not None
    one, other = change.before.message, change.after.message
    assert one is not None
    assert other is not None
    lines = []
    if one.type != other.type:
        lines.append(f"    type: {one.type} → {other.type}")
    if one.options != other.options:
        lines.append(f"    options: {', '.join(one.options) or 'none'} → {', '.join(other.options) or 'none'}")
    if one.data != other.data:
        lines.append("    data: not the same")
    if one.prompt != other.prompt:
        lines += ["    prompt:", f'    - "{_one_line(one.prompt)}"', f'    + "{_one_line(other.prompt)}"']
    return lines


def apart(change: Change) -> str:
    """``comes 5m later, at 2026-03-27T10:05:00Z``."""
    assert change.before is not None
    assert change.after is not None
    span = change.after.at - change.before.at
    word = "later" if span > 0 else "earlier"
    return f"comes {format_duration(abs(span))} {word}, at {show_at(change.after.at)}"


def text_of(decision: Decision | None) -> str:
    """What is said, on one line; "" where nothing is."""
    if decision is None or decision.message is None:
        return ""
    return _one_line(decision.message.text)


def _one_line(text: str) -> str:
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + "…"


def partial(diff: Diff) -> str:
    """That it is only a part, "" where it is the whole."""
    if diff.of_users is None:
        return ""
    return f"interrupted: the first {diff.run_users:,} of {counted(diff.of_users, 'user')}"


def markdown(diff: Diff, before: str, after: str, most: int) -> str:
    """A comment of at most `MARKDOWN_MAX` characters; what does not fit is counted."""
    total = diff.total
    lines = [
        "### What these rules would have said",
        "",
        f"{_code(before)} → {_code(after)}, over {diff.run_events:,} events of {counted(diff.run_users, 'user')}",
        "",
        *([f"**{partial(diff)}**", ""] if diff.of_users is not None else []),
        _verdict(diff),
        "",
        f"| rule | {' | '.join(HEADS)} | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in [*(one for one in diff.rules if one.edit or one.is_changed), total]:
        name = "**all rules**" if one is total else _code(one.rule)
        lines.append("| " + " | ".join([name, *_cells(one), _escaped("" if one is total else _note(one))]) + " |")
    text = "\n".join(lines) + "\n"
    shown = 0
    for part in _folded(diff.users[:most]):
        if len(text) + len(part) > MARKDOWN_MAX:
            break
        text += part
        shown += 1
    if diff.changed_users > shown and diff.changed_users:
        text += f"\n… and {counted(diff.changed_users - shown, 'further user')}\n"
    return text


def _verdict(diff: Diff) -> str:
    if not diff.changed_users:
        return "**Nobody would notice.**"
    told = [f"{diff.total.changes[kind]:,} {kind}" for kind in KINDS_OF_CHANGE if diff.total.changes[kind]]
    return (
        f"**{diff.changed_users:,} of {counted(diff.run_users, 'user')} would notice**: "
        f"{', '.join(told)}; {counted(diff.unchanged, 'message')} as before."
    )


def _folded(users: Sequence[UserChanges]) -> Iterator[str]:
    for user in users:
        lines = [line for change in user.changes[:CHANGES_SHOWN_MAX] for line in change_lines(change)]
        if user.total > CHANGES_SHOWN_MAX:
            lines.append(f"… and {user.total - CHANGES_SHOWN_MAX:,} more")
        # Indented code is plain text to Markdown, whatever people have written; a fence could be closed by them.
        shown = "\n".join(f"    {line}" for line in lines)
        name = _escaped(user.user)
        yield (f"\n<details><summary>{name}: {counted(user.total, 'change')}</summary>\n\n{shown}\n\n</details>\n")


def _code(text: str) -> str:
    """As code within a line, whatever is in it (CommonMark 0.31, section 6.1)."""
    flat = " ".join(text.split()).replace("|", "\\|")
    longest = max((len(run) for run in flat.replace("`", " ` ").split() if set(run) == {"`"}), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {flat} {fence}" if "`" in flat else f"`{flat}`"


def _escaped(text: str) -> str:
    """Plain text to Markdown and HTML: every sign that could mean something is written as what it is."""
    flat = " ".join(text.split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~@" else c for c in flat)

"""What the files name and no rule uses: budgets, quiet hours, lists, defaults."""

from __future__ import annotations

from collections.abc import Iterator

from engine.lint.finding import Finding
from engine.lint.places import Reading
from engine.loading.tree import Mapping, Node, Scalar, Sequence


def check_unused(reading: Reading) -> Iterator[Finding]:
    rules = tuple(reading.rules)
    if not rules:
        return  # somebody has begun to write
    for name, budget in reading.rules.policy.budgets.items():
        if not any(budget in rule.budgets for rule in rules):
            place = reading.of_policy("budgets", name)
            yield reading.found("unused", place, f'no rule draws on the budget "{name}"', "leave it out")
    for name in reading.rules.policy.quiet_hours:
        keeping = [rule for rule in rules if any(hours.name == name for hours in rule.quiet_hours)]
        if not any(not rule.urgent for rule in keeping):
            why = "every rule that names them is urgent" if keeping else "no rule keeps them"
            place = reading.of_policy("quiet_hours", name)
            yield reading.found("unused", place, f'the quiet hours "{name}" are never kept: {why}', "leave them out")
    yield from _lists(reading)
    for path in reading.trees:
        written = reading.top(path, "rules")
        if reading.top(path, "defaults") is not None and not (isinstance(written, Sequence) and written.items):
            message = "defaults are those of the rules of the same file, and there are none"
            yield reading.found("unused", reading.of_file(path, "defaults"), message, "move them to the rules")


def _lists(reading: Reading) -> Iterator[Finding]:
    used = {word for path in reading.trees for word in _inserted(reading.top(path, "rules"))}
    for path in reading.trees:
        lists = reading.top(path, "lists")
        for name in lists.entries if isinstance(lists, Mapping) else ():
            if name not in used:
                message = f'no rule inserts the list "{name}"'
                hint = f'leave it out, or write "@{name}" among the words of a trigger'
                yield reading.found("unused", reading.of_file(path, "lists", name), message, hint)


def _inserted(node: Node | None) -> Iterator[str]:
    """The names of all that is written as ``"@name"``, wherever it stands."""
    if isinstance(node, Scalar):
        if node.written.startswith("@"):
            yield node.written[1:]
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _inserted(item)
    elif isinstance(node, Mapping):
        for _, value in node.entries.values():
            yield from _inserted(value)

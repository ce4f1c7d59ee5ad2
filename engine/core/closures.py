"""The closures that expressions are made of: three-valued logic over other closures. Knows no syntax tree.

A closure takes a scope and gives a value or an `Unknown`; it never raises and has no effect. These are the
hot path of a ``where:``, so the common shapes (a comparison with a constant, two conditions) have their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from engine.core.operations import NUMBERS, ORDERINGS, arithmetic, equal, member, order
from engine.core.scope import Scope
from engine.core.unknown import Unknown

Run = Callable[[Scope], Any]


class Part(NamedTuple):
    """A compiled piece. A constant one has the same known ``value`` in every scope.

    ``field`` is set where the piece is just that field of the event's data, which comparisons read themselves:
    it saves a call on the most common of all conditions.
    """

    run: Run
    constant: bool = False
    value: Any = None
    field: str | None = None


def constant(value: Any) -> Part:
    return Part(lambda scope: value, True, value)


def both(runs: Sequence[Run]) -> Run:
    """``and``: the first false operand, even behind an unknown one; else the unknown; else the last."""
    if len(runs) == 2:
        return _both(*runs)

    def all_of(scope: Scope) -> Any:
        unsure: Unknown | None = None
        value: Any = None
        for run in runs:
            value = run(scope)
            if value.__class__ is Unknown:
                unsure = value if unsure is None else unsure.joined(value)
            elif not value:
                return value
        return value if unsure is None else unsure

    return all_of


def _both(first: Run, second: Run) -> Run:
    def both_of(scope: Scope) -> Any:
        one = first(scope)
        if one.__class__ is Unknown:
            other = second(scope)
            if other.__class__ is Unknown:
                return one.joined(other)
            return one if other else other
        return second(scope) if one else one

    return both_of


def either(runs: Sequence[Run]) -> Run:
    """``or``: the first true operand, even behind an unknown one; else the unknown; else the last."""

    def any_of(scope: Scope) -> Any:
        unsure: Unknown | None = None
        value: Any = None
        for run in runs:
            value = run(scope)
            if value.__class__ is Unknown:
                unsure = value if unsure is None else unsure.joined(value)
            elif value:
                return value
        return value if unsure is None else unsure

    return any_of


def choice(test: Run, then: Run, otherwise: Run) -> Run:
    def chosen(scope: Scope) -> Any:
        decided = test(scope)
        if decided.__class__ is Unknown:
            return decided
        return then(scope) if decided else otherwise(scope)

    return chosen


def unary(operation: Callable[[Any], Any], operand: Run) -> Run:
    def applied(scope: Scope) -> Any:
        value = operand(scope)
        return value if value.__class__ is Unknown else operation(value)

    return applied


def binary(operation: Callable[[Any, Any], Any], left: Run, right: Run) -> Run:
    def applied(scope: Scope) -> Any:
        one, other = left(scope), right(scope)
        if one.__class__ is Unknown:
            return one.joined(other) if other.__class__ is Unknown else one
        return other if other.__class__ is Unknown else operation(one, other)

    return applied


def calculation(sign: str, left: Run, right: Run) -> Run:
    return binary(lambda one, other: arithmetic(sign, one, other), left, right)


def calling(function: Callable[..., Any], arguments: Sequence[Run]) -> Run:
    if len(arguments) == 1:
        return unary(function, arguments[0])
    if len(arguments) == 2:
        return binary(function, *arguments)

    def called(scope: Scope) -> Any:
        values = _known(arguments, scope)
        return values if values.__class__ is Unknown else function(*values)

    return called


def listing(items: Sequence[Run]) -> Run:
    """A list that is written out; unknown if any item is."""
    return lambda scope: _known(items, scope)


def _known(runs: Sequence[Run], scope: Scope) -> Any:
    values = [run(scope) for run in runs]
    unsure: Unknown | None = None
    for value in values:
        if value.__class__ is Unknown:
            unsure = value if unsure is None else unsure.joined(value)
    return values if unsure is None else unsure


def is_defined(operand: Run) -> Run:
    return lambda scope: operand(scope).__class__ is not Unknown


def or_default(operand: Run, otherwise: Run) -> Run:
    """A null that is there is known, so it stays."""

    def value_or_default(scope: Scope) -> Any:
        value = operand(scope)
        return otherwise(scope) if value.__class__ is Unknown else value

    return value_or_default


def compare(sign: str, left: Part, right: Part) -> Run:
    """One link of a comparison, other than ``in``."""
    if sign in ("==", "!="):
        if left.constant and not right.constant:
            left, right = right, left
        if right.constant and (right.value is None or isinstance(right.value, str)):
            if sign == "==" and left.field is not None:
                return _field_equals_constant(left.field, left.run, right.value)
            return _equals_constant(sign == "==", left.run, right.value)
        general = binary(equal, left.run, right.run)
        return general if sign == "==" else unary(denied, general)
    if right.constant and type(right.value) in NUMBERS:
        if left.field is not None:
            return _field_ordered_by_number(sign, left.field, left.run, right.value)
        return _ordered_by_number(sign, left.run, right.value)
    return binary(lambda one, other: order(sign, one, other), left.run, right.run)


def denied(value: Any) -> bool:
    return not value


def _equals_constant(wanted: bool, operand: Run, constant: str | None) -> Run:
    # Python's own equality will do: no value of another type equals a text or None.
    if wanted:

        def equals(scope: Scope) -> Any:
            value = operand(scope)
            return value if value.__class__ is Unknown else value == constant

        return equals

    def differs(scope: Scope) -> Any:
        value = operand(scope)
        return value if value.__class__ is Unknown else value != constant

    return differs


def _ordered_by_number(sign: str, operand: Run, constant: Any) -> Run:
    holds = ORDERINGS[sign]

    def ordered(scope: Scope) -> Any:
        value = operand(scope)
        kind = value.__class__
        if kind is int or kind is float:
            return holds(value, constant)
        return value if kind is Unknown else order(sign, value, constant)

    return ordered


def _field_equals_constant(field: str, operand: Run, constant: str | None) -> Run:
    careful = _equals_constant(True, operand, constant)

    def equals(scope: Scope) -> Any:
        event = scope.event
        if event is not None and field in event.data:
            return event.data[field] == constant
        return careful(scope)

    return equals


def _field_ordered_by_number(sign: str, field: str, operand: Run, constant: Any) -> Run:
    holds = ORDERINGS[sign]
    careful = _ordered_by_number(sign, operand, constant)

    def ordered(scope: Scope) -> Any:
        event = scope.event
        if event is not None:
            value = event.data.get(field)
            kind = value.__class__
            if kind is int or kind is float:
                return holds(value, constant)
        return careful(scope)

    return ordered


def is_in(item: Part, container: Part) -> Run:
    words = container.value
    if container.constant and isinstance(words, list) and all(isinstance(word, str) for word in words):
        known = frozenset(words)
        # What is no text equals none of them, and may not even be hashable.
        return unary(lambda value: isinstance(value, str) and value in known, item.run)
    return binary(member, item.run, container.run)


def is_in_items(item: Run, candidates: Sequence[Run]) -> Run:
    """``in`` a list that is written out: true where one item is equal, even if another is unknown."""
    return either([binary(equal, item, candidate) for candidate in candidates])

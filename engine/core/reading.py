"""How an expression reads its names from a scope: namespaces, fields, items. Computes nothing.

What is not there is an `Unknown` that names it, made once when the expression is compiled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.core.closures import Run
from engine.core.scope import EVENT_RESERVED, Scope, now_field
from engine.core.unknown import Unknown


def read_namespace(name: str) -> Run:
    """A whole namespace, as a mapping; ``now`` is the moment itself."""
    missing = Unknown((name,))
    if name == "now":
        return _now
    if name == "user":
        return Scope.user_fields
    if name == "trigger":
        return lambda scope: scope.trigger
    if name == "session":
        return lambda scope: scope.session_fields() or missing

    def event_fields(scope: Scope) -> Any:
        return missing if scope.event is None else scope.event_fields()

    return event_fields


def read_field(namespace: str, field: str, path: str) -> Run:
    """``namespace.field``, without making the rest of the namespace."""
    missing = Unknown((path,))
    if namespace == "event":
        return _reserved(field, missing) if field in EVENT_RESERVED else _event_data(field, missing)
    if namespace == "user":
        if field == "id":
            return lambda scope: scope.state.user
        return lambda scope: scope.state.attributes.get(field, missing)
    if namespace == "session":
        return _session(field, missing)
    if namespace == "trigger":
        return lambda scope: scope.trigger.get(field, missing)
    return read_member(_now, field, path)


def _event_data(field: str, missing: Unknown) -> Run:
    def read(scope: Scope) -> Any:
        event = scope.event
        return missing if event is None else event.data.get(field, missing)

    return read


def _reserved(field: str, missing: Unknown) -> Run:
    def read(scope: Scope) -> Any:
        value = scope.event_reserved(field)
        return missing if value is None else value

    return read


def _session(field: str, missing: Unknown) -> Run:
    def read(scope: Scope) -> Any:
        value = scope.session_field(field)
        return missing if value is None else value

    return read


def _now(scope: Scope) -> Any:
    return scope.now


def read_member(owner: Run, field: str, path: str) -> Run:
    """``owner.field``: an item of a mapping, or a part of a moment (``event.at.hour``)."""
    missing = Unknown((path,))

    def read(scope: Scope) -> Any:
        value = owner(scope)
        kind = value.__class__
        if kind is dict:
            return value.get(field, missing)
        return value if kind is Unknown else _part_of_moment(value, field, missing)

    return read


def read_index(owner: Run, index: Run, path: str) -> Run:
    """``owner[index]``: an item of a list, from its end where negative, or of a mapping."""
    missing = Unknown((path,))

    def read(scope: Scope) -> Any:
        value, place = owner(scope), index(scope)
        if value.__class__ is Unknown:
            return value.joined(place) if place.__class__ is Unknown else value
        if place.__class__ is Unknown:
            return place
        if isinstance(place, str):
            return value.get(place, missing) if isinstance(value, dict) else _part_of_moment(value, place, missing)
        if type(place) is int and isinstance(value, list | tuple) and -len(value) <= place < len(value):
            return value[place]
        return missing

    return read


def _part_of_moment(value: Any, field: str, missing: Unknown) -> Any:
    if not isinstance(value, datetime):
        return missing
    try:
        return now_field(value, field)
    except KeyError:
        return missing

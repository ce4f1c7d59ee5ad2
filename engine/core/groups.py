"""``group_by:`` and the data fields that triggers look at: separate memory for each value, with a bound.

Names groups and keeps their number in bounds; what is remembered of a group is its trigger's business.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from engine.core import shapes
from engine.core.model import Event, Json
from engine.core.refusal import Refused

GROUPS_MAX = 100  # of one trigger and one user; beyond it the one that was left alone longest is forgotten
GROUP_FIELDS_MAX = 8
GROUP_NAME_MAX = 256  # characters; a longer value belongs to no group, for a state cannot remember it
FIELD_LENGTH_MAX = 128


class Missing:
    """The type of `MISSING`: the event does not have the field. Null is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def parse_field(text: str) -> str:
    """The name of a data field, or a path to a nested one; ``type`` and ``session`` are the event's own."""
    expected = 'expected the name of a data field such as "test" or "context.file"'
    if not text.strip() or text != text.strip() or len(text) > FIELD_LENGTH_MAX:
        raise Refused(f'{expected}, got "{text[:80]}"')
    if text.startswith("event."):
        raise Refused(f'{expected}, got "{text}"', hint=f'write "{text.removeprefix("event.")}"')
    if text in ("id", "at", "at_reported"):
        raise Refused(f'{expected}, got "{text}"', hint="that is the event's own, and no two events share it")
    return text


FIELD = shapes.Parsed(
    parse=parse_field,
    pattern=r"^(?!event\.|(id|at|at_reported)$)\S(.*\S)?$",
    examples=("test", "context.file"),
    doc="A data field of the event, or the path of a nested one.",
)
GROUP_BY = shapes.ListOf(
    item=FIELD,
    one_will_do=True,
    length_max=GROUP_FIELDS_MAX,
    doc="A data field, or several: what is remembered is separate for each value. Events without it are not matched.",
)


def look_up(data: dict[str, Json], field: str) -> Json | Missing:
    """The value of a data field: under that very name, else at the end of the path; else `MISSING`."""
    value: Json = data.get(field, MISSING)
    if value is not MISSING or "." not in field:
        return value
    value = data
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return MISSING
        value = value[part]
    return value


def value_of(event: Event, field: str) -> Json | Missing:
    """The value of a field as `parse_field` lets it be written."""
    if field == "type":
        return event.type
    if field == "session":
        return MISSING if event.session is None else event.session
    return look_up(event.data, field)


class Grouping:
    """One field or several, whose values tell groups apart.

    A group's name is a text behind a quotation mark, or anything else as JSON: 1 and ``"1"`` are two groups,
    1 and 1.0 are one, as they are equal to an expression.
    """

    __slots__ = ("_plain", "fields")

    def __init__(self, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        # One field of the data, which is no path: nearly all groupings are of that kind.
        is_plain = len(fields) == 1 and fields[0] not in ("type", "session") and "." not in fields[0]
        self._plain = fields[0] if is_plain else None

    @classmethod
    def build(cls, fields: Sequence[str] | None) -> Grouping | None:
        """From what was read by `GROUP_BY`; None where all is one group."""
        return None if fields is None else cls(fields)

    def name(self, event: Event) -> str | None:
        """The group of the event, or None: it lacks a field, or its values are longer than `GROUP_NAME_MAX`."""
        fields = self.fields
        if len(fields) == 1:
            value = value_of(event, fields[0]) if self._plain is None else event.data.get(self._plain, MISSING)
            if value is MISSING:
                return None
            # Most groups are texts, and then nothing has to be encoded.
            name = f'"{value}' if value.__class__ is str else _as_json(value)
        else:
            values = [value_of(event, field) for field in fields]
            if MISSING in values:
                return None
            name = _as_json([_settled(value) for value in values])
        return name if len(name) <= GROUP_NAME_MAX else None

    def missed(self, event: Event, key: str) -> str | None:
        """Why the event has no name, None where it has one; ``key`` is what asks for the fields. For display alone."""
        if self.name(event) is not None:
            return None
        lacking = [field for field in self.fields if value_of(event, field) is MISSING]
        if not lacking:
            return f"what it has as {' and '.join(self.fields)} is too long to be told apart by {key}"
        return f"it has no field {_listed(lacking)}, by which {key} tells events apart"

    def facts(self, name: str) -> dict[str, Any]:
        """``trigger.group``: the value, or the list of values where there are several fields."""
        return {"group": name[1:] if name.startswith('"') else json.loads(name)}


def _listed(fields: Sequence[str]) -> str:
    return " and ".join([f'"{field}"' for field in fields])


def touch(groups: dict[str, Any], name: str, memory: Any, groups_max: int = GROUPS_MAX) -> None:
    """Remember of a group, as the latest of all; the one touched longest ago makes room."""
    groups.pop(name, None)
    groups[name] = memory
    if len(groups) > groups_max:
        del groups[next(iter(groups))]


def _as_json(value: Json) -> str:
    if value.__class__ is int:
        return str(value)
    try:
        return _encoder.encode(_settled(value))
    except RecursionError:
        # Nested as deeply as that it is no name; too long a one says the same.
        return " " * (GROUP_NAME_MAX + 1)


def _settled(value: Json) -> Json:
    return int(value) if value.__class__ is float and value.is_integer() and abs(value) < 2**53 else value


_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)

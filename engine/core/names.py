"""Which names exist where an expression or a template stands. Checks what was written; looks at no value."""

from __future__ import annotations

from collections.abc import Collection

from engine.core.near_words import did_you_mean
from engine.core.refusal import Refused
from engine.core.scope import NOW_FIELDS, SESSION_FIELDS
from engine.core.shapes import NAMESPACES


def check_namespace(name: str, namespaces: Collection[str]) -> None:
    """Raises `Refused` ("unknown-name") where no such namespace exists, saying which do."""
    if name in namespaces:
        return
    there_are = f"there are {_listed(namespaces)}"
    if name in NAMESPACES:
        raise Refused(f'"{name}" does not exist here, {there_are}', code="unknown-name")
    raise Refused(f'unknown name "{name}", {there_are}', code="unknown-name", hint=did_you_mean(name, namespaces))


def check_field(namespace: str, field: str, trigger_facts: Collection[str] | None = None) -> None:
    """Raises `Refused` where the namespace never has that field. What events and users carry is free.

    ``trigger_facts`` are all facts the rule's triggers can tell; None leaves them unchecked.
    """
    known: Collection[str]
    if namespace == "session":
        known = SESSION_FIELDS
    elif namespace == "now":
        known = NOW_FIELDS
    elif namespace == "trigger" and trigger_facts is not None:
        known = trigger_facts
    else:
        return
    if field not in known:
        there_are = f"it has {_listed(known)}" if known else "it has no fields here"
        raise Refused(
            f'"{namespace}" has no field "{field}", {there_are}',
            code="unknown-name",
            hint=did_you_mean(field, known),
        )


def _listed(names: Collection[str]) -> str:
    words = list(names) if isinstance(names, tuple | list) else sorted(names)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

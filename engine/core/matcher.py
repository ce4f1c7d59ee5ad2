"""The event matcher that all kinds share: ``event:`` a type or several, and an optional ``where:``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.core import shapes
from engine.core.model import RECORD_TYPES, Reason
from engine.core.operands import seen
from engine.core.reasons import explain
from engine.core.refusal import Refused
from engine.core.unknown import Unknown

if TYPE_CHECKING:
    from engine.core.expressions import Expression
    from engine.core.scope import Scope

# Words joined by a point, a colon, a slash or a space: foreign logs have types such as "Hint 2 taken".
_WORD = r"[\w\-]+"
_EVENT_TYPE = re.compile(rf"{_WORD}(?:[.:/ ]{_WORD})*(?:[.:/ ]?\*)?|\*")
EVENT_TYPE_LENGTH_MAX = 128


def parse_event_type(text: str) -> str:
    """A type such as ``test.failed``, or with a ``*`` at the end, which stands for any ending."""
    if len(text) > EVENT_TYPE_LENGTH_MAX or not _EVENT_TYPE.fullmatch(text):
        hint = "a * can only stand at the end" if "*" in text[:-1] else ""
        raise Refused(f'expected an event type such as "test.failed" or "test.*", got "{text}"', hint=hint)
    if text in RECORD_TYPES:
        raise Refused(f'no rule sees "{text}"', hint="it is what the server writes down for itself")
    return text


_UNSEEN = "|".join(re.escape(name) for name in sorted(RECORD_TYPES))
_NO_SIGN = r"[^\s!-,./:-@\[-^`{-~]"
EVENT_TYPE = shapes.Parsed(
    parse=parse_event_type,
    # A little wider than what is read, for ECMA 262 has no letters but ASCII's: anything but signs and white space.
    pattern=rf"^(?!({_UNSEEN})$)({_NO_SIGN}+([.:/ ]{_NO_SIGN}+)*([.:/ ]?\*)?|\*)$",
    examples=("chat_message", "test.failed", "test.*"),
    doc="The type of an event; a * at the end stands for any ending.",
)
EVENT_TYPES = shapes.ListOf(
    item=EVENT_TYPE, one_will_do=True, length_max=100, doc="One event type or several, any of which matches."
)
WHERE = shapes.Expression(
    namespaces=("event", "user", "session", "now"),
    doc="An expression that the event must satisfy. What is unknown does not hold.",
)


def matcher_shape(doc: str) -> shapes.Fields:
    """A matcher, as the value of a key that ``doc`` describes."""
    return shapes.Fields(keys={"event": EVENT_TYPES, "where": WHERE}, required=("event",), shorthand="event", doc=doc)


MATCHER = matcher_shape("Which events: a type or several, and optionally an expression.")


class Matcher:
    """Types and a condition.

    `Trigger.event_types` is given to dispatch, so a trigger with one matcher asks `holds`, which looks at the
    condition only; one with several (see `heard_by`) asks `matches`.
    """

    __slots__ = ("_exact", "_prefixes", "event_types", "where")

    def __init__(self, event_types: tuple[str, ...], where: Expression | None) -> None:
        self.event_types = event_types
        self.where = where
        self._exact = frozenset(name for name in event_types if not name.endswith("*"))
        self._prefixes = tuple([name[:-1] for name in event_types if name.endswith("*")])

    @classmethod
    def build(cls, values: dict[str, Any]) -> Matcher:
        """From what was read by `MATCHER`."""
        return cls(values["event"], values.get("where"))

    def covers(self, event_type: str) -> bool:
        """Whether events of the type are meant, if the condition holds."""
        return event_type in self._exact or event_type.startswith(self._prefixes)

    def holds(self, scope: Scope) -> bool:
        return self.where is None or self.where.holds(scope)

    def matches(self, scope: Scope) -> bool:
        """Whether the event of the scope is of the types and satisfies the condition."""
        event_type = scope.event.type  # type: ignore[union-attr]  # a matcher is only asked about an event
        if event_type not in self._exact and not event_type.startswith(self._prefixes):
            return False
        return self.where is None or self.where.holds(scope)

    def missed(self, scope: Scope) -> str | None:
        """Why the condition does not hold, None where it does. For display alone."""
        if self.where is None or self.where.holds(scope):
            return None
        value = self.where.evaluate(scope)
        if isinstance(value, Unknown):
            return f"the where is unknown, {value}: {self.where.source}"
        return explain(Reason("false", (self.where.source, *seen(self.where.names, scope)))).replace(
            "condition", "the where", 1
        )

    @property
    def equality(self) -> tuple[str, Any] | None:
        return None if self.where is None else self.where.equality


def heard_by(matchers: Sequence[Matcher]) -> tuple[tuple[str, ...], tuple[str, Any] | None]:
    """The ``event_types`` of a trigger with several matchers, and the ``equality``: what all of them share, if any."""
    event_types = dict.fromkeys(name for matcher in matchers for name in matcher.event_types)
    equalities = [matcher.equality for matcher in matchers]
    shared = all(equality == equalities[0] for equality in equalities)
    return tuple(event_types), equalities[0] if shared else None

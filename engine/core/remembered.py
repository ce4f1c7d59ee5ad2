"""What a user's state remembers of messages and wishes: what was sent, what may be answered, what is held.

Values that `evaluate` and what it calls change in place. Each is written as its fields, in order, and made again
from them.
"""

from __future__ import annotations

from typing import Any, Literal

from engine.core.kept import frozen_facts, kept_event, restored_event, thawed_facts
from engine.core.model import Event, Json, Message

Level = Literal["off", "less", "normal", "more"]
LEVELS: tuple[Level, ...] = ("off", "less", "normal", "more")  # the further, the more a user wants to hear

MESSAGES_MAX = 10  # messages of one user that may still be answered, the latest; and as many that no longer may
WAITING_MAX = 50  # as many while they wait for a user who is absent
HELD_MAX = 20  # messages of one user that wait for a good moment
NAMES_MAX = 100  # rules and topics that one user has muted, and as many that are snoozed
VALUES_MAX = 100  # values of `cooldown_by` per rule and user, the latest


class Sent:
    """What one rule has sent to one user, or what has been charged to one budget: what limits are counted from.

    ``times`` are the latest moments, oldest first, at most as many as the largest limit over a span or a day asks
    for. ``presence`` and ``in_presence`` count within the presence of that number. ``dismissals`` are those since
    the last reset, for `on_dismiss`; ``by_value`` the last moment per value of `cooldown_by`, oldest first.
    """

    __slots__ = ("by_value", "dismissals", "in_presence", "last", "presence", "times", "total")

    def __init__(
        self,
        last: int,
        total: int,
        presence: int,
        in_presence: int,
        times: list[int],
        dismissals: int = 0,
        by_value: dict[str, int] | None = None,
    ) -> None:
        self.last = last
        self.total = total
        self.presence = presence
        self.in_presence = in_presence
        self.times = times
        self.dismissals = dismissals
        self.by_value = by_value

    def count(self, at: int, presence: int, cost: int, times_kept: int) -> None:
        """Write down that ``cost`` more were sent or charged now. ``presence`` is the number of the present one."""
        if self.presence != presence:
            self.presence, self.in_presence = presence, 0
        self.last = at
        self.total += cost
        self.in_presence += cost
        if times_kept:
            self.times.extend([at] * min(cost, times_kept))
            del self.times[:-times_kept]

    def fields(self) -> tuple[Any, ...]:
        base = (self.last, self.total, self.presence, self.in_presence, self.times)
        if self.by_value:
            return (*base, self.dismissals, self.by_value)
        return (*base, self.dismissals) if self.dismissals else base


class Outstanding:
    """A message that was sent and may still be answered.

    ``waits``: it was sent while the user was absent, and nobody has been seen to get it since. ``engaged``: the
    user has turned to it, so that it is not ignored when it expires.
    """

    __slots__ = ("at", "engaged", "expires_at", "rule", "waits")

    def __init__(
        self, rule: str, at: int, expires_at: int | None = None, waits: bool = False, engaged: bool = False
    ) -> None:
        self.rule = rule
        self.at = at
        self.expires_at = expires_at
        self.waits = waits
        self.engaged = engaged

    def fields(self) -> tuple[Any, ...]:
        if self.waits or self.engaged:
            return self.rule, self.at, self.expires_at, self.waits, self.engaged
        return (self.rule, self.at) if self.expires_at is None else (self.rule, self.at, self.expires_at)


class Held:
    """A message that has passed the gates and waits for a good moment.

    ``made_at`` is when it passed them, ``event`` and ``facts`` are what the rule saw then. ``until`` is when the
    wait is over at the latest, None where only quiet hours keep it; ``quiet_until`` when those end, None where
    none hold it. ``reached``: a breakpoint has come, or none is waited for.
    """

    __slots__ = (
        "event", "facts", "made_at", "message", "probability", "quiet_until", "reached", "rule", "until", "variant",
    )  # fmt: skip

    def __init__(
        self,
        rule: str,
        made_at: int,
        message: Message,
        event: Event | None,
        facts: dict[str, Any],
        *,
        until: int | None = None,
        quiet_until: int | None = None,
        reached: bool = False,
        variant: str | None = None,
        probability: float | None = None,
    ) -> None:
        self.rule = rule
        self.made_at = made_at
        self.message = message
        self.event = event
        self.facts = facts
        self.until = until
        self.quiet_until = quiet_until
        self.reached = reached
        self.variant = variant
        self.probability = probability

    def fields(self) -> tuple[Any, ...]:
        message = self.message
        written = (message.id, message.type, message.text, message.options, message.data, message.expires_at)
        return (
            self.rule, self.made_at, (*written, message.prompt) if message.prompt else written,
            kept_event(self.event), frozen_facts(self.facts),
            self.until, self.quiet_until, self.reached, self.variant, self.probability,
        )  # fmt: skip

    @classmethod
    def restored(cls, user: str, fields: list[Any]) -> Held:
        """The inverse of `fields`; the user is the state's."""
        rule, made_at, message, event, facts, until, quiet_until, reached, variant, probability = fields
        message_id, message_type, text, options, data, expires_at, *prompt = message
        return cls(
            rule,
            made_at,
            Message(message_id, message_type, text, tuple(options), data, expires_at, *prompt),
            restored_event(user, event),
            thawed_facts(facts),
            until=until,
            quiet_until=quiet_until,
            reached=reached,
            variant=variant,
            probability=probability,
        )


class Preferences:
    """What a user wishes: how much to hear, and of what nothing.

    ``muted`` are rules and topics, "*" for everything; ``snoozed`` the moments until which a rule, a topic or ("")
    everything keeps quiet.
    """

    __slots__ = ("level", "muted", "snoozed")

    def __init__(
        self, level: Level = "normal", muted: list[str] | None = None, snoozed: dict[str, int] | None = None
    ) -> None:
        self.level: Level = level
        self.muted = [] if muted is None else muted
        self.snoozed = {} if snoozed is None else snoozed

    def fields(self) -> tuple[Json, ...]:
        return self.level, self.muted, self.snoozed

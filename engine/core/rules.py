"""Rules, compiled: what the loader makes and `evaluate` runs. And the contract of a trigger."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from engine.core.dispatch import Dispatch, EachTimer
from engine.core.units import MINUTE

if TYPE_CHECKING:
    from engine.core.dispatch import EventIndex, TimerIndex, Watch
    from engine.core.expressions import Expression
    from engine.core.model import Event
    from engine.core.render import Template
    from engine.core.scope import Scope
    from engine.core.state import UserState

Mode = Literal["live", "shadow", "off"]
# A span in microseconds, or a period with a name.
Per = int | Literal["session", "day", "user"]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``count_max`` messages of a rule per period."""

    count_max: int
    per: Per


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """What a rule says. ``fallback`` is plain text; ``data`` is JSON whose strings, at any depth, are templates."""

    type: str
    text: Template
    fallback: str | None = None
    options: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``order`` is its place in the rule set; ``path`` and ``line`` (from 1) say where it is written.

    Spans are microseconds. All of ``conditions`` must hold. ``written`` is a fingerprint of all that was
    written, defaults included; that of a trigger alone is in its key.
    """

    id: str
    order: int
    path: str
    line: int
    triggers: tuple[Trigger, ...]
    message: MessageSpec
    description: str = ""
    conditions: tuple[Expression, ...] = ()
    priority: int = 0
    cooldown: int | None = None
    caps: tuple[Cap, ...] = ()
    warmup: int | None = None
    expires: int | None = None
    mode: Mode = "live"
    written: str = ""

    @property
    def times_kept(self) -> int:
        """How many past moments the caps over a span or a day need to know."""
        return max((cap.count_max for cap in self.caps if cap.per not in ("session", "user")), default=0)


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for all rules of a folder. ``simultaneous``: how many messages one input may send to a user."""

    zone: tzinfo = UTC
    zone_name: str = "Etc/UTC"
    simultaneous: int = 1
    session_timeout: int = 30 * MINUTE


class Fired(NamedTuple):
    """A trigger has fired: its facts (the kind is added by `evaluate`), and the event that fired or armed it."""

    facts: dict[str, Any]
    event: Event | None


class Trigger:
    """The contract of a trigger. It answers and never waits; its memory, if it has any, is in the user's state.

    * It sees every event whose type is one of ``event_types`` (a ``*`` at the end is a prefix wildcard), once,
      whether or not the rule has already fired; `observe` says whether it fires on it.
    * A trigger that arms a timer as it observes says so by `UserState.wake_by`.
    * `due` is the next moment strictly after ``state.now`` at which it would fire if nothing else happened, or
      None. It depends on the state and the policy alone, and is asked again whenever either has changed.
      `fire` is called at that moment and no other.
    * ``key`` is the rule's id and the fingerprint of what was written: a trigger that was edited has another
      key, so its memory never meets a meaning that it was not made for. `adopt` is called once per user when
      a rule set that holds a new key begins to hold.
    """

    __slots__ = ("equality", "event_types", "idle_span", "key")
    kind: ClassVar[str]
    has_timer: ClassVar[bool] = False  # whether `due` can name moments
    indexes_events: ClassVar[bool] = False  # whether `index_events` answers for all triggers of the kind

    def __init__(
        self,
        key: str,
        *,
        event_types: tuple[str, ...] = (),
        equality: tuple[str, Any] | None = None,
        idle_span: int | None = None,
    ) -> None:
        """``equality`` ``(field, literal)``: only events whose data hold that literal can matter; dispatch skips the
        rest unseen. ``idle_span``: the span of inactivity after which it may fire, so that activity arms a wake-up.
        """
        self.key = key
        self.event_types = event_types
        self.equality = equality
        self.idle_span = idle_span

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        raise NotImplementedError(f"{self.kind} asks for events and does not observe them")

    def due(self, state: UserState, policy: Policy) -> int | None:
        return None

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        """Called with ``state.now`` at the moment that `due` named."""
        raise NotImplementedError(f"{self.kind} names moments and does not fire at them")

    def adopt(self, state: UserState, policy: Policy) -> None:
        """Make what memory can be made from the state's anchors; nothing by default."""

    def progress(self, state: UserState, policy: Policy, at: int) -> str | None:
        """How far it had come at the moment, to which the state has been run: ``2 of 3 in 10m``. For display alone.

        None where it remembers nothing that could tell.
        """
        return None

    def missed(self, scope: Scope) -> str | None:
        """Why it did not fire on an event of one of its types, None where the event would do. For display alone."""
        return None

    @classmethod
    def index_events(cls, watches: Sequence[Watch]) -> EventIndex:
        raise NotImplementedError(f"{cls.kind} has no index of events")

    @classmethod
    def index_timers(cls, watches: Sequence[Watch]) -> TimerIndex:
        """An index that answers `due` for many triggers of the kind at once."""
        return EachTimer(watches)


class RuleSet:
    """All rules of a folder, indexed. ``hash`` names it: it depends on what the files say, not on when or where."""

    __slots__ = ("dispatch", "hash", "ids", "keys", "policy", "rules", "sources")

    def __init__(
        self, rules: tuple[Rule, ...], policy: Policy, hash: str, sources: dict[str, str] | None = None
    ) -> None:
        self.rules = rules
        self.policy = policy
        self.hash = hash
        self.sources = sources or {}  # path → text, as loaded: what a store keeps to load it again
        self.ids = frozenset(rule.id for rule in rules)
        active = tuple(rule for rule in rules if rule.mode != "off")
        self.keys = frozenset(trigger.key for rule in active for trigger in rule.triggers)
        self.dispatch = Dispatch(active)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


class Timeline:
    """Which rule set holds when. The first holds from the beginning of time; later ones from their moments on."""

    __slots__ = ("_fresh", "moments", "rule_sets")

    def __init__(self, first: RuleSet, since: int = 0) -> None:
        self.moments = [since]
        self.rule_sets = [first]
        self._fresh: list[tuple[Trigger, ...]] = [()]

    def add(self, at: int, rules: RuleSet) -> None:
        """From ``at`` on ``rules`` hold. ``at`` must be later than every moment before it."""
        if at <= self.moments[-1]:
            raise ValueError(f"a rule set cannot begin at {at}, one began at {self.moments[-1]}")
        known = self.latest.keys
        self._fresh.append(
            tuple(
                trigger
                for rule in rules
                if rule.mode != "off"
                for trigger in rule.triggers
                if trigger.key not in known and type(trigger).adopt is not Trigger.adopt
            )
        )
        self.moments.append(at)
        self.rule_sets.append(rules)

    def fresh(self, index: int) -> tuple[Trigger, ...]:
        """The triggers of that rule set which the one before it did not have, and which want to `Trigger.adopt`."""
        return self._fresh[index]

    def holding(self, at: int) -> int:
        """The index of the rule set that holds at ``at``; 0 for moments before the first."""
        return max(bisect_right(self.moments, at) - 1, 0) if len(self.moments) > 1 else 0

    @property
    def latest(self) -> RuleSet:
        return self.rule_sets[-1]

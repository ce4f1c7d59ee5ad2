"""Rules, compiled: what the loader makes and `evaluate` runs. And the contract of a trigger."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from engine.core.dispatch import Dispatch, EachTimer
from engine.core.units import MINUTE

if TYPE_CHECKING:
    from engine.core.dispatch import EventIndex, TimerIndex, Watch
    from engine.core.expressions import Expression
    from engine.core.groups import Grouping
    from engine.core.matcher import Matcher
    from engine.core.model import Event
    from engine.core.quiet import QuietHours
    from engine.core.refusal import Refused
    from engine.core.remembered import Level
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
class Variant:
    """One way of saying it. ``share`` is the probability with which it is drawn, from 0 to 1.

    ``compose`` is the prompt by which a responder writes the text anew, None where nobody is asked.
    """

    id: str
    share: float
    text: Template
    fallback: str | None = None
    options: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    compose: Template | None = None


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """What a rule says. ``fallback`` is plain text; ``data`` is JSON whose strings, at any depth, are templates.

    Where there are ``variants``, one of them is said and ``text`` is not. ``compose`` is as a variant's.
    """

    type: str
    text: Template
    fallback: str | None = None
    options: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    compose: Template | None = None


@dataclass(frozen=True, slots=True)
class Limit(Cap):
    """A cap of a budget. ``level``: it binds only users whose level that is; None for all."""

    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """An event that charges a budget."""

    matcher: Matcher
    cost: int


@dataclass(frozen=True, slots=True)
class Budget:
    """What several rules share. Messages charge it with 1 each, unless there are ``charges``: then events do.

    ``resets`` are the events that empty it. ``times_kept`` is how many past moments its limits need to know.
    """

    name: str
    limits: tuple[Limit, ...]
    charges: tuple[Charge, ...] = ()
    resets: tuple[Matcher, ...] = ()
    times_kept: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_kept", times_kept(self.limits))


@dataclass(frozen=True, slots=True)
class Backoff:
    """Every dismissal multiplies the cooldown by ``factor``, until it is ``span_max``, if that is not None."""

    factor: int
    span_max: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """When a message that has passed the gates is sent: section 7 of the language.

    ``breakpoints`` are waited for if there are any, and then for ``quiet_for`` without activity; no longer than
    ``within`` altogether, upon which it is sent or dropped. None of these three: it is sent at once.
    """

    breakpoints: tuple[Matcher, ...] = ()
    within: int | None = None
    otherwise: Literal["send", "drop"] = "send"
    quiet_for: int | None = None
    cancels: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``order`` is its place in the rule set; ``path`` and ``line`` (from 1) say where it is written.

    Spans are microseconds. All of ``conditions`` must hold. ``written`` is a fingerprint of all that was
    written, defaults included; that of a trigger alone is in its key. ``budgets`` and ``quiet_hours`` are those that
    concern it, of the policy. ``holdout`` is a share from 0 to 1. ``was`` is the id that it had before.
    ``times_kept`` is how many past moments its caps need to know.
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
    cooldown_by: Grouping | None = None
    backoff: Backoff | None = None
    resets_on_answer: bool = False
    caps: tuple[Cap, ...] = ()
    warmup: int | None = None
    expires: int | None = None
    mode: Mode = "live"
    level: Level = "normal"
    topic: str | None = None
    keeps_offline: bool = False
    quiet_hours: tuple[QuietHours, ...] = ()
    urgent: bool = False
    budgets: tuple[Budget, ...] = ()
    holdout: float = 0.0
    deliver: Delivery | None = None
    was: str | None = None
    written: str = ""
    times_kept: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_kept", times_kept(self.caps))

    @property
    def drawn_as(self) -> str:
        """The name by which it draws: the first that is known, so that a new name draws nothing anew."""
        return self.was or self.id


def times_kept(caps: Iterable[Cap]) -> int:
    """How many past moments need to be known to tell whether a cap over a span or a day is used up."""
    return max((cap.count_max for cap in caps if cap.per not in ("session", "user")), default=0)


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for all rules of a folder. ``simultaneous``: how many messages one input may send to a user.

    ``seed`` goes into every draw; ``holdout`` is the share of users to whom nothing is sent, from 0 to 1.
    """

    zone: tzinfo = UTC
    zone_name: str = "Etc/UTC"
    simultaneous: int = 1
    session_timeout: int = 30 * MINUTE
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    quiet_hours: Mapping[str, QuietHours] = field(default_factory=dict)
    seed: str = ""
    holdout: float = 0.0


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
      key, so its memory never meets a meaning that it was not made for. When a rule set with a new key begins
      to hold, what the trigger would remember is found out from the user's past events (`rebuilt`).
    * ``presence`` asks for more: to `observe` (also) the event with which presence begins or ends, or None as the
      event where it ends by itself. `UserState.present_since` is then None already. A trigger that has memory is
      asked at the end only while it remembers something.
    """

    __slots__ = ("equality", "event_types", "idle_span", "key", "presence")
    kind: ClassVar[str]
    has_timer: ClassVar[bool] = False  # whether `due` can name moments
    has_memory: ClassVar[bool] = False  # whether it keeps anything in `UserState.memory`
    indexes_events: ClassVar[bool] = False  # whether `index_events` answers for all triggers of the kind

    def __init__(
        self,
        key: str,
        *,
        event_types: tuple[str, ...] = (),
        equality: tuple[str, Any] | None = None,
        idle_span: int | None = None,
        presence: Literal["arrival", "departure"] | None = None,
    ) -> None:
        """``equality`` ``(field, literal)``: only events whose data hold that literal can matter; dispatch skips the
        rest unseen. ``idle_span``: the span of inactivity after which it may fire, so that activity arms a wake-up.
        """
        self.key = key
        self.event_types = event_types
        self.equality = equality
        self.idle_span = idle_span
        self.presence = presence

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        raise NotImplementedError(f"{self.kind} asks for events and does not observe them")

    def due(self, state: UserState, policy: Policy) -> int | None:
        return None

    def fire(self, state: UserState, policy: Policy) -> Fired | None:
        """Called with ``state.now`` at the moment that `due` named."""
        raise NotImplementedError(f"{self.kind} names moments and does not fire at them")

    def check(self, rules: Mapping[str, Rule]) -> Iterable[Refused]:
        """All that it says of other rules (all of the folder, by id) and is not so."""
        return ()

    def rebuilt(self, memory: Any, former: UserState, state: UserState) -> Any:
        """What it remembers, from its ``memory`` in the state ``former``, as `state` has to hold it; None for nothing.

        ``former`` has come to the same moment through the same events, and counts some things from elsewhere.
        """
        return memory

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

    __slots__ = ("by_id", "dispatch", "hash", "keys", "policy", "renamed", "rules", "sources")

    def __init__(
        self, rules: tuple[Rule, ...], policy: Policy, hash: str, sources: dict[str, str] | None = None
    ) -> None:
        self.rules = rules
        self.policy = policy
        self.hash = hash
        self.sources = sources or {}  # path → text, as loaded: what a store keeps to load it again
        self.by_id = {rule.id: rule for rule in rules}
        # Former id → id, of the rules that had another.
        self.renamed = {rule.was: rule.id for rule in rules if rule.was is not None}
        active = tuple(rule for rule in rules if rule.mode != "off")
        self.keys = frozenset(trigger.key for rule in active for trigger in rule.triggers)
        self.dispatch = Dispatch(active, policy)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


HISTORY_EVENTS_MAX = 2_000  # of a user's past events, the newest, that triggers are made to know when rules change
# The newest `HISTORY_EVENTS_MAX` events of a user before a moment, oldest first: ``history(user, moment)``.
History = Callable[[str, int], Sequence["Event"]]


class Timeline:
    """Which rule set holds when. The first holds from the beginning of time; later ones from their moments on.

    ``latest`` holds from ``since`` on.
    ``history`` is where the past of a user comes from when a rule set brings triggers that have to know it; None
    where there is no past to be had, and such triggers begin with nothing.
    """

    __slots__ = ("_fresh", "history", "latest", "moments", "rule_sets", "since")

    def __init__(self, first: RuleSet, since: int = 0, history: History | None = None) -> None:
        self.moments = [since]
        self.rule_sets = [first]
        self.since = since
        self.latest = first
        self.history = history
        self._fresh: list[frozenset[str]] = [frozenset()]

    def add(self, at: int, rules: RuleSet) -> None:
        """From ``at`` on ``rules`` hold. ``at`` must be later than every moment before it."""
        if at <= self.moments[-1]:
            raise ValueError(f"a rule set cannot begin at {at}, one began at {self.moments[-1]}")
        former = self.latest
        known = {renamed_key(key, rules.renamed) for key in former.keys}
        fresh = {
            trigger.key
            for rule in rules
            if rule.mode != "off"
            for trigger in rule.triggers
            if trigger.has_memory and trigger.key not in known
        }
        self._fresh.append(frozenset(fresh))
        self.moments.append(at)
        self.rule_sets.append(rules)
        self.since = at
        self.latest = rules

    def fresh(self, index: int) -> frozenset[str]:
        """The keys of the triggers of that rule set that remember something and that the one before did not have."""
        return self._fresh[index]

    def wants_history(self, since: int) -> list[int]:
        """The moments, in order, whose rule sets a user who adopted the latest at ``since`` needs the past for."""
        return [at for at, fresh in zip(self.moments, self._fresh, strict=True) if at > since and fresh]

    def holding(self, at: int) -> int:
        """The index of the rule set that holds at ``at``; 0 for moments before the first."""
        return max(bisect_right(self.moments, at) - 1, 0) if len(self.moments) > 1 else 0


def renamed_key(key: str, renamed: Mapping[str, str]) -> str:
    """The key of a trigger, under the rule's present id."""
    rule_id, slash, rest = key.partition("/")
    return renamed.get(rule_id, rule_id) + slash + rest

"""Every figure that the server shows: its name, what it means to an operator, its labels and their bounds.

It counts nothing; `metrics` does. Names have base units at their ends, and no label is ever of a user.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import get_args

from engine import __version__
from engine.core.model import OUTCOMES
from engine.metrics.measures import Counter, Info, Level, Looked, Measure, Spread
from engine.observer import Scope

RULES_MAX = 200  # rules that have a label of their own; with all outcomes, some 3,200 series at most

# Steps of about 2 to 2.5. Turns and commits are a few milliseconds on a good disk, tens on a bad one.
QUICK_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
# A message is queued right after its turn, unless the server is far behind or had been down.
PROMPT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
SLOW_S = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)  # what a language model takes
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # a turn takes 500 inputs and 500 receipts

_LEVELS = [("websocket", "0"), ("websocket", "1"), ("stream", "1"), ("poll", "1")]
# Of RFC 6455 and of the protocol; a client may close with any other, which is then counted as "other".
_CODES = [(str(code),) for code in (1000, 1001, 1005, 1006, 1008, 1009, 1011, 4000, 4001, 4002, 4008)]
_ASKED = [("ok",), ("failed",), ("timeout",), ("cancelled",), ("refused",)]


class Figures:
    """One of each kind for one server. `all` gives them in the order in which they are shown."""

    def __init__(self) -> None:
        self.build = Info(
            "build_info",
            "Always 1; its labels say which version runs.",
            {"version": __version__, "python": platform.python_version()},
        )
        self._who_is_there()
        self._what_comes_in()
        self._what_is_made_of_it()
        self._what_goes_out()
        self._of_a_worker()
        self._upkeep()

    def all(self) -> Iterator[Measure]:
        yield from vars(self).values()

    def looked(self) -> dict[str, Looked]:
        """Those that have to be told where to look, by their names here."""
        return {name: figure for name, figure in vars(self).items() if isinstance(figure, Looked)}

    def _who_is_there(self) -> None:
        self.ready = Looked("ready", "1 while the server would tell a load balancer that it is ready, else 0.")
        self.connections = Level(
            "connections",
            "Open connections, by transport and level of the protocol (0: plain, 1: sessions).",
            ("transport", "level"),
            _LEVELS,
        )
        self.clients = Looked("clients", "Clients that are there: connected, or seen over HTTP within ten minutes.")
        self.sessions = Looked("sessions", "Sessions of level 1 that live, those that may yet be resumed among them.")
        self.sessions_begun = Counter(
            "sessions_begun_total",
            'Sessions of level 1 that were opened; "resumed": a client came back to one that it had.',
            ("how",),
            [("new",), ("resumed",)],
        )
        self.closed = Counter(
            "connections_closed_total",
            "WebSocket connections that ended, by the code with which they did.",
            ("code",),
            _CODES,
            labels_max=len(_CODES),
        )

    def _what_comes_in(self) -> None:
        doors = [("websocket",), ("http",), ("application",)]
        self.frames_in = Counter(
            "frames_received_total", "Frames and bodies that came in, good or bad, by transport.", ("transport",)
        )
        self.events = Counter(
            "events_total", "Events that were taken in, by the door they came through.", ("door",), doors
        )
        self.repeated = Counter(
            "events_repeated_total", "Events that had happened already: acknowledged, not handled again."
        )
        self.refused = Counter(
            "refusals_total", "Errors that clients were told, by their code in the protocol.", ("code",)
        )
        self.limited = Counter(
            "rate_limited_total",
            "What was refused because it was too much, or of messages put off, by the limit that was reached.",
            ("scope",),
            [(scope,) for scope in get_args(Scope)],
        )
        self.inbox_inputs = Looked("inbox_inputs", "Inputs that wait for their turn. At 10,000 clients are refused.")
        self.inbox_receipts = Looked(
            "inbox_receipts", "Receipts of messages that wait for their turn. At 10,000 they are dropped."
        )

    def _what_is_made_of_it(self) -> None:
        self.turns = Spread("turn_seconds", "What a turn took: evaluation and commit, its retries included.", QUICK_S)
        self.turn_entries = Spread(
            "turn_entries", "Inputs and receipts of a turn; 0 where only timers were due.", SIZES
        )
        self.commits = Spread("commit_seconds", "What the store took for the transaction of a turn.", QUICK_S)
        self.commits_failed = Counter(
            "commits_failed_total",
            'Tries of a turn that the store refused: "retried", or "given_up", then clients were told so.',
            ("then",),
            [("retried",), ("given_up",)],
        )
        self.lateness = Spread(
            "timer_lateness_seconds",
            "From the moment at which the earliest timer of a turn was due until that turn was durable.",
            PROMPT_S,
        )
        self.candidates = Counter(
            "candidates_total",
            "What became of candidates. One that was held counts as that, and again for what became of it.",
            ("outcome",),
            [(outcome,) for outcome in OUTCOMES],
        )
        self.rule_candidates = Counter(
            "rule_candidates_total",
            f'As proactive_candidates_total, by rule; beyond {RULES_MAX} rules the others are "other".',
            ("rule", "outcome"),
            labels_max=(RULES_MAX + 1) * len(OUTCOMES),
        )
        self.faults = Counter(
            "faults_total", "Events on which the engine failed; they were set aside, the rest goes on."
        )
        self.rules = Level("rules", "Rules that hold.")
        self.rule_problems = Looked(
            "rule_problems", "Errors of the rule files as they are now; 0: what holds is what is written."
        )
        self.reloads = Counter(
            "reloads_total",
            "Looks at rule files that might have changed, by what came of it.",
            ("outcome",),
            [("changed",), ("unchanged",), ("failed",)],
        )
        self.reload_seconds = Spread("reload_seconds", "What a change of rules took, from reading to holding.", SLOW_S)

    def _what_goes_out(self) -> None:
        hows = [("pushed",), ("waiting",), ("again",)]
        self.messages = Counter(
            "messages_total",
            "Messages, by who said them: a rule, or the application. Answers to chat messages are not among them.",
            ("source",),
            [("rule",), ("application",)],
        )
        self.queued = Counter(
            "messages_queued_total",
            'Messages put into the queue of a connection or into a reply: "pushed" at once, after "waiting" for their '
            'client, or "again" after a connection broke.',
            ("how",),
            hows,
        )
        self.received = Counter("messages_received_total", "Messages that a client of level 1 said it has received.")
        self.notifications_dropped = Looked(
            "notifications_dropped_total", "Notifications given up because who was to have them reads too slowly."
        )
        self.receipts_lost = Looked(
            "receipts_lost_total", "Receipts given up: rules do not come to know that a message has arrived."
        )
        self.queued_seconds = Spread(
            "message_queued_seconds",
            "From the event or timer that caused a message until it was queued for a client that was there.",
            PROMPT_S,
        )
        self.received_seconds = Spread(
            "message_received_seconds",
            "From the event or timer that caused a message until its client said that it has received it.",
            PROMPT_S,
        )
        self.outbox = Looked(
            "outbox_messages", "Messages that wait in the outbox, looked at every ten seconds at most."
        )
        self.outgoing_frames_max = Looked(
            "outgoing_frames_max", "Frames in the longest queue of any connection. At limits.queue_frames it is cut."
        )
        self.frames_out = Counter("frames_sent_total", "Frames that went out, by transport.", ("transport",))
        self.answers = Spread(
            "answer_seconds",
            "What the responder took for a chat message, by what came of it.",
            SLOW_S,
            ("outcome",),
            _ASKED,
        )
        self.composed = Spread(
            "compose_seconds",
            "What the responder took to write a rule's message, by what came of it; unless ok, the plain text is said.",
            SLOW_S,
            ("outcome",),
            _ASKED,
        )

    def _of_a_worker(self) -> None:
        self.partitions_held = Looked("partitions_held", "Partitions that this worker has; only workers have any.")
        self.rounds = Looked("rounds_total", "Rounds of a worker: looks at all of its partitions.")
        self.entries_evaluated = Looked("entries_evaluated_total", "Entries of the log that a worker has evaluated.")
        self.commits_refused = Looked(
            "commits_refused_total",
            "Commits of a worker to a partition that another had taken; evaluated again, and nothing happened twice.",
        )
        self.messages_relayed = Looked(
            "messages_relayed_total", "Messages that a worker told gateways of, each time that it did."
        )
        self.evaluation_lag = Looked(
            "evaluation_lag_seconds", "For how long the oldest entry that is not evaluated has waited for its worker."
        )
        self.partitions_held_up = Looked(
            "partitions_held_up",
            "Partitions of this worker's share that cannot be evaluated: damaged, or at a primary that is away.",
        )
        self.store_clock_ahead = Looked(
            "store_clock_ahead_seconds", "By how much the clock of the store is ahead of that of this machine."
        )

    def _upkeep(self) -> None:
        self.store_writable = Level("store_writable", "1 while what happens can be written down, else 0.")
        self.partitions_out_of_reach = Looked(
            "partitions_out_of_reach", "Partitions whose primary in a cluster does not answer this process."
        )
        self.primaries_without_replica = Looked(
            "primaries_without_replica", "Primaries that go on although no replica has what is written there."
        )
        self.writes_not_replicated = Looked(
            "writes_not_replicated_total",
            "Calls that wrote something and were not acknowledged, for no replica had it in time. Looks whether one is "
            "back are none.",
        )
        self.store_bytes = Looked("store_bytes", "Size of the database file.")
        self.store_wal_bytes = Looked("store_wal_bytes", "Size of the write-ahead log beside it.")
        works = [("checkpoint",), ("retention",), ("vacuum",), ("backup",), ("erase",)]
        self.store_work = Spread("store_work_seconds", "Upkeep of the store, by sort.", SLOW_S, ("work",), works)
        self.store_work_failed = Counter(
            "store_work_failed_total", "Upkeep of the store that could not be done, by sort.", ("work",), works
        )

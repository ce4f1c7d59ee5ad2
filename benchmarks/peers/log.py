"""The workload as the peers get it: flat records, moments in whole milliseconds. It must not know any engine's form."""

from __future__ import annotations

from benchmarks import workload
from benchmarks.peers.rules import Event

MICROSECONDS = 1_000  # in a millisecond


def events(count: int, users: int = 500) -> list[Event]:
    """The first ``count`` of a log that is always as long, so that fewer events are a prefix of more.

    A user has at most one event in a millisecond: the gaps of the workload are half a second at least.
    """
    return [
        {"user": event.user, "at": event.at // MICROSECONDS, "type": event.type, **event.data}
        for event in workload.events(LOG_EVENTS, users)[:count]
    ]


LOG_EVENTS = 100_000

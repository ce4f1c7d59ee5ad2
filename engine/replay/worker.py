"""One process of several that share a dry run: it does as it is told, and ends when nobody tells it any more."""

from __future__ import annotations

import gc
import io
import marshal
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, BinaryIO

from engine.replay.activity import Activity
from engine.replay.bad_records import BadRecords
from engine.replay.census import TypeCounts
from engine.replay.dryrun import DryRun
from engine.replay.formats.base import Settings, UnknownForm
from engine.replay.reading import collector_paused, event_batches
from engine.replay.runs import Positioned
from engine.replay.shares import Share
from engine.replay.spilled import Gathering, TooLittleMemory
from engine.replay.survey import Survey
from engine.replay.table import UnknownColumn


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read, and how. ``memory`` is what one process may hold of it, in bytes."""

    logs: Sequence[str]
    settings: Settings
    form: str | None
    memory: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a process has read: of its users, of its bad records."""

    users: int
    events: int
    last: int | None
    bad: BadRecords


def work(
    commands: Connection,
    answers: Connection,
    foreign: Sequence[Connection],
    reading: Reading,
    share: Share,
    dry: DryRun,
    spool: BinaryIO | None,
) -> None:
    """Read, and then answer one command after the other. Ctrl-C is for the process that commands.

    ``foreign`` are ends of others, which came along when the process was forked.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for end in foreign:
        end.close()
    if spool is not None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(Positioned(spool.fileno())))
    # Who commands may be gone, by Ctrl-C or worse: then nobody wants an answer.
    with suppress(EOFError, BrokenPipeError):
        try:
            _Worker(commands, answers, dry, _read(reading, share, answers)).serve()
        except _TOLD as error:
            answers.send(("raised", _packed(error)))


def _read(reading: Reading, share: Share, answers: Connection) -> Activity:
    bad = BadRecords()
    gathering = Gathering(reading.memory)

    def progress(size: int) -> None:
        answers.send(("done", size))

    with collector_paused():
        for batch in event_batches(reading.logs, reading.settings, reading.form, bad, progress, share):
            gathering.add(batch)
    activity = gathering.activity()
    gc.freeze()  # the events stay to the end; the collector need not look at them again and again
    answers.send(("held", Held(activity.users, activity.events, activity.last, bad)))
    return activity


class _Worker:
    def __init__(self, commands: Connection, answers: Connection, dry: DryRun, activity: Activity) -> None:
        self._commands = commands
        self._answers = answers
        self._dry = dry
        self._activity = activity
        self._is_stopped = False

    def serve(self) -> None:
        doing: dict[str, Callable[..., None]] = {
            "run": self._run,
            "stop": self._stop,
            "lines": self._lines,
            "survey": self._survey,
        }
        while True:
            name, *given = self._commands.recv()
            doing[name](*given)

    def _run(self, end: int | None) -> None:
        self._dry.run(self._activity, self._progress, stopped=lambda: self._is_stopped, end=end)
        self._answers.send(("found", self._dry.found()))

    def _stop(self) -> None:
        self._is_stopped = True

    def _progress(self, events: int) -> None:
        self._answers.send(("done", events))
        self._is_stopped = self._is_stopped or self._commands.poll()

    def _lines(self) -> None:
        if self._dry.lines is not None:
            for chunk in self._dry.lines.chunks():
                self._answers.send_bytes(marshal.dumps(chunk))
        self._answers.send_bytes(b"")

    def _survey(self, rule_ids: list[str], types: dict[str, int]) -> None:
        rules = [rule for rule in self._dry.timeline.latest if rule.id in rule_ids]
        survey = Survey(rules, TypeCounts(types))
        survey.look_at(self._activity, self._dry.until, self._progress)
        self._answers.send(("surveyed", survey.found()))


# What a user can mend, with the parts of which it is made again where it is told.
_TOLD = (OSError, UnknownColumn, UnknownForm, TooLittleMemory)


def _packed(error: Exception) -> tuple[type[Exception], tuple[Any, ...]]:
    match error:
        case UnknownColumn():
            return UnknownColumn, (error.message, error.place)
        case UnknownForm():
            return UnknownForm, (error.message,)
        case OSError():
            return OSError, (error.errno, error.strerror, error.filename)
    return TooLittleMemory, error.args


def raised(packed: tuple[type[Exception], tuple[Any, ...]]) -> Exception:
    """What a process told that it had raised."""
    kind, parts = packed
    return kind(*parts)

"""A dry run shared by several processes, each for the users of its share; what comes of it is the same to the byte.

Each process reads the whole log, but decodes little of the lines of others. It tells how far its users come; time ends
at the same moment for all; it runs its users, and hands over what its studies found, and its decisions in order. The
processes are forked, so that rules need not be loaded again; so nothing may have started a thread before.
"""

from __future__ import annotations

import marshal
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, BinaryIO

from engine.replay.bad_records import BadRecords
from engine.replay.driver import Progress
from engine.replay.dryrun import DryRun
from engine.replay.runs import naming_the_folder
from engine.replay.shares import Share
from engine.replay.survey import Survey
from engine.replay.unpack import BLOCK_BYTES
from engine.replay.worker import Held, Reading, raised, work
from engine.replay.written import Line, merged

LOOK_SECONDS = 0.2  # after which it is looked whether the user has enough
END_SECONDS = 5.0  # that a process may take to end


class WorkerDied(Exception):
    """A process has ended in the middle of its work."""


@dataclass(slots=True)
class _Worker:
    """A process, and what leads to it and back."""

    number: int
    process: BaseProcess
    tell: Connection
    hear: Connection

    def receive(self) -> Any:
        return self._heard(self.hear.recv)

    def receive_bytes(self) -> bytes:
        block: bytes = self._heard(self.hear.recv_bytes)
        return block

    def send(self, command: tuple[Any, ...]) -> None:
        try:
            self.tell.send(command)
        except OSError:
            raise self._died() from None

    def _heard(self, receive: Callable[[], Any]) -> Any:
        try:
            return receive()
        except (EOFError, OSError):
            raise self._died() from None

    def _died(self) -> WorkerDied:
        self.process.join(END_SECONDS)
        code = self.process.exitcode
        how = f"with exit code {code}" if code is None or code >= 0 else f"by signal {-code}"
        hint = "; memory may have run out: allow less of it with --memory, or fewer --jobs" if code == -9 else ""
        return WorkerDied(f"process {self.number} of the dry run ended {how} before its work was done{hint}")


class Crew:
    """The processes. To be used in a ``with``, which ends them whatever happens."""

    def __init__(self, jobs: int, reading: Reading, dry: DryRun, spool: BinaryIO | None = None) -> None:
        """``spool`` holds what came by standard input. Each process has a copy of ``dry``, and of ``reading``."""
        self.users = 0
        self.events = 0
        self.bad = BadRecords()
        self._last: int | None = None
        self._workers: list[_Worker] = []
        context = get_context("fork")
        for number in range(jobs):
            commands, tell = context.Pipe(duplex=False)
            hear, answers = context.Pipe(duplex=False)
            foreign = [end for worker in self._workers for end in (worker.tell, worker.hear)] + [tell, hear]
            process = context.Process(
                target=work, args=(commands, answers, foreign, reading, Share(number, jobs), dry, spool), daemon=True
            )
            process.start()
            # Each side holds its ends alone, so that it is noticed when the other dies.
            commands.close()
            answers.close()
            self._workers.append(_Worker(number + 1, process, tell, hear))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(END_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
            worker.tell.close()
            worker.hear.close()

    def read(self, progress: Progress | None) -> None:
        """Let all read. Raises what reading does."""
        for held in self._answers("held", progress):
            assert isinstance(held, Held)
            self.users += held.users
            self.events += held.events
            self.bad.merge(held.bad)
            if held.last is not None:
                self._last = held.last if self._last is None else max(self._last, held.last)

    def run(self, dry: DryRun, progress: Progress | None, stopped: Callable[[], bool]) -> None:
        """As `DryRun.run`."""
        for worker in self._workers:
            if stopped():
                worker.send(("stop",))
            worker.send(("run", self._last))
        for found in self._answers("found", progress, stopped):
            dry.merge(found)

    def chunks(self, dry: DryRun) -> Iterator[list[Line]]:
        for worker in self._workers:
            worker.send(("lines",))
        return merged([self._lines(worker) for worker in self._workers])

    def look_again(self, survey: Survey, dry: DryRun, progress: Progress | None) -> None:
        for worker in self._workers:
            worker.send(("survey", [rule.id for rule in survey.rules], dict(survey.types.counts)))
        for found in self._answers("surveyed", progress):
            survey.merge(found)

    def _lines(self, worker: _Worker) -> Iterator[list[Line]]:
        while block := worker.receive_bytes():
            yield marshal.loads(block)

    def _answers(self, kind: str, progress: Progress | None, stopped: Callable[[], bool] = lambda: False) -> list[Any]:
        """The answer of each, in their order. ``progress`` is told of what they do meanwhile."""
        answers: dict[int, Any] = {}
        told = False
        while len(answers) < len(self._workers):
            waiting = {worker.hear: worker for worker in self._workers if worker.number not in answers}
            for ready in wait(list(waiting), LOOK_SECONDS):
                worker = waiting[ready]  # type: ignore[index]  # it is one of them
                said, value = worker.receive()
                if said == kind:
                    answers[worker.number] = value
                elif said == "done" and progress is not None:
                    progress(value)
                elif said == "raised":
                    raise raised(value)
            if not told and stopped():
                told = True
                for worker in waiting.values():
                    worker.send(("stop",))
        return [answers[worker.number] for worker in self._workers]


def can_share() -> bool:
    """Whether this system has what it takes."""
    return "fork" in get_all_start_methods()


def spooled() -> BinaryIO:
    """Standard input as a file, which several can read."""
    with naming_the_folder():
        spool = tempfile.TemporaryFile()  # noqa: SIM115  # it is read as long as it lives
        shutil.copyfileobj(sys.stdin.buffer, spool, BLOCK_BYTES)
        spool.flush()
    return spool

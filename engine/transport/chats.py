"""Chat messages of sessions: each is answered once, and its answer kept for who asked, whatever process that is.

What is durable stands in the log: the question, and either the answer (a message that the server sent) or that there is
none and the client knows. A question with neither is one whose answer was under way as a session or a process ended; it
is answered when its client comes back. It opens no session and reads no frames.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from engine.core.model import ANSWER_TYPE, CHAT_RESPONSE, Event, Json, Message, derive_id
from engine.core.units import SECOND
from engine.inbox import Overloaded
from engine.intake import Input
from engine.pending import Pending
from engine.responders.base import ChatMessage, ResponderFailed
from engine.stale import is_resumable
from engine.storage.base import Entry, OutboxMessage, StoreError
from engine.transport.answers import CHATS_MAX, Answers
from engine.transport.frames import chat_delta
from engine.transport.session import ERASED, Session, id_prefix
from engine.transport.wire import about, error_frame

CHAT_EXPIRES = 3600 * SECOND  # how long an answer waits for who asked, and a question for its answer
LOOKED_AT_MAX = 500  # newest entries of a user among which it is looked for questions without an answer
ASKED_MAX = 20_000  # questions that are known to be answered or about to be, whoever repeats them
CLIENTS_MAX = 50_000  # of which it is known that they were looked for, or have left something

TOO_MANY = "too many of your messages wait for an answer already"
NOT_KEPT = "The answer could not be stored, so it is lost. Please ask again."

log = structlog.get_logger("proactive")


@dataclass(frozen=True, slots=True)
class Question:
    """``id`` is that of its event in the log, ``data`` that of a ``chat_message``."""

    id: str
    data: dict[str, Json]


@dataclass(slots=True)
class _Held:
    """A session whose client may have asked something of an earlier one: what it asks meanwhile comes behind that."""

    questions: list[Question]


class Chats:
    """``send`` puts messages into the log and the outbox; ``record`` writes down events for which nobody waits.

    ``newest`` gives a user's newest entries of the log, newest first. ``clock``: microseconds UTC.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        send: Callable[[list[OutboxMessage]], Pending[list[Entry]]],
        record: Callable[[list[Input]], object],
        newest: Callable[[str, int], Awaitable[list[Entry]]],
        clock: Callable[[], int],
    ) -> None:
        self._answers = answers
        self._send = send
        self._record = record
        self._newest = newest
        self._clock = clock
        # What an earlier process had under way has expired by then; so nobody needs to be looked for any more.
        self._look_until = clock() + CHAT_EXPIRES
        self._looked: OrderedDict[tuple[str, str], None] = OrderedDict()  # user and client
        self._left: OrderedDict[tuple[str, str], None] = OrderedDict()  # those with questions that nobody answers now
        self._asked: OrderedDict[tuple[str, str], None] = OrderedDict()  # user and id of the question
        self._under_way: dict[Session, dict[str, None]] = {}
        self._held: dict[Session, _Held] = {}
        self._to_look: deque[Session] = deque()
        self._looking: asyncio.Task[None] | None = None

    def opened(self, session: Session) -> None:
        """The session has begun or was taken up again: what its client asked before and nobody answers is answered."""
        key = (session.user, session.client)
        if session.is_over or session in self._held:
            return
        is_early = self._clock() < self._look_until
        comes_from_afar, session.comes_from_afar = session.comes_from_afar, False
        if key in self._left:
            del self._left[key]
        elif not comes_from_afar and (key in self._looked or not is_early):
            return
        if is_early:
            _note(self._looked, key, CLIENTS_MAX)
        else:
            self._looked.clear()
        self._held[session] = _Held([])
        self._to_look.append(session)
        if self._looking is None:
            # One after the other, so that thousands who come back at once do not keep commits from the store.
            self._looking = asyncio.get_running_loop().create_task(self._look_all(), name="chats")

    def ask(self, session: Session, question: Question) -> None:
        """The question is durable. One that was asked before is not asked again."""
        key = (session.user, question.id)
        if session.is_over:
            self._leave(session)
            return
        if key in self._asked:
            return
        _note(self._asked, key, ASKED_MAX)
        held = self._held.get(session)
        if held is None:
            self._put(session, question)
        elif len(held.questions) < CHATS_MAX:
            held.questions.append(question)
        else:
            self._failed(session, question, "too_many_chats", TOO_MANY)

    def ended(self, session: Session) -> None:
        """The session is over: nobody waits for its answers now, but its client may come back for them."""
        self._answers.cancel(session.name)
        held = self._held.pop(session, None)
        unanswered = [*self._under_way.pop(session, ()), *(each.id for each in (held.questions if held else ()))]
        for question_id in unanswered:
            self._asked.pop((session.user, question_id), None)
        # Notes that nobody has heard may tell of a failure; such a question may be asked once more.
        if unanswered or held is not None or session.has_notes:
            self._leave(session)

    def forget(self, user: str) -> None:
        """The user is being erased."""
        for known in (self._looked, self._left, self._asked):
            for key in [key for key in known if key[0] == user]:
                del known[key]

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    # Inside.

    def _leave(self, session: Session) -> None:
        if session.farewell != ERASED:
            _note(self._left, (session.user, session.client), CLIENTS_MAX)

    def _put(self, session: Session, question: Question, *, is_late: bool = False) -> None:
        to = _named(session.client, question.id)
        chat = ChatMessage.from_data(session.client, question.data, user=session.user, id=question.id)

        def on_delta(delta: str) -> None:
            session.tell(chat_delta(delta, to))

        def on_answer(answer: str | ResponderFailed) -> None:
            under_way = self._under_way.get(session, {})
            under_way.pop(question.id, None)
            if not under_way:
                self._under_way.pop(session, None)
            if isinstance(answer, ResponderFailed):
                self._failed(session, question, "responder_failed", answer.message)
            else:
                self._keep(session, question, answer)

        # Of an answer that was begun before, the client may have pieces; others in between would be nonsense to it.
        if self._answers.ask(session.name, chat, None if is_late else on_delta, on_answer, is_recorded=False):
            self._under_way.setdefault(session, {})[question.id] = None
        else:
            self._failed(session, question, "too_many_chats", TOO_MANY)

    def _keep(self, session: Session, question: Question, text: str) -> None:
        """The answer goes the way of all messages, and is recorded by that."""
        at = self._clock()
        to = _named(session.client, question.id)
        message = Message(
            answer_id(session.user, question.id), ANSWER_TYPE, text,
            data={} if to is None else {"to": to}, expires_at=at + CHAT_EXPIRES,
        )  # fmt: skip

        def done(sent: Pending[list[Entry]]) -> None:
            if (error := sent.exception()) is not None:
                self._not_kept(session, question, error)

        try:
            sent = self._send([OutboxMessage(session.user, message, at, client=session.client)])
        except (StoreError, Overloaded) as error:
            self._not_kept(session, question, error)
        else:
            sent.add_done_callback(done)

    def _not_kept(self, session: Session, question: Question, error: BaseException) -> None:
        log.error("! answer not kept", user_id=session.user, why=str(error))
        self._failed(session, question, "responder_failed", NOT_KEPT)

    def _failed(self, session: Session, question: Question, code: str, why: str) -> None:
        """There is no answer, and the client is told so. Once it knows, that is recorded: it is not asked again."""
        self._asked.pop((session.user, question.id), None)
        if session.is_over:
            self._leave(session)
            return
        if session.tell_or_note(about(error_frame(code, why), _named(session.client, question.id))):
            self._record([Input(session.user, CHAT_RESPONSE, {"to": question.id, "error": code})])

    async def _look_all(self) -> None:
        try:
            while self._to_look:
                session = self._to_look.popleft()
                if session in self._held:
                    await self._look(session)
        finally:
            self._looking = None

    async def _look(self, session: Session) -> None:
        since = self._clock() - CHAT_EXPIRES
        unanswered: list[Question] = []
        settled: set[str] = set()
        try:
            entries = await self._newest(session.user, LOOKED_AT_MAX)
            unanswered, settled = unanswered_of(entries, session, since)
        except Exception as error:
            log.error("! questions not read", user_id=session.user, why=f"{type(error).__name__}: {error}")
            self._leave(session)
        held = self._held.pop(session, None)
        if held is None:
            return  # it is over
        for question in unanswered:
            # One that is being stored just now may not stand in the log yet; it is among those that were asked.
            if (session.user, question.id) not in self._asked:
                _note(self._asked, (session.user, question.id), ASKED_MAX)
                self._put(session, question, is_late=True)
        for question in held.questions:
            if question.id not in settled:
                self._put(session, question)
        for question_id in settled:
            _note(self._asked, (session.user, question_id), ASKED_MAX)


def answer_id(user: str, question_id: str) -> str:
    """The id of the message that answers a question: there is one, however often it is asked."""
    return derive_id("chat", user, question_id)


def unanswered_of(entries: Iterable[Entry], session: Session, since: int) -> tuple[list[Question], set[str]]:
    """Of a user's entries, newest first: what the session's client has asked after ``since`` and nobody has answered,
    oldest first; and the ids of those of its questions that have been answered, or whose failure the client knows.
    """
    answers: set[str] = set()
    failures: set[Json] = set()
    clients: dict[str, Json] = {session.name: session.client}
    asked: list[tuple[str, Event]] = []
    for entry in entries:
        event = entry.event
        if entry.message is not None:
            answers.add(entry.message.id)
        elif event is None:
            continue
        elif event.type == CHAT_RESPONSE and "error" in event.data:
            failures.add(event.data.get("to"))
        elif event.type == "session.start" and event.session is not None:
            clients.setdefault(event.session, event.data.get("client"))
        elif event.type == "chat_message" and event.session is not None and is_resumable(event.session):
            asked.append((event.session, event))
    unanswered: list[Question] = []
    settled: set[str] = set()
    for name, event in reversed(asked):
        # Its beginning may lie too far back; then the id of the question says whose it is.
        by = clients[name] if name in clients else _client_of(event.id, session.client)
        if by != session.client:
            continue
        if event.id in failures or answer_id(event.user, event.id) in answers:
            settled.add(event.id)
        elif event.at > since and isinstance(event.data.get("message"), str):
            unanswered.append(Question(event.id, event.data))
    return unanswered, settled


def _client_of(question_id: str, client: str) -> str | None:
    return client if question_id.startswith(id_prefix(client)) else None


def _named(client: str, question_id: str) -> str | None:
    """What the client calls its question; None where it gave it no name."""
    return question_id.removeprefix(id_prefix(client)) if _client_of(question_id, client) else None


def _note(known: OrderedDict[tuple[str, str], None], key: tuple[str, str], most: int) -> None:
    known[key] = None
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)

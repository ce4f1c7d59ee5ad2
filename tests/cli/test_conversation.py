from __future__ import annotations

import json
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.cli.conversation import Conversation, Explain, Quit, Send
from engine.cli.questions import QUESTIONS_MAX
from engine.cli.shown import Piece, Shown
from engine.transport.wire import read_frame

AT = 36_000  # ten o'clock


@pytest.fixture
def talk() -> Conversation:
    return Conversation("ann", lambda: AT, UTC)


def hear(talk: Conversation, **frame: Any) -> Shown | Piece | Explain | None:
    return talk.received(json.loads(json.dumps(frame)))


def ask(talk: Conversation, *options: str, question: str = "q1", **fields: Any) -> Shown | Piece | Explain | None:
    return hear(
        talk, type="backend_message", messageType="question", message="Well?", timestamp=AT,
        questionId=question, options=list(options), **fields,
    )  # fmt: skip


def answer(response: str, question: str = "q1") -> Send:
    frame = {"type": "user_response", "questionId": question, "response": response, "clientId": "ann"}
    return Send(frame, f"answered: {response}")


def chat(message: str) -> Send:
    return Send({"type": "chat_message", "message": message, "clientId": "ann"})


def no_question(number: str) -> Explain:
    return Explain(f"no question is open that {number} could answer; to say it all the same: /chat {number}")


def test_what_is_typed_is_chat(talk: Conversation) -> None:
    assert talk.typed("  How do I?  \n") == chat("How do I?")
    assert talk.typed("   ") is None


def test_a_number_alone_is_no_chat_where_no_question_is_open(talk: Conversation) -> None:
    assert talk.typed("1") == no_question("1")
    for line in ("1 of them", "1.5", "-1", "²"):
        assert talk.typed(line) == chat(line)
    assert talk.typed("/chat 1") == chat("1")


@pytest.mark.parametrize(
    ("line", "response"), [("1", "Yes please"), ("2", "Not now"), ("not NOW", "Not now"), ("Perhaps", "Perhaps")]
)
def test_a_question_is_answered_by_number_or_in_words_and_then_closed(
    talk: Conversation, line: str, response: str
) -> None:
    ask(talk, "Yes please", "Not now")
    assert talk.typed(line) == answer(response)
    assert talk.typed(line) == (no_question(line) if line.isdigit() else chat(line))


@pytest.mark.parametrize("line", ["0", "3", "99999999999999999999"])
def test_a_number_beyond_the_options_is_explained_and_the_question_stays(talk: Conversation, line: str) -> None:
    ask(talk, "Yes", "No")
    assert talk.typed(line) == Explain(f"there are 2 options, and {line} is none of them")
    assert talk.typed("2") == answer("No")


def test_a_question_without_options_takes_any_words(talk: Conversation) -> None:
    ask(talk)
    assert talk.typed("7") == answer("7")


def noted(said: object) -> str:
    assert isinstance(said, Send)
    return said.note


def answered(said: object) -> tuple[str, str]:
    assert isinstance(said, Send)
    assert said.frame["type"] == "user_response"
    return said.frame["questionId"], said.frame["response"]


def test_with_the_newest_question_answered_the_one_before_is_open_again_and_named(talk: Conversation) -> None:
    ask(talk, question="q1")
    ask(talk, "b", "c", question="q2")
    ask(talk, "d", question="q3")
    assert talk.typed("1") == Send(answer("d", "q3").frame, "answered: d; still open: Well? 1. b 2. c")
    assert talk.typed("2") == Send(answer("c", "q2").frame, "answered: c; still open: Well?")
    assert talk.typed("2") == answer("2", "q1")
    assert talk.typed("2") == no_question("2")


def test_a_question_that_comes_again_is_the_newest_and_open_once(talk: Conversation) -> None:
    for question in ("q1", "q2", "q1"):
        ask(talk, "a", question=question)
    assert answered(talk.typed("1")) == ("q1", "a")
    assert answered(talk.typed("1")) == ("q2", "a")
    assert talk.typed("1") == no_question("1")


def test_the_latest_ten_questions_are_open(talk: Conversation) -> None:
    for number in range(QUESTIONS_MAX + 1):
        ask(talk, "a", question=f"q{number}")
    for number in range(QUESTIONS_MAX, 0, -1):
        assert answered(talk.typed("1")) == (f"q{number}", "a")
    assert talk.typed("1") == no_question("1")


@pytest.mark.parametrize(("expires", "note"), [(AT, "answered: b"), (AT + 1, "answered: b; still open: Well? 1. a")])
def test_a_question_that_has_expired_is_not_open_again(talk: Conversation, expires: int, note: str) -> None:
    ask(talk, "a", question="q1", expiresAt=expires)
    ask(talk, "b", question="q2")
    assert noted(talk.typed("1")) == note


def test_with_the_newest_question_put_away_the_one_before_is_open_and_the_last_message(talk: Conversation) -> None:
    for name in ("q1", "q2", "q3"):
        ask(talk, "a", question=name, id=name, rule=f"rule of {name}")
    assert noted(talk.typed("/dismiss")) == "dismissed: Well?; still open: Well? 1. a"
    assert noted(talk.typed("/mute")) == "muted: no more of rule of q2; still open: Well? 1. a"
    assert talk.typed("/dismiss") == Send(outcome("dismissed", "q1"), "dismissed: Well?")
    assert isinstance(talk.typed("/dismiss"), Explain)


def test_what_was_answered_can_be_muted_and_not_dismissed(talk: Conversation) -> None:
    for name in ("q1", "q2"):
        ask(talk, "a", question=name, id=name, rule=f"rule of {name}")
    talk.typed("1")
    assert talk.typed("/dismiss") == Send(outcome("dismissed", "q1"), "dismissed: Well?")
    ask(talk, "a", question="q3", id="q3", rule="rule of q3")
    talk.typed("1")
    assert talk.typed("/dismiss") == Explain("there is no message that this could be about")
    assert talk.typed("/mute") == Send(outcome("muted", "q3"), "muted: no more of rule of q3")


@pytest.mark.parametrize("kind", ["suggestion", "notification", "question"])
@pytest.mark.parametrize("name", [{"questionId": "q1"}, {"questionId": "q1", "id": "m"}, {"id": "q1"}])
def test_whatever_offers_options_is_answered_as_a_question_is(
    talk: Conversation, kind: str, name: dict[str, str]
) -> None:
    hear(talk, type="backend_message", messageType=kind, message="Well?", options=["Yes", "No"], **name)
    assert talk.typed("2") == answer("No")
    hear(talk, type="backend_message", messageType=kind, message="Well?", options=["Yes", "No"], **name)
    assert talk.typed("Perhaps") == answer("Perhaps")
    assert talk.typed("1") == no_question("1")


def test_what_neither_asks_nor_offers_options_leaves_the_question_open(talk: Conversation) -> None:
    ask(talk, "Yes")
    hear(talk, type="backend_message", messageType="suggestion", message="Look", id="m", options=[])
    assert talk.typed("1") == answer("Yes")


@pytest.mark.parametrize(
    ("kind", "label"),
    [("notification", "note"), ("question", "question"), ("suggestion", "suggestion"), ("poll", "poll")],
)
def test_a_message_is_labelled_in_a_word_for_people(talk: Conversation, kind: str, label: str) -> None:
    shown = hear(talk, type="backend_message", messageType=kind, message="So", timestamp=AT)
    assert shown == Shown("10:00:00", label, "So")


def test_one_may_chat_all_the_same(talk: Conversation) -> None:
    ask(talk, "Yes")
    assert talk.typed("/chat 1") == chat("1")
    assert talk.typed("1") == answer("Yes")


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("/event test.failed", {"type": "test.failed", "clientId": "ann"}),
        (
            "/event test.failed test=t1 count=3 ok=false where='a b' empty= note=1x",
            {
                "test": "t1", "count": 3, "ok": False, "where": "a b", "empty": "", "note": "1x",
                "type": "test.failed", "clientId": "ann",
            },
        ),
        ("/event x type=y clientId=bob a=b=c", {"type": "x", "clientId": "ann", "a": "b=c"}),
    ],
)  # fmt: skip
def test_an_activity_event_is_typed_with_its_fields(talk: Conversation, line: str, frame: dict[str, Any]) -> None:
    assert talk.typed(line) == Send(frame)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/event", "expected /event TYPE key=value …"),
        ("/event x y", 'expected key=value, got "y"'),
        ("/event x =y", 'expected key=value, got "=y"'),
        ("/event x 'y", "no closing quotation: a quote has to be closed"),
        ("/evnt x", 'there is no "/evnt": type to chat'),
        ("/chat ", "expected /chat TEXT"),
        ("/dismiss it", 'expected nothing behind /dismiss, got "it"'),
        ("/help me", 'expected nothing behind /help, got "me"'),
        ("/quit now", 'expected nothing behind /quit, got "now"'),
        ("/mute " + "m" * 129, "expected a name of at most 128 characters, got 129"),
        ("/help", "type to chat"),
        ("/dismiss", "there is no message that this could be about"),
        ("/mute", "there is no message that this could be about"),
        ("/level", 'expected /level off, less, normal or more, got ""'),
        ("/level Off", 'expected /level off, less, normal or more, got "Off"'),
        ("/snooze", 'expected a duration such as "90s", "5m" or "1h30m", got ""; or "tomorrow", or "off"'),
        ("/snooze 5", 'expected a duration such as "90s", "5m" or "1h30m", got "5"; or "tomorrow", or "off"'),
    ],
)
def test_what_cannot_be_meant_is_explained(talk: Conversation, line: str, text: str) -> None:
    said = talk.typed(line)
    assert isinstance(said, Explain)
    assert said.text.startswith(text)


def outcome(word: str, message: str = "m1") -> dict[str, Any]:
    return {"type": "outcome", "id": message, "outcome": word, "clientId": "ann"}


def tell(talk: Conversation, message: str = "m1", **fields: Any) -> None:
    hear(talk, type="backend_message", messageType="suggestion", message="Look at\nthis", id=message, **fields)


def test_the_last_message_is_dismissed_or_its_rule_muted_once(talk: Conversation) -> None:
    tell(talk, "m0", rule="idle")
    tell(talk, rule="stuck")
    hear(talk, type="chat_response", message="So.", id="no message")
    hear(talk, type="error", code="bad_frame", message="no", id="no message")
    assert talk.typed("/dismiss") == Send(outcome("dismissed"), "dismissed: Look at")
    assert isinstance(talk.typed("/dismiss"), Explain)
    tell(talk, rule="stuck")
    assert talk.typed(" /mute ") == Send(outcome("muted"), "muted: no more of stuck")
    assert isinstance(talk.typed("/mute"), Explain)


def test_what_no_rule_said_can_be_dismissed_and_not_muted(talk: Conversation) -> None:
    tell(talk)
    assert talk.typed("/mute") == Explain('"Look at" is of no rule that could be muted; /mute NAME names one')
    assert talk.typed("/dismiss") == Send(outcome("dismissed"), "dismissed: Look at")


def test_a_message_is_named_by_how_it_begins(talk: Conversation) -> None:
    hear(talk, type="poll", message="x" * 40, id="m1")
    assert talk.typed("/dismiss") == Send(outcome("dismissed"), "dismissed: " + "x" * 40)
    hear(talk, type="poll", message="x" * 41, id="m1")
    assert talk.typed("/dismiss") == Send(outcome("dismissed"), "dismissed: " + "x" * 39 + "…")


def test_a_question_that_is_dismissed_is_no_longer_open_and_another_stays(talk: Conversation) -> None:
    hear(talk, type="backend_message", messageType="question", message="Well?", id="q1", questionId="q1", rule="r")
    talk.typed("/dismiss")
    assert talk.typed("1") == no_question("1")
    ask(talk, "Yes")
    tell(talk)
    talk.typed("/dismiss")
    assert talk.typed("1") == answer("Yes")


@pytest.mark.parametrize(
    ("line", "wishes", "note"),
    [
        *((f"/level {level}", {"level": level}, f"level: {level}") for level in ("off", "less", "normal", "more")),
        ("/mute tests", {"mute": ["tests"]}, "muted: no more of tests"),
        ("/mute " + "m" * 128, {"mute": ["m" * 128]}, "muted: no more of " + "m" * 128),
        ("/mute all", {"mute": ["*"]}, "muted: everything; /unmute takes it back"),
        ("/mute *", {"mute": ["*"]}, "muted: everything; /unmute takes it back"),
        ("/unmute", {"muted": []}, "all mutes taken back"),
        ("/unmute all", {"muted": []}, "all mutes taken back"),
        ("/unmute tests", {"unmute": ["tests"]}, "no longer muted: tests"),
        ("/snooze 15m", {"snoozedUntil": AT + 900}, "snoozed until Thu 10:15:00"),
        ("/snooze 1d", {"snoozedUntil": AT + 86_400}, "snoozed until Fri 10:00:00"),
        ("/snooze tomorrow", {"snoozedUntil": 86_400 + 8 * 3600}, "snoozed until Fri 08:00:00"),
        ("/snooze off", {"snoozedUntil": None}, "no longer snoozed"),
    ],
)
def test_one_may_wish_to_hear_less(talk: Conversation, line: str, wishes: dict[str, Any], note: str) -> None:
    assert talk.typed(line) == Send({"type": "preferences", **wishes, "clientId": "ann"}, note)


def test_tomorrow_is_the_next_day_where_the_clocks_change() -> None:
    # The night before 29 March 2026 has an hour less in Paris.
    talk = Conversation("ann", lambda: 1_774_738_800, ZoneInfo("Europe/Paris"))  # 2026-03-29T00:00:00+01:00
    talk_before = Conversation("ann", lambda: 1_774_738_799, ZoneInfo("Europe/Paris"))
    said, said_before = talk.typed("/snooze tomorrow"), talk_before.typed("/snooze tomorrow")
    assert isinstance(said, Send)
    assert isinstance(said_before, Send)
    assert said.frame["snoozedUntil"] == 1_774_850_400  # 2026-03-30T08:00:00+02:00
    assert said_before.frame["snoozedUntil"] == 1_774_764_000  # 2026-03-29T08:00:00+02:00


@pytest.mark.parametrize(
    "line",
    ["/dismiss", "/mute", "/mute x", "/mute all", "/unmute", "/unmute x", "/snooze 5m", "/snooze off", "/level less"],
)
def test_what_a_command_sends_is_a_frame_that_the_server_takes(talk: Conversation, line: str) -> None:
    tell(talk, rule="stuck")
    said = talk.typed(line)
    assert isinstance(said, Send)
    [read] = read_frame(json.dumps(said.frame))  # type: ignore[misc]
    assert read.client == "ann"


def test_one_may_leave(talk: Conversation) -> None:
    assert talk.typed("/quit") == Quit()


def test_a_message_is_shown_with_its_time_kind_and_options(talk: Conversation) -> None:
    assert ask(talk, "Yes", "No") == Shown("10:00:00", "question", "Well?", ("Yes", "No"))
    assert hear(talk, type="chat_response", message="So.", timestamp=AT) == Shown("10:00:00", "answer", "So.")
    assert hear(talk, type="error", code="bad_frame", message="no") == Shown("", "error", "no")


def test_a_frame_of_its_own_kind_shows_its_fields(talk: Conversation) -> None:
    shown = hear(talk, type="poll", code="x = 1", language="python", lines=[1], timestamp=AT, id="m", seq=1)
    assert shown == Shown("10:00:00", "poll", "code: x = 1\nlanguage: python\nlines: [1]")


@pytest.mark.parametrize(
    ("code", "language", "fenced"),
    [
        ("x = 1", "python", "Look\nIt counts.\n```python\nx = 1\n```"),
        ("x\n", None, "Look\nIt counts.\n```\nx\n```"),
        ("```\nx\n```", "c sharp`", "Look\nIt counts.\n````csharp\n```\nx\n```\n````"),
    ],
)
def test_code_stands_between_fences_that_do_not_occur_in_it(
    talk: Conversation, code: str, language: str | None, fenced: str
) -> None:
    shown = hear(
        talk, type="code_suggestion", message="Look", code=code, language=language, explanation="It counts.", id="m"
    )
    assert isinstance(shown, Shown)
    assert shown.fenced == fenced


@pytest.mark.parametrize("options", [5, "Yes", {"a": 1}, True, None])
def test_options_that_are_no_list_are_none(talk: Conversation, options: Any) -> None:
    shown = hear(talk, type="poll", questionId="q1", message="Well?", options=options)
    assert shown == Shown("", "poll", "Well?")
    assert talk.typed("1") == answer("1")


def test_nothing_that_steers_a_terminal_is_shown(talk: Conversation) -> None:
    shown = hear(talk, type="chat_response", message="\x1b[2Jgone\nnext\r", timestamp=AT)
    assert shown == Shown("10:00:00", "answer", "\ufffd[2Jgone\nnext\ufffd")


@pytest.mark.parametrize("frame", [{"timestamp": 1e300, "type": 5}, {"type": "x", "timestamp": "now"}, {}])
def test_whatever_the_server_says_is_shown(talk: Conversation, frame: dict[str, Any]) -> None:
    assert isinstance(talk.received(frame), Shown)


def test_what_is_no_frame_is_shown_as_well(talk: Conversation) -> None:
    assert talk.unreadable("no\x07 json") == Shown("", "unreadable", "no\ufffd json")

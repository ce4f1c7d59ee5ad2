from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Close, Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from engine.transport.framing import FrameReader, Nothing, close_frame, text_frame

LIMIT = 300


def framed(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """As a client sends it, masked; also one that no client should send."""
    frame = bytearray(Frame(BINARY, payload).serialize(mask=True))
    frame[0] = opcode | (0x80 if fin else 0)
    return bytes(frame)


@dataclass
class Read:
    """What came of some bytes: the messages, the latest ping's answer, and the code by which the connection ended."""

    messages: list[str | bytes] = field(default_factory=list)
    pong: bytes | None = None
    ended: int | None = None


def read(*chunks: bytes, limit: int = LIMIT) -> Read:
    reader = FrameReader(limit)
    result = Read()
    for chunk in chunks:
        reader.feed(chunk)
        while (message := reader.take()) is not None:
            if not isinstance(message, Nothing):
                result.messages.append(message)
    result.pong = reader.pong
    result.ended = reader.ending_code if reader.ending is not None else None
    return result


def read_by_library(data: bytes) -> Read:
    """The same by the protocol of the library alone: what it takes for a message, and how it ends."""
    library = Protocol(SERVER, state=OPEN, max_size=LIMIT)
    library.receive_data(data)
    result = Read()
    parts: list[bytes] = []
    is_text = False
    for event in library.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (TEXT, BINARY):
            is_text = event.opcode is TEXT
        if event.opcode in (TEXT, BINARY, CONT):
            parts.append(bytes(event.data))
            if event.fin:
                message, parts = b"".join(parts), []
                try:
                    result.messages.append(message.decode() if is_text else message)
                except UnicodeDecodeError:
                    return Read(result.messages, None, 1007)
    result.ended = None if library.close_sent is None else int(library.close_sent.code)
    return result


MESSAGES = {
    "a text": ([framed(TEXT, b"hi")], ["hi"]),
    "an empty text": ([framed(TEXT)], [""]),
    "text beyond ASCII": ([framed(TEXT, "día".encode())], ["día"]),
    "bytes": ([framed(BINARY, b"\xff\x00")], [b"\xff\x00"]),
    "the longest of short lengths": ([framed(TEXT, b"x" * 125)], ["x" * 125]),
    "the shortest of long lengths": ([framed(TEXT, b"x" * 126)], ["x" * 126]),
    "the longest message": ([framed(TEXT, b"x" * LIMIT)], ["x" * LIMIT]),
    "several in one chunk": ([framed(TEXT, b"a") + framed(TEXT, b"b") + framed(BINARY, b"c")], ["a", "b", b"c"]),
    "two fragments": ([framed(TEXT, b"a", fin=False), framed(CONT, b"b")], ["ab"]),
    "a ping amid fragments": ([framed(TEXT, b"a", fin=False), framed(PING, b"!"), framed(CONT, b"b")], ["ab"]),
    "fragments within a letter": ([framed(TEXT, b"\xc3", fin=False), framed(CONT, b"\xad")], ["í"]),
    "binary fragments": ([framed(BINARY, b"a", fin=False), framed(CONT, b"b", fin=False), framed(CONT)], [b"ab"]),
    "text after fragments": ([framed(TEXT, fin=False), framed(CONT, b"a") + framed(TEXT, b"b")], ["a", "b"]),
    "fragments as long as a message may be": (
        [framed(TEXT, b"x" * 200, fin=False), framed(CONT, b"x" * (LIMIT - 200))],
        ["x" * LIMIT],
    ),
    "a pong that nobody asked for": ([framed(PONG, b"p") + framed(TEXT, b"a")], ["a"]),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_read(name: str) -> None:
    chunks, expected = MESSAGES[name]
    got = read(*chunks)
    assert (got.messages, got.ended) == (expected, None)


ENDS = {
    "not masked": (Frame(TEXT, b"hi").serialize(mask=False), 1002),
    "a reserved bit": (b"\xc1" + framed(TEXT, b"hi")[1:], 1002),
    "no such opcode": (b"\x83" + framed(TEXT, b"hi")[1:], 1002),
    "a continuation of nothing": (framed(CONT, b"a"), 1002),
    "a new message amid fragments": (framed(TEXT, b"a", fin=False) + framed(TEXT, b"b"), 1002),
    "a ping in fragments": (framed(PING, b"a", fin=False), 1002),
    "a ping of 126 bytes": (framed(PING, b"a" * 126), 1002),
    "a close frame of one byte": (framed(CLOSE, b"a"), 1002),
    "a close code that may not be sent": (framed(CLOSE, (1006).to_bytes(2, "big")), 1002),
    "no UTF-8": (framed(TEXT, b"\xff"), 1007),
    "half a letter": (framed(TEXT, b"\xc3"), 1007),
    "half a surrogate pair": (framed(TEXT, b"\xed\xa0\x80"), 1007),
    "no UTF-8 in fragments": (framed(TEXT, b"a", fin=False) + framed(CONT, b"\xff"), 1007),
    "one byte too many": (framed(TEXT, b"x" * (LIMIT + 1)), 1009),
    "one byte too many in fragments": (framed(TEXT, b"x" * LIMIT, fin=False) + framed(CONT, b"x"), 1009),
    "a length of 64 bits, before any of it has come": (b"\x81\xff" + (2**63 - 1).to_bytes(8, "big"), 1009),
    "a close": (framed(CLOSE, Close(1000, "bye").serialize()), 1000),
    "a close of a code of its own": (framed(CLOSE, Close(4999, "").serialize()), 4999),
    "a close without a code": (framed(CLOSE), 1005),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_cannot_be_meant_ends_the_connection(name: str) -> None:
    data, code = ENDS[name]
    before, after = framed(TEXT, b"before"), framed(TEXT, b"after")
    got = read(before + data + after)
    assert (got.messages, got.ended) == (["before"], code)


def test_a_close_is_answered_with_its_own_code_and_reason() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(framed(CLOSE, Close(1001, "bye").serialize()))
    assert isinstance(reader.take(), Nothing)
    assert (reader.ending, reader.ended_by_client) == (close_frame(1001, "bye"), True)


def test_a_fault_is_not_the_clients_wish_to_close() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(framed(CLOSE, b"a"))
    assert isinstance(reader.take(), Nothing)
    assert not reader.ended_by_client


def test_of_several_pings_the_latest_is_answered() -> None:
    assert read(framed(PING, b"1") + framed(PING, b"22")).pong == b"\x8a\x0222"


def test_a_ping_between_fragments_is_answered() -> None:
    assert read(framed(TEXT, b"a", fin=False) + framed(PING)).pong == b"\x8a\x00"


def test_nothing_is_kept_between_messages_and_the_beginning_of_one_is() -> None:
    reader = FrameReader(LIMIT)
    frame = framed(TEXT, b"hello")
    reader.feed(frame + frame[:3])
    assert reader.take() == "hello"
    assert reader.take() is None
    assert reader.is_amid
    reader.feed(frame[3:])
    assert reader.take() == "hello"
    assert reader.take() is None
    assert not reader.is_amid


def test_between_fragments_a_message_has_begun() -> None:
    reader = FrameReader(LIMIT)
    reader.feed(framed(TEXT, b"a", fin=False))
    while reader.take() is not None:
        pass
    assert reader.is_amid


payloads = st.binary(max_size=LIMIT + 2) | st.text(max_size=80).map(str.encode)
frames = st.builds(
    framed,
    st.sampled_from([TEXT, TEXT, TEXT, CONT, CONT, BINARY, PING, PONG, CLOSE]),
    payloads.filter(lambda payload: len(payload) < 126) | payloads,
    fin=st.sampled_from([True, True, False]),
)


@given(st.data(), st.lists(frames, max_size=8).map(b"".join))
def test_however_the_bytes_are_cut_they_are_the_same_messages(data: st.DataObject, stream: bytes) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole, cut = read(stream), read(*chunks)
    assert (cut.messages, cut.ended) == (whole.messages, whole.ended)


@given(st.lists(frames | st.binary(max_size=12), max_size=8).map(b"".join))
def test_it_reads_what_the_protocol_of_the_library_reads(stream: bytes) -> None:
    expected, got = read_by_library(stream), read(stream)
    assert got.messages == expected.messages
    # The library also ends a frame of which it has only seen the beginning; here its end is waited for.
    if got.ended is not None:
        assert got.ended == expected.ended


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
def test_a_text_is_framed_as_the_library_frames_it(length: int) -> None:
    assert text_frame("x" * length) == Frame(TEXT, b"x" * length).serialize(mask=False)


def test_a_reason_is_cut_to_what_fits_without_cutting_a_letter() -> None:
    frame = close_frame(4000, "a" * 122 + "é")
    assert Close.parse(frame[2:]) == Close(4000, "a" * 122)


@pytest.mark.parametrize("code", [0, 999, 1006, 5000])
def test_a_code_that_may_not_be_sent_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"expected a close code that can be sent, got {code}"):
        close_frame(code, "")

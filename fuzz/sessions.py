"""Frames one after the other over one connection, and the frames of level 1: each is done or refused in words."""

from __future__ import annotations

import json
from contextlib import suppress

from engine.transport.decoding import decode_json
from engine.transport.frames import ids_of, read_hello, read_seq
from engine.transport.plain import PlainSession, Submit
from engine.transport.wire import encode
from fuzz.frames import WORDS, answered, check_input, seeds
from fuzz.target import Target

HELLO_LINES = (
    '{"type":"hello","protocol":1,"clientId":"laptop","token":"abc","resume":{"session":"s_1","received":3}}',
    '{"type":"hello","protocol":1,"clientId":"a","user":"ann","timezone":"Europe/Paris","traits":{"skill":"beginner"}}',
    '{"type":"received","seq":12}',
    '{"type":"events","events":[{"type":"a","id":"1"},{"type":"b","id":2}]}',
)


def attempt_hello(data: bytes) -> None:
    """The frames of level 1 that are no events."""
    value = answered(decode_json, data)
    if isinstance(value, dict):
        answered(read_hello, value)
        answered(lambda given: read_seq(given, "seq"), value)
        json.loads(encode({"ids": list(ids_of(value))}))


def attempt_connection(data: bytes) -> None:
    """A connection at level 0: each line is a frame of its own."""
    plain = PlainSession("c")
    for line in data.split(b"\n"):
        text: str | bytes = line
        with suppress(UnicodeDecodeError):
            text = line.decode()
        for action in answered(plain.receive, answered(decode_json, text)) or ():
            if isinstance(action, Submit):
                for item in action.inputs:
                    check_input(item)
    for item in plain.ended():
        check_input(item)


HELLOS = Target(attempt_hello, lambda: [line.encode() for line in HELLO_LINES], WORDS)
CONNECTIONS = Target(attempt_connection, lambda: [b"\n".join(seeds()[:20]), *seeds()], WORDS, 8192)

"""A small log of every format, written for the tests, by file name. What it holds has no meaning beyond its form."""

from __future__ import annotations

CLOUDEVENT = (
    '{"specversion": "1.0", "id": "1", "source": "/ide", "type": "com.example.test.failed", "subject": "ann",'
    ' "time": "2026-03-27T10:00:00Z", "data": {"test": "t1"}}'
)
TRACK = (
    '{"type": "track", "event": "Test Failed", "userId": "ann", "messageId": "m1",'
    ' "timestamp": "2026-03-27T10:00:00.000Z", "properties": {"test": "t1"}}'
)
STATEMENT = (
    '{"id": "7f1e4b52-3a1c-4c53-9a86-0c5c5e5d1a01",'
    ' "actor": {"account": {"homePage": "https://lms.example", "name": "ann"}},'
    ' "verb": {"id": "http://adlnet.gov/expapi/verbs/failed"}, "object": {"id": "http://example.org/q/1"},'
    ' "timestamp": "2026-03-27T10:00:00Z"}'
)
CALIPER = (
    '{"@context": "http://purl.imsglobal.org/ctx/caliper/v1p2", "id": "urn:uuid:1", "type": "AssessmentItemEvent",'
    ' "actor": "https://example.org/u/ann", "action": "Completed", "object": {"id": "https://example.org/i/1",'
    ' "type": "AssessmentItem"}, "eventTime": "2026-03-27T10:00:00.000Z"}'
)
PUSH = (
    '{"id": "1", "type": "PushEvent", "actor": {"id": 1, "login": "ann"}, "repo": {"id": 2, "name": "ann/x"},'
    ' "payload": {"size": 1}, "public": true, "created_at": "2026-03-27T10:00:00Z"}'
)
ACCESS = (
    '10.0.0.1 - ann [27/Mar/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 17 "-" "Mozilla/5.0"\n'
    '10.0.0.2 - - [27/Mar/2026:10:00:01 +0000] "POST /y HTTP/1.1" 404 17 "-" "curl/8"\n'
)
MAIN_TABLE = "EventType,EventID,SubjectID,ServerTimestamp\nSession.Start,1,ann,2026-03-27T10:00:00\n"

# File name → (format, content); a file name with a folder is a log that is that folder.
SAMPLES: dict[str, tuple[str, str]] = {
    "one.cloudevents.jsonl": ("cloudevents", CLOUDEVENT + "\n"),
    "batch.cloudevents.json": ("cloudevents", f"[{CLOUDEVENT}]"),
    "batches.cloudevents.jsonl": ("cloudevents", f"[{CLOUDEVENT}]\n[{CLOUDEVENT}]\n"),
    "segment.jsonl": ("segment", TRACK + "\n"),
    "segment.json": ("segment", f"[{TRACK}]"),
    "segment-batch.json": ("segment", f'{{"batch": [{TRACK}], "sentAt": "2026-03-27T10:00:01Z"}}'),
    "xapi.jsonl": ("xapi", STATEMENT + "\n"),
    "xapi.json": ("xapi", f"[\n{STATEMENT}\n]\n"),
    "xapi-answer.json": ("xapi", f'{{"more": "",\n"statements": [{STATEMENT}]}}'),
    "caliper.jsonl": ("caliper", CALIPER + "\n"),
    "caliper-envelope.json": ("caliper", f'{{"sensor": "s", "sendTime": "2026-03-27T10:00:00Z", "data": [{CALIPER}]}}'),
    "2026-03-27-10.json": ("gharchive", PUSH + "\n"),
    "access.log": ("apache", ACCESS),
    "gitter.txt": ("gitter", "[2026-03-27 10:00:00] <ann> hello\nmore of it\n"),
    "irc-2026-03-27.txt": ("irc", "[10:00] <ann> hello\n=== bob [~b@example] has joined #chat\n[10:01] <bob> hi\n"),
    "MainTable.csv": ("progsnap2", MAIN_TABLE),
    "own.jsonl": ("", '{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "track", "data": {}}\n'),
    "other.jsonl": ("", '{"time": "2026-03-27T10:00:00Z", "who": "ann", "what": "test.failed", "actor": {}}\n'),
    "kypo.json": ("", '[\n{\n"playerId": "7",\n"timestamp": "2026-03-27 10:00:00",\n"event": "Game started"\n}\n]\n'),
    "table.csv": ("", "time,who,what\n2026-03-27T10:00:00Z,ann,test.failed\n"),
    "text.txt": ("", "It was a dark and stormy night.\n"),
    "empty": ("", ""),
}

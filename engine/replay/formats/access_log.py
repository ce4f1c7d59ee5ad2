"""Access logs of Apache and nginx, in the common and the combined form. It judges no request.

The form is `LogFormat` of Apache's mod_log_config: ``address ident user [time] "request" status bytes``, in the
combined form with ``"referrer" "agent"`` behind, and of either with the name of the host before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.texts import read_texts
from engine.replay.stamps import Stamps

LINES_LOOKED_AT = 10
FAILED_FROM = 400  # the least status that tells of an error (RFC 9110, section 15)

_QUOTED = r'"((?:[^"\\]|\\.)*+)"'
_FURTHER = r'(?: (?:"(?:[^"\\]|\\.)*+"|[^\s"]\S*+))*+'  # fields that somebody has added
# What stands before the time is bounded, so that a line of brackets takes no longer than another.
_LINE = re.compile(
    r"(?:([A-Za-z0-9.-]{1,255}:\d{1,5}) )?(\S{1,255}) (\S{1,255}) "
    r'([^\s"\[][^"\[]{0,255}?|"") \[([^\[\]]{1,40})\] '
    rf"{_QUOTED} (\d{{3}}|-) (\d{{1,18}}|-)(?: {_QUOTED} {_QUOTED})?({_FURTHER})\s*",
    re.ASCII,
)
_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)", re.ASCII)
_MONTHS = {
    "Jan": "01", "Feb": "02", "Mar": "03", "Apr": "04", "May": "05", "Jun": "06",
    "Jul": "07", "Aug": "08", "Sep": "09", "Oct": "10", "Nov": "11", "Dec": "12",
}  # fmt: skip
_REQUEST = re.compile(r"([A-Z]{1,20}) (\S+)(?: HTTP/[\d.]{1,5})?", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')


class AccessLog:
    """A request is a ``page_view`` of whoever is logged in, or else of the address that it came from."""

    name = "apache"
    doc = "Access log of Apache or nginx, common or combined."
    options: tuple[Option, ...] = ()

    def recognises(self, head: Head) -> bool:
        lines = head.lines[:LINES_LOOKED_AT]
        found = sum(_LINE.fullmatch(line.decode("utf-8", "replace")) is not None for line in lines)
        return 2 * found > len(lines)

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        return read_texts(log, _Requests(), bad, progress)


class _Requests:
    def __init__(self) -> None:
        self._stamps = Stamps()

    def read(self, number: int, line: str) -> Event | None:
        if not line.strip():
            return None
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadLine("not an access line", 'expected address ident user [time] "request" status bytes')
        host, address, _, user, time, request, status, size, referrer, agent, rest = match.groups()
        data: dict[str, Json] = {"path": request}
        parts = _REQUEST.fullmatch(request)
        if parts is not None:
            data["method"], data["path"] = parts.groups()
        if status != "-":
            data["status"] = int(status)
            data["ok"] = int(status) < FAILED_FROM
        if size != "-":
            data["bytes"] = int(size)
        for name, text in (("referrer", referrer), ("agent", agent), ("host", host), ("rest", rest.strip())):
            if text and text != "-":
                data[name] = _ESCAPED.sub(r"\1", text)
        if user not in ("-", '""'):
            data["address"] = address
        else:
            user = address
        return Event("page_view", user, self._moment(time), data)

    def end(self) -> Event | None:
        return None

    def _moment(self, time: str) -> int:
        match = _TIME.fullmatch(time)
        month = _MONTHS.get(match[2]) if match else None
        if match is None or month is None:
            raise BadLine("bad time", f"expected a time such as 27/Mar/2026:10:00:00 +0000, got {time!r}")
        day, _, year, clock, hours, minutes = match.groups()
        try:
            return self._stamps.parse(f"{year}-{month}-{day}T{clock}{hours}:{minutes}")
        except Refused as refused:
            raise BadLine("bad time", refused.message) from None

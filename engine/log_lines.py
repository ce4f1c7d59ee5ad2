"""What happens to every line of the log before it is written: repeats are counted, secrets are struck out.

It writes nothing itself but the count of what it held back. Nobody is meant to log a secret: this is the last resort.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

STRUCK_OUT = "***"
SECRET_LENGTH_MIN = 6  # of a secret that is looked for everywhere; a shorter one would strike out ordinary words
TROUBLE = "!"  # lines that begin so may come in floods, and only those are counted
SAME_MAX = 20  # lines of one kind within `WINDOW_S` that are written in full
WINDOW_S = 10.0
KINDS_MAX = 1000  # kinds of lines that are told apart; they are constants of the code, so there are fewer
EACH_MATTERS = frozenset({"! rules"})  # one line for every error of the rule files: somebody will mend them one by one

# By its name: `authorization`, `api_key`, `client_secret`, … A count of tokens is a number, and stays.
_SECRET_NAME = re.compile(r"token|secret|passw|authorization|api_?key|credential|cookie|private", re.IGNORECASE)
# By its looks: a token (RFC 7519), the keys of backends and of OpenAI's API, a header (RFC 6750), a query, a URL with a
# password. Quotes and backslashes end it: in a line of JSON they are not part of it.
_SECRET_LOOKS = (
    r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"
    r"|(?:\b|(?<=\\[abfnrtv])|(?<=\\x[0-9a-f]{2}))[ps]k[_-][\w-]{8,}"  # what stands before may be shown escaped
    r"|(?i:(?<=bearer )|(?<=basic ))[^\s\"'\\,;]{6,}"
    r"|(?i:(?<=[?&]token=)|(?<=access_token=)|(?<=[?&]key=))[^\s\"'\\&]+"
    r"|(?<=://)[^\s\"'\\/@]+:[^\s\"'\\/@]+(?=@)"
)
# One of these, in small letters, stands in every ASCII text that has something of those looks. Hardly any line has one,
# and to look for them takes a tenth of the time.
_SIGNS_OF_LOOKS = ("eyj", "pk_", "pk-", "sk_", "sk-", "bearer ", "basic ", "token=", "key=", "://")

NAMES_KEPT = 1_000  # of fields, of which it is remembered whether they are secrets': they are constants of the code


@functools.lru_cache(NAMES_KEPT)
def _is_secret_name(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


# What a terminal takes for a command; in JSON they are escaped as it is.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Line = MutableMapping[str, Any]
Later = Callable[[float, Callable[[], None]], object]


class Redaction:
    """Strikes out of a line what is named like a secret, and out of its text what is one or looks like one.

    ``secrets`` are those of the settings.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        known = {written for secret in secrets for written in (secret, json.dumps(secret, ensure_ascii=False)[1:-1])}
        long_enough = sorted((one for one in known if len(one) >= SECRET_LENGTH_MIN), key=len, reverse=True)
        self._secrets = long_enough
        self._struck_out = re.compile("|".join([*map(re.escape, long_enough), _SECRET_LOOKS]))

    def by_name(self, _: Any, method: str, line: Line) -> Line:
        for name, value in line.items():
            if value and isinstance(value, str | bytes) and _is_secret_name(name):
                line[name] = STRUCK_OUT
        return line

    def by_looks(self, _: Any, method: str, written: Any) -> str:
        """Of the whole line as it is about to be written, traces of errors included."""
        return self._struck_out.sub(STRUCK_OUT, written) if self._may_have_secrets(written) else written

    def _may_have_secrets(self, written: str) -> bool:
        if not written.isascii():
            return True  # letters beyond ASCII may count as those of the signs
        small = written.lower()
        return any(sign in small for sign in _SIGNS_OF_LOOKS) or any(secret in written for secret in self._secrets)


def escape_controls(_: Any, method: str, line: Line) -> Line:
    """So that nobody can write to an operator's terminal by what they send: ESC becomes ``\\x1b``."""
    for name, value in line.items():
        if isinstance(value, str) and _CONTROLS.search(value):
            line[name] = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
    return line


@dataclass(slots=True)
class _Window:
    until: float
    method: str
    written: int = 0
    held_back: int = 0


class Repeats:
    """Of each kind of trouble `SAME_MAX` lines within `WINDOW_S`; what is more is counted and told in one line.

    ``stopwatch``: seconds that only go forward. ``later`` calls a function after so many seconds, or does nothing
    where nobody can: then the count is told with the next line of any kind after the time.
    """

    def __init__(self, stopwatch: Callable[[], float], later: Later) -> None:
        self._stopwatch = stopwatch
        self._later = later
        self._windows: dict[str, _Window] = {}

    def __call__(self, _: Any, method: str, line: Line) -> Line:
        now = self._stopwatch()
        kind = str(line.get("event"))
        if self._windows:
            self._tell_past(now)
        if not kind.startswith(TROUBLE) or kind in EACH_MATTERS:
            return line
        window = self._windows.get(kind)
        if window is None:
            if len(self._windows) >= KINDS_MAX:
                return line
            window = self._windows[kind] = _Window(now + WINDOW_S, method)
        if window.written < SAME_MAX:
            window.written += 1
            return line
        if not window.held_back:
            self._later(window.until - now, self.flush)
        window.held_back += 1
        raise structlog.DropEvent

    def flush(self) -> None:
        """Tell the counts of the windows that are over."""
        self._tell_past(self._stopwatch())

    def _tell_past(self, now: float) -> None:
        past = [(kind, window) for kind, window in self._windows.items() if now >= window.until]
        for kind, _ in past:
            del self._windows[kind]
        for kind, window in past:
            if window.held_back:
                told = getattr(structlog.get_logger("logs"), window.method)
                told(f"… and {window.held_back:,} more like it", of=kind, more=window.held_back)

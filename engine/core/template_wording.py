"""What Jinja says of a template that is none, in our words. It knows its messages and no template.

A message that it does not know is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.core.near_words import did_you_mean
from engine.core.refusal import Refused

TAGS = (
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "with",
    "endwith",
    "filter",
    "endfilter",
    "raw",
)
# What other languages have in its place.
_INSTEAD = {
    "&": 'write "and"',
    "!": 'write "not"',
    "?": 'write "a if b else c", or "x|default(y)"',
    "$": "a name stands by itself",
}
_TOKENS = {
    "end of print statement": '"}}"',
    "end of statement block": '"%}"',
    "name": "a name",
    "integer": "a number",
    "float": "a number",
    "string": "a text",
    "end of template": "the end of the template",
}


def token(name: str) -> str:
    return _TOKENS.get(name, f'"{name}"')


def _character(match: re.Match[str]) -> Refused:
    character = match["quoted"].strip("'\"") or match["quoted"][1]
    offset = int(match["at"])
    if character in ("'", '"'):
        return Refused(f"a text begins here and is never closed; it begins with {character}", offset=offset)
    return Refused(f'"{character}" means nothing in a template', offset=offset, hint=_INSTEAD.get(character, ""))


def _open_block(match: re.Match[str]) -> Refused:
    return Refused(
        f'"{{% {match["open"]} %}}" is never closed', hint=f'write "{{% {_end(match["tags"])} %}}" behind it'
    )


def _tag(match: re.Match[str]) -> Refused:
    tag, tags, block = match["tag"], match["tags"], match["open"]
    if tags:
        hint = f'"{{% {block} %}}" comes to its end first: write "{{% {_end(tags)} %}}"'
        return Refused(f'"{{% {tag} %}}" cannot stand here', hint=hint)
    if tag in TAGS:
        return Refused(f'"{{% {tag} %}}" belongs to nothing that is open')
    return Refused(f'unknown tag "{tag}"', hint=did_you_mean(tag, TAGS))


def _end(tags: str) -> str:
    """The tag that ends a block, of those that may come next."""
    names: list[str] = re.findall(r"'(\w+)'", tags)
    return next((name for name in names if name.startswith("end")), names[0])


def _said(message: str, hint: str = "") -> Callable[[re.Match[str]], Refused]:
    return lambda match: Refused(message, hint=hint)


_LOOKING = r"(?:looking for the following tags: |looking for )(?P<tags>.+?)\. The innermost block .* is '(?P<open>\w+)'"
_MESSAGES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Refused]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), worded)
    for pattern, worded in (
        (r"unexpected char (?P<quoted>.+) at (?P<at>\d+)", _character),
        (rf"Unexpected end of template\. Jinja was {_LOOKING}\.?", _open_block),
        (rf"Encountered unknown tag '(?P<tag>\w+)'\.(?:.*{_LOOKING})?.*", _tag),
        (
            r"unexpected end of template, expected '(.+?)'\.?",
            lambda match: Refused(f"expected {token(match[1])}, got the end of the template"),
        ),
        (
            r"expected token '(.+?)', got '(.+)'",
            lambda match: Refused(f"expected {token(match[1])}, got {token(match[2])}"),
        ),
        (
            r"Expected an expression, got '(.+)'",
            lambda match: Refused(f"expected an expression, got {token(match[1])}"),
        ),
        (
            r"unexpected '(.+?)', expected '(.+)'",
            lambda match: Refused(f"expected {token(match[2])}, got {token(match[1])}"),
        ),
        (r"unexpected '(.+)'", lambda match: Refused(f"{token(match[1])} cannot stand here")),
        (r"Missing end of comment tag", _said("a remark is never closed", 'write "#}" behind it')),
        (r"Missing end of raw directive", _said('"{% raw %}" is never closed', 'write "{% endraw %}" behind it')),
        (r"tag name expected", _said('expected the name of a tag behind "{%"')),
        (r"can't assign to .*", _said("expected a name that can be set, got a value")),
        (
            r"invalid syntax for function call expression",
            _said("an argument without a name stands behind one with a name"),
        ),
        (r"expected name or number", _said('expected a name or a number behind "."')),
    )
)


def reworded(message: str) -> Refused | None:
    """What a message says, None where it is not known. ``offset`` counts in the whole template, 0 where only the line
    is known.
    """
    for pattern, worded in _MESSAGES:
        match = pattern.fullmatch(message)
        if match is not None:
            return worded(match)
    return None

"""A template that is none is refused in our words, at the character where that is known."""

from __future__ import annotations

import pytest

from engine.core.refusal import Refused
from engine.core.template_syntax import parse
from engine.core.template_wording import reworded


@pytest.mark.parametrize(
    ("template", "offset", "message", "hint"),
    [
        ("{{ event.a ? 1 }}", 11, '"?" means nothing in a template', 'write "a if b else c", or "x|default(y)"'),
        ("{{ event.a\n && 1 }}", 12, '"&" means nothing in a template', 'write "and"'),
        ("{{ event.a\r\n && 1 }}", 12, '"&" means nothing in a template', 'write "and"'),
        ("{{ event.a @ 1 }}", 11, '"@" means nothing in a template', ""),
        ("{{ 'abc }}", 3, "a text begins here and is never closed; it begins with '", ""),
        ('{{ "abc }}', 3, 'a text begins here and is never closed; it begins with "', ""),
        ("{{ event.a", 0, 'expected "}}", got the end of the template', ""),
        ("{{ }}", 0, 'expected an expression, got "}}"', ""),
        ("{{ event.a event.b }}", 0, 'expected "}}", got "event"', ""),
        ("{{ (event.a }}", 0, 'expected ")", got "}"', ""),
        ("{{ event.a) }}", 0, '")" cannot stand here', ""),
        ("{{ event.a | }}", 0, 'expected a name, got "}}"', ""),
        ("{{ event. }}", 0, 'expected a name or a number behind "."', ""),
        ("x\n{% if event.a %}y", 2, '"{% if %}" is never closed', 'write "{% endif %}" behind it'),
        ("{% endif %}", 0, '"{% endif %}" belongs to nothing that is open', ""),
        ("{% fro x in event.a %}", 0, 'unknown tag "fro"', 'did you mean "for"?'),
        ("{% zebra %}", 0, 'unknown tag "zebra"', ""),
        (
            "{% if event.a %}{% for x in event.a %}{% endif %}",
            0,
            '"{% endif %}" cannot stand here',
            '"{% for %}" comes to its end first: write "{% endfor %}"',
        ),
        ("{% if event.a = 1 %}x{% endif %}", 0, 'expected "%}", got "="', ""),
        ("{# a", 0, "a remark is never closed", 'write "#}" behind it'),
        ("{% raw %}x", 0, '"{% raw %}" is never closed', 'write "{% endraw %}" behind it'),
        ("{% %}", 0, 'expected the name of a tag behind "{%"', ""),
        ("{% set 1 = 2 %}", 0, "expected a name that can be set, got a value", ""),
        ("{{ 'a'.b(c=1, 2) }}", 0, "an argument without a name stands behind one with a name", ""),
    ],
)
def test_a_template_that_is_none_is_refused_in_our_words(template: str, offset: int, message: str, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(template, None)
    refused = caught.value
    assert (refused.offset, refused.message, refused.hint) == (offset, message, hint)
    assert refused.code == "bad-template"


def test_a_message_that_is_not_known_is_passed_on() -> None:
    assert reworded("something new") is None

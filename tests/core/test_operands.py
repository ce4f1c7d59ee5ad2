"""What the reason of a false condition tells the values of."""

from __future__ import annotations

import pytest

from engine.core.expressions import compile_expression
from engine.core.model import Event
from engine.core.operands import seen
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState

EVENT = Event("e", "ann", 0, {"n": 1, "flag": False, "deep": {"list": [5], "big": {}}, "a b": 2, "words": ["x"]})


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("event.n > 1", ("event.n", 1)),
        ("1 < event.n < 5", ("event.n", 1)),
        ("event.flag", ("event.flag", False)),
        ("not event.n", ("event.n", 1)),
        ("event.deep.list[0] == 4", ("event.deep.list[0]", 5)),
        ('event["a b"] == 4', ('event["a b"]', 2)),
        ("'y' in event.words", ("event.words", ["x"])),
        ("event.n in [2, event.flag]", ("event.n", 1)),
        ("event.n == 2 and (event.n == 3 or event.flag)", ("event.n", 1, "event.flag", False)),
        ("user.id == 'bob' and event.type == 'f'", ("user.id", "ann", "event.type", "e")),
        ("trigger.kind == 'event'", ("trigger.kind", "keywords")),
        ("event.n == 2 and event.gone == 1", ("event.n", 1)),  # what is unknown is not shown
        ("len(event.words) > 3", ()),
        ("event.n + 1 > 3", ()),
        ("false", ()),
        ("event == user", ()),
        (
            "event.n == 2 and user.id == 'b' and event.flag and event.type == 'f'",
            ("event.n", 1, "user.id", "ann", "event.flag", False),
        ),
    ],
)
def test_names_that_are_compared_or_taken_for_true_are_seen(source: str, found: tuple[object, ...]) -> None:
    scope = Scope(UserState("ann"), EVENT, 0, Policy(), {"kind": "keywords"})
    assert seen(compile_expression(source).names, scope) == found

"""``response``: fires when the user answers or dismisses a message of another rule, or lets it expire.

It remembers nothing. Which message an answer belongs to the state knows, and says so in the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.core import shapes
from engine.core.glance import glance
from engine.core.near_words import did_you_mean
from engine.core.refusal import Refused
from engine.core.rules import Fired, Rule, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState

ANSWERS_MAX = 20
ANSWER_LENGTH_MAX = 4096
# What `is` may say besides the texts of options, and the event that says it.
WORDS: Mapping[str, str] = {
    "answered": "message.answered",
    "dismissed": "message.dismissed",
    "ignored": "message.expired",
}
_SAYS = {event_type: word for word, event_type in WORDS.items()}


def parse_rule(text: str) -> str:
    if not text.strip():
        raise Refused(f'expected the id of a rule, got "{text}"')
    return text


SHAPE = shapes.Fields(
    keys={
        "to": shapes.Parsed(parse=parse_rule, pattern=r"\S", doc="The id of the rule whose message is answered."),
        "is": shapes.ListOf(
            item=shapes.Text(length_max=ANSWER_LENGTH_MAX),
            one_will_do=True,
            length_max=ANSWERS_MAX,
            doc="Which answers: options of that rule, answered (any), dismissed, ignored; any answer if absent.",
        ),
    },
    required=("to",),
    doc="When the user answers a message of another rule, dismisses it, or lets it expire.",
)


class Response(Trigger):
    """``words`` are those of `WORDS`, ``options`` the texts that count as well."""

    __slots__ = ("options", "to", "words")
    kind = "response"

    def __init__(self, key: str, to: str, answers: tuple[str, ...]) -> None:
        self.to = to
        self.words = frozenset(answer for answer in answers if answer in WORDS)
        self.options = frozenset(answers) - self.words
        event_types = {WORDS[word] for word in self.words}
        if self.options:
            event_types.add(WORDS["answered"])
        super().__init__(key, event_types=tuple(sorted(event_types)), equality=("rule", to))

    def observe(self, state: UserState, scope: Scope) -> Fired | None:
        event = scope.event
        if event is None or event.data.get("rule") != self.to:
            return None
        word = _SAYS[event.type]
        text = event.data.get("response")
        if not isinstance(text, str):
            text = None  # a log from elsewhere may have anything in it
        if word not in self.words and text not in self.options:
            return None
        return Fired({"response": word if word != "answered" or text is None else text}, event)

    def missed(self, scope: Scope) -> str | None:
        event = scope.event
        about = None if event is None else event.data.get("rule")
        if event is None or about != self.to:
            # Where no such message is open an answer loses its rule: `engine.core.feedback`.
            return f"it was about no open message of {self.to}" + (f", but of {about}" if about is not None else "")
        answer = event.data.get("response")
        if _SAYS.get(event.type) in self.words or (isinstance(answer, str) and answer in self.options):
            return None
        return f"the answer was {glance(answer)}, not {' or '.join(sorted(self.words | self.options))}"

    def check(self, rules: Mapping[str, Rule]) -> Iterator[Refused]:
        rule = rules.get(self.to)
        if rule is None:
            hint = did_you_mean(self.to, sorted(rules)) or '"to" is the id of a rule of this folder'
            yield Refused(f'unknown rule "{self.to}"', code="unknown-rule", under="to", hint=hint)
            return
        spec = rule.message
        offered = {*spec.options, *[option for variant in spec.variants for option in variant.options]}
        there = ", ".join([f'"{option}"' for option in sorted(offered)])
        # Where a message offers nothing, people answer in their own words.
        for option in sorted(self.options - offered) if offered else ():
            yield Refused(
                f'"{option}" is no option of "{self.to}"',
                code="unknown-option",
                under="is",
                item=option,
                hint=did_you_mean(option, sorted({*offered, *WORDS}))
                or f"its options are {there}; there are answered, dismissed and ignored besides",
            )


def _build(values: dict[str, Any], key: str) -> Response:
    # Without `is` any answer: an option or free text; to dismiss is none, and neither is to keep silent.
    return Response(key, values["to"], values.get("is", ("answered",)))


KIND = shapes.Kind(
    "response",
    SHAPE,
    _build,
    facts={"response": "the text of the answer, or `dismissed` or `ignored`"},
    names_rules=True,
)

"""What the server under test is given: settings, rules that speak of everything that can happen, and edits of them."""

from __future__ import annotations

import random
from pathlib import Path

# Every `asked` of somebody present must lead to one message that names it: no gate of this rule ever closes, and no
# edit touches it.
STEADY = """\
version: 1
policy: {simultaneous: 9}
rules:
  - id: asked
    trigger: {event: asked}
    message: {type: question, text: "asked {{ event.n }}", options: [Yes please, Not now], expires: 1h}
  - id: answered
    trigger: {response: {to: asked}}
    message: {type: suggestion, text: "answered", expires: 1h}
  - id: later
    trigger: {event: drafted}
    deliver: {at: [saved], within: 2s, cancel_on: [dropped]}
    message: {type: question, text: "drafted {{ event.n }}", options: [Yes please, Not now], expires: 1h}
  - id: short-lived
    trigger: {event: saved}
    message: {type: suggestion, text: "saved {{ event.n }}", expires: 1s}
"""

EDITED = """\
version: 1
rules:
  - id: failing
    trigger: {{count: {{event: failed, at_least: {at_least}, within: 1m, group_by: test}}}}
    message: {{type: suggestion, text: "edition {edition}: {{{{ trigger.count }}}} failures", expires: 1h}}
  - id: quiet
    trigger: {{inactivity: {idle}s}}
    message: {{type: question, text: "edition {edition}: quiet for {{{{ trigger.idle }}}}", expires: 1h}}
"""
SOMETIMES = """\
  - id: sometimes
    trigger: {sequence: {steps: [failed, saved], within: 30s}}
    message: {type: suggestion, text: "failed and saved", expires: 1h}
"""
MISTAKEN = "version: 1\nrules:\n  - {id: broken, trigger: {evnt: x}}\n"


def settings(resume_within: str) -> str:
    return f"""\
ws_port: 0
http_port: 0
rules: rules
store: sqlite:store.db
heartbeat: 5s
resume_within: {resume_within}
responder: echo
log: {{format: json, level: info}}
"""


def write_rules(folder: Path, edition: int, rng: random.Random, *, may_be_mistaken: bool = True) -> None:
    """The rules as of this edition. Now and then one that cannot be meant, which must change nothing.

    A server does not start with such: before it is started they must be mended.
    """
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    if edition == 0:
        (rules / "steady.yaml").write_text(STEADY, encoding="utf-8")
    text = EDITED.format(edition=edition, at_least=rng.randint(2, 4), idle=rng.randint(2, 5))
    if rng.random() < 0.5:
        text += SOMETIMES
    if edition and may_be_mistaken and rng.random() < 0.15:
        text = MISTAKEN
    # In one step, as editors do it: half a file is no edit that anybody made.
    fresh = folder / "edited.fresh"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(rules / "edited.yaml")

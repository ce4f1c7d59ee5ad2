"""The page itself: a head that lets nothing in from outside, sections with their charts and tables, scripts within.

It knows no figures and no clock: the same sections give the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.core.model import Json
from engine.replay.page.markup import EMPTY, Html, data_block, escaped

HERE = Path(__file__).parent
LIBRARY = HERE / "vendor" / "echarts.common.min.js"
# In the order in which they need each other.
SCRIPTS = ("theme.js", "charts.js", "timelines.js", "compared.js", "start.js")
LONG_VALUE = 9  # characters; longer ones are set smaller, so that numbers stay on one line
NOTICES = ("NOTICE", "LICENSE", "LICENSE-d3")  # which go with every copy of the library
FOOT = "Charts by Apache ECharts, under the Apache License 2.0. This file loads nothing and sends nothing."


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of the strip at the top. ``note`` says below what it is of, or how it comes about."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One question and its answer. ``chart`` names the function of the scripts that draws it, "" for none.

    ``lead`` says how to read it. ``controls`` stand above the chart, ``content`` stands open below it, and ``tables``
    have the same figures for those who cannot see the chart, folded up. ``is_half``: two of
    them stand side by side where there is room.
    """

    id: str
    title: str
    lead: str = ""
    chart: str = ""
    controls: Html = EMPTY
    content: Html = EMPTY
    tables: Html = EMPTY
    is_half: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """``labels`` are said before all else: that the log is synthetic, that the run was broken off. ``origin`` are the
    logs, rules and options that it was made from, by name.
    """

    title: str
    labels: Sequence[str]
    origin: Sequence[tuple[str, str]]
    cards: Sequence[Card]
    sections: Sequence[Section]
    data: Json


def write(document: Document) -> bytes:
    """The file. It loads nothing: its policy forbids all requests, and scripts but those whose sums it names."""
    library = _script_text(LIBRARY)
    ours = "\n".join(["'use strict';", *(_script_text(HERE / name) for name in SCRIPTS)])
    policy = (
        f"default-src 'none'; script-src '{_sum(library)}' '{_sum(ours)}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    style = (HERE / "page.css").read_text("utf-8")
    title = escaped(document.title)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="generator" content="proactive">',
        f"<title>{title}</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#content">To the figures</a>',
        f"<header><h1>{title}</h1>",
        '<button type="button" id="theme" hidden>Dark</button></header>',
        '<main id="content">',
        *[f'<p class="label" role="note">{escaped(label)}</p>' for label in document.labels],
        _origin(document.origin),
        _cards(document.cards),
        *[_section(section) for section in document.sections],
        "</main>",
        f"<footer><p>{FOOT}</p><details><summary>Licence of the charts</summary>{_notices()}</details></footer>",
        data_block("data", document.data),
        f"<script>{library}</script>",
        f"<script>{ours}</script>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(parts).encode()


def _script_text(path: Path) -> str:
    return path.read_text("utf-8")


def _sum(script: str) -> str:
    """As a policy names an inline script: section 2.3.1 of Content Security Policy Level 3."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def _notices() -> str:
    texts = [(LIBRARY.parent / name).read_text("utf-8").strip() for name in NOTICES]
    return f'<pre tabindex="0">{escaped((chr(10) * 3).join(texts))}</pre>'


def _origin(origin: Sequence[tuple[str, str]]) -> str:
    rows = [f"<div><dt>{escaped(name)}</dt><dd><bdi>{escaped(value)}</bdi></dd></div>" for name, value in origin]
    return f'<dl class="origin">{"".join(rows)}</dl>' if rows else ""


def _cards(cards: Sequence[Card]) -> str:
    shown = []
    for card in cards:
        note = f'<dd class="note">{escaped(card.note)}</dd>' if card.note else ""
        size = ' class="long"' if len(card.value) > LONG_VALUE else ""
        shown.append(f"<div><dt>{escaped(card.title)}</dt><dd{size}>{escaped(card.value)}</dd>{note}</div>")
    return f'<dl class="cards">{"".join(shown)}</dl>'


def _section(section: Section) -> str:
    name = escaped(section.id)
    half = ' class="half"' if section.is_half else ""
    title = f'<h2 id="{name}-title">{escaped(section.title)}</h2>'
    parts = [f'<section id="{name}"{half} aria-labelledby="{name}-title">{title}']
    if section.lead:
        parts.append(f'<p class="lead">{escaped(section.lead)}</p>')
    if section.chart:
        where = "below" if section.tables else "above"
        label = escaped(f"Chart: {section.title}. The table {where} has the same figures.")
        parts.append(section.controls)
        parts.append(f'<div class="chart" data-chart="{escaped(section.chart)}" role="img" aria-label="{label}"></div>')
    parts.append(section.content)
    if section.tables:
        parts.append(f"<details><summary>The same as a table</summary>{section.tables}</details>")
    parts.append("</section>")
    return "\n".join([part for part in parts if part])

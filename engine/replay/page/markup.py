"""Texts, tables and data as HTML that nothing a user wrote can break out of. It knows no figures."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.core.model import Json


class Html(str):
    """What has been made safe."""

    __slots__ = ()


Cell = str | int | float
EMPTY = Html()
SHORTENED_FROM = 10_000  # smaller numbers are written out, however narrow the place

# What would change the order of the text around it, or end the page for some readers: shown, not obeyed.
_SHOWN: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"},
    0x7F: 0x2421,
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys(range(0xD800, 0xE000), 0xFFFD),
}


def shown(text: str) -> str:
    """The text as it can be shown anywhere: control characters as pictures of them, those of direction by number."""
    return text if text.isascii() and text.isprintable() else text.translate(_SHOWN)


def escaped(text: str) -> Html:
    return Html(html.escape(shown(text)))


def said(text: str) -> Html:
    """A line in the place of a chart that would be empty."""
    return Html(f'<p class="nothing">{escaped(text)}</p>')


@dataclass(frozen=True, slots=True)
class Column:
    """``numeric`` ones stand to the right. ``user_text``: what users wrote, which may run in any direction."""

    title: str
    numeric: bool = False
    user_text: bool = False


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], is_stacked: bool = False) -> Html:
    """A table whose first column names its rows; it can be scrolled by the keyboard where it is too wide.

    ``is_stacked``: on a narrow screen its cells stand one below the other, each with the title of its column.
    """
    head = "".join([f'<th scope="col"{_class(column)}>{escaped(column.title)}</th>' for column in columns])
    marks = [_class(column) + (f' data-title="{escaped(column.title)}"' if is_stacked else "") for column in columns]
    body = "".join(["<tr>" + "".join(_cells(columns, marks, row)) + "</tr>\n" for row in rows])
    style, name = ("scroll stacked" if is_stacked else "scroll"), escaped(caption)
    return Html(
        f'<div class="{style}" tabindex="0" role="region" aria-label="{name}"><table>'
        f"<caption>{name}</caption><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _cells(columns: Sequence[Column], marks: Sequence[str], row: Sequence[Cell]) -> Iterable[str]:
    for place, (column, mark, value) in enumerate(zip(columns, marks, row, strict=True)):
        content = cell(value)
        if column.user_text and content:
            content = Html(f"<bdi>{content}</bdi>")
        if place == 0:
            yield f'<th scope="row"{mark}>{content}</th>'
        else:
            yield f"<td{mark}>{content}</td>"


def _class(column: Column) -> str:
    return ' class="number"' if column.numeric else "" if column.user_text else ' class="plain"'


def cell(value: Cell) -> Html:
    """Numbers with their thousands separated, texts escaped."""
    if isinstance(value, Html):
        return value
    if isinstance(value, str):
        return escaped(value)
    return Html(f"{value:,}" if isinstance(value, int) else f"{value:,.2f}")


def heat_cell(value: float | None, most: float, text: str = "", *, least: float = 0, is_framed: bool = False) -> Html:
    """A cell whose ground says in ten steps where it is between the least and the most; ``text`` for its number."""
    spread = most - least
    level = 0 if value is None or spread <= 0 or value <= least else max(1, round(9 * (value - least) / spread))
    frame = " framed" if is_framed else ""
    exact = f' title="{value:,}"' if value and not text and value >= SHORTENED_FROM else ""
    return Html(f'<span class="heat-{level}{frame}"{exact}>{text or short(value or 0)}</span>')


def short(value: float) -> str:
    """A number for a narrow place: ``12.3k``, ``4M``; nothing for none."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(size, SHORTENED_FROM):
            return f"{value / size:.1f}".removesuffix(".0") + unit
    return f"{value:,}" if value else ""


def data_block(name: str, value: Json) -> Html:
    """JSON that scripts of the page read. All in ASCII, and no ``<``, so that nothing in it ends the block."""
    text = json.dumps(_all_shown(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Html(f'<script type="application/json" id="{escaped(name)}">{text}</script>')


def _all_shown(value: Json) -> Json:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {shown(key): _all_shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_all_shown(item) for item in value]
    return value

"""The dashboard and the alerts ask for figures, labels and values that there are, and miss none that matters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric

from engine.metrics.metrics import Metrics

FOLDER = Path(__file__).parent.parent / "dashboards"
# Prometheus adds these to whatever it scrapes.
LABELS_OF_TARGETS = {"instance", "job"}
FUNCTIONS = {
    "sum", "min", "max", "by", "on", "and", "rate", "increase", "histogram_quantile", "topk",
}  # fmt: skip
# A series that is asked for, with its selector; or a grouping; or any other word. Strings are out of the way by then.
WORDS = re.compile(r"\b(by|on)\s*\(([^)]*)\)|([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?|\d[\d.e]*[smh]?")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')

Board = dict[str, Any]


def dashboard() -> Board:
    loaded: Board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    return loaded


def panels() -> list[Board]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def alerts() -> list[Board]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    rules: list[Board] = group["rules"]
    return rules


def queries() -> list[tuple[str, str]]:
    asked = [(f"panel {panel['title']}", target["expr"]) for panel in panels() for target in panel["targets"]]
    asked += [(f"annotation {one['name']}", one["expr"]) for one in dashboard()["annotations"]["list"]]
    return asked + [(f"alert {rule['alert']}", rule["expr"]) for rule in alerts()]


def families() -> list[Metric]:
    return [*Metrics(lambda: 0).collect(), *ProcessCollector(registry=None).collect()]


def series() -> dict[str, Metric]:
    """Every name under which something can be asked for."""
    found = {}
    for family in families():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        found |= {family.name + suffix: family for suffix in suffixes}
    return found


def labels_of(family: Metric, name: str) -> set[str]:
    # One without samples yet has its labels' names all the same.
    names = set(getattr(family, "_labelnames", ())) | {label for sample in family.samples for label in sample.labels}
    return (names | {"le"} if name.endswith("_bucket") else names - {"le"}) | LABELS_OF_TARGETS


def values_of(family: Metric, label: str) -> set[str]:
    return {sample.labels[label] for sample in family.samples if label in sample.labels}


def asked_of(query: str) -> Iterator[tuple[str, str]]:
    """The series of a query, and what it selects of each."""
    for _, _, word, selector in WORDS.findall(query.replace("$__rate_interval", "5m")):
        if word and word not in FUNCTIONS and not re.fullmatch(r"[smh]|e\d+", word):
            yield word, selector


def wrong_with(query: str) -> list[str]:
    wrong = []
    known = series()
    grouped = {label.strip() for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query) for label in group.split(",")}
    seen: set[str] = set()
    for name, selector in asked_of(re.sub(r"\[[^\]]*\]", "", query)):
        if name not in known:
            wrong.append(f"there is no {name}")
            continue
        family = known[name]
        seen |= labels_of(family, name)
        for label, how, text in MATCHER.findall(selector):
            if label not in labels_of(family, name):
                wrong.append(f"{name} has no label {label}")
            elif label not in LABELS_OF_TARGETS and (values := values_of(family, label)):
                asked = {text} if how in ("=", "!=") else set(text.split("|"))
                wrong += [f"{name} has no {label} {value}" for value in sorted(asked - values)]
    wrong += [f"nothing has the label {label}" for label in sorted(grouped - seen)]
    return wrong


@pytest.mark.parametrize(("where", "query"), queries())
def test_a_query_asks_for_what_there_is(where: str, query: str) -> None:
    assert list(asked_of(re.sub(r"\[[^\]]*\]", "", query))), where
    assert wrong_with(query) == [], where


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("proactive_ready", []),
        ('sum by (door) (rate(proactive_events_total{door="http"}[5m]))', []),
        ("proactive_event_total", ["there is no proactive_event_total"]),
        ("sum(proactive_events)", ["there is no proactive_events"]),
        ("proactive_turn_seconds", ["there is no proactive_turn_seconds"]),
        ("proactive_turn_seconds_bucket", []),
        ('proactive_events_total{dor="http"}', ["proactive_events_total has no label dor"]),
        ('proactive_events_total{door="back"}', ["proactive_events_total has no door back"]),
        ('proactive_candidates_total{outcome=~"sent|sant"}', ["proactive_candidates_total has no outcome sant"]),
        ("sum by (user) (proactive_events_total)", ["nothing has the label user"]),
        ("sum by (le) (proactive_turn_seconds_count)", ["nothing has the label le"]),
        ('proactive_rule_candidates_total{rule="x",outcome="sent"}', []),
    ],
)
def test_a_wrong_query_would_be_noticed(query: str, wrong: list[str]) -> None:
    assert wrong_with(query) == wrong


def test_every_figure_is_on_the_dashboard() -> None:
    asked = {name for _, query in queries() for name, _ in asked_of(re.sub(r"\[[^\]]*\]", "", query))}
    shown = {family.name for name, family in series().items() if name in asked}
    every = {family.name for family in families() if family.name.startswith("proactive_")}
    assert every - shown == set()


def test_the_dashboard_can_be_imported_anywhere() -> None:
    board = dashboard()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "instance"}
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["description"]


def test_panels_lie_beside_each_other_and_not_upon() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")

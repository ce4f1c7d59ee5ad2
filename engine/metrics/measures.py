"""What is counted and how: counters, gauges and histograms of one server, kept as plain numbers of its event loop.

It knows no server, and no lock: `collect` runs on the loop as well. A count costs a look into a dictionary, which is
a fraction of what the library's own values cost; the library writes the text, and that only when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

PREFIX = "proactive_"
OTHER = "other"  # the label of everything beyond a bound

Labels = tuple[str, ...]


class Measure(Protocol):
    name: str

    def family(self) -> Metric: ...


class Counter:
    """Goes up only. At most ``labels_max`` different labels; what comes beyond is counted as `OTHER`.

    ``known`` are labels that are shown from the start with 0, so that the first is a rise that a query can see.
    """

    def __init__(
        self, name: str, doc: str, labels: Labels = (), known: Iterable[Labels] = (), labels_max: int = 64
    ) -> None:
        self.name = PREFIX + name
        self._doc = doc
        self._labels = labels
        self._labels_max = labels_max
        self._values: dict[Labels, float] = dict.fromkeys(known if labels else [()], 0)

    def add(self, *labels: str, by: float = 1) -> None:
        values = self._values
        if labels not in values and len(values) >= self._labels_max:
            labels = (OTHER,) * len(labels)
        values[labels] = values.get(labels, 0) + by

    def value(self, *labels: str) -> float:
        return self._values.get(labels, 0)

    def family(self) -> Metric:
        family = CounterMetricFamily(self.name, self._doc, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class Level:
    """A number that goes up and down, told by what raises and lowers it; never below 0."""

    def __init__(self, name: str, doc: str, labels: Labels = (), known: Iterable[Labels] = ()) -> None:
        self.name = PREFIX + name
        self._doc = doc
        self._labels = labels
        self._values: dict[Labels, float] = dict.fromkeys(known if labels else [()], 0)

    def add(self, *labels: str, by: float = 1) -> None:
        self._values[labels] = max(0, self._values.get(labels, 0) + by)

    def put(self, value: float, *labels: str) -> None:
        self._values[labels] = value

    def family(self) -> Metric:
        family = GaugeMetricFamily(self.name, self._doc, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class Looked:
    """A number that is looked up when somebody asks. Not shown where nobody can say, for None as well.

    One whose name ends in ``_total`` goes up only.
    """

    def __init__(self, name: str, doc: str) -> None:
        self.name = PREFIX + name
        self._doc = doc
        self.look: Callable[[], float | None] = lambda: None

    def family(self) -> Metric:
        make = CounterMetricFamily if self.name.endswith("_total") else GaugeMetricFamily
        family: CounterMetricFamily | GaugeMetricFamily = make(self.name, self._doc, labels=())
        value = self.look()
        if value is not None:
            family.add_metric((), value)
        return family


class Spread:
    """How values are spread: how many were at most each of ``bounds``, and their sum."""

    def __init__(
        self, name: str, doc: str, bounds: Sequence[float], labels: Labels = (), known: Iterable[Labels] = ()
    ) -> None:
        self.name = PREFIX + name
        self._doc = doc
        self._labels = labels
        self._bounds = tuple(bounds)
        # Of each label: one count for every bound and one for what is beyond them, then the sum.
        self._rows: dict[Labels, list[float]] = {own: self._row() for own in (known if labels else [()])}

    def add(self, value: float, *labels: str) -> None:
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = self._row()
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def count(self, *labels: str) -> float:
        return sum(self._rows.get(labels, [0])[:-1])

    def family(self) -> Metric:
        family = HistogramMetricFamily(self.name, self._doc, labels=self._labels)
        for labels, row in self._rows.items():
            family.add_metric(labels, list(_cumulative(self._bounds, row)), row[-1])
        return family

    def _row(self) -> list[float]:
        return [0] * (len(self._bounds) + 1) + [0.0]


class Info:
    """What does not change, as labels of a 1."""

    def __init__(self, name: str, doc: str, facts: Mapping[str, str]) -> None:
        self.name = PREFIX + name
        self._doc = doc
        self._facts = dict(facts)

    def family(self) -> Metric:
        family = GaugeMetricFamily(self.name, self._doc, labels=tuple(self._facts))
        family.add_metric(tuple(self._facts.values()), 1)
        return family


def _cumulative(bounds: Sequence[float], row: Sequence[float]) -> Iterator[tuple[str, float]]:
    """As Prometheus writes them: ``le`` → how many were at most that."""
    total = 0.0
    for bound, count in zip((*(repr(float(bound)) for bound in bounds), "+Inf"), row[:-1], strict=True):
        total += count
        yield bound, total

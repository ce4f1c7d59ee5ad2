"""What `proactive top` makes of two looks at ``/metrics``: rates and quantiles of the time between them.

It asks nobody and shows nothing: `top` asks, `top_frame` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from engine.core.model import Json
from engine.metrics.measures import PREFIX

Labels = frozenset[tuple[str, str]]


class NotMetrics(ValueError):
    """The text is not what a proactive server says of itself."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look. ``at``: seconds of the looker's stopwatch. ``health`` is what ``/healthz`` said."""

    at: float
    samples: Mapping[str, Mapping[Labels, float]]
    health: Mapping[str, Json] = field(default_factory=dict)

    def total(self, name: str, **labels: str) -> float | None:
        """The sum over all series of that name which have these labels; None where there is no such name."""
        series = self.samples.get(name)
        if series is None:
            return None
        wanted = labels.items()
        return sum(value for own, value in series.items() if own >= frozenset(wanted))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums by the values of a label, in the order in which the server shows them."""
        sums: dict[str, float] = {}
        for own, value in self.samples.get(name, {}).items():
            if own >= frozenset(labels.items()):
                key = dict(own).get(label, "")
                sums[key] = sums.get(key, 0) + value
        return sums


class Quantiles(NamedTuple):
    """In seconds; None where nothing happened."""

    half: float | None
    most: float | None  # 99 of 100 took no longer


@dataclass(frozen=True, slots=True)
class Between:
    """What happened from one reading to a later one of the same process."""

    before: Reading
    now: Reading

    @property
    def seconds(self) -> float:
        return max(self.now.at - self.before.at, 1e-9)

    def rate(self, name: str, **labels: str) -> float:
        """A second's worth; 0 for what nobody counts."""
        return max(0.0, (self.now.total(name, **labels) or 0) - (self.before.total(name, **labels) or 0)) / self.seconds

    def rates(self, name: str, label: str, **labels: str) -> dict[str, float]:
        before = self.before.by(name, label, **labels)
        now = self.now.by(name, label, **labels)
        return {key: max(0.0, value - before.get(key, 0)) / self.seconds for key, value in now.items()}

    def quantiles(self, name: str) -> Quantiles:
        """By the buckets of a histogram, evenly spread within each; beyond the last bound that bound itself."""
        now, before = self.now.by(f"{name}_bucket", "le"), self.before.by(f"{name}_bucket", "le")
        counts = {float(bound): count - before.get(bound, 0) for bound, count in now.items()}
        return Quantiles(_quantile(counts, 0.5), _quantile(counts, 0.99))


def read_metrics(text: str, at: float, health: Mapping[str, Json]) -> Reading:
    """Raises `NotMetrics`."""
    samples: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = sample.name.removeprefix(PREFIX)
                samples.setdefault(name, {})[frozenset(sample.labels.items())] = sample.value
    except (ValueError, IndexError, KeyError) as error:
        raise NotMetrics(f"expected the text of Prometheus, got something else: {error}") from None
    if "build_info" not in samples:
        raise NotMetrics("expected the metrics of a proactive server, got those of something else")
    return Reading(at, samples, health)


def is_same_process(before: Reading, now: Reading) -> bool:
    """Whether what was counted by the one goes on in the other."""
    return before.total("process_start_time_seconds") == now.total("process_start_time_seconds")


def _quantile(counts: Mapping[float, float], share: float) -> float | None:
    bounds = sorted(counts)
    total = counts[bounds[-1]] if bounds else 0
    if total <= 0:
        return None
    rank = share * total
    below, floor = 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank:
            if bound == float("inf"):
                return floor
            within = counts[bound] - below
            return floor + (bound - floor) * ((rank - below) / within if within else 1)
        below, floor = counts[bound], bound
    return floor

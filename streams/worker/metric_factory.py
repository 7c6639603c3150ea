"""Make the metrics of one registry, all under one prefix."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "nearstream_"


class MetricFactory:
    """Make metrics that are registered as soon as they are made.

    Parameters
    ----------
    registry
        Where they are registered. It refuses a name that it has already.

    Examples
    --------
    >>> registry = CollectorRegistry()
    >>> MetricFactory(registry).gauge("lag_records", "Records not applied yet.", "topic").labels("t").set(3)
    >>> registry.get_sample_value("nearstream_lag_records", {"topic": "t"})
    3.0
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Make a counter: a figure that only grows; Prometheus appends ``_total`` to its name."""
        return Counter(f"{PREFIX}{name}", text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """Make a gauge: a figure that is set."""
        return Gauge(f"{PREFIX}{name}", text, labels, registry=self._registry)

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        """Make a histogram with these upper bounds, which must ascend; one for infinity is added."""
        return Histogram(f"{PREFIX}{name}", text, labels, registry=self._registry, buckets=buckets)

"""The metrics of one service, in a registry of its own, so that two services in one process share none."""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ccari import __version__, log
from ccari.metrics import catalogue
from ccari.metrics.catalogue import Family, Kind

#: A metric's value for each combination of label values, in the order of the labels.
Values = Mapping[tuple[str, ...], float]
#: Called for each scrape, in the event loop, so it must return at once.
Read = Callable[[], Values]


class Registry:
    """:class:`ccari.ports.metering.Exposition`. Events are counted as they happen; states are read at each scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._reads: dict[Family, Read] = {}
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self.number(catalogue.LOG_LINES_LOST, log.lines_lost)
        self.read(catalogue.BUILD, lambda: {(__version__, platform.python_version()): 1})

    def counter(self, family: Family) -> Counter:
        return Counter(family.name, family.meaning, family.label_names, registry=self._registry)

    def gauge(self, family: Family) -> Gauge:
        return Gauge(family.name, family.meaning, family.label_names, registry=self._registry)

    def histogram(self, family: Family) -> Histogram:
        return Histogram(
            family.name, family.meaning, family.label_names, registry=self._registry, buckets=family.buckets
        )

    def read(self, family: Family, read: Read) -> None:
        """Call ``read`` for the values at each scrape. A combination that it leaves out is unknown, and has no series."""
        self._reads[family] = read

    def number(self, family: Family, read: Callable[[], float]) -> None:
        """Like :meth:`read`, for a metric without labels."""
        self.read(family, lambda: {(): float(read())})

    async def exposed(self) -> bytes:
        """All metrics in Prometheus's text format, which every version of it reads.

        With some hundred campaigns that takes a tenth of a second, which must not hold up calls. So only states are read here, in the
        loop that they belong to; a thread does the rest.
        """
        read = list(self._read())
        return await asyncio.to_thread(lambda: generate_latest(_Exposed(chain(read, self._counted()))))

    def _read(self) -> Iterator[Metric]:
        for family, read in self._reads.items():
            kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = kind(family.name, family.meaning, labels=family.label_names)
            for values, number in read().items():
                metric.add_metric(values, number)
            yield metric

    def _counted(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            # the library adds a series with each creation time, which would double their number
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric


class _Exposed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

"""The shared board in Prometheus' words, through prometheus-client (`pip install 'portway[metrics]'`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# Powers of two of a microsecond, where buckets of the engine end: 64 us to 67 s.
LIMITS_US = tuple(1 << power for power in range(6, 27))


def exposition(document: dict[str, Any]) -> bytes:
    """Return the text that Prometheus collects.

    Args:
        document: What `status` returns.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Board(document))
    return generate_latest(registry)


class _Board(Collector):
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def collect(self) -> Iterable[Metric]:
        """Return every metric."""
        yield from _totals(self._document["totals"])
        yield from _state(self._document)
        yield from _workers(self._document["workers"])


def _totals(totals: dict[str, Any]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "portway_requests", "Responses, by status; 0: none was sent.", labels=["status"]
    )
    for status, count in totals["statuses"].items():
        requests.add_metric([status], count)
    yield requests
    yield CounterMetricFamily("portway_connections_accepted", "Connections accepted.", totals["accepted"])
    yield CounterMetricFamily("portway_received_bytes", "Bytes received.", totals["bytes_in"])
    yield CounterMetricFamily("portway_sent_bytes", "Bytes of responses sent.", totals["bytes_out"])
    yield GaugeMetricFamily("portway_connections", "Connections that are open.", totals["connections"])
    yield GaugeMetricFamily("portway_requests_in_flight", "Requests being answered.", totals["in_flight"])
    yield _histogram(
        "portway_request_duration_seconds",
        "From a complete request head to a complete response.",
        totals["latency"],
    )
    yield _histogram(
        "portway_request_queue_seconds", "From X-Request-Start to a complete request head.", totals["queued"]
    )


def _histogram(name: str, text: str, counted: dict[str, Any]) -> Metric:
    buckets = [
        (repr(limit / 1e6), sum(count for upper, count in counted["buckets"] if upper <= limit))
        for limit in LIMITS_US
    ]
    buckets.append(("+Inf", counted["count"]))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=counted["sum_us"] / 1e6)


def _state(document: dict[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "portway_start_time_seconds", "When the server started, since 1970.", document["started"]
    )
    yield GaugeMetricFamily(
        "portway_generation", "The generation that serves.", document["generation"]["serving"]
    )
    rejected = document["generation"]["rejected"] is not None
    yield GaugeMetricFamily(
        "portway_reload_failed", "1 when the last reload could not start.", float(rejected)
    )
    yield GaugeMetricFamily("portway_workers_wanted", "Workers a generation has.", document["workers_wanted"])
    yield CounterMetricFamily(
        "portway_workers_lost", "Workers that ended and were not told to.", document["workers_lost"]
    )
    states = [worker["state"] for worker in document["workers"]]
    workers = GaugeMetricFamily("portway_workers", "Workers, by state.", labels=["state"])
    for state in ("starting", "ready", "draining", "dead"):
        workers.add_metric([state], states.count(state))
    yield workers


def _workers(workers: list[dict[str, Any]]) -> Iterator[Metric]:
    """Gauges alone: the counts of one worker end with it, those of all do not."""
    for name, text, key in (
        ("portway_worker_connections", "Connections of a worker that are open.", "connections"),
        ("portway_worker_requests_in_flight", "Requests a worker is answering.", "in_flight"),
        ("portway_worker_requests", "Requests since the worker started.", "requests"),
        (
            "portway_worker_memory_bytes",
            "Resident memory of a worker, shared pages included.",
            "memory_bytes",
        ),
        ("portway_worker_age_seconds", "Seconds since a worker started.", "age_s"),
    ):
        gauge = GaugeMetricFamily(name, text, labels=["slot"])
        for worker in workers:
            gauge.add_metric([str(worker["slot"])], math.nan if worker[key] is None else worker[key])
        yield gauge

"""What Prometheus is told; several workers are told of as one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from ..agent.search_result import SearchResult

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: folder of what the workers have counted."""

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_CALLS = (1, 2, 4, 8, 16, 32, 64)
_LAG = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """Counters of one worker."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        told: dict[str, Any] = {"namespace": "trailhound", "registry": registry}
        self._search = Histogram("search_seconds", "Time of a search", ["workspace"], buckets=_SECONDS, **told)
        self._calls = Histogram("search_calls", "Sub-index calls and hops", ["workspace"], buckets=_CALLS, **told)
        self._abstentions = Counter("abstentions", "Searches that the corpus does not answer", ["workspace"], **told)
        self._failures = Counter("search_failures", "Searches that failed", ["workspace", "type"], **told)
        self._requests = Counter("requests", "Requests", ["method", "route", "status"], **told)
        self._latency = Histogram("request_seconds", "Time of a request", ["route"], buckets=_SECONDS, **told)
        self._lag = Histogram(
            "freshness_seconds", "From a change's arrival until it is searched", ["workspace"], buckets=_LAG, **told
        )
        self._changes = Counter("changes", "Changes that ended", ["workspace", "kind", "state"], **told)
        gauge: dict[str, Any] = {"multiprocess_mode": "livesum", **told}
        self._inside = Gauge("searches_inside", "Searches that run or wait for a thread", **gauge)

    def searched(self, workspace: str, result: SearchResult) -> None:
        """Count a search."""
        self._search.labels(workspace).observe(result.milliseconds / 1000)
        self._calls.labels(workspace).observe(result.calls)
        if result.unanswered:
            self._abstentions.labels(workspace).inc()

    def failed(self, workspace: str, kind: str) -> None:
        """Count a search that failed."""
        self._failures.labels(workspace, kind).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def changed(self, workspace: str, kind: str, state: str, lag: float) -> None:
        """Count a change that ended, so many seconds after it arrived."""
        self._changes.labels(workspace, kind, state).inc()
        if state == "done":
            self._lag.labels(workspace).observe(lag)

    def inside(self, searches: int) -> None:
        """Tell how many searches run or wait."""
        self._inside.set(searches)

    def text(self) -> bytes:
        """Return everything in the format of Prometheus."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


_METHODS = frozenset(("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"))


def share(folder: Path) -> None:
    """Let the workers that are started from now on count together, in files of a folder."""
    folder.mkdir(exist_ok=True)
    os.environ[SHARED] = str(folder)

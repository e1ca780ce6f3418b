"""What Prometheus can ask a controller: Katib's metrics by their names, and how well it keeps up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import Counter as Counting
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from katib_py.backends.k8s.api import Json
from katib_py.backends.k8s.informer import Informer
from katib_py.backends.k8s.trials import Trials
from katib_py.core.trial import TrialRecord, TrialState

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COUNTED: Final = {
    TrialState.SUCCEEDED: "succeeded",
    TrialState.FAILED: "failed",
    TrialState.METRICS_UNAVAILABLE: "metrics_unavailable",
}


class Metrics:
    """The counters of one process; they begin at zero with it, as Katib's do."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._experiments = {
            what: self._counter(f"katib_experiment_{what}", f"Experiments that were {what}.")
            for what in ("created", "deleted", "succeeded", "failed")
        }
        self._trials = {
            what: self._counter(f"katib_trial_{what}", f"Trials: {what}.")
            for what in ("created", "deleted", *COUNTED.values())
        }
        self._requests = self._histogram("katib_api_request_seconds", "Requests to the API server.", "method", "code")
        self._calls = self._histogram("katib_suggestion_request_seconds", "Calls of suggestion services.", "method")
        self.turns = self._histogram("katib_reconcile_seconds", "Looks at an experiment, writes included.")

    def experiment(self, namespace: str, what: str) -> None:
        """Count an Experiment that was created, deleted, or has succeeded or failed."""
        self._experiments[what].labels(namespace).inc()

    def trial(self, namespace: str, what: str) -> None:
        """Count a Trial that was created or deleted."""
        self._trials[what].labels(namespace).inc()

    def finished(self, namespace: str, trials: Iterable[TrialRecord]) -> None:
        """Count Trials by how they ended."""
        for trial in trials:
            if (what := COUNTED.get(trial.state)) is not None:
                self._trials[what].labels(namespace).inc()

    def requested(self, method: str, status: int, seconds: float) -> None:
        """A request to the API server was answered."""
        self._requests.labels(method, str(status)).observe(seconds)

    def called(self, method: str, seconds: float) -> None:
        """A suggestion service was called."""
        self._calls.labels(method).observe(seconds)

    @contextmanager
    def showing(self, current: Collector) -> Iterator[None]:
        """Show these gauges too while it is entered."""
        self.registry.register(current)
        try:
            yield
        finally:
            self.registry.unregister(current)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str) -> Counting:
        return Counting(name, words, ["namespace"], registry=self.registry)

    def _histogram(self, name: str, words: str, *labels: str) -> Histogram:
        return Histogram(name, words, labels, registry=self.registry, buckets=FAST)


class Current(Collector):
    """How many Experiments and Trials there are in each state, counted when somebody asks."""

    def __init__(self, experiments: Informer[Json], trials: Trials) -> None:
        self._experiments = experiments
        self._trials = trials

    def collect(self) -> Iterator[Any]:
        """The gauges."""
        experiments = Counter((name.namespace, _state(document)) for name, document in self._experiments.items())
        yield _gauge("katib_experiments_current", "Experiments by their last condition.", experiments)
        trials = Counter((name.namespace, trial.state) for name, trial in self._trials.items())
        yield _gauge("katib_trials_current", "Trials by their last condition.", trials)


def _gauge(name: str, words: str, counts: Counter[tuple[str, str]]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, words, labels=["namespace", "status"])
    for labels, count in counts.items():
        gauge.add_metric(labels, count)
    return gauge


def _state(document: Json) -> str:
    conditions = (document.get("status") or {}).get("conditions") or [{}]
    return str(conditions[-1].get("type") or "Unknown")

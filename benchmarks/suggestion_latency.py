"""How long a suggestion takes over gRPC, per algorithm, history and dimension, beside an empty handler.

python benchmarks/suggestion_latency.py [--algorithms tpe,grid] [--trials 10,1000] [--dimensions 20] [--repeats 20]
Cells are kept in --cells and not measured again; the table of all of them is printed at the end. Times in milliseconds:
cold is the first call of a restarted server with the whole history, warm ones send what finished since the last call.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from katib_py.wire import api, history, rpc

ALGORITHMS = ("random", "grid", "sobol", "tpe", "multivariate-tpe", "cmaes", "bayesianoptimization", "auto")
COLD_STARTS = 3
HEADER = ("algorithm", "dimensions", "trials", "cold", "one", "ten", "one, Katib's request", "the same, empty handler")


def experiment(algorithm: str, dimensions: int) -> api.Experiment:
    """A quarter each of log doubles, ints, doubles and categories; for grid the doubles have steps."""
    message = api.Experiment(name="latency", uid=f"{algorithm}-{dimensions}")
    step = "0.0001" if algorithm == "grid" else ""
    spaces = (
        (api.DOUBLE, api.FeasibleSpace(min="0.0001", max="1", step=step, distribution=api.LOG_UNIFORM)),
        (api.INT, api.FeasibleSpace(min="1", max="100")),
        (api.DOUBLE, api.FeasibleSpace(min="0", max="1", step=step)),
        (api.CATEGORICAL, api.FeasibleSpace(list=["adam", "sgd", "rmsprop", "adagrad"])),
    )
    for index in range(dimensions):
        kind, space = spaces[index % 4]
        message.spec.parameter_specs.parameters.add(name=f"parameter{index}", parameter_type=kind, feasible_space=space)
    message.spec.objective.objective_metric_name = "loss"
    message.spec.objective.type = api.MINIMIZE
    message.spec.algorithm.algorithm_name = algorithm
    return message


def finished(dimensions: int) -> Iterator[api.Trial]:
    """Endless finished trials."""
    generator = np.random.default_rng(0)
    index = 0
    while True:
        trial = api.Trial(name=f"latency-{generator.integers(1 << 40):010x}")
        for place, unit in enumerate(generator.random(dimensions)):
            texts = (f"{10 ** (-4 * unit):.4f}", str(1 + int(100 * unit)), f"{unit:.4f}")
            texts += (("adam", "sgd", "rmsprop", "adagrad")[int(4 * unit)],)
            trial.spec.parameter_assignments.assignments.add(name=f"parameter{place}", value=texts[place % 4])
        trial.status.condition = api.TrialStatus.SUCCEEDED
        trial.status.start_time = f"2026-01-{1 + index // 86400:02d}T{time.strftime('%H:%M:%S', time.gmtime(index))}Z"
        trial.status.observation.metrics.add(name="loss", value=repr(generator.random()))
        index += 1
        yield trial


class Caller:
    """One experiment's conversation with a server."""

    def __init__(self, algorithm: str, dimensions: int, trials: int) -> None:
        self._experiment = experiment(algorithm, dimensions)
        self._source = finished(dimensions)
        self._fresh = [next(self._source) for _ in range(trials)]
        self._all = list(self._fresh)
        self._prefix = api.HistoryPrefix()

    def forget(self) -> None:
        """The next delta starts from nothing."""
        self._prefix, self._fresh = api.HistoryPrefix(), list(self._all)

    def delta(self, count: int) -> api.GetSuggestionsRequest:
        """Our request with what is new."""
        request = self._request(self._fresh, count)
        request.history.CopyFrom(self._prefix)
        request.history.SetInParent()
        return request

    def full(self, count: int) -> api.GetSuggestionsRequest:
        """Katib's request."""
        return self._request(self._all, count)

    def proceed(self, count: int) -> None:
        """The last delta was answered, and `count` more trials have finished."""
        for trial in self._fresh:
            self._prefix.digest = history.extend(self._prefix.digest, trial)
        self._prefix.count = len(self._all)
        self._fresh = [next(self._source) for _ in range(count)]
        self._all += self._fresh

    def _request(self, trials: Sequence[api.Trial], count: int) -> api.GetSuggestionsRequest:
        return api.GetSuggestionsRequest(
            experiment=self._experiment,
            trials=trials,
            current_request_number=count,
            total_request_number=len(self._all) + count,
        )


@contextmanager
def server(*command: str) -> Iterator[Callable[[Any], Any]]:
    """A server process, its channel warm; the call of GetSuggestions."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().removeprefix("listening on ").strip()
    with grpc.insecure_channel(address, options=rpc.CHANNEL_OPTIONS) as channel:
        grpc.channel_ready_future(channel).result(30)
        yield rpc.call(channel, "Suggestion", "GetSuggestions")
    process.kill()
    process.wait()
    process.stdout.close()


def milliseconds(call: Callable[[Any], Any], request: Any) -> float:
    """One call, from the built message to the parsed reply."""
    start = time.perf_counter()
    call(request)
    return (time.perf_counter() - start) * 1000


def measure(algorithm: str, dimensions: int, trials: int, repeats: int) -> dict[str, list[float]]:
    """One cell: the times of every kind of call."""
    caller = Caller(algorithm, dimensions, trials)
    times: dict[str, list[float]] = {key: [] for key in ("cold", "one", "ten", "full", "empty")}
    ours = ("-m", "suggestion_services", "--listen", "127.0.0.1:0", "--algorithms", algorithm)
    for _ in range(COLD_STARTS):
        with server(*ours) as call:
            times["cold"].append(milliseconds(call, caller.delta(1)))
    with server(*ours) as call, server(__file__, "--empty-handler") as nothing:
        call(caller.delta(1))
        for key, count in (("one", 1), ("ten", 10)):
            for _ in range(repeats):
                caller.proceed(count)
                times[key].append(milliseconds(call, caller.delta(count)))
        call(caller.full(1))
        for _ in range(repeats):
            caller.proceed(1)
            request = caller.full(1)
            times["full"].append(milliseconds(call, request))
            times["empty"].append(milliseconds(nothing, request))
    return times


def serve_nothing() -> None:
    """A handler that reads the request and answers nothing, for ever."""

    class Nothing:
        def GetSuggestions(self, request: Any, context: Any) -> Any:  # noqa: N802 - the rpc's name
            return api.GetSuggestionsReply()

        ValidateAlgorithmSettings = GetSuggestions

    empty = grpc.server(ThreadPoolExecutor(1), options=rpc.CHANNEL_OPTIONS)
    empty.add_generic_rpc_handlers((rpc.handler("Suggestion", Nothing()),))
    port = empty.add_insecure_port("127.0.0.1:0")
    empty.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    empty.wait_for_termination()


def row(path: Path) -> tuple[str, ...]:
    """A line of the table: the median, and after a slash the 95th percentile."""
    algorithm, dimensions, trials = path.stem.rsplit("_", 2)
    times = json.loads(path.read_text())
    figures = (f"{np.median(times[key]):.1f} / {np.percentile(times[key], 95):.1f}" for key in list(times)[1:])
    return (algorithm, dimensions, trials, f"{np.median(times['cold']):.0f}", *figures)


def order(path: Path) -> tuple[int, ...]:
    """Rows by algorithm, dimensions, trials."""
    algorithm, dimensions, trials = path.stem.rsplit("_", 2)
    return ALGORITHMS.index(algorithm), int(dimensions), int(trials)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS))
    parser.add_argument("--trials", default="10,100,1000,10000")
    parser.add_argument("--dimensions", default="5,20")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--cells", type=Path, default=Path(".katib/benchmarks/suggestion_latency"))
    parser.add_argument("--empty-handler", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.empty_handler:
        serve_nothing()
    options.cells.mkdir(parents=True, exist_ok=True)
    for algorithm in options.algorithms.split(","):
        for dimensions in map(int, options.dimensions.split(",")):
            for trials in map(int, options.trials.split(",")):
                cell = options.cells / f"{algorithm}_{dimensions}_{trials}.json"
                if not cell.exists():
                    cell.write_text(json.dumps(measure(algorithm, dimensions, trials, options.repeats)))
    rows = [HEADER, ("---",) * len(HEADER), *(row(path) for path in sorted(options.cells.glob("*.json"), key=order))]
    print("\n".join(f"| {' | '.join(cells)} |" for cells in rows))


if __name__ == "__main__":
    main()

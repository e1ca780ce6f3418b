"""The same experiment on other libraries: prints the seconds from the first trial to the last.

python benchmarks/local_throughput_peers.py optuna-memory|optuna-sqlite|ray TRIALS PARALLEL
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any


def loss(x: float) -> float:
    """Run the one-liner and read its metric."""
    done = subprocess.run(["sh", "-c", f"echo loss={x}"], capture_output=True, text=True, check=True)
    return float(done.stdout.partition("=")[2])


def optuna(storage: str | None, trials: int, parallel: int) -> float:
    """study.optimize with a thread per trial, random search."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler())
    begin = time.perf_counter()
    study.optimize(lambda trial: loss(trial.suggest_float("x", 0, 1)), n_trials=trials, n_jobs=parallel)
    return time.perf_counter() - begin


def ray(trials: int, parallel: int) -> float:
    """A function trainable, random search, as many at once."""
    import ray
    from ray import tune

    # A CPU is a slot here, as katib-py counts parallel trials: the one-liners need hardly any.
    ray.init(num_cpus=parallel, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def trainable(config: dict[str, Any]) -> None:
        tune.report({"loss": loss(config["x"])})

    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=parallel, metric="loss", mode="min"),
        run_config=tune.RunConfig(verbose=0),
    )
    begin = time.perf_counter()
    tuner.fit()
    return time.perf_counter() - begin


def main() -> None:
    """Run one of them."""
    name, trials, parallel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if name == "ray":
        print(ray(trials, parallel))
    else:
        print(optuna("sqlite:///study.db" if name == "optuna-sqlite" else None, trials, parallel))


if __name__ == "__main__":
    main()

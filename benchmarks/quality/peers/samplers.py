"""The peers' samplers, each behind ask(count) and tell(losses); a space is a list of dicts.

{"name": "C", "kind": "float" | "int", "low": 0.001, "high": 1000, "log": true}
{"name": "step", "kind": "ordinal", "count": 21}       its values are numbers of places, 0 to 20
{"name": "kernel", "kind": "categorical", "values": ["rbf", "linear"]}
"""

from __future__ import annotations

import math
import warnings
from importlib import metadata
from typing import Any

Space = list[dict[str, Any]]
warnings.simplefilter("ignore")


class Draws:
    """Random search, which needs no package."""

    def __init__(self, space: Space, seed: int) -> None:
        import random

        self._space, self._random = space, random.Random(seed)

    def ask(self, count: int) -> list[list[Any]]:
        """New points."""
        return [[self._draw(item) for item in self._space] for _ in range(count)]

    def _draw(self, item: dict[str, Any]) -> Any:
        if item["kind"] == "categorical":
            return self._random.choice(item["values"])
        if item["kind"] == "ordinal":
            return self._random.randrange(item["count"])
        low, high = item["low"], item["high"]
        if item["kind"] == "int":
            low, high = low - 0.5 if not item["log"] or low >= 1 else low, high + 0.5
        if item["log"]:
            value = math.exp(self._random.uniform(math.log(low), math.log(high)))
        else:
            value = self._random.uniform(low, high)
        return value if item["kind"] == "float" else min(max(round(value), item["low"]), item["high"])

    def tell(self, losses: list[float]) -> None:
        """Nothing is learned."""


class Optuna:
    """A study that is asked for a batch before it is told."""

    def __init__(self, space: Space, sampler: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._study = space, optuna.create_study(sampler=sampler)
        self._open: list[Any] = []

    def ask(self, count: int) -> list[list[Any]]:
        """New points."""
        self._open = [self._study.ask() for _ in range(count)]
        return [[self._suggest(trial, item) for item in self._space] for trial in self._open]

    def _suggest(self, trial: Any, item: dict[str, Any]) -> Any:
        name = item["name"]
        if item["kind"] == "categorical":
            return trial.suggest_categorical(name, item["values"])
        if item["kind"] == "ordinal":
            return trial.suggest_int(name, 0, item["count"] - 1)
        suggest = trial.suggest_float if item["kind"] == "float" else trial.suggest_int
        return suggest(name, item["low"], item["high"], log=item["log"])

    def tell(self, losses: list[float]) -> None:
        """The results of the last batch."""
        for trial, loss in zip(self._open, losses, strict=True):
            self._study.tell(trial, loss)


def optuna_tpe(space: Space, seed: int) -> Optuna:
    """TPESampler with its constant liar, as batches need it."""
    import optuna

    return Optuna(space, optuna.samplers.TPESampler(seed=seed, constant_liar=True))


def optuna_univariate_tpe(space: Space, seed: int) -> Optuna:
    """The same, one parameter at a time, which was its default before 5.0."""
    import optuna

    return Optuna(space, optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=False))


def optuna_gp(space: Space, seed: int) -> Optuna:
    """GPSampler as it comes."""
    import optuna

    return Optuna(space, optuna.samplers.GPSampler(seed=seed))


def optuna_cmaes(space: Space, seed: int) -> Optuna:
    """CmaEsSampler as it comes."""
    import optuna

    return Optuna(space, optuna.samplers.CmaEsSampler(seed=seed))


class Hyperopt:
    """hyperopt's tpe.suggest on trials whose results come in batches, as its parallel backends use it."""

    def __init__(self, space: Space, seed: int) -> None:
        import numpy as np
        from hyperopt import Trials, base

        self._space, self._random = space, np.random.default_rng(seed)
        dimensions = {item["name"]: self._dimension(item) for item in space}
        self._domain = base.Domain(lambda _: 0.0, dimensions, pass_expr_memo_ctrl=False)
        self._trials = Trials()
        self._open: list[Any] = []

    def _dimension(self, item: dict[str, Any]) -> Any:
        from hyperopt import hp

        name = item["name"]
        if item["kind"] == "categorical":
            return hp.choice(name, item["values"])
        if item["kind"] == "ordinal":
            return hp.uniformint(name, 0, item["count"] - 1)
        low, high, log = item["low"], item["high"], item["log"]
        if item["kind"] == "float":
            return hp.loguniform(name, math.log(low), math.log(high)) if log else hp.uniform(name, low, high)
        return hp.qloguniform(name, math.log(low), math.log(high), 1) if log else hp.uniformint(name, low, high)

    def ask(self, count: int) -> list[list[Any]]:
        """New points."""
        from hyperopt import tpe

        self._open = []
        for _ in range(count):
            ids = self._trials.new_trial_ids(1)
            self._open += tpe.suggest(ids, self._domain, self._trials, int(self._random.integers(2**31 - 1)))
        return [
            [self._value(trial["misc"]["vals"][item["name"]][0], item) for item in self._space] for trial in self._open
        ]

    def _value(self, value: float, item: dict[str, Any]) -> Any:
        if item["kind"] == "categorical":
            return item["values"][int(value)]
        if item["kind"] == "ordinal":
            return int(value)
        value = min(max(value, item["low"]), item["high"])
        return float(value) if item["kind"] == "float" else round(value)

    def tell(self, losses: list[float]) -> None:
        """The results of the last batch."""
        from hyperopt import JOB_STATE_DONE

        for trial, loss in zip(self._open, losses, strict=True):
            trial["state"], trial["result"] = JOB_STATE_DONE, {"loss": loss, "status": "ok"}
        self._trials.insert_trial_docs(self._open)
        self._trials.refresh()


class Skopt:
    """scikit-optimize's Optimizer with the settings that Katib's service gives it, batches by its constant liar."""

    def __init__(self, space: Space, seed: int) -> None:
        from skopt import Optimizer

        dimensions = [self._dimension(item) for item in space]
        self._optimizer = Optimizer(
            dimensions, base_estimator="GP", n_initial_points=10, acq_func="gp_hedge", random_state=seed
        )
        self._open: list[list[Any]] = []

    def _dimension(self, item: dict[str, Any]) -> Any:
        from skopt.space import Categorical, Integer, Real

        if item["kind"] == "categorical":
            return Categorical(item["values"], name=item["name"])
        if item["kind"] == "ordinal":
            return Integer(0, item["count"] - 1, name=item["name"])
        kind = Real if item["kind"] == "float" else Integer
        return kind(item["low"], item["high"], prior="log-uniform" if item["log"] else "uniform", name=item["name"])

    def ask(self, count: int) -> list[list[Any]]:
        """New points."""
        # Asked for one by one before it is told, it repeats itself.
        self._open = self._optimizer.ask(n_points=count) if count > 1 else [self._optimizer.ask()]
        return [[getattr(value, "item", lambda value=value: value)() for value in point] for point in self._open]

    def tell(self, losses: list[float]) -> None:
        """The results of the last batch."""
        self._optimizer.tell(self._open, losses)


class Vizier:
    """google-vizier's GP-UCB-PE designer, its default, as it comes."""

    def __init__(self, space: Space, seed: int) -> None:
        import jax
        from vizier import pyvizier
        from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit

        self._space, problem = space, pyvizier.ProblemStatement()
        for item in space:
            self._add(problem.search_space.root, item, pyvizier.ScaleType)
        goal = pyvizier.ObjectiveMetricGoal.MINIMIZE
        problem.metric_information.append(pyvizier.MetricInformation(name="loss", goal=goal))
        self._designer = VizierGPUCBPEBandit(problem, rng=jax.random.PRNGKey(seed))
        self._open: list[Any] = []
        self._asked = 0

    def _add(self, root: Any, item: dict[str, Any], scale: Any) -> None:
        if item["kind"] == "categorical":
            root.add_categorical_param(item["name"], item["values"])
        elif item["kind"] == "ordinal":
            root.add_int_param(item["name"], 0, item["count"] - 1)
        else:
            add = root.add_float_param if item["kind"] == "float" else root.add_int_param
            add(item["name"], item["low"], item["high"], scale_type=scale.LOG if item["log"] else scale.LINEAR)

    def ask(self, count: int) -> list[list[Any]]:
        """New points."""
        self._open = [
            item.to_trial(self._asked + place + 1) for place, item in enumerate(self._designer.suggest(count))
        ]
        self._asked += len(self._open)
        return [
            [self._value(trial.parameters[item["name"]].value, item) for item in self._space] for trial in self._open
        ]

    def _value(self, value: Any, item: dict[str, Any]) -> Any:
        if item["kind"] == "categorical":
            return value
        return float(value) if item["kind"] == "float" else int(value)

    def tell(self, losses: list[float]) -> None:
        """The results of the last batch."""
        from vizier import algorithms, pyvizier

        for trial, loss in zip(self._open, losses, strict=True):
            trial.complete(pyvizier.Measurement(metrics={"loss": loss}))
        self._designer.update(algorithms.CompletedTrials(self._open), algorithms.ActiveTrials([]))


class Hebo:
    """HEBO as it comes."""

    def __init__(self, space: Space, seed: int) -> None:
        import numpy as np
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        np.random.seed(seed)
        torch.manual_seed(seed)
        self._space = space
        self._optimizer = HEBO(DesignSpace().parse([self._dimension(item) for item in space]), scramble_seed=seed)
        self._open: Any = None

    def _dimension(self, item: dict[str, Any]) -> dict[str, Any]:
        if item["kind"] == "categorical":
            return {"name": item["name"], "type": "cat", "categories": item["values"]}
        if item["kind"] == "ordinal":
            return {"name": item["name"], "type": "int", "lb": 0, "ub": item["count"] - 1}
        kind = {"float": ("num", "pow"), "int": ("int", "pow_int")}[item["kind"]][item["log"]]
        return {"name": item["name"], "type": kind, "lb": item["low"], "ub": item["high"]}

    def ask(self, count: int) -> list[list[Any]]:
        """New points."""
        self._open = self._optimizer.suggest(n_suggestions=count)
        return [[self._value(row[item["name"]], item) for item in self._space] for _, row in self._open.iterrows()]

    def _value(self, value: Any, item: dict[str, Any]) -> Any:
        if item["kind"] == "categorical":
            return value
        value = float(value) if item["kind"] == "float" else round(float(value))
        return value if item["kind"] == "ordinal" else min(max(value, item["low"]), item["high"])

    def tell(self, losses: list[float]) -> None:
        """The results of the last batch."""
        import numpy as np

        self._optimizer.observe(self._open, np.array(losses, dtype=float).reshape(-1, 1))


SAMPLERS = {
    "draws": Draws,
    "optuna-tpe": optuna_tpe,
    "optuna-univariate-tpe": optuna_univariate_tpe,
    "optuna-gp": optuna_gp,
    "optuna-cmaes": optuna_cmaes,
    "hyperopt-tpe": Hyperopt,
    "skopt-gp": Skopt,
    "vizier-gp": Vizier,
    "hebo": Hebo,
}
PACKAGES = {"skopt": "scikit-optimize", "vizier": "google-vizier"}


def version(name: str) -> str:
    """The release of the package that a sampler comes from."""
    if name == "draws":
        return "1"
    package = name.partition("-")[0]
    package = PACKAGES.get(package, package)
    return f"{package} {metadata.version(package)}"

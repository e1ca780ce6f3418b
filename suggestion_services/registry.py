"""Every algorithm by the name that the Experiment writes. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from katib_py.core.errors import InvalidInput, Problem
from suggestion_services.contract import Algorithm
from suggestion_services.installed import Offer, load
from suggestion_services.settings import PATH, nearest

# An algorithm's class, an instance of it with settings of its own, or where either is found.
Offered = str | Offer | type[Algorithm] | Algorithm
Served = Mapping[str, Offered]

ALGORITHMS: Final[Mapping[str, str]] = {
    "auto": "suggestion_services.auto:Auto",
    "random": "suggestion_services.random_search:RandomSearch",
    "grid": "suggestion_services.grid:Grid",
    "sobol": "suggestion_services.sobol:Sobol",
    "tpe": "suggestion_services.tpe:Tpe",
    "cmaes": "suggestion_services.cma_es:CmaEs",
    "nsga2": "suggestion_services.nsga2:Nsga2",
    "multivariate-tpe": "suggestion_services.tpe:MultivariateTpe",
    "hyperband": "suggestion_services.hyperband:Hyperband",
    "asha": "suggestion_services.asha:Asha",
    "bohb": "suggestion_services.bohb:Bohb",
    "optuna": "suggestion_services.optuna_search:OptunaSearch",
    "pbt": "suggestion_services.pbt:Pbt",
    "bayesianoptimization": "suggestion_services.bayesian:BayesianOptimization",
}


def find(name: str, served: Served = ALGORITHMS) -> type[Algorithm] | Algorithm:
    """The algorithm; raises InvalidInput for a name that is not among the `served`, and for one that cannot be had."""
    if name not in served:
        known = ", ".join(sorted(served))
        words = f"unknown algorithm name {name}; this service has {known}{nearest(name, served)}"
        raise InvalidInput([Problem(f"{PATH}.algorithmName", words)])
    offered = served[name]
    if isinstance(offered, Offer):
        return load(name, offered)
    if not isinstance(offered, str):
        return offered
    module, _, attribute = offered.partition(":")
    found: type[Algorithm] = getattr(import_module(module), attribute)
    return found

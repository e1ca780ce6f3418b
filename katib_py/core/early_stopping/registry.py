"""Every stopper by the name that the Experiment writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from katib_py.core.early_stopping.averages import MedianStop, PercentileStop
from katib_py.core.early_stopping.halving import AshaStop
from katib_py.core.early_stopping.patience import PatienceStop
from katib_py.core.early_stopping.settings import values_of
from katib_py.core.early_stopping.stopper import Stopper
from katib_py.core.early_stopping.threshold import ThresholdStop
from katib_py.core.errors import InvalidInput, Problem, listed, show
from katib_py.core.experiment import AlgorithmSpec
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.parse import nearest

STOPPERS: Final[Mapping[str, type[Any]]] = {
    "medianstop": MedianStop,
    "percentile": PercentileStop,
    "asha": AshaStop,
    "threshold": ThresholdStop,
    "patience": PatienceStop,
}


def parse_stopper(
    spec: AlgorithmSpec, path: str = "spec.earlyStopping", objective: ObjectiveSpec | None = None
) -> Stopper:
    """The stopper that the Experiment's earlyStopping describes; raises InvalidInput with every problem.

    With the objective it is also checked that the stopper's metric is one that is collected.
    """
    kind = STOPPERS.get(spec.algorithm_name)
    if kind is None:
        meant = nearest(spec.algorithm_name, sorted(STOPPERS))
        hint = f": did you mean {meant}?" if meant else ""
        words = f"is {show(spec.algorithm_name)}; must be one of {', '.join(STOPPERS)}{hint}"
        raise InvalidInput([Problem(f"{path}.algorithmName", words)])
    stopper = cast(Stopper, kind(**values_of(kind, spec, path)))
    where = f"{path}.algorithmSettings"
    problems = [Problem(where, words) for words in stopper.conflicts()]
    if objective is not None and (metric := stopper.standing(objective).metric) not in objective.metric_names:
        words = f"watch {show(metric)}, which is not collected; must be one of {listed(objective.metric_names)}"
        problems.append(Problem(where, words))
    if problems:
        raise InvalidInput(problems)
    return stopper

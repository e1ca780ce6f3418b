"""Whether an Experiment can be run: every problem at once, each with its path, the value and what would be right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from katib_py.core.errors import Problem, limited
from katib_py.core.experiment import Experiment
from katib_py.core.template import ConfigMaps
from katib_py.core.validate.assignments import initial_problems, warm_start_problems
from katib_py.core.validate.budget import budget_problems, name_problems
from katib_py.core.validate.collector import collector_problems
from katib_py.core.validate.edit import validate_edit
from katib_py.core.validate.follows import Broken
from katib_py.core.validate.objective import algorithm_problems, early_stopping_problems, objective_problems
from katib_py.core.validate.outcome import outcome_problems
from katib_py.core.validate.parameters import search_space_problems
from katib_py.core.validate.region import region_problems
from katib_py.core.validate.template import template_problems

__all__ = ["NO_CHECKS", "Checks", "validate", "validate_edit"]


@dataclass(frozen=True, slots=True)
class Checks:
    """What is known of the platform; what is None is not checked.

    `check_regex` says what is wrong with a metric filter as RE2 ("must …"), or None. `algorithms` and `early_stopping`
    are the names that can be had. `config_maps` are those that a template may come from. `broken` are the paths of
    fields that could not be read (`Parsed.broken`): problems that only follow from them are left out. `in_pods`:
    trials run in pods.
    """

    check_regex: Callable[[str], str | None] | None = None
    algorithms: Collection[str] | None = None
    early_stopping: Collection[str] | None = None
    config_maps: ConfigMaps | None = None
    broken: Collection[str] = ()
    in_pods: bool = False


NO_CHECKS: Final = Checks()


def validate(experiment: Experiment, checks: Checks = NO_CHECKS) -> list[Problem]:
    """Everything that is wrong with an experiment that has its defaults; warnings too."""
    broken = Broken(checks.broken)
    found = (problem for problem in _problems(experiment, checks) if not broken.explains(problem.path))
    return list(dict.fromkeys(limited(found)))


def _problems(experiment: Experiment, checks: Checks) -> Iterator[Problem]:
    spec = experiment.spec
    yield from name_problems(experiment.metadata)
    yield from budget_problems(spec)
    yield from objective_problems(spec.objective)
    yield from outcome_problems(spec)
    yield from algorithm_problems(spec.algorithm, checks.algorithms)
    yield from early_stopping_problems(spec.early_stopping, spec.objective, checks.early_stopping)
    yield from search_space_problems(spec)
    yield from region_problems(spec)
    yield from initial_problems(spec)
    yield from warm_start_problems(spec, experiment.name)
    yield from template_problems(spec, checks.config_maps)
    yield from collector_problems(spec.metrics_collector_spec, checks.check_regex, checks.in_pods)

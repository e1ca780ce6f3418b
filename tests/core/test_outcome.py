"""Several objectives and outcome constraints: who is the best, who is on the front, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.defaults import default
from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import Experiment, ExperimentSpec
from katib_py.core.load import load_experiment
from katib_py.core.objective import Metric
from katib_py.core.pareto import Front, dominates
from katib_py.core.parse import Unknown
from katib_py.core.status import ExperimentStatus, dump_status
from katib_py.core.tally import tally
from katib_py.core.trial import Assignment, TrialRecord, TrialState

OBJECTIVE = {"type": "maximize", "objectiveMetricName": "acc", "goal": 0.9, "additionalMetricNames": ["ms", "mb"]}
BOTH = [{"type": "maximize", "objectiveMetricName": "acc"}, {"type": "minimize", "objectiveMetricName": "ms"}]
QUICK = [{"metricName": "ms", "atMost": 20}]


def spec(**fields):
    document = {"metadata": {"name": "demo"}, "spec": {"objective": OBJECTIVE, **fields}}
    return default(Experiment.model_validate(document)).spec


def trial(name, state=TrialState.SUCCEEDED, **metrics):
    observation = tuple(Metric(key, str(value), str(value), str(value)) for key, value in metrics.items())
    return TrialRecord(Assignment(name, 0, ()), 0.0, state, observation=observation)


def best(found, *trials):
    return tally(found.judgement(), trials).incumbent.trial.name


def test_a_trial_that_keeps_to_the_constraints_is_the_best_whatever_the_others_reach():
    quick, slow, slower = trial("quick", acc=0.7, ms=15), trial("slow", acc=0.99, ms=40), trial("slower", acc=1, ms=90)
    constrained = spec(outcomeConstraints=QUICK)
    assert best(constrained, slow, quick, slower) == "quick"
    assert best(constrained, slower, slow) == "slow"
    assert best(spec(), slow, quick, slower) == "slower"


def test_a_trial_that_did_not_measure_a_constrained_metric_breaks_it():
    assert best(spec(outcomeConstraints=QUICK), trial("silent", acc=0.9), trial("slow", acc=0.5, ms=99)) == "slow"


def test_the_goal_is_reached_within_the_constraints_only():
    constrained = spec(outcomeConstraints=QUICK)
    assert not tally(constrained.judgement(), [trial("slow", acc=0.99, ms=40)]).goal_reached
    assert tally(constrained.judgement(), [trial("quick", acc=0.99, ms=4)]).goal_reached


def test_the_front_is_in_the_status_by_the_first_objective():
    done = [
        trial("a", acc=0.7, ms=10),
        trial("beaten", acc=0.6, ms=11),
        trial("b", acc=0.9, ms=30),
        trial("failed", TrialState.FAILED, acc=1, ms=1),
        trial("silent", acc=1),
        trial("c", acc=0.8, ms=20),
        trial("equal", acc=0.8, ms=20),
        trial("too-slow", acc=0.99, ms=120),
    ]
    found = tally(spec(objectives=BOTH, outcomeConstraints=[{"metricName": "ms", "atMost": 100}]).judgement(), done)
    status = dump_status(ExperimentStatus(), found, {}, None)
    assert status["paretoFront"] == ["b", "c", "a"]
    assert status["currentOptimalTrial"]["bestTrialName"] == "b"


def test_what_joins_the_front_is_an_improvement():
    done = [trial("a", acc=0.9, ms=30), trial("worse", acc=0.8, ms=40), trial("b", acc=0.7, ms=10)]
    assert tally(spec(objectives=BOTH).judgement(), done).since_improvement == 0
    assert tally(spec().judgement(), done).since_improvement == 2


def test_one_objective_has_no_front():
    found = tally(spec().judgement(), [trial("a", acc=0.9)])
    assert "paretoFront" not in dump_status(ExperimentStatus(), found, {}, None)


losses = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)


@given(losses)
def test_the_front_is_what_nothing_dominates(points):
    front = Front()
    for index, point in enumerate(points):
        front.add(str(index), point)
    members = set(front.members.values())
    assert members == {point for point in points if not any(dominates(other, point) for other in points)}
    assert len(members) == len(front.members)


@given(losses, st.integers(1, 10))
def test_of_too_long_a_front_its_ends_are_kept(points, most):
    front = Front()
    for index, point in enumerate(points):
        front.add(str(index), point)
    names = front.names(most)
    assert len(names) == min(most, len(front.members))
    assert names == sorted(names, key=front.members.__getitem__)
    if most >= 6:
        least = min(point[0] for point in front.members.values())
        assert least in {front.members[name][0] for name in names}


def test_a_metric_is_read_in_its_own_direction_and_a_constrained_one_as_it_ended():
    written = {
        entry.name: entry.value
        for entry in spec(
            objectives=BOTH, outcomeConstraints=[{"metricName": "mb", "atMost": 5}]
        ).objective.metric_strategies
    }
    assert written == {"acc": "max", "ms": "min", "mb": "latest"}


@pytest.fixture
def problems(document):
    def found(**fields):
        given = document({f"spec.{key}": value for key, value in {"objective": OBJECTIVE, **fields}.items()})
        try:
            load_experiment(given, unknown=Unknown.REFUSED)
        except InvalidInput as error:
            return [(problem.path.removeprefix("spec."), problem.message) for problem in error.problems]
        return []

    return found


def test_sound_ones_are_sound(problems):
    assert not problems(objectives=BOTH, outcomeConstraints=QUICK)


@pytest.mark.parametrize(
    ("objectives", "path", "words"),
    [
        (BOTH[:1], "objectives", "must be 2 to 8"),
        ([BOTH[0], {"objectiveMetricName": "ms"}], "objectives[1].type", "must be minimize or maximize"),
        ([BOTH[0], {"type": "minimize"}], "objectives[1].objectiveMetricName", "is missing"),
        ([BOTH[0], {**BOTH[1], "objectiveMetricName": "mss"}], "objectives[1].objectiveMetricName", "did you mean ms?"),
        (
            [BOTH[0], {**BOTH[1], "objectiveMetricName": "watts"}],
            "objectives[1].objectiveMetricName",
            "must be a metric of spec.objective (acc, ms, mb); add it to spec.objective.additionalMetricNames",
        ),
        ([BOTH[0], BOTH[1], BOTH[1]], "objectives[2].objectiveMetricName", "stands above already"),
        ([{**BOTH[0], "type": "minimize"}, BOTH[1]], "objectives[0].type", "must be that of spec.objective, maximize"),
        ([BOTH[1], BOTH[1] | {"objectiveMetricName": "mb"}], "objectives[0].type", "must be that of spec.objective"),
        ([BOTH[0], {**BOTH[1], "tpye": "x"}], "objectives[1].tpye", "is not a known field"),
    ],
)
def test_objectives_that_say_something_else_are_refused(problems, objectives, path, words):
    found = dict(problems(objectives=objectives))
    assert words in found[path]


@pytest.mark.parametrize(
    ("constraint", "path", "words"),
    [
        ({"metricName": "ms"}, "", "must have atMost or atLeast"),
        ({"atMost": 1.0}, ".metricName", "is missing"),
        ({"metricName": "mss", "atMost": 1.0}, ".metricName", "did you mean ms?"),
        ({"metricName": "ms", "atMost": 1.0, "atLeast": 2.0}, ".atLeast", "is 2; must not exceed atMost, 1"),
        ({"metricName": "ms", "atMost": math.inf}, ".atMost", "must be a finite number"),
        ({"metricName": "ms", "atMost": "20"}, ".atMost", "must be a number: write 20"),
    ],
)
def test_a_constraint_that_bounds_nothing_is_refused(problems, constraint, path, words):
    [(where, message)] = problems(outcomeConstraints=[constraint])
    assert where == f"outcomeConstraints[0]{path}"
    assert words in message


def test_an_old_experiment_is_judged_by_its_objective_alone():
    judgement = ExperimentSpec.model_validate({"objective": OBJECTIVE}).judgement()
    assert (judgement.objectives, judgement.constraints) == ((), ())

"""What an experiment uses beyond Katib's protocol, from its spec to its trials."""

from dataclasses import replace

import grpc
import pytest
from support.simulation import experiment, sphere
from support.third_party import Suggestion, serving

from katib_py.backends.simulated.platform import SimulatedPlatform
from katib_py.backends.simulated.runner import SimulatedRun, from_function
from katib_py.controller.engine import Engine, Outcome
from katib_py.controller.ports import Key
from katib_py.core.errors import Rejected
from katib_py.core.names import LABEL_CONFIRMS

SPACE = {"min": "0", "max": "1"}
SWITCHED = {
    "parameters": [
        {"name": "x", "parameterType": "double", "feasibleSpace": SPACE},
        {"name": "more", "parameterType": "int", "feasibleSpace": SPACE},
        {"name": "y", "parameterType": "double", "feasibleSpace": SPACE},
    ],
    "parameterConditions": {"y": {"parent": "more", "values": ["1"]}},
    "parameterConstraints": ["x >= y"],
}


class OneService:
    """Every algorithm at one address."""

    def __init__(self, address):
        self._channel = grpc.aio.insecure_channel(address)

    async def channel(self, experiment):
        return self._channel

    async def early_stopping(self, experiment):
        return None

    async def close(self):
        await self._channel.close()


async def test_trials_have_their_active_parameters_and_satisfy_the_constraints(simulate):
    platform = simulate()
    await platform.run(experiment(**SWITCHED))
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    assert len(trials) == 12
    for values in (dict(trial.assignment.parameters) for trial in trials):
        assert set(values) == ({"x", "more", "y"} if values["more"] == "1" else {"x", "more"})
        assert "y" not in values or float(values["x"]) >= float(values["y"])


async def test_a_service_s_problems_come_one_by_one_each_at_its_field(simulate):
    settings = [{"name": "gama", "value": "1"}, {"name": "gamma", "value": "2"}]
    given = experiment(algorithm={"algorithmName": "tpe", "algorithmSettings": settings})
    with pytest.raises(Rejected) as refused:
        await simulate().run(given)
    assert [problem.path for problem in refused.value.problems] == [
        "spec.algorithm.algorithmSettings[0]",
        "spec.algorithm.algorithmSettings[1]",
    ]
    assert [problem.message.split("(")[0] for problem in refused.value.problems][1] == "failed to validate gamma"


@pytest.mark.parametrize("key", ["parameterConditions", "parameterConstraints"])
async def test_a_service_that_does_not_understand_a_key_is_refused(key):
    given = experiment(parameters=SWITCHED["parameters"], **{key: SWITCHED[key]})
    with serving(Suggestion=Suggestion(["0.5"])) as address:
        platform = SimulatedPlatform(from_function("loss", sphere), OneService(address))
        with pytest.raises(Rejected, match=f"spec.{key}: is not understood by the algorithm random"):
            await platform.run(given)


BOTH = {
    "objective": {"type": "minimize", "objectiveMetricName": "loss", "additionalMetricNames": ["cost"]},
    "objectives": [
        {"type": "minimize", "objectiveMetricName": "loss"},
        {"type": "minimize", "objectiveMetricName": "cost"},
    ],
}


def trade(parameters, trial):
    x = float(parameters["x"])
    return SimulatedRun(10.0, [(5.0, "loss", x), (5.0, "cost", 1 - x)])


async def test_the_front_and_the_best_within_the_constraints_are_in_the_status(simulate):
    platform = simulate(trade)
    bound = [{"metricName": "cost", "atMost": 0.5}]
    await platform.run(experiment(algorithm={"algorithmName": "tpe"}, outcomeConstraints=bound, **BOTH))
    status = platform.store.status(("default", "demo"))
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    losses = {trial.name: float(dict(trial.assignment.parameters)["x"]) for trial in trials}
    allowed = sorted((loss, name) for name, loss in losses.items() if 1 - loss <= 0.5)
    assert status["paretoFront"] == [name for _, name in allowed]
    assert status["currentOptimalTrial"]["bestTrialName"] == allowed[0][1]


async def test_initial_assignments_are_the_first_trials(simulate):
    platform = simulate()
    await platform.run(experiment(initialAssignments=[{"x": "0.25"}, {"x": "7.5e-1"}], parallelTrialCount=1))
    trials = await platform.store.finished(("default", "demo"), 0, 2)
    assert [trial.assignment.parameters for trial in trials] == [(("x", "0.25"),), (("x", "7.5e-1"),)]


TPE = {"algorithmName": "tpe"}


async def after(simulate, **spec):
    """A platform whose store has an ended experiment named earlier."""
    before, platform = simulate(), simulate()
    await before.run(experiment("earlier", maxTrialCount=30, **spec))
    platform.store = before.store
    platform.ports = replace(platform.ports, store=before.store)
    return platform


async def test_a_search_starts_where_another_one_ended(simulate):
    platform = await after(simulate)
    await platform.run(experiment(algorithm=TPE, warmStart=["earlier"], maxTrialCount=5))
    status = platform.store.status(("default", "demo"))
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    assert status["trials"] == len(trials) == 5
    assert min(sphere(dict(trial.assignment.parameters)) for trial in trials) < 0.01


async def test_what_cannot_be_started_from_is_said(simulate):
    platform = await after(simulate, parameters=[{"name": "z", "parameterType": "double", "feasibleSpace": SPACE}])
    with pytest.raises(Rejected) as caught:
        await platform.run(experiment(algorithm=TPE, warmStart=["earlier", "nobody"]))
    assert [str(problem) for problem in caught.value.problems] == [
        "spec.warmStart[0]: names 'earlier', of whose 30 trials 30 are not used: 30 because they have no parameter x",
        "spec.warmStart[1]: names 'nobody', which does not exist in namespace default",
    ]


async def test_an_algorithm_that_learns_nothing_starts_from_nothing(simulate):
    platform = await after(simulate)
    with pytest.raises(Rejected, match=r"spec\.warmStart: is not understood by the algorithm random"):
        await platform.run(experiment(warmStart=["earlier"]))


def noisy(parameters, trial):
    """The loss of the best place is better by far; a trial's own luck is worth more than a little."""
    luck = (sum(map(ord, trial)) % 100) / 1000
    return SimulatedRun(10.0, [(5.0, "loss", sphere(parameters) + luck)])


async def test_the_best_trials_are_run_again_and_the_best_by_its_mean_is_the_optimum(simulate):
    platform = simulate(noisy)
    await platform.run(experiment(confirm={"top": 3, "repeats": 4}))
    status = platform.store.status(("default", "demo"))
    trials = {trial.name: trial for trial in await platform.store.finished(("default", "demo"), 0, 100)}
    assert status["conditions"][-1]["reason"] == "ExperimentMaxTrialsReached"
    assert len(trials) == status["trials"] == 12 + 3 * 4
    assert sorted(trial.assignment.index for trial in trials.values()) == list(range(24))
    repeats = [trial for trial in trials.values() if trial.assignment.labels]
    assert len({trial.assignment.labels for trial in repeats}) == 12
    for trial in repeats:
        assert (
            trial.assignment.parameters == trials[dict(trial.assignment.labels)[LABEL_CONFIRMS]].assignment.parameters
        )
    means = [entry["mean"] for entry in status["confirmed"]]
    assert means == sorted(means)
    assert status["currentOptimalTrial"]["bestTrialName"] == status["confirmed"][0]["trialName"]


async def test_a_confirmation_goes_on_with_another_engine(simulate):
    given = experiment(confirm={"top": 2, "repeats": 3}, parallelTrialCount=1)
    platform = simulate(noisy)
    engine = Engine(platform.ports, platform.store.put(given), platform.wake, lambda board: stop(board, engine))

    def stop(board, engine):
        if board.tally.finished - board.tally.searched == 2:
            engine.interrupt()

    assert await engine.run() is Outcome.INTERRUPTED
    again = simulate(noisy)
    again.ports = replace(again.ports, store=platform.store)
    assert await Engine(again.ports, Key("default", "demo"), again.wake).run() is Outcome.FINISHED
    status = platform.store.status(("default", "demo"))
    assert status["trials"] == 12 + 2 * 3
    assert [entry["repeats"] for entry in status["confirmed"]] == [3, 3]


async def test_a_grid_goes_on_after_it_was_confirmed(simulate):
    parameters = [{"name": "x", "parameterType": "int", "feasibleSpace": {"min": "0", "max": "9"}}]
    spec = {"parameters": parameters, "algorithm": {"algorithmName": "grid"}, "confirm": {"top": 1, "repeats": 2}}
    platform = simulate()
    await platform.run(experiment(resumePolicy="LongRunning", maxTrialCount=4, **spec))
    again = simulate()
    again.store, again.ports = platform.store, replace(again.ports, store=platform.store)
    await again.run(experiment(resumePolicy="LongRunning", maxTrialCount=10, **spec))
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    searched = [trial.assignment.parameters for trial in trials if not trial.assignment.labels]
    assert len(searched) == len(set(searched)) == 10


async def test_repeats_that_fail_do_not_fail_the_experiment(simulate):
    first = []

    def once(parameters, trial):
        first.append(trial)
        return SimulatedRun(10.0, [(5.0, "loss", sphere(parameters))], succeeds=len(first) <= 12)

    platform = simulate(once)
    await platform.run(experiment(confirm={}, maxFailedTrialCount=1))
    status = platform.store.status(("default", "demo"))
    assert status["conditions"][-1]["reason"] == "ExperimentMaxTrialsReached"
    assert [entry["repeats"] for entry in status["confirmed"]] == [0, 0, 0]


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_search_that_has_begun_goes_on_whatever_became_of_the_other_one(simulate, forgotten):
    platform = await after(simulate)
    given = experiment(algorithm=TPE, warmStart=["earlier"], parallelTrialCount=1)
    engine = Engine(platform.ports, platform.store.put(given), platform.wake, lambda board: interrupt_after(board, 4))

    def interrupt_after(board, count):
        if board.tally.finished == count:
            engine.interrupt()

    assert await engine.run() is Outcome.INTERRUPTED
    if forgotten:
        platform.store.delete(Key("default", "earlier"))
    again = simulate()
    again.ports = replace(again.ports, store=platform.store)
    assert await Engine(again.ports, Key("default", "demo"), again.wake).run() is Outcome.FINISHED
    notes = [event.message for event in platform.store.events(("default", "demo")) if event.reason == "WarmStart"]
    assert bool(notes) == forgotten
    assert platform.store.status(("default", "demo"))["trials"] == 12

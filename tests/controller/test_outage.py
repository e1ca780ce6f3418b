"""The engine while its store or the observation log does not answer."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from support.simulation import curve, experiment, sphere

from katib_py.backends.simulated.runner import SimulatedRun, from_function
from katib_py.controller.engine import Engine, Outcome
from katib_py.controller.ports import Change, RunOrder, SuggestionRecord
from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.core.trial import Assignment, StopIntent, StopKind, TrialRecord, TrialState, trial_uid

STOPPING = {"algorithmName": "medianstop", "algorithmSettings": [{"name": "start_step", "value": "2"}]}


class Failing:
    """A port of which some methods fail while `fails()`."""

    def __init__(self, port, fails, *names):
        self._port, self._fails, self._names = port, fails, names

    def __getattr__(self, name):
        method = getattr(self._port, name)

        async def perhaps(*arguments):
            if self._fails():
                raise StoreUnavailable("the cable is out")
            return await method(*arguments)

        return perhaps if name in self._names else method


def now_and_then(seed):
    dice = Random(seed)
    return lambda: dice.random() < 0.5


def patient(platform, **ports):
    return replace(platform.ports, patience=1e9, **ports)


@pytest.mark.parametrize("seed", range(2))
async def test_a_store_that_fails_now_and_then_costs_no_trial_and_repeats_none(simulate, seed):
    runs = Counter()

    def simulation(parameters, trial):
        runs[trial] += 1
        return from_function("loss", sphere)(parameters, trial)

    platform = simulate(simulation)
    key = platform.store.put(experiment(algorithm={"algorithmName": "tpe"}))
    ports = patient(platform, store=Failing(platform.store, now_and_then(seed), "commit", "refresh"))
    assert await Engine(ports, key, platform.wake).run() is Outcome.FINISHED
    trials = await platform.store.finished(key, 0, 100)
    assert sorted(trial.assignment.index for trial in trials) == list(range(12))
    assert set(runs.values()) == {1}


@pytest.mark.parametrize("seed", range(2))
async def test_a_log_that_fails_now_and_then_loses_no_measurement(simulate, seed):
    platform = simulate(curve)
    key = platform.store.put(experiment(earlyStopping=STOPPING, maxTrialCount=30))
    log = Failing(platform.ports.observations, now_and_then(seed), "append", "read")
    assert await Engine(patient(platform, observations=log), key, platform.wake).run() is Outcome.FINISHED
    trials = await platform.store.finished(key, 0, 100)
    assert {trial.state for trial in trials} == {TrialState.SUCCEEDED, TrialState.EARLY_STOPPED}
    for trial in trials:
        level = sphere(dict(trial.assignment.parameters))
        assert float(trial.observation[0].latest) == pytest.approx(level)


async def test_what_keeps_the_engine_is_a_condition_until_it_is_over(simulate):
    platform = simulate()
    key, begin, said = platform.store.put(experiment()), platform.clock.now(), []

    def conditions():
        return [entry["type"] for entry in platform.store.status(key).get("conditions", ())]

    def fails():
        said.append(conditions())
        return 100 < platform.clock.now() - begin < 200

    log = Failing(platform.ports.observations, fails, "append")
    assert await Engine(patient(platform, observations=log), key, platform.wake).run() is Outcome.FINISHED
    assert ["Created", "Waiting", "Running"] in said
    assert "Waiting" not in conditions()


async def test_patience_ends(simulate):
    platform = simulate()
    key, begin = platform.store.put(experiment()), platform.clock.now()
    store = Failing(platform.store, lambda: True, "commit")
    with pytest.raises(StoreUnavailable, match="cable"):
        await Engine(replace(platform.ports, store=store, patience=60.0), key, platform.wake).run()
    assert 60.0 <= platform.clock.now() - begin <= 62.0


async def test_a_trial_that_was_being_stopped_when_its_controller_died_keeps_what_it_measured(simulate):
    platform = simulate(lambda parameters, trial: SimulatedRun(60.0, [(1.0, "loss", 0.5)]))
    key = platform.store.put(experiment(maxTrialCount=1))
    assignment = Assignment("demo-a", 0, (("x", "0.5"),))
    stop = StopIntent(StopKind.EARLY_STOPPED, "hopeless")
    trial = TrialRecord(assignment, 1.0, TrialState.RUNNING, started=2.0, stop=stop)
    await platform.store.commit(key, Change([assignment], 0, SuggestionRecord(1, 1), {trial.name: trial}))
    order = RunOrder(trial, trial_uid(experiment().metadata.uid, trial.name), {})
    await platform.ports.observations.append([(order, [Measurement("loss", "0.25", datetime.now(UTC), 1)])])
    assert await Engine(platform.ports, key, platform.wake).run() is Outcome.FINISHED
    (ended,) = await platform.store.finished(key, 0, 10)
    assert (ended.state, ended.observation[0].latest) == (TrialState.EARLY_STOPPED, "0.25")

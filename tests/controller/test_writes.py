"""What is written how often, where every write costs a request."""

from dataclasses import replace

import pytest
from support.simulation import experiment, sphere

from katib_py.backends.simulated.runner import SimulatedRun, from_function
from katib_py.controller.engine import Engine
from katib_py.core.trial import TrialState


class Written:
    """A store that notes the trials of each commit."""

    def __init__(self, store):
        self._store, self.commits = store, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def commit(self, key, change):
        self.commits.append(list(change.trials.values()))
        return await self._store.commit(key, change)

    def states(self):
        return [[trial.state for trial in commit] for commit in self.commits if commit]


@pytest.fixture
def written(simulate):
    """Run an experiment, and return what was written."""

    async def run(seconds, new_at_once=8, **spec):
        platform = simulate(from_function("loss", sphere, seconds))
        store = Written(platform.store)
        ports = replace(platform.ports, store=store, new_at_once=new_at_once)
        await Engine(ports, platform.store.put(experiment(**spec)), platform.wake).run()
        return store

    return run


async def test_an_experiment_begins_with_few_trials_and_takes_a_turn_for_the_rest(written):
    store = await written(60.0, maxTrialCount=30, parallelTrialCount=30)
    new = [commit.count(TrialState.CREATED) for commit in store.states()]
    assert [count for count in new if count] == [2, 4, 8, 8, 8]


async def test_where_a_turn_is_one_transaction_all_trials_are_created_in_it(written, simulate):
    store = await written(60.0, simulate().ports.new_at_once, maxTrialCount=30, parallelTrialCount=30)
    assert store.states()[0] == [TrialState.CREATED] * 30


async def test_a_trial_that_runs_for_a_while_is_written_when_it_is_created_runs_and_ends(written):
    store = await written(60.0, maxTrialCount=1, parallelTrialCount=1)
    assert store.states() == [[TrialState.CREATED], [TrialState.RUNNING], [TrialState.SUCCEEDED]]


async def test_a_trial_that_ends_within_a_moment_is_never_written_as_running(written):
    store = await written(0.1, maxTrialCount=1, parallelTrialCount=1)
    assert store.states() == [[TrialState.CREATED], [TrialState.SUCCEEDED]]


async def test_that_a_trial_runs_is_written_soon_though_others_come_and_go(simulate):
    seconds = iter([30.0, *[0.05] * 40])
    platform = simulate(lambda parameters, trial: SimulatedRun(next(seconds), [(0.01, "loss", 1.0)]))
    store = Written(platform.store)
    given = experiment(maxTrialCount=41, parallelTrialCount=2)
    await Engine(replace(platform.ports, store=store), platform.store.put(given), platform.wake).run()
    written = [trial for commit in store.commits for trial in commit if trial.state is TrialState.RUNNING]
    assert len(written) == 1

"""An engine on a platform that closes brings to its end what runs, and begins nothing."""

import asyncio
from dataclasses import replace

import pytest
from support.simulation import experiment

from katib_py.backends.simulated.runner import SimulatedRunner, from_function
from katib_py.controller.engine import Engine, Outcome
from katib_py.core.trial import TrialState


class Surviving(SimulatedRunner):
    """Finds the runs that another has left."""

    def __init__(self, clock, other):
        super().__init__(clock, from_function("loss", lambda parameters: 0.5))
        self._left = other._running

    def start(self, order):
        super().start(replace(order, adopt_only=False) if order.name in self._left else order)


@pytest.fixture
def successor(simulate):
    """Makes a platform that has the objects of another; it closes, or goes on."""

    def make(platform, closing):
        after = simulate()
        after.store._kept = platform.store._kept
        after.ports = replace(after.ports, runner=Surviving(after.clock, platform.ports.runner), closing=closing)
        return after

    return make


async def left_at(platform, given, turn_of):
    """The key of an experiment whose engine was killed once this held of its board."""

    def die(board):
        if turn_of(board):
            raise asyncio.CancelledError

    key = platform.store.put(given)
    with pytest.raises(asyncio.CancelledError):
        await Engine(platform.ports, key, platform.wake, die).run()
    return key


def one_of_three_runs(board):
    return board.tally.finished == 2 and [trial.state.value for trial in board.live.values()].count("Running") == 1


async def test_what_runs_ends_and_what_does_not_run_yet_is_left(simulate, successor):
    platform = simulate(workers=1)
    key = await left_at(platform, experiment(), one_of_three_runs)
    closing = successor(platform, closing=True)
    assert await Engine(closing.ports, key, closing.wake).run() is Outcome.CLOSED
    stored = await closing.store.load(key)
    assert {trial.state for trial in stored.live} == {TrialState.CREATED}
    assert len(await closing.store.finished(key, 0, 100)) == 3
    after = successor(closing, closing=False)
    assert await Engine(after.ports, key, after.wake).run() is Outcome.FINISHED
    trials = await after.store.finished(key, 0, 100)
    assert sorted(trial.assignment.index for trial in trials) == list(range(12))


async def test_a_new_experiment_is_left_alone(successor, simulate):
    closing = successor(simulate(), closing=True)
    key = closing.store.put(experiment())
    assert await Engine(closing.ports, key, closing.wake).run() is Outcome.CLOSED
    stored = await closing.store.load(key)
    assert (stored.live, stored.unused) == ((), ())


async def test_an_ended_experiment_whose_budget_was_raised_is_not_restarted(simulate, successor):
    platform = simulate()
    key = platform.store.put(experiment(resumePolicy="LongRunning"))
    await Engine(platform.ports, key, platform.wake).run()
    closing = successor(platform, closing=True)
    closing.store.put(experiment(resumePolicy="LongRunning", maxTrialCount=15))
    assert await Engine(closing.ports, key, closing.wake).run() is Outcome.FINISHED
    assert closing.store.status(key)["trialsSucceeded"] == 12

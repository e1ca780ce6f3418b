"""The engine, from an experiment's first trial to its end."""

import asyncio

import pytest
from support.simulation import curve, experiment, sphere

from katib_py.backends.simulated.runner import SimulatedRun, from_function
from katib_py.controller.engine import Engine, Outcome
from katib_py.core.errors import InvalidInput


async def run(platform, given):
    outcome = await platform.run(given)
    return outcome, platform.store.status(("default", given.name))


def reason(status):
    return status["conditions"][-1]["reason"]


async def test_an_experiment_runs_to_its_last_trial_and_names_the_best(simulate):
    platform = simulate()
    outcome, status = await run(platform, experiment())
    assert outcome is Outcome.FINISHED
    assert (reason(status), status["trialsSucceeded"]) == ("ExperimentMaxTrialsReached", 12)
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    best = min(sphere(dict(trial.assignment.parameters)) for trial in trials)
    assert float(status["currentOptimalTrial"]["observation"]["metrics"][0]["min"]) == pytest.approx(best)


async def test_no_two_trials_share_a_name(simulate):
    platform = simulate()
    await run(platform, experiment(maxTrialCount=100, parallelTrialCount=20))
    trials = await platform.store.finished(("default", "demo"), 0, 1000)
    assert len({trial.name for trial in trials}) == len(trials) == 100


async def test_a_reached_goal_ends_the_experiment_and_kills_what_runs(simulate):
    slow = {"count": 0}

    def simulation(parameters, trial):
        slow["count"] += 1
        return SimulatedRun(60.0 * slow["count"], [(1.0, "loss", 0.0)])

    objective = {"type": "minimize", "objectiveMetricName": "loss", "goal": 0.0}
    _, status = await run(simulate(simulation), experiment(objective=objective))
    assert reason(status) == "ExperimentGoalReached"
    assert (status["trialsSucceeded"], status["trialsKilled"]) == (1, 2)


async def test_too_many_failures_end_the_experiment(simulate):
    failing = lambda parameters, trial: SimulatedRun(10.0, [], succeeds=False)  # noqa: E731
    _, status = await run(simulate(failing), experiment(maxFailedTrialCount=3))
    assert (reason(status), status["trialsFailed"]) == ("ExperimentFailed", 3)


async def test_a_metric_that_never_appears_is_said_and_does_not_overshoot_the_budget(simulate):
    silent = lambda parameters, trial: SimulatedRun(10.0, [(5.0, "accuracy", 1.0)])  # noqa: E731
    platform = simulate(silent)
    _, status = await run(platform, experiment())
    assert status["trialMetricsUnavailable"] == 12
    trial = (await platform.store.finished(("default", "demo"), 0, 1))[0]
    assert "'accuracy'" in trial.message


async def test_a_finite_search_ends_the_experiment_when_it_is_exhausted(simulate):
    parameters = [{"name": "x", "parameterType": "int", "feasibleSpace": {"min": "0", "max": "4"}}]
    given = experiment(algorithm={"algorithmName": "grid"}, parameters=parameters, maxTrialCount=None)
    _, status = await run(simulate(), given)
    assert (reason(status), status["trialsSucceeded"]) == ("ExperimentSuggestionEndReached", 5)


async def test_the_longest_duration_ends_the_experiment(simulate):
    given = experiment(maxTrialCount=1000, maxDurationSeconds=300)
    _, status = await run(simulate(from_function("loss", sphere, 60.0)), given)
    assert reason(status) == "ExperimentMaxDurationReached"
    assert status["trialsSucceeded"] <= 15


async def test_trials_without_improvement_end_the_experiment(simulate):
    flat = from_function("loss", lambda parameters: 1.0)
    _, status = await run(simulate(flat), experiment(stopWhen={"trialsWithoutImprovement": 4}, parallelTrialCount=1))
    assert (reason(status), status["trialsSucceeded"]) == ("ExperimentNoImprovement", 5)


async def test_hopeless_trials_are_stopped_early_with_what_they_measured(simulate):
    stopping = {"algorithmName": "medianstop", "algorithmSettings": [{"name": "start_step", "value": "2"}]}
    platform = simulate(curve)
    _, status = await run(platform, experiment(earlyStopping=stopping, maxTrialCount=30))
    assert status["trialsEarlyStopped"] > 0
    assert status["trialsEarlyStopped"] + status["trialsSucceeded"] == 30
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    stopped = [trial for trial in trials if trial.state.value == "EarlyStopped"]
    assert all("median" in trial.message and trial.observation[0].latest != "unavailable" for trial in stopped)


async def test_fewer_workers_than_trials_make_the_others_wait_and_say_so(simulate):
    platform = simulate(workers=1)
    outcome, status = await run(platform, experiment())
    assert (outcome, status["trialsSucceeded"]) == (Outcome.FINISHED, 12)


async def test_a_setting_that_the_service_refuses_is_an_error_before_the_first_trial(simulate):
    settings = [{"name": "random_state", "value": "soon"}]
    given = experiment(algorithm={"algorithmName": "random", "algorithmSettings": settings})
    with pytest.raises(InvalidInput, match="random_state"):
        await simulate().run(given)


async def test_an_unknown_algorithm_is_an_error_before_the_first_trial(simulate):
    with pytest.raises(InvalidInput, match="rendom"):
        await simulate().run(experiment(algorithm={"algorithmName": "rendom"}))


async def test_a_suspended_experiment_ends_its_runs_and_continues_with_the_same_trials(simulate, suggesters):
    platform = simulate()
    key = platform.store.put(experiment())
    seen = []

    def watch(board):
        if board.tally.finished >= 4 and not seen:
            seen.append(board.tally.finished)
            platform.store.put(experiment(suspend=True))

    assert await Engine(platform.ports, key, platform.wake, watch).run() is Outcome.SUSPENDED
    assert "trialsRunning" not in platform.store.status(key)
    again = simulate()
    again.store._kept = platform.store._kept
    again.store.put(experiment())
    assert await Engine(again.ports, key, again.wake).run() is Outcome.FINISHED
    trials = await again.store.finished(key, 0, 100)
    assert len({trial.name for trial in trials}) == len(trials) == 12
    assert any(trial.attempt == 2 for trial in trials)


async def test_a_raised_budget_restarts_a_finished_experiment(simulate):
    platform = simulate()
    await run(platform, experiment(resumePolicy="LongRunning"))
    again = simulate()
    again.store._kept = platform.store._kept
    _, status = await run(again, experiment(resumePolicy="LongRunning", maxTrialCount=15))
    assert status["trialsSucceeded"] == 15
    assert "Restarting" in [entry["type"] for entry in status["conditions"]]


@pytest.mark.parametrize("turn", [1, 2, 3, 5, 8, 13])
async def test_a_controller_killed_at_any_turn_loses_and_repeats_nothing(simulate, turn):
    platform = simulate()
    key = platform.store.put(experiment(algorithm={"algorithmName": "tpe"}))
    turns = []

    def die(board):
        turns.append(1)
        if len(turns) == turn:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Engine(platform.ports, key, platform.wake, die).run()
    again = simulate()
    again.store._kept = platform.store._kept
    assert await Engine(again.ports, key, again.wake).run() is Outcome.FINISHED
    trials = await again.store.finished(key, 0, 100)
    assert sorted(trial.assignment.index for trial in trials) == list(range(12))


async def test_a_last_trial_that_ends_while_the_search_answers_short_does_not_stall_the_experiment(simulate):
    """The reply says "nothing more while a trial is active", and by then none is."""
    seconds = iter([10.0, 10.0, 10.0, 10.000001, *[10.0] * 100])

    def simulation(parameters, trial):
        return SimulatedRun(next(seconds), [(1.0, "loss", 0.5)])

    parameters = [{"name": "x", "parameterType": "int", "feasibleSpace": {"min": "0", "max": "3"}}]
    grid = {"algorithmName": "grid"}
    given = experiment(algorithm=grid, parameters=parameters, maxTrialCount=None, parallelTrialCount=4)
    platform = simulate(simulation)

    class Hurried(type(platform.clock)):
        """Moves on while the service is being asked."""

        async def wait(self, wake, pause, busy):
            await super().wait(wake, pause, False)
            await asyncio.sleep(0)

    platform.clock.__class__ = Hurried
    async with asyncio.timeout(60):
        _, status = await run(platform, given)
    assert reason(status) == "ExperimentSuggestionEndReached"

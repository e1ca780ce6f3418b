"""A trial that runs and does not report its objective is not waited for in silence."""

from dataclasses import replace

from support.simulation import experiment

from katib_py.backends.simulated.runner import SimulatedRun
from katib_py.controller.engine import Engine


async def waits(platform, given):
    """What the trials of an experiment waited for, turn by turn, without repetitions."""
    seen = []

    def watch(board):
        shown = {
            (trial.waiting.reason, trial.waiting.message) if trial.waiting else None for trial in board.live.values()
        }
        if shown and (not seen or seen[-1] != shown):
            seen.append(shown)

    ports = replace(platform.ports, sees_output=True)
    await Engine(ports, platform.store.put(given), platform.wake, watch).run()
    return [next(iter(shown)) for shown in seen]


def reporting(*curve):
    return lambda parameters, trial: SimulatedRun(600.0, curve)


ONE = {"maxTrialCount": 1, "parallelTrialCount": 1}


async def test_it_is_said_with_the_metrics_that_were_seen_and_taken_back_when_it_comes(simulate):
    platform = simulate(reporting((10.0, "accuracy", 0.5), (300.0, "loss", 0.1)))
    before, during, after = await waits(platform, experiment(**ONE))
    assert before is after is None
    assert during == ("MetricNotSeen", "the objective metric 'loss' was not reported; these were: 'accuracy'")


async def test_nothing_is_said_of_a_trial_that_reports_in_time(simulate):
    platform = simulate(reporting((10.0, "loss", 0.5)))
    assert await waits(platform, experiment(**ONE)) == [None]

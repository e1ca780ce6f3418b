"""Searches over amounts of a resource, from the first trial to the end of their schedule."""

from collections import Counter
from itertools import count

import pytest
from support.simulation import experiment

from katib_py.backends.simulated.runner import SimulatedRun

# Li et al. (2018), section 3: the bracket's number, and how many configurations its rungs evaluate.
PUBLISHED = {
    27: {3: [27, 9, 3, 1], 2: [12, 4, 1], 1: [6, 2], 0: [4]},
    81: {4: [81, 27, 9, 3, 1], 3: [34, 11, 3, 1], 2: [15, 5, 1], 1: [8, 2], 0: [5]},
}


def training():
    """Trials of which every tenth fails; an epoch takes a minute."""
    begun = count()

    def train(parameters, trial):
        epochs = int(parameters["epochs"])
        loss = (float(parameters["x"]) - 0.3) ** 2 + 1 / epochs
        return SimulatedRun(60.0 * epochs, [(60.0 * epochs, "loss", loss)], succeeds=next(begun) % 10 != 9)

    return train


def search(algorithm, most, **spec):
    settings = [{"name": "r_l", "value": str(most)}, {"name": "resource_name", "value": "epochs"}]
    given = {
        "algorithm": {"algorithmName": algorithm, "algorithmSettings": settings},
        "maxTrialCount": None,
        "parameters": [
            {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}},
            {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": str(most)}},
        ],
        **spec,
    }
    return experiment(**given)


async def run(platform, given):
    """The status at the end, and the finished trials."""
    await platform.run(given)
    key = ("default", given.name)
    return platform.store.status(key), await platform.store.finished(key, 0, 10_000)


def labels(trial):
    return {key.rpartition("/")[2]: value for key, value in trial.assignment.labels}


@pytest.mark.parametrize("most", PUBLISHED)
@pytest.mark.parametrize("parallel", [1, 4, 9, 81])
async def test_hyperband_evaluates_the_published_numbers_and_ends(most, parallel, simulate):
    status, trials = await run(simulate(training()), search("hyperband", most, parallelTrialCount=parallel))

    rungs = Counter((int(labels(trial)["bracket"]), int(labels(trial)["rung"])) for trial in trials)
    expected = {(s, rung): size for s, sizes in PUBLISHED[most].items() for rung, size in enumerate(sizes)}
    assert rungs == expected
    assert status["conditions"][-1]["reason"] == "ExperimentSuggestionEndReached"
    assert status["trialsFailed"] == len(trials) // 10


async def test_what_goes_on_names_the_trial_that_it_continues(simulate):
    _, trials = await run(simulate(training()), search("hyperband", 27, parallelTrialCount=9))
    known = {trial.name: dict(trial.assignment.parameters) for trial in trials}
    for trial in trials:
        if parent := labels(trial).get("parent"):
            before, after = known[parent], known[trial.name]
            assert (before["x"], 3 * int(before["epochs"])) == (after["x"], int(after["epochs"]))


@pytest.mark.parametrize("algorithm", ["asha", "bohb"])
async def test_the_budget_ends_a_search_that_has_no_end_of_its_own(algorithm, simulate):
    status, trials = await run(simulate(training()), search(algorithm, 27, parallelTrialCount=10, maxTrialCount=120))
    assert status["conditions"][-1]["reason"] == "ExperimentMaxTrialsReached"
    assert len({labels(trial)["rung"] for trial in trials}) == 4

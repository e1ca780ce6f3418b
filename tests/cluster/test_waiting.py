"""What a run waits for is said on its Trial, on an Experiment all of whose trials wait, and in one Event."""

import asyncio

import pytest
from support.cluster.experiments import condition, last
from support.cluster.hindrances import REASONS, Hindrances


@pytest.fixture(scope="module")
def hindrances(api_server, shared_namespace, shared_controller):
    return asyncio.run(Hindrances(api_server, shared_namespace).play())


@pytest.fixture(params=REASONS)
def name(request):
    return request.param


def test_trial_and_experiment_say_what_is_waited_for_and_show_what_they_are(hindrances, name):
    for found in hindrances.waited[name]:
        waiting = condition(found, "Waiting")
        assert waiting["reason"] == REASONS[name]
        assert waiting["message"]
        assert last(found)[0] in ("Created", "Running")


def test_what_was_waited_for_is_gone_once_it_is_cured(hindrances, name):
    trial, experiment = hindrances.cured[name]
    assert last(trial) == ("Running", "TrialRunning")
    assert last(experiment) == ("Running", "ExperimentRunning")


def test_a_wait_is_one_event(hindrances, name):
    waiting = condition(hindrances.waited[name][0], "Waiting")
    assert hindrances.events[name] == [("Warning", waiting["reason"], waiting["message"])]


def test_a_container_that_is_being_created_is_no_wait(hindrances):
    assert hindrances.told["creating"] == [None]


def test_a_wait_is_told_once_however_often_its_words_alternate(hindrances, name):
    assert [wait for wait in hindrances.told[name] if wait] == [
        (REASONS[name], condition(hindrances.waited[name][0], "Waiting")["message"])
    ]

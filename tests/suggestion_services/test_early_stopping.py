from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from katib_py.wire import api, rpc

# What trials have measured, by name.
LOGS = {"a": "1 2 3 9", "b": "2 2 2 2", "c": "9 9 9 9", "text": "nan word 4", "empty": ""}


class DBManager:
    """An observation log that counts how often it is read."""

    def __init__(self):
        self.reads = []

    def GetObservationLog(self, request, context):
        self.reads.append(request.trial_name)
        reply = api.GetObservationLogReply()
        for value in LOGS[request.trial_name].split():
            reply.observation_log.metric_logs.add().metric.value = value
        return reply

    ReportObservationLog = DeleteObservationLog = GetObservationLog


@pytest.fixture
def db_manager(tmp_path):
    servicer, server = DBManager(), grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((rpc.handler("DBManager", servicer),))
    servicer.address = f"unix:{tmp_path}/db"
    server.add_insecure_port(servicer.address)
    server.start()
    yield servicer
    server.stop(None).wait()


@pytest.fixture
def rules(channel, db_manager, experiment):
    experiment.spec.early_stopping.algorithm_name = "medianstop"
    experiment.spec.early_stopping.algorithm_settings.add(name="start_step", value="3")
    call = rpc.call(channel, "EarlyStopping", "GetEarlyStoppingRules")

    def rules(*names, address=db_manager.address):
        trials = [api.Trial(name=name, status=api.TrialStatus(condition=api.TrialStatus.SUCCEEDED)) for name in names]
        running = api.Trial(name="running", status=api.TrialStatus(condition=api.TrialStatus.RUNNING))
        request = api.GetEarlyStoppingRulesRequest(
            experiment=experiment, trials=[*trials, running], db_manager_address=address
        )
        return [
            (rule.name, float(rule.value), rule.comparison, rule.start_step)
            for rule in call(request).early_stopping_rules
        ]

    return rules


def test_the_rule_is_the_median_of_the_first_steps(rules):
    assert rules("a", "b", "c") == [("loss", 2.0, api.GREATER, 3)]


def test_a_bound_is_a_rule_and_the_rungs_of_asha_are_none(rules, experiment):
    spec = experiment.spec.early_stopping
    spec.algorithm_name = "threshold"
    spec.algorithm_settings.add(name="upper", value="2.5")
    assert rules("a") == [("loss", 2.5, api.GREATER, 3)]
    spec.Clear()
    spec.algorithm_name = "asha"
    assert rules("a", "b", "c") == []


def test_a_maximized_objective_stops_below(rules, experiment):
    experiment.spec.objective.type = api.MAXIMIZE
    assert rules("a", "b", "c") == [("loss", 2.0, api.LESS, 3)]


def test_too_few_results_make_no_rule(rules):
    assert rules() == rules("a", "b") == rules("a", "b", "empty") == []


def test_empty_logs_and_text_are_tolerated(rules):
    assert rules("a", "b", "c", "empty", "text") == [("loss", 3.0, api.GREATER, 3)]


def test_a_finished_trial_is_read_once(rules, db_manager):
    rules("a", "b", "c")
    rules("a", "b", "c", "text")
    assert db_manager.reads == ["a", "b", "c", "text"]


def test_a_db_manager_that_does_not_answer_is_named(rules):
    with pytest.raises(grpc.RpcError) as error:
        rules("a", address="unix:/nowhere")
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "the db-manager at unix:/nowhere does not answer" in error.value.details()


@pytest.mark.parametrize(
    ("algorithm", "name", "value", "words"),
    [
        ("medianstop", "min_trials_required", "0", "min_trials_required"),
        ("medianstop", "start_step", "x", "start_step"),
        ("medianstop", "colour", "red", "colour"),
        ("meanstop", "start_step", "4", "meanstop"),
        ("asha", "eta", "1", "eta must be a number above 1"),
        ("threshold", "start_step", "4", "one of lower, upper and stop_on_nan must be given"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(channel, algorithm, name, value, words):
    spec = api.EarlyStoppingSpec(algorithm_name=algorithm)
    spec.algorithm_settings.add(name=name, value=value)
    request = api.ValidateEarlyStoppingSettingsRequest(early_stopping=spec)
    with pytest.raises(grpc.RpcError) as error:
        rpc.call(channel, "EarlyStopping", "ValidateEarlyStoppingSettings")(request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in error.value.details()


def test_settings_of_katib_are_taken(channel):
    spec = api.EarlyStoppingSpec(algorithm_name="medianstop")
    spec.algorithm_settings.add(name="min_trials_required", value="2")
    request = api.ValidateEarlyStoppingSettingsRequest(early_stopping=spec)
    rpc.call(channel, "EarlyStopping", "ValidateEarlyStoppingSettings")(request)


def test_a_trials_status_is_not_set_here(channel):
    with pytest.raises(grpc.RpcError) as error:
        rpc.call(channel, "EarlyStopping", "SetTrialStatus")(api.SetTrialStatusRequest(trial_name="a"))
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED

"""The committed messages are those of proto/api.proto, and Katib's numbers are kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from katib_py.wire import api, history

ROOT = Path(__file__).parents[2]

# Katib's messages with their fields in the order of the numbers (api.md §11.2); ours begin at 100.
KATIB = {
    "Experiment": {"name": 1, "spec": 2},
    "ExperimentSpec": {
        "parameter_specs": 1,
        "objective": 2,
        "algorithm": 3,
        "early_stopping": 4,
        "parallel_trial_count": 5,
        "max_trial_count": 6,
        "nas_config": 7,
    },
    "ParameterSpec": {"name": 1, "parameter_type": 2, "feasible_space": 3},
    "FeasibleSpace": {"max": 1, "min": 2, "list": 3, "step": 4, "distribution": 5},
    "ObjectiveSpec": {"type": 1, "goal": 2, "objective_metric_name": 3, "additional_metric_names": 4},
    "Trial": {"name": 1, "spec": 2, "status": 3},
    "TrialSpec": {"objective": 2, "parameter_assignments": 3, "labels": 4},
    "TrialStatus": {"start_time": 1, "completion_time": 2, "condition": 3, "observation": 4},
    "MetricLog": {"time_stamp": 1, "metric": 2},
    "ReportObservationLogRequest": {"trial_name": 1, "observation_log": 2},
    "GetObservationLogRequest": {"trial_name": 1, "metric_name": 2, "start_time": 3, "end_time": 4},
    "GetSuggestionsRequest": {
        "experiment": 1,
        "trials": 2,
        "current_request_number": 4,
        "total_request_number": 5,
    },
    "GetSuggestionsReply": {"parameter_assignments": 1, "algorithm": 2, "early_stopping_rules": 3},
    "GetEarlyStoppingRulesRequest": {"experiment": 1, "trials": 2, "db_manager_address": 3},
    "EarlyStoppingRule": {"name": 1, "value": 2, "comparison": 3, "start_step": 4},
    "SetTrialStatusRequest": {"trial_name": 1},
}
CALLS = {
    "DBManager": ["ReportObservationLog", "GetObservationLog", "DeleteObservationLog"],
    "Suggestion": ["GetSuggestions", "ValidateAlgorithmSettings"],
    "EarlyStopping": ["GetEarlyStoppingRules", "SetTrialStatus", "ValidateEarlyStoppingSettings"],
}


def test_the_committed_descriptors_and_types_are_those_of_the_proto_file(tmp_path):
    subprocess.run([sys.executable, ROOT / "proto" / "build.py", tmp_path], check=True, cwd=ROOT)
    for name in ("api.binpb", "api.pyi"):
        assert (tmp_path / name).read_bytes() == (ROOT / "katib_py" / "wire" / name).read_bytes(), name


@pytest.mark.parametrize("message", KATIB)
def test_katibs_fields_keep_their_numbers_and_ours_begin_at_100(message):
    fields = {field.name: field.number for field in getattr(api, message).DESCRIPTOR.fields}
    assert {name: number for name, number in fields.items() if number < 100} == KATIB[message]


@pytest.mark.parametrize("service", CALLS)
def test_katibs_services_have_katibs_calls(service):
    descriptor = api.POOL.FindServiceByName(f"api.v1.beta1.{service}")
    assert [method.name for method in descriptor.methods] == CALLS[service]


def test_the_trial_conditions_keep_their_numbers():
    names = ["CREATED", "RUNNING", "SUCCEEDED", "KILLED", "FAILED", "METRICSUNAVAILABLE", "EARLYSTOPPED", "UNKNOWN"]
    assert [getattr(api.TrialStatus, name) for name in names] == list(range(8))


def test_a_history_has_another_digest_after_every_trial():
    first = history.extend(history.EMPTY, api.Trial(name="a"))
    second = history.extend(first, api.Trial(name="b"))
    assert len({history.EMPTY, first, second}) == 3
    assert second == history.extend(first, api.Trial(name="b"))

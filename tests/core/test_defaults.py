"""What an Experiment means where it says nothing (api.md §7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.defaults import default
from katib_py.core.parse import parse_experiment

COMPLETE = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
SUCCEEDED = 'status.conditions.#(type=="Succeeded")#|#(status=="True")#'
MASTER = {"training.kubeflow.org/job-role": "master"}


@pytest.fixture
def defaulted(document):
    return lambda changes=None: default(parse_experiment(document(changes)).experiment).spec


@pytest.mark.parametrize(("most", "parallel"), [(..., 3), (1, 1), (2, 2), (3, 3), (100, 3), (0, 3)])
def test_three_trials_run_at_once_but_never_more_than_there_may_be(defaulted, most, parallel):
    spec = defaulted({"spec.maxTrialCount": most, "spec.parallelTrialCount": ...})
    assert spec.parallel_trial_count == parallel


def test_what_is_written_stays(defaulted, document):
    spec = defaulted({"spec.resumePolicy": "LongRunning"})
    assert spec.parallel_trial_count == 2
    assert spec.resume_policy == "LongRunning"
    assert spec.algorithm.algorithm_name == "random"


def test_an_absent_algorithm_is_tpe(defaulted):
    assert defaulted({"spec.algorithm": ...}).algorithm.algorithm_name == "auto"


def test_the_search_of_an_architecture_has_no_default_algorithm(defaulted):
    assert defaulted({"spec.algorithm": ..., "spec.nasConfig": {}}).algorithm is None


def test_every_parameter_gets_the_uniform_distribution_unless_it_names_one(defaulted):
    assert [item.feasible_space.distribution for item in defaulted().parameters] == ["logUniform", "uniform"]


@pytest.mark.parametrize(("direction", "strategy"), [("minimize", "min"), ("maximize", "max")])
def test_metrics_without_a_strategy_get_the_objectives_direction(defaulted, direction, strategy):
    strategies = [{"name": "loss", "value": "latest"}]
    spec = defaulted({"spec.objective.type": direction, "spec.objective.metricStrategies": strategies})
    assert [(item.name, item.value) for item in spec.objective.metric_strategies] == [
        ("loss", "latest"),
        ("acc", strategy),
    ]


@pytest.mark.parametrize(
    ("kind", "success", "labels"),
    [
        ("Job", COMPLETE, {}),
        ("PyTorchJob", SUCCEEDED, MASTER),
        ("TFJob", SUCCEEDED, MASTER),
        ("XGBoostJob", SUCCEEDED, MASTER),
        ("MPIJob", SUCCEEDED, MASTER),
        (
            "TrainJob",
            COMPLETE,
            {"jobset.sigs.k8s.io/replicatedjob-name": "node", "batch.kubernetes.io/job-completion-index": "0"},
        ),
        ("Something", "", {}),
    ],
)
def test_conditions_and_primary_labels_follow_the_kind(defaulted, kind, success, labels):
    template = defaulted({"spec.trialTemplate.trialSpec.kind": kind}).trial_template
    assert template.success_condition == success
    assert bool(template.failure_condition) == bool(success)
    assert template.primary_pod_labels == labels


def test_a_template_in_a_config_map_gets_no_conditions(defaulted):
    changes = {"spec.trialTemplate.trialSpec": ..., "spec.trialTemplate.configMap": {"configMapName": "x"}}
    assert defaulted(changes).trial_template.success_condition == ""


@pytest.mark.parametrize(
    ("given_spec", "expected"),
    [
        (None, {"collector": {"kind": "StdOut"}}),
        ({}, {"collector": {"kind": "StdOut"}}),
        ({"collector": {}}, {"collector": {"kind": "StdOut"}}),
        ({"collector": {"kind": "Push"}}, {"collector": {"kind": "Push"}}),
        (
            {"collector": {"kind": "File"}},
            {
                "collector": {"kind": "File"},
                "source": {"fileSystemPath": {"kind": "File", "path": "/var/log/katib/metrics.log", "format": "TEXT"}},
            },
        ),
        (
            {"collector": {"kind": "File"}, "source": {"fileSystemPath": {"path": "/m", "format": "JSON"}}},
            {
                "collector": {"kind": "File"},
                "source": {"fileSystemPath": {"kind": "File", "path": "/m", "format": "JSON"}},
            },
        ),
        (
            {"collector": {"kind": "TensorFlowEvent"}},
            {
                "collector": {"kind": "TensorFlowEvent"},
                "source": {"fileSystemPath": {"kind": "Directory", "path": "/var/log/katib/tfevent/"}},
            },
        ),
        (
            {"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": "9000"}}},
            {
                "collector": {"kind": "PrometheusMetric"},
                "source": {"httpGet": {"path": "/metrics", "port": "9000"}},
            },
        ),
    ],
)
def test_a_collector_knows_where_to_look(defaulted, given_spec, expected):
    assert defaulted({"spec.metricsCollectorSpec": given_spec}).metrics_collector_spec.dump() == expected


optional = st.fixed_dictionaries(
    {},
    optional={
        "spec.maxTrialCount": st.none() | st.integers(-1, 5),
        "spec.parallelTrialCount": st.none() | st.integers(-1, 5),
        "spec.algorithm": st.none() | st.just({}),
        "spec.resumePolicy": st.sampled_from(["", "Never", "x"]),
        "spec.objective": st.none() | st.just({"objectiveMetricName": "a", "additionalMetricNames": ["a", "b", "b"]}),
        "spec.trialTemplate.trialSpec": st.none() | st.sampled_from([{"kind": "Job"}, {"kind": "TrainJob"}, {}]),
        "spec.metricsCollectorSpec": st.sampled_from(
            [None, {}, *({"collector": {"kind": kind}} for kind in ("File", "TensorFlowEvent", "Custom"))]
        ),
    },
)


@given(optional)
def test_writing_the_defaults_out_twice_changes_nothing_more(document, changes):
    once = default(parse_experiment(document(changes)).experiment)
    assert default(once) == once
    assert default(parse_experiment(once.dump()).experiment) == once

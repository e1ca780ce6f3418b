"""Every rule about an Experiment itself (api.md §8, §9 and docs/compatibility.md), one line each."""

import math

import pytest

from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment
from katib_py.core.load import load_experiment
from katib_py.core.validate import NO_CHECKS, Checks, validate

SPEC, TEMPLATE, PARAMETERS = "spec", "spec.trialTemplate", "spec.parameters"
SPACE = "spec.parameters.0.feasibleSpace"
JOB = "spec.trialTemplate.trialSpec.spec"
POD = "spec.trialTemplate.trialSpec.spec.template.spec"
COLLECTOR = "spec.metricsCollectorSpec"


@pytest.fixture(scope="session")
def found(document):
    """The (path, severity, message) of what is wrong with the sound document, changed."""

    def problems(changes, checks=NO_CHECKS):
        experiment = default(Experiment.model_validate(document(changes)))
        return [(item.path, item.severity, item.message) for item in validate(experiment, checks)]

    return problems


def only(problems, severity="error"):
    """The single problem's path and message."""
    assert [item[1] for item in problems] == [severity], problems
    return problems[0][0], problems[0][2]


def test_the_sound_document_is_sound(document):
    assert load_experiment(document()).warnings == ()


NAMES = ["a_b", "a.b", "abc-", "Abc", "1a", "", "a/../b", "a\n", "ä"]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_is_a_dns_label_that_begins_with_a_letter(found, name):
    assert only(found({"metadata.name": name}))[0] == "metadata.name"


def test_the_name_leaves_room_for_the_trials_names(found):
    assert found({"metadata.name": "a" * 40}) == []
    assert "has 41 characters" in only(found({"metadata.name": "a" * 41}))[1]


@pytest.mark.parametrize("namespace", ["../../etc", "", "A", "a.b", "a" * 64])
def test_the_namespace_is_a_dns_label(found, namespace):
    assert only(found({"metadata.namespace": namespace}))[0] == "metadata.namespace"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("maxTrialCount", 0),
        ("maxTrialCount", -1),
        ("parallelTrialCount", 0),
        ("maxFailedTrialCount", -1),
        ("maxDurationSeconds", 0),
        ("parallelTrialCount", 7),
        ("maxFailedTrialCount", 7),
        ("resumePolicy", "Always"),
    ],
)
def test_budgets_are_possible(found, field, value):
    assert only(found({f"spec.{field}": value}))[0] == f"spec.{field}"


def test_patience_is_at_least_one_trial(found):
    path = "spec.stopWhen.trialsWithoutImprovement"
    assert only(found({path: 0}))[0] == path
    assert found({path: 1}) == []


@pytest.mark.parametrize(("field", "value"), [("parallelTrialCount", 6), ("maxFailedTrialCount", 6)])
def test_counts_may_equal_the_number_of_trials(found, field, value):
    assert found({f"spec.{field}": value}) == []


def test_an_experiment_that_nothing_ends_is_warned_about(found):
    endless = {"spec.maxTrialCount": ..., "spec.objective.goal": ...}
    assert only(found(endless), "warning")[0] == "spec.maxTrialCount"
    assert only(found({**endless, "spec.stopWhen": {}}), "warning")[0] == "spec.maxTrialCount"
    assert found({**endless, "spec.maxDurationSeconds": 60}) == []


@pytest.mark.parametrize(
    ("algorithm", "cycles", "ends"),
    [
        ("grid", None, True),
        ("hyperband", None, True),
        ("hyperband", "0", False),
        ("bohb", None, False),
        ("bohb", "2", True),
        ("asha", None, False),
    ],
)
def test_what_ends_with_its_schedule_needs_no_budget(found, algorithm, cycles, ends):
    settings = [] if cycles is None else [{"name": "cycles", "value": cycles}]
    chosen = {"spec.algorithm": {"algorithmName": algorithm, "algorithmSettings": settings}}
    assert (found({"spec.maxTrialCount": ..., "spec.objective.goal": ..., **chosen}) == []) is ends


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"spec.objective": ...}, "spec.objective"),
        ({"spec.objective.type": ...}, "spec.objective.type"),
        ({"spec.objective.objectiveMetricName": ""}, "spec.objective.objectiveMetricName"),
        ({"spec.objective.additionalMetricNames": ["acc"]}, "spec.objective.additionalMetricNames[0]"),
        ({"spec.objective.additionalMetricNames": [""]}, "spec.objective.additionalMetricNames[0]"),
        ({"spec.objective.metricStrategies": [{"name": "acc"}]}, "spec.objective.metricStrategies[0].value"),
        (
            {"spec.objective.metricStrategies": [{"name": "acc", "value": "max"}, {"name": "acc", "value": "min"}]},
            "spec.objective.metricStrategies[1].name",
        ),
    ],
)
def test_the_objective_is_whole(found, changes, path):
    assert only(found(changes))[0] == path


@pytest.mark.parametrize("goal", [math.inf, -math.inf, math.nan])
def test_a_goal_is_a_finite_number(found, goal):
    assert only(found({"spec.objective.goal": goal}))[0] == "spec.objective.goal"


def test_a_strategy_for_a_metric_of_no_interest_is_warned_about(found):
    changes = {"spec.objective.metricStrategies": [{"name": "other", "value": "max"}]}
    assert only(found(changes), "warning")[0] == "spec.objective.metricStrategies[0].name"


def test_an_algorithm_has_a_name_that_can_be_had(found):
    path = "spec.algorithm.algorithmName"
    assert only(found({path: ""}))[0] == path
    known = Checks(algorithms=["random", "tpe"])
    assert found({}, known) == []
    assert "did you mean random?" in only(found({path: "randon"}, known))[1]


def test_settings_have_names_and_a_second_value_is_warned_about(found):
    path = "spec.algorithm.algorithmSettings"
    assert only(found({path: [{"value": "1"}]}))[0] == f"{path}[0].name"
    twice = [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]
    assert only(found({path: twice}), "warning")[0] == f"{path}[1].name"


def test_early_stopping_is_checked_by_its_own_algorithm(found):
    path = "spec.earlyStopping"
    assert found({path: {"algorithmName": "medianstop"}}) == []
    wrong = {"algorithmName": "medianstop", "algorithmSettings": [{"name": "start_step", "value": "0"}]}
    assert only(found({path: wrong}))[0] == f"{path}.algorithmSettings[0].value"
    assert only(found({path: {}}))[0] == f"{path}.algorithmName"
    bound = [{"name": "upper", "value": "1"}, {"name": "metric", "value": "memory"}]
    words = only(found({path: {"algorithmName": "threshold", "algorithmSettings": bound}}))[1]
    assert words == "watch 'memory', which is not collected; must be one of acc, loss"
    unknown = Checks(early_stopping=["medianstop"])
    assert "did you mean medianstop?" in only(found({path: {"algorithmName": "medianstpo"}}, unknown))[1]


def test_either_parameters_or_an_architecture_is_searched(found):
    bare = {"spec.parameters": ..., "spec.trialTemplate.trialParameters": []}
    paths = [item[0] for item in found(bare)]
    assert "spec.parameters" in paths
    nas = {"operations": [{"operationType": "convolution", "parameters": []}]}
    assert only(found({"spec.nasConfig": nas}))[0] == "spec.nasConfig"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "opt"}, None),
        ({"parameterType": ...}, "parameterType"),
        ({"parameterType": "unknown"}, "parameterType"),
        ({"feasibleSpace": {}}, None),
        ({"feasibleSpace.min": ""}, "feasibleSpace.min"),
        ({"feasibleSpace.max": ""}, "feasibleSpace.max"),
        ({"feasibleSpace.list": ["1"]}, "feasibleSpace.list"),
        ({"feasibleSpace.min": "x"}, "feasibleSpace.min"),
        ({"feasibleSpace.min": "1_0"}, "feasibleSpace.min"),
        ({"feasibleSpace.min": "１"}, "feasibleSpace.min"),
        ({"feasibleSpace.max": "nan"}, "feasibleSpace.max"),
        ({"feasibleSpace.max": "1e999"}, "feasibleSpace.max"),
        ({"feasibleSpace.max": "9" * 400}, "feasibleSpace.max"),
        ({"feasibleSpace.max": "0.0001"}, "feasibleSpace.min"),
        ({"feasibleSpace.min": "0"}, "feasibleSpace.min"),
        ({"feasibleSpace.min": "1e-400"}, "feasibleSpace.min"),
        ({"feasibleSpace.step": "0"}, "feasibleSpace.step"),
        ({"feasibleSpace.step": "-1"}, "feasibleSpace.step"),
        ({"feasibleSpace.step": "1e-30"}, "feasibleSpace.step"),
        ({"feasibleSpace.min": "-1.7e308", "feasibleSpace.max": "1.7e308"}, None),
        ({"parameterType": "int"}, None),
        ({"parameterType": "int", "feasibleSpace": {"min": "1", "max": "1e30"}}, "feasibleSpace.max"),
        ({"parameterType": "int", "feasibleSpace": {"min": "1", "max": "9", "step": "0.5"}}, "feasibleSpace.step"),
        ({"parameterType": "discrete", "feasibleSpace": {"list": ["1", "x"]}}, "feasibleSpace.list[1]"),
        ({"parameterType": "discrete", "feasibleSpace": {"list": []}}, "feasibleSpace.list"),
        ({"parameterType": "discrete", "feasibleSpace": {"list": ["inf"]}}, "feasibleSpace.list[0]"),
        ({"parameterType": "categorical", "feasibleSpace": {}}, "feasibleSpace.list"),
        ({"parameterType": "categorical", "feasibleSpace": {"list": ["a"], "min": "1"}}, "feasibleSpace.min"),
        ({"parameterType": "discrete", "feasibleSpace": {"list": ["1"], "step": "1"}}, "feasibleSpace.step"),
    ],
)
def test_a_parameter_that_cannot_be_searched_is_refused(found, changes, path):
    problems = found({f"spec.parameters.0.{key}": value for key, value in changes.items()})
    assert all(severity == "error" for _, severity, _ in problems)
    assert problems
    if path is not None:
        assert problems[0][0] == f"spec.parameters[0].{path}"


@pytest.mark.parametrize(
    "changes",
    [
        {"min": "-1", "max": "1", "distribution": "uniform"},
        {"min": "1", "max": "1"},
        {"min": " 1e-5 ", "max": "+.5"},
        {"min": "0.1", "max": "1", "step": "0.3", "distribution": "normal"},
    ],
)
def test_a_range_may_be_a_point_negative_or_uneven(found, changes):
    assert found({SPACE: changes}) == []


@pytest.mark.parametrize(
    ("space", "path"),
    [
        ({"parameterType": "categorical", "feasibleSpace": {"list": ["a", "a"]}}, "feasibleSpace.list[1]"),
        ({"parameterType": "discrete", "feasibleSpace": {"list": ["1", "1.0"]}}, "feasibleSpace.list[1]"),
        ({"parameterType": "int", "feasibleSpace": {"min": "1", "max": "3", "step": "9"}}, "feasibleSpace.step"),
    ],
)
def test_what_is_odd_but_can_be_searched_is_warned_about(found, space, path):
    assert only(found({"spec.parameters.0": {"name": "lr", **space}}), "warning")[0] == f"spec.parameters[0].{path}"


NAS = {
    "graphConfig": {"numLayers": 2, "inputSizes": [8], "outputSizes": [2]},
    "operations": [
        {
            "operationType": "conv",
            "parameters": [{"name": "size", "parameterType": "categorical", "feasibleSpace": {"list": ["3"]}}],
        },
        {"operationType": "skip"},
    ],
}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, None),
        ({"operations": []}, "operations"),
        ({"operations.0.operationType": ""}, "operations[0].operationType"),
        ({"operations.0.parameters.0.feasibleSpace.list": []}, "operations[0].parameters[0].feasibleSpace.list"),
        ({"graphConfig.numLayers": 0}, "graphConfig.numLayers"),
        ({"graphConfig.inputSizes": [8, 0]}, "graphConfig.inputSizes[1]"),
    ],
)
def test_an_architecture_has_operations_to_choose_from(found, changes, path):
    base = {"spec.nasConfig": NAS, "spec.parameters": []}
    problems = found({**base, **{f"spec.nasConfig.{key}": value for key, value in changes.items()}})
    assert [item[0] for item in problems] == ([f"spec.nasConfig.{path}"] if path else [])


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"spec.trialTemplate": ...}, TEMPLATE),
        ({f"{TEMPLATE}.primaryContainerName": ""}, f"{TEMPLATE}.primaryContainerName"),
        ({f"{TEMPLATE}.primaryContainerName": "other"}, f"{TEMPLATE}.primaryContainerName"),
        ({f"{TEMPLATE}.successCondition": "status.#"}, f"{TEMPLATE}.successCondition"),
        ({f"{TEMPLATE}.trialParameters.2.name": ""}, None),
        ({f"{TEMPLATE}.trialParameters.2.name": "a{b"}, None),
        ({f"{TEMPLATE}.trialParameters.2.name": "rate"}, None),
        ({f"{TEMPLATE}.trialParameters.2.reference": ""}, f"{TEMPLATE}.trialParameters[2].reference"),
        ({f"{TEMPLATE}.trialParameters.2.reference": "lr"}, f"{TEMPLATE}.trialParameters[2].reference"),
        ({f"{TEMPLATE}.trialParameters.2.reference": "l"}, f"{TEMPLATE}.trialParameters[2].reference"),
        ({f"{TEMPLATE}.trialParameters.2.reference": "${trialSpec.X}"}, f"{TEMPLATE}.trialParameters[2].reference"),
        ({f"{POD}.containers.0.command": ["${trialParameters.rate}"]}, f"{TEMPLATE}.trialParameters[1].name"),
        ({f"{POD}.containers.0.args": ["${trialParameters.rat}"]}, f"{TEMPLATE}.trialSpec"),
        ({f"{TEMPLATE}.trialSpec": ...}, None),
        ({f"{TEMPLATE}.configMap": {"configMapName": "x"}}, f"{TEMPLATE}.configMap"),
        ({f"{TEMPLATE}.trialSpec.apiVersion": ""}, f"{TEMPLATE}.trialSpec.apiVersion"),
        ({f"{TEMPLATE}.trialSpec.metadata": {"name": "x"}}, f"{TEMPLATE}.trialSpec.metadata.name"),
        ({f"{TEMPLATE}.trialSpec.metadata": {"namespace": "x"}}, f"{TEMPLATE}.trialSpec.metadata.namespace"),
        ({f"{TEMPLATE}.trialSpec.metadata": "x"}, f"{TEMPLATE}.trialSpec.metadata"),
    ],
)
def test_a_template_that_cannot_be_run_is_refused(found, changes, path):
    problems = [item for item in found(changes) if item[1] == "error"]
    assert problems
    if path is not None:
        assert problems[0][0] == path


def test_every_parameter_reaches_the_trial(found):
    changes = {f"{TEMPLATE}.trialParameters.0.reference": "${trialSpec.Kind}"}
    assert only(found(changes))[0] == "spec.parameters[0].name"


def test_a_kind_without_default_conditions_needs_both(found):
    changes = {f"{TEMPLATE}.trialSpec.kind": "Rocket"}
    assert [item[0] for item in found(changes)] == [f"{TEMPLATE}.successCondition", f"{TEMPLATE}.failureCondition"]


def test_text_that_looks_like_a_placeholder_and_is_none_is_warned_about(found):
    changes = {f"{POD}.containers.0.args": ["${trialSpec.Name}"]}
    assert only(found(changes), "warning")[0] == f"{TEMPLATE}.trialSpec"


def test_a_misspelt_field_of_a_job_is_warned_about_with_the_nearest_name(found):
    path, message = only(found({f"{JOB}.backoffLimt": 3}), "warning")
    assert path == f"{JOB}.backoffLimt"
    assert "did you mean backoffLimit?" in message
    path, _ = only(found({f"{POD}.containers.0.comand": []}), "warning")
    assert path == f"{POD}.containers[0].comand"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({f"{JOB}.backoffLimit": "3"}, f"{JOB}.backoffLimit"),
        ({f"{JOB}.backoffLimit": "${trialParameters.rate}"}, f"{JOB}.backoffLimit"),
        ({f"{JOB}.template": []}, f"{JOB}.template"),
        ({f"{POD}.initContainers": {}}, f"{POD}.initContainers"),
    ],
)
def test_a_job_that_the_api_server_would_refuse_is_refused(found, changes, path):
    assert (path, "error") in [item[:2] for item in found(changes)]


def in_config_map(text, **changes):
    where = {"configMapName": "t", "configMapNamespace": "team-a", "templatePath": "job.yaml"}
    conditions = {f"{TEMPLATE}.{field}": "status.x" for field in ("successCondition", "failureCondition")}
    base = {f"{TEMPLATE}.trialSpec": ..., f"{TEMPLATE}.configMap": where, **conditions}
    return {**base, **changes}, Checks(config_maps={("team-a", "t"): {"job.yaml": text}})


CONFIG_MAP_TEXT = """
apiVersion: batch/v1
kind: Job
spec:
  backoffLimit: ${trialParameters.rate}
  template: {spec: {containers: [{name: main, args: ["${trialParameters.optimizer}", "${trialParameters.self}"]}]}}
"""


def test_a_template_in_a_config_map_is_looked_into_where_config_maps_are_at_hand(found):
    assert found(*in_config_map(CONFIG_MAP_TEXT)) == []
    changes, checks = in_config_map(CONFIG_MAP_TEXT.replace("main", "other"))
    assert only(found(changes, checks))[0] == f"{TEMPLATE}.primaryContainerName"
    assert found(changes) == []
    assert only(found(changes, Checks(config_maps={})))[0] == f"{TEMPLATE}.configMap"


def test_a_config_map_source_names_map_namespace_and_key(found):
    changes, _ = in_config_map("")
    changes[f"{TEMPLATE}.configMap"] = {"configMapName": "t"}
    paths = [item[0] for item in found(changes)]
    assert paths == [f"{TEMPLATE}.configMap.configMapNamespace", f"{TEMPLATE}.configMap.templatePath"]


def file_path(collector, **fields):
    return {"collector": {"kind": collector}, "source": {"fileSystemPath": fields}}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (file_path("File", path="m.log"), "source.fileSystemPath.path"),
        (file_path("File", path="/a/../../m.log"), "source.fileSystemPath.path"),
        (file_path("File", kind="Directory"), "source.fileSystemPath.kind"),
        (file_path("File", format="CSV"), "source.fileSystemPath.format"),
        (file_path("TensorFlowEvent", kind="File"), "source.fileSystemPath.kind"),
        (file_path("TensorFlowEvent", format="TEXT"), "source.fileSystemPath.format"),
        (
            {
                "collector": {"kind": "File"},
                "source": {"fileSystemPath": {"format": "JSON"}, "filter": {"metricsFormat": ["(a)(b)"]}},
            },
            "source.filter",
        ),
        ({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": -1}}}, "source.httpGet.port"),
        ({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": "http"}}}, "source.httpGet.port"),
        ({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": 70000}}}, "source.httpGet.port"),
        ({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"path": "m"}}}, "source.httpGet.path"),
        ({"collector": {"kind": "Custom"}}, "collector.customCollector"),
        (
            {
                "collector": {"kind": "Custom", "customCollector": {"name": "c"}},
                "source": {"fileSystemPath": {"path": "/x", "kind": "Invalid"}},
            },
            "source.fileSystemPath.kind",
        ),
    ],
)
def test_a_collector_that_cannot_collect_is_refused(found, spec, path):
    assert only(found({COLLECTOR: spec}))[0] == f"{COLLECTOR}.{path}"


@pytest.mark.parametrize("kind", ["StdOut", "File", "Push"])
def test_the_filters_of_every_kind_are_checked(found, kind):
    spec = {"collector": {"kind": kind}, "source": {"filter": {"metricsFormat": ["good", "bad"]}}}
    checks = Checks(check_regex=lambda pattern: "must be good" if pattern == "bad" else None)
    assert only(found({COLLECTOR: spec}, checks)) == (
        f"{COLLECTOR}.source.filter.metricsFormat[1]",
        "is 'bad'; must be good",
    )

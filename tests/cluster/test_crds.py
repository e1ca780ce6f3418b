"""What a real API server makes of the CustomResourceDefinitions."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from support.cluster import binaries
from support.cluster.client import Refused
from support.cluster.kinds import install, path_of
from support.documents import sound
from support.schemas import defaulted, schema_of
from support.shell import wait_for

from katib_py.core.defaults import default
from katib_py.core.documents import read_documents
from katib_py.core.parse import parse_experiment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
ALL = {"dryRun": "All"}


@pytest.fixture(scope="module")
def definitions(api_server):
    return install(api_server.client)


@pytest.fixture
def kubectl(api_server, definitions):
    def run(*arguments, stdin=None):
        command = [binaries.find("kubectl"), "--kubeconfig", api_server.kubeconfig, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def create(api_server, definitions, namespace):
    """Makes the sound experiment with these changes, and returns it as it is stored."""

    def make(changes=None, **query):
        given = sound({"metadata.namespace": namespace, **(changes or {})})
        return api_server.client.post(path_of(namespace, "Experiment"), given, **query)

    return make


@pytest.fixture
def edit(api_server, namespace):
    """Patches the experiment `demo`, or its status."""

    def patch(changes, *subresource):
        return api_server.client.patch(path_of(namespace, "Experiment", "demo", *subresource), changes)

    return patch


def test_the_definitions_are_structural(definitions):
    for definition in definitions:
        states = {entry["type"]: entry["status"] for entry in definition["status"]["conditions"]}
        assert states == {"Established": "True", "NamesAccepted": "True"}


def test_applying_them_gives_no_warning(kubectl):
    kubectl("apply", "--server-side", "--warnings-as-errors", "-k", str(ROOT / "manifests" / "base" / "crds"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_stored_as_it_is_but_for_defaults(api_server, definitions, namespace, file):
    documents = read_documents(file.read_bytes())
    given = next(item for item in documents if item["kind"] == "Experiment")
    given["metadata"]["namespace"] = namespace
    stored = api_server.client.post(path_of(namespace, "Experiment"), given)
    assert stored["spec"] == defaulted(schema_of("Experiment"), given)["spec"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_cores_defaults_are_accepted_too(api_server, definitions, namespace, file):
    given = next(item for item in read_documents(file.read_bytes()) if item["kind"] == "Experiment")
    given["metadata"]["namespace"] = namespace
    written = default(parse_experiment(given).experiment).dump()
    assert api_server.client.post(path_of(namespace, "Experiment"), written, **ALL)["spec"] == written["spec"]


REFUSED = [
    ({"spec": ...}, "spec: Required value"),
    ({"spec.objective": ...}, "spec.objective: Required value"),
    ({"spec.objective.type": "max"}, 'supported values: "minimize", "maximize"'),
    ({"spec.objective.objectiveMetricName": ""}, "spec.objective.objectiveMetricName"),
    ({"spec.objective.goal": "0.9"}, "spec.objective.goal in body must be of type number"),
    ({"spec.parallelTrialCount": 7}, "spec.parallelTrialCount: .* must not exceed maxTrialCount"),
    ({"spec.maxFailedTrialCount": 8}, "spec.maxFailedTrialCount: .* must not exceed maxTrialCount"),
    ({"spec.maxTrialCount": 0}, "greater than or equal to 1"),
    ({"spec.maxTrialCount": 2**31}, "less than or equal to 2147483647"),
    ({"spec.maxTrialCount": "6"}, "spec.maxTrialCount in body must be of type integer"),
    ({"spec.stopWhen": {"trialsWithoutImprovement": 0}}, "greater than or equal to 1"),
    ({"spec.resumePolicy": "Always"}, 'supported values: "Never", "LongRunning", "FromVolume"'),
    ({"spec.parameters": ...}, "must have parameters or nasConfig"),
    ({"spec.nasConfig": {}}, "must have parameters or nasConfig"),
    ({"spec.parameters.0.parameterType": "float"}, "spec.parameters.0..parameterType: Unsupported value"),
    ({"spec.parameters.0.feasibleSpace.min": 0.1}, "feasibleSpace.min in body must be of type string"),
    ({"spec.parameters.0.feasibleSpace": {}}, "feasibleSpace: .* must have min and max"),
    ({"spec.parameters.0.feasibleSpace.list": ["1"]}, "feasibleSpace.list: .* is for discrete and categorical"),
    ({"spec.parameters.1.feasibleSpace.step": "1"}, "feasibleSpace.step: .* is for int and double"),
    ({"spec.parameters.1.feasibleSpace.distribution": "even"}, "feasibleSpace.distribution: Unsupported value"),
    ({"spec.trialTemplate.configMap": {}}, "must have trialSpec or configMap"),
    ({"spec.trialTemplate.trialSpec": ...}, "must have trialSpec or configMap"),
    ({"spec.metricsCollectorSpec": {"collector": {"kind": "Stdout"}}}, "collector.kind: Unsupported value"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[",".join(changes) for changes, _ in REFUSED])
def test_a_gross_error_is_refused_without_a_controller(create, changes, words):
    with pytest.raises(Refused, match=words) as refused:
        create(changes, **ALL)
    assert refused.value.code == 422


def test_null_is_absent(create):
    nulls = ("spec.maxTrialCount", "spec.nasConfig", "spec.resumePolicy", "spec.algorithm.algorithmSettings")
    spec = create(dict.fromkeys(nulls))["spec"]
    assert spec["resumePolicy"] == "Never"
    assert spec["algorithm"] == {"algorithmName": "random"}
    assert not {"maxTrialCount", "nasConfig"} & spec.keys()


def test_unknown_fields_survive_everywhere(create):
    extra = {"new": [{"deep": None}]}
    places = ("extra", "spec.unheardOf", "spec.parameters.0.extra", "spec.parameters.0.feasibleSpace.extra")
    stored = create(dict.fromkeys((*places, "spec.trialTemplate.trialSpec.metadata.extra"), extra))
    assert stored["extra"] == stored["spec"]["unheardOf"] == extra
    assert stored["spec"]["parameters"][0]["extra"] == extra
    assert stored["spec"]["parameters"][0]["feasibleSpace"]["extra"] == extra
    assert stored["spec"]["trialTemplate"]["trialSpec"]["metadata"]["extra"] == extra


def test_a_misspelt_field_gives_no_warning_that_kubectl_would_refuse(kubectl, namespace):
    given = sound({"metadata.namespace": namespace, "spec.maxTrialsCount": 5})
    kubectl("create", "--validate=strict", "--dry-run=server", "-f", "-", stdin=json.dumps(given))


EDITS = [
    {"parallelTrialCount": 3, "maxTrialCount": 9, "maxFailedTrialCount": 2},
    {"suspend": True, "maxDurationSeconds": 60, "stopWhen": {"trialsWithoutImprovement": 4}},
]


@pytest.mark.parametrize("spec", EDITS)
def test_the_budgets_of_an_experiment_with_trials_can_be_changed(create, edit, spec):
    create()
    edit({"status": {"trials": 1}}, "status")
    assert edit({"spec": spec})["spec"].items() >= spec.items()


def test_an_edit_cannot_let_more_run_than_there_may_be(create, edit):
    create()
    edit({"status": {"trials": 1}}, "status")
    for spec in ({"parallelTrialCount": 7}, {"maxTrialCount": 1}):
        with pytest.raises(Refused, match="must not exceed maxTrialCount"):
            edit({"spec": spec})


def test_the_whole_object_can_be_sent_back_with_another_budget(create, edit):
    create()
    whole = edit({"status": {"trials": 1, "completionTime": None}}, "status")
    whole["spec"]["maxTrialCount"] = 9
    whole["status"]["trials"] = "nonsense"
    assert edit(whole)["status"]["trials"] == 1


CHANGES = {
    "objective.goal": [0.5, 0.6, None],
    "parameters": [[{"parameterType": "int", "feasibleSpace": {"min": "1", "max": high}}] for high in ("2", "3")],
    "trialTemplate.trialSpec": [{"spec": {"template": {"spec": {"priority": priority}}}} for priority in (1, 2)],
    "trialTemplate.successCondition": ["a.b", "a.c", None],
    "algorithm": [{"algorithmName": name} for name in ("tpe", "sobol")],
    "earlyStopping": [{"algorithmName": "medianstop"}, {"algorithmName": "asha"}, None],
}


def nested(path, value):
    for step in reversed(path.split(".")):
        value = {step: value}
    return {"spec": value}


@pytest.mark.parametrize("path", CHANGES)
def test_what_is_searched_stays_once_there_are_trials(create, edit, path):
    correction, *others = CHANGES[path]
    create()
    edit(nested(path, correction))
    edit({"status": {"trials": 1}}, "status")
    for value in others:
        with pytest.raises(Refused, match=f"spec.{path}: .* cannot be changed, because there are trials"):
            edit(nested(path, value))
    assert edit({"metadata": {"labels": {"still": "possible"}}})


def test_defaults_may_be_filled_in_later(create, edit):
    create({"spec.algorithm": ...})
    edit({"status": {"trials": 1}}, "status")
    edit({"spec": default(parse_experiment(sound({"spec.algorithm": ...})).experiment).dump()["spec"]})


def test_a_completion_time_is_null_until_it_is_known(api_server, create, namespace):
    whole = {**create(), "status": {"completionTime": None, "startTime": None}}
    stored = api_server.client.put(path_of(namespace, "Experiment", "demo", "status"), whole)
    assert stored["status"] == {"completionTime": None}


COLUMNS = {
    "Experiment": ["NAME", "TYPE", "STATUS", "AGE"],
    "Suggestion": ["NAME", "TYPE", "STATUS", "REQUESTED", "ASSIGNED", "AGE"],
    "Trial": ["NAME", "TYPE", "STATUS", "AGE"],
}
STORED = {kind: yaml.safe_load((HERE / "stored" / f"{kind.lower()}s.yaml").read_text()) for kind in COLUMNS}


@pytest.mark.parametrize("kind", COLUMNS)
def test_kubectl_shows_the_last_condition(api_server, kubectl, namespace, kind):
    given = STORED[kind][0]
    name = given["metadata"]["name"]
    api_server.client.post(path_of(namespace, kind), {**given, "metadata": {"name": name}})
    api_server.client.patch(path_of(namespace, kind, name, "status"), {"status": given["status"]})
    titles, row = kubectl("get", f"{kind}s", "-n", namespace).splitlines()
    assert titles.split() == COLUMNS[kind]
    last = given["status"]["conditions"][-1]
    assert row.split()[1:3] == [last["type"], last["status"]]


def test_kubectl_lists_the_objects_of_a_category(create, kubectl, namespace):
    create()
    assert "experiment.kubeflow.org/demo" in kubectl("get", "katib", "-n", namespace, "-o", "name")


def test_kubectl_explains_fields(kubectl):
    told = wait_for(lambda: kubectl("explain", "experiment.spec.parameters.feasibleSpace"))
    assert "How random values are drawn; uniform by default." in told
    assert "enum: uniform, logUniform" in told

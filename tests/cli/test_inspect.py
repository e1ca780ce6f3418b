"""Looking at what the store holds."""

import json

import pytest
import yaml


@pytest.fixture
def done(shell):
    assert shell("run", shell.write()).returncode == 0
    return shell


def first_trial(shell):
    return json.loads(shell("get", "trials", "demo", "-o", "json").stdout)["items"][0]


def test_trials_are_objects_as_katibs_clients_know_them(done):
    trial = first_trial(done)
    assert (trial["apiVersion"], trial["kind"]) == ("kubeflow.org/v1beta1", "Trial")
    assert [entry["type"] for entry in trial["status"]["conditions"]] == ["Created", "Running", "Succeeded"]
    assert trial["status"]["observation"]["metrics"][0]["name"] == "loss"
    assert trial["metadata"]["labels"]["katib.kubeflow.org/experiment"] == "demo"


def test_the_suggestion_lists_every_assignment(done):
    suggestion = json.loads(done("get", "suggestion", "demo", "-o", "json").stdout)
    assert suggestion["status"]["suggestionCount"] == len(suggestion["status"]["suggestions"]) == 4


def test_an_experiment_is_described_in_words_from_its_state_to_its_events(done):
    said = done("describe", "experiment", "demo").stdout
    in_order = [
        "experiment demo, namespace default",
        "state      Succeeded since ",
        "trials     4: 4 succeeded",
        "objective  minimize loss, no goal",
        "algorithm  random",
        "search     x: 0 to 1 (double uniform)",
        "budget     4 of 4 trials finished (maxTrialCount)",
        "best       loss=",
        "Conditions",
        "Succeeded True ExperimentMaxTrialsReached",
        "Events",
        "ExperimentMaxTrialsReached of experiment demo",
        "More: katib-py get trials demo",
    ]
    assert [words for words in in_order if words not in said] == []
    assert sorted(in_order, key=said.index) == in_order


def test_a_trial_is_described_in_words_with_its_folder_and_the_command_for_its_output(done):
    trial = first_trial(done)["metadata"]["name"]
    said = done("describe", "trial", trial).stdout
    for words in (
        f"trial {trial}",
        "Succeeded since",
        "x = 0.",
        "loss = 0.",
        "attempt     1",
        f"katib-py logs {trial}",
    ):
        assert words in said
    assert f"{done.folder / 'home' / 'runs' / 'default' / 'demo' / trial / '1'}\n" in said.replace(" ", "")


def test_a_suggestion_is_described_as_yaml(done):
    suggestion, _ = yaml.safe_load_all(done("describe", "suggestion", "demo").stdout)
    assert suggestion["status"]["suggestionCount"] == 4


def test_an_experiment_is_described_as_the_json_that_get_gives(done):
    assert (
        done("describe", "experiment", "demo", "-o", "json").stdout
        == done("get", "experiment", "demo", "-o", "json").stdout
    )


def test_describe_prints_yaml_that_can_be_read_back(done):
    experiment, events = yaml.safe_load_all(done("describe", "experiment", "demo", "-o", "yaml").stdout)
    assert experiment["status"]["trialsSucceeded"] == 4
    assert [event["reason"] for event in events["items"]] == ["ExperimentMaxTrialsReached"]


def test_logs_print_what_the_trial_wrote(done):
    trial = first_trial(done)
    value = trial["spec"]["parameterAssignments"][0]["value"]
    assert done("logs", trial["metadata"]["name"]).stdout == f"loss={value}\n"


def test_best_shows_the_best_first(done):
    best = json.loads(done("best", "demo", "-o", "json").stdout)
    values = [float(trial["status"]["observation"]["metrics"][0]["min"]) for trial in best["trials"]]
    assert values == sorted(values)
    assert best["bestTrialName"] == best["trials"][0]["metadata"]["name"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("get", "experiment", "nobody"), "nobody"),
        (("describe", "trial", "nobody"), "nobody"),
        (("logs", "nobody"), "nobody"),
        (("best", "nobody"), "nobody"),
        (("stop", "nobody"), "nobody"),
        (("get", "things"), "things"),
        (("get", "experimnts"), "did you mean experiments?"),
        (("get", "experiments", "-o", "xml"), "xml"),
        (("describe", "experiment", "nobody", "-o", "xml"), "must be table or yaml or json"),
        (("describe", "event", "nobody"), "katib-py get events nobody"),
        (("get", "experiments", "--db", "nonsense"), "nonsense"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(shell, arguments, words):
    done = shell(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("best", "dmo"), "did you mean demo?"),
        (("stop", "demoo"), "did you mean demo?"),
        (("logs", "demo"), "katib-py get trials demo"),
        (("describe", "experiment", "demo", "-n", "other"), "add -n default"),
    ],
)
def test_of_what_is_not_there_the_nearest_is_said(done, arguments, words):
    answer = done(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert words in answer.stderr

"""`katib-py run`, from the first trial to the exit code."""

import json
import signal
import sqlite3
from contextlib import closing, suppress

import psutil
import pytest
from support.shell import document, interrupt, wait_for

SLOW = "echo loss=${trialParameters.x}; sleep 600"


def status(shell, name="demo"):
    return json.loads(shell("get", "experiment", name, "-o", "json").stdout)["status"]


def running(shell):
    """The processes that trials of this folder left."""
    home = str(shell.folder / "home")
    found = psutil.process_iter(["environ"])
    return [process for process in found if (process.info["environ"] or {}).get("KATIB_RUN", "").startswith(home)]


def test_an_experiment_runs_to_its_end_and_shows_the_best_trials(shell):
    done = shell("run", shell.write())
    assert done.returncode == 0, done.stderr
    assert "Succeeded ExperimentMaxTrialsReached" in done.stdout
    assert done.stdout.count("demo-") >= 4
    assert status(shell)["trialsSucceeded"] == 4


def test_with_json_the_last_line_is_the_experiment(shell):
    done = shell("run", shell.write(), "-o", "json")
    experiment = json.loads(done.stdout.splitlines()[-1])
    assert experiment["kind"] == "Experiment"
    assert experiment["status"]["conditions"][-1]["type"] == "Succeeded"


def test_the_same_file_run_again_reports_and_runs_nothing(shell):
    path = shell.write()
    shell("run", path)
    before = shell("get", "trials", "demo").stdout
    again = shell("run", path)
    assert (again.returncode, shell("get", "trials", "demo").stdout) == (0, before)


def test_a_raised_budget_goes_on_where_the_policy_allows(shell):
    shell("run", shell.write(resumePolicy="LongRunning"))
    done = shell("run", shell.write(resumePolicy="LongRunning", maxTrialCount=6))
    assert done.returncode == 0, done.stderr
    assert status(shell)["trialsSucceeded"] == 6


def test_a_raised_budget_is_refused_where_the_policy_does_not_allow_it(shell):
    shell("run", shell.write())
    refused = shell("run", shell.write(maxTrialCount=6))
    assert refused.returncode == 2
    assert "resumePolicy" in refused.stderr


def test_an_edit_beyond_the_budget_is_refused_and_named(shell):
    shell("run", shell.write(resumePolicy="LongRunning"))
    refused = shell("run", shell.write(resumePolicy="LongRunning", algorithm={"algorithmName": "tpe"}))
    assert refused.returncode == 2
    assert "algorithm" in refused.stderr


def test_failing_trials_fail_the_experiment_and_say_why(shell):
    done = shell(
        "run", shell.write(command="echo ${trialParameters.x}; echo broken >&2; exit 3", maxFailedTrialCount=1)
    )
    assert done.returncode == 1
    assert "exit status 3" in shell("get", "trials", "demo").stdout


def test_every_problem_of_a_file_is_named_at_once_and_nothing_runs(shell):
    path = shell.write(objective={"type": "minimise", "objectiveMetricName": ""}, maxTrialCount=-1)
    refused = shell("run", path)
    assert refused.returncode == 2
    for field in ("spec.objective.type", "spec.objective.objectiveMetricName", "spec.maxTrialCount"):
        assert field in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_misspelt_budget_is_refused_and_not_an_experiment_without_end(shell, command):
    refused = shell(command, shell.write(maxTrialCount=None, maxTrialsCount=4))
    assert refused.returncode == 2
    assert "spec.maxTrialsCount" in refused.stderr
    assert "did you mean maxTrialCount?" in refused.stderr


def test_an_unknown_field_that_is_near_no_absent_budget_is_a_warning(shell):
    passed = shell("validate", shell.write(maxTrialsCount=4, owner="me"))
    assert passed.returncode == 0, passed.stderr
    assert passed.stderr.count("warning: ") == 3  # the image that is not used, and the two fields


def test_an_algorithm_that_does_not_exist_is_an_error_with_the_nearest_name(shell):
    refused = shell("run", shell.write(algorithm={"algorithmName": "randm"}))
    assert refused.returncode == 2
    assert "random" in refused.stderr


def test_a_file_that_is_not_there_is_an_error(shell):
    refused = shell("run", "nowhere.yaml")
    assert (refused.returncode, "nowhere.yaml" in refused.stderr) == (2, True)


def test_an_experiment_is_read_from_standard_input(shell):
    done = shell("run", "-", stdin=json.dumps(document("piped", "echo loss=${trialParameters.x}")))
    assert done.returncode == 0, done.stderr


def test_an_interrupt_ends_the_runs_and_the_next_run_starts_them_again(shell):
    path = shell.write(command=SLOW)
    process = shell.start("run", path)
    wait_for(lambda: status(shell).get("trialsRunning") == 2 if (shell.folder / "home" / "katib.db").exists() else 0)
    assert interrupt(process) == 130
    process.communicate()
    assert running(shell) == []
    again = shell.start("run", path)
    wait_for(lambda: "2" in {child.name for child in (shell.folder / "home" / "runs").glob("*/*/*/*")})
    assert interrupt(again) == 130
    again.communicate()


def test_what_a_killed_controller_left_running_is_ended_by_stop_and_continued_by_run(shell):
    path = shell.write(command="echo loss=${trialParameters.x}; sleep 3")
    process = shell.start("run", path)
    wait_for(lambda: list((shell.folder / "home").glob("runs/*/*/*/1/output")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert running(shell)
    stopped = shell("stop", "demo")
    assert stopped.returncode == 0, stopped.stderr
    assert running(shell) == []
    assert shell("run", path).returncode == 0
    assert status(shell)["trialsSucceeded"] == 4


REWRITTEN = """\
echo loss=1 >/m/log; echo loss=4 >>/m/log; until [ -e go ]; do sleep 0.05; done; echo loss=3 >/m/log"""


def test_what_was_measured_before_a_kill_counts_also_where_its_file_was_written_anew(shell):
    source = {"fileSystemPath": {"path": "/m/log", "kind": "File", "format": "TEXT"}}
    collector = {"collector": {"kind": "File"}, "source": source}
    one = {"maxTrialCount": 1, "parallelTrialCount": 1, "metricsCollectorSpec": collector}
    path = shell.write(command=f"{REWRITTEN} # ${{trialParameters.x}}", **one)
    process = shell.start("run", path)
    wait_for(lambda: (shell.folder / "home" / "katib.db").exists() and measured(shell) == {"1", "4"})
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (shell.folder / "go").touch()
    assert shell("run", path).returncode == 0
    metric = status(shell)["currentOptimalTrial"]["observation"]["metrics"][0]
    assert (metric["min"], metric["max"], metric["latest"]) == ("1", "4", "3")


def measured(shell):
    """Every value in the observation log."""
    with closing(sqlite3.connect(shell.folder / "home" / "katib.db")) as database, suppress(sqlite3.OperationalError):
        return {value for (value,) in database.execute("SELECT value FROM observation_logs")}
    return set()


def test_a_second_engine_is_told_who_drives_the_experiment(shell):
    path = shell.write(command=SLOW)
    process = shell.start("run", path)
    wait_for(lambda: list((shell.folder / "home").glob("runs/*/*/*/1/output")))
    second = shell("run", path)
    assert second.returncode == 3
    assert str(process.pid) in second.stderr
    interrupt(process)
    process.communicate()


def test_stop_suspends_a_running_experiment_from_another_terminal(shell):
    path = shell.write(command=SLOW)
    process = shell.start("run", path)
    wait_for(lambda: list((shell.folder / "home").glob("runs/*/*/*/1/output")))
    assert shell("stop", "demo").returncode == 0
    assert process.wait(60) == 130
    process.communicate()
    assert running(shell) == []


def test_delete_leaves_nothing_behind(shell):
    shell("run", shell.write())
    assert shell("delete", "experiment", "demo").returncode == 0
    assert shell("get", "experiment", "demo").returncode == 2
    assert not list((shell.folder / "home" / "runs").glob("*/demo"))


def test_stop_ends_trials_whose_template_was_in_a_config_map(shell):
    given = document("mapped", "echo loss=${trialParameters.x}; sleep 600")
    template = given["spec"]["trialTemplate"]
    data = {"trial.yaml": json.dumps(template.pop("trialSpec"))}
    template["configMap"] = {"configMapName": "t", "configMapNamespace": "default", "templatePath": "trial.yaml"}
    template["successCondition"] = 'status.conditions.#(type=="Complete")#'
    template["failureCondition"] = 'status.conditions.#(type=="Failed")#'
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "t"}, "data": data}
    path = shell.folder / "mapped.yaml"
    path.write_text(f"{json.dumps(config_map)}\n---\n{json.dumps(given)}\n")
    process = shell.start("run", path)
    wait_for(lambda: list((shell.folder / "home").glob("runs/*/*/*/1/output")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert shell("stop", "mapped").returncode == 0
    assert running(shell) == []


def test_a_corrected_file_replaces_one_that_the_service_refused(shell):
    assert shell("run", shell.write(algorithm={"algorithmName": "tpee"})).returncode == 2
    assert shell("run", shell.write(algorithm={"algorithmName": "tpe"})).returncode == 0


def test_validate_asks_the_service_too(shell):
    refused = shell("validate", shell.write(algorithm={"algorithmName": "tpee"}))
    assert (refused.returncode, "tpe" in refused.stderr) == (2, True)


def test_an_experiment_without_any_result_shows_why(shell):
    done = shell("run", shell.write(command="echo ${trialParameters.x} >/dev/null; echo oops >&2; exit 7"))
    assert "exit status 7" in done.stdout
    assert "katib-py logs demo-" in done.stdout

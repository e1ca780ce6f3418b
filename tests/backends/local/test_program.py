"""From a run object to a program of this machine."""

from __future__ import annotations

import base64
import json
import os
import string
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.backends.local.configs import Configs
from katib_py.backends.local.environment import expand
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.paths import run_paths
from katib_py.backends.local.preflight import preflight
from katib_py.backends.local.program import Site
from katib_py.core.errors import InvalidInput

RUN = RunFolder("/home/runs/x/1")
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"

CONFIGS = Configs.of(
    [
        {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"epochs": "5", "train.py": "print('hi')"}},
        {"kind": "Secret", "metadata": {"name": "keys"}, "data": {"token": base64.b64encode(b"s3cret").decode()}},
    ]
)


@pytest.fixture
def site(house) -> Site:
    return Site(house.experiment(), str(house.root / "runs"), str(house.root), CONFIGS)


async def seen(house, document, given=None, **site):
    """The environment that the program met."""
    site.setdefault("configs", CONFIGS)
    report = await house.engine(given, **site).run(document)
    assert house.status(report)["phase"] == "Succeeded", house.text(report)
    with open(house.folder().output, encoding="utf-8") as file:
        return json.load(file)


def problems(site, document) -> dict[str, str]:
    return {each.path: each.message for each in preflight(site, document) if each.severity == "error"}


def notices(site, document) -> str:
    return "\n".join(str(each) for each in preflight(site, document) if each.severity == "warning")


async def test_a_program_is_told_who_it_is(house):
    env = await seen(house, house.python(SHOW), db_manager=("127.0.0.1", 1234))
    assert env["KATIB_TRIAL_NAME"] == "demo-x"
    assert env["KATIB_TRIAL_ATTEMPT"] == "1"
    assert env["KATIB_TRIAL_NAMESPACE"] == "team-a"
    assert env["KATIB_DB_MANAGER_SERVICE_IP"] == "127.0.0.1"
    assert env["KATIB_DB_MANAGER_SERVICE_PORT"] == "1234"
    assert len(env["KATIB_TRIAL_UID"]) == 36


async def test_it_inherits_our_environment_with_our_interpreter_first(house, monkeypatch):
    monkeypatch.setenv("FROM_OUTSIDE", "yes")
    env = await seen(house, house.python(SHOW))
    assert env["FROM_OUTSIDE"] == "yes"
    assert env["PATH"].split(":")[0] == os.path.dirname(sys.executable)
    assert env["PYTHONUNBUFFERED"] == "1"


async def test_what_the_template_sets_wins(house):
    env = await seen(house, house.python(SHOW, env=[{"name": "PYTHONUNBUFFERED", "value": "0"}]))
    assert env["PYTHONUNBUFFERED"] == "0"


async def test_values_come_from_where_the_template_says(house):
    env = await seen(
        house,
        house.python(
            SHOW,
            envFrom=[{"prefix": "S_", "configMapRef": {"name": "settings"}}],
            resources={"limits": {"cpu": "1500m"}},
            env=[
                {"name": "EPOCHS", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "epochs"}}},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
                {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
                {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y", "optional": True}}},
                {"name": "BOTH", "value": "$(EPOCHS)-$(TEAM)-$(NOBODY)-$$(EPOCHS)"},
                {"name": "odd.name", "value": "kept"},
            ],
        ),
    )
    wanted = {"EPOCHS": "5", "S_epochs": "5", "TOKEN": "s3cret", "TEAM": "a", "SPACE": "team-a", "CPUS": "2"}
    assert {name: env.get(name) for name in wanted} == wanted
    assert env["BOTH"] == "5-a-$(NOBODY)-$(EPOCHS)"
    assert env["odd.name"] == "kept"
    assert "NONE" not in env


async def test_every_run_has_the_collectors_path_and_the_mounts_to_itself(house):
    spec = {
        "collector": {"kind": "File"},
        "source": {"fileSystemPath": {"path": "/var/log/katib/metrics.log", "kind": "File", "format": "TEXT"}},
    }
    given = house.experiment(metricsCollectorSpec=spec)
    script = 'echo "loss=0.5" >/var/log/katib/metrics.log; cp "$DATA/train.py" /work/dir/; cat /work/dir/train.py'
    document = house.shell(
        script,
        env=[{"name": "DATA", "value": "/data"}],
        volumeMounts=[{"name": "code", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/work/dir/"}],
        pod={
            "volumes": [{"name": "code", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}],
        },
    )
    engine = house.engine(given, configs=CONFIGS)
    report = await engine.run(document)
    assert house.status(report)["phase"] == "Succeeded", house.text(report)
    assert Path(house.folder().output).read_text() == "print('hi')"
    assert [item.value for item in engine.measurements] == ["0.5"]
    assert Path(house.folder().metrics, "metrics.log").exists()


async def test_a_working_directory_may_be_written(house):
    (house.root / "inner").mkdir()
    script = "import os; print(os.getcwd())"
    await house.engine().run(house.python(script, workingDir="inner"))
    assert Path(house.folder().output).read_text() == f"{house.root / 'inner'}\n"


def test_everything_that_is_wrong_is_found_before_the_first_trial(house, site):
    found = problems(
        site,
        house.job(
            ["no-such-program"],
            workingDir="/no/such/folder",
            resources={"limits": {"cpu": "many"}},
            env=[
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "eopchs"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "lost", "key": "x"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
            job={"activeDeadlineSeconds": "soon"},
        ),
    )
    at = "spec.trialTemplate.trialSpec"
    main = f"{at}.spec.template.spec.containers[0]"
    assert found.keys() == {
        f"{main}.command[0]",
        f"{main}.workingDir",
        f"{main}.resources.limits.cpu",
        f"{main}.env[0].valueFrom.configMapKeyRef.key",
        f"{main}.env[1].valueFrom.secretKeyRef.name",
        f"{main}.env[2].valueFrom.fieldRef.fieldPath",
        f"{at}.spec.activeDeadlineSeconds",
    }
    assert "epochs" in found[f"{main}.env[0].valueFrom.configMapKeyRef.key"]


def test_an_image_without_a_command_says_what_to_do(house, site):
    (message,) = problems(site, house.job(None)).values()
    assert "write the command out" in message


def test_a_kind_without_a_pod_template_cannot_run_here(house, site):
    (message,) = problems(site, {"apiVersion": "v1", "kind": "Oddity", "spec": {}}).values()
    assert "Oddity has no pod template with a container 'main'" in message


def test_what_depends_on_a_parameter_is_left_to_the_trials(house, site):
    assert not problems(site, house.job(["${trialParameters.program}"], workingDir="/${trialParameters.folder}"))


def test_what_has_no_effect_here_is_said(house, site):
    document = house.shell(
        "",
        pod={"initContainers": [{"name": "fetch"}], "volumes": [{"name": "set", "persistentVolumeClaim": {}}]},
        resources={"limits": {"memory": "4Gi"}},
    )
    said = notices(site, document)
    for word in ("image", "memory", "fetch", "'set'"):
        assert word in said


async def test_what_comes_from_a_secret_is_for_its_owner_and_on_no_command_line(house):
    configs = Configs.of([{"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"db.password": "hidden"}}])
    script = (
        "import os, psutil; p = psutil.Process(); print(os.environ['db.password'], p.cmdline(), p.parent().cmdline())"
    )
    document = house.python(
        script,
        envFrom=[{"secretRef": {"name": "keys"}}],
        workingDir="/keys",
        volumeMounts=[{"name": "keys", "mountPath": "/keys"}],
        pod={"volumes": [{"name": "keys", "secret": {"secretName": "keys"}}]},
    )
    report = await house.engine(configs=configs).run(document)
    assert house.status(report)["phase"] == "Succeeded", house.text(report)
    said = Path(house.folder().output).read_text()
    assert said.count("hidden") == 1
    assert (house.root / house.folder().path).stat().st_mode & 0o777 == 0o700
    assert Path(house.folder().path, "volumes/keys/db.password").stat().st_mode & 0o777 == 0o600
    assert not Path(house.folder().path, "variables").exists()


@pytest.mark.parametrize("fields", [{"data": {"a": "hunter2!"}}, {"stringData": {"a": 4711}}, {"data": "hunter2!"}])
def test_a_broken_secret_is_refused_without_its_value(fields):
    with pytest.raises(InvalidInput) as caught:
        Configs.of([{"kind": "Secret", "metadata": {"name": "x"}, **fields}])
    assert "Secret x: " in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": 5}},
        {"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "not base64!"}},
    ],
)
def test_a_broken_config_is_refused_with_its_key(document):
    with pytest.raises(InvalidInput, match=r"x: data\.a"):
        Configs.of([document])


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("/data", "/home/runs/x/1/volumes/data"),
        ("--in=/data/train.csv", "--in=/home/runs/x/1/volumes/data/train.csv"),
        ("a:/data:b", "a:/home/runs/x/1/volumes/data:b"),
        ("/data2/x /data.csv my/data /x/data /data-old", "/data2/x /data.csv my/data /x/data /data-old"),
        ("/data/deep/x", "/home/runs/x/1/volumes/deep/x"),
        ("/var/log/katib/metrics.log", "/home/runs/x/1/metrics/metrics.log"),
    ],
)
def test_a_path_is_replaced_where_it_is_that_path(written, becomes):
    paths = run_paths(RUN, {"/data": "data", "/data/deep/": "deep"}, "/var/log/katib/metrics.log", directory=False)
    assert paths.apply(written) == becomes


def test_a_collector_below_a_mount_reads_below_the_mounts_folder():
    paths = run_paths(RUN, {"/data": "data"}, "/data/logs/", directory=True)
    assert paths.collector == "/home/runs/x/1/volumes/data/logs"
    assert paths.apply("/data/logs/x") == f"{paths.collector}/x"


NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=4)


@given(st.text("$()ab_ ", max_size=20), st.dictionaries(NAMES, st.text("xyz", max_size=3), max_size=3))
def test_expanding_never_fails_and_leaves_text_without_references_alone(text, variables):
    expanded = expand(text, variables)
    if "$" not in text:
        assert expanded == text
    assert "$(" not in expanded or "$" in text

"""A trial's pod with what the webhook gives it."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_patch import apply

from katib_py.backends.local.environment import expand
from katib_py.core.experiment import MetricsCollectorSpec
from katib_py.core.injection import Setup, TrialFacts, inject
from katib_py.core.json_patch import difference
from katib_py.core.katib_config import KatibConfig
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.sidecar import arguments

NOW = 1_760_000_000.5
ENV = {
    "KATIB_TRIAL_NAME": "demo-x",
    "KATIB_TRIAL_UID": "u1",
    "KATIB_TRIAL_NAMESPACE": "team-a",
    "KATIB_DB_MANAGER_SERVICE_IP": "db",
    "KATIB_DB_MANAGER_SERVICE_NAMESPACE": "core",
    "KATIB_DB_MANAGER_SERVICE_PORT": "6789",
}
SETUP = Setup(KatibConfig(), "registry.example/katib-py:1", ENV)
FILE = {
    "collector": {"kind": "File"},
    "source": {"fileSystemPath": {"kind": "File", "path": "/var/log/katib/metrics.log", "format": "TEXT"}},
}
EVENTS = {
    "collector": {"kind": "TensorFlowEvent"},
    "source": {"fileSystemPath": {"kind": "Directory", "path": "/train/logs/"}},
}
PROMETHEUS = {"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": 9090, "path": "/metrics"}}}
CUSTOM = {
    "collector": {"kind": "Custom", "customCollector": {"name": "mine", "image": "example/mine", "args": ["-x"]}},
    "source": {"fileSystemPath": {"kind": "File", "path": "/out/metrics"}},
}


def trial(collector, **spec):
    return TrialFacts.of(
        {
            "metadata": {
                "name": "demo-x",
                "namespace": "team-a",
                "uid": "u1",
                "labels": {"katib.kubeflow.org/experiment": "demo", "team": "a"},
            },
            "spec": {
                "objective": {"type": "maximize", "objectiveMetricName": "acc", "additionalMetricNames": ["loss"]},
                "metricsCollector": collector,
                "primaryContainerName": "main",
                **spec,
            },
        }
    )


def pod(*containers, labels=None, **spec):
    containers = list(containers) or [{"name": "main", "image": "train"}]
    return {"metadata": {"name": "p", "labels": labels or {}}, "spec": {"containers": containers, **spec}}


def injected(given_, facts, setup=SETUP):
    before = copy.deepcopy(given_)
    result = inject(given_, facts, setup, NOW)
    assert given_ == before
    # Whoever calls again, and later, changes nothing.
    assert inject(result.pod, facts, setup, NOW + 60).pod == result.pod
    assert apply(given_, difference(given_, result.pod)) == result.pod
    return result


def sidecar(result):
    return result.pod["spec"]["initContainers"][-1]


def test_a_file_collector_is_a_native_sidecar_that_shares_the_folder_of_the_metrics():
    result = injected(pod(), trial(FILE))
    container = sidecar(result)
    assert container["name"] == "metrics-logger-and-collector"
    assert (container["restartPolicy"], container["image"]) == ("Always", "registry.example/katib-py:1")
    assert container["command"] == ["katib-py", "collector"]
    assert container["args"] == [
        "-t=demo-x",
        "-m=acc",
        "-m=loss",
        "-o-type=maximize",
        "-s-db=db.core:6789",
        "-kind=File",
        "-path=/var/log/katib/metrics.log",
        "-format=TEXT",
        f"-born={1_760_000_000_500 << 20}",
        "-grace=30",
    ]
    mount = {"name": "metrics-volume", "mountPath": "/var/log/katib"}
    assert container["volumeMounts"] == [{**mount, "readOnly": True}]
    assert result.pod["spec"]["containers"][0]["volumeMounts"] == [mount]
    assert result.pod["spec"]["volumes"] == [{"name": "metrics-volume", "emptyDir": {}}]
    assert result.notes == ()


def test_labels_and_variables_reach_pods_that_could_not_be_marked():
    result = injected(pod({"name": "main", "env": [{"name": "A", "value": "1"}]}), trial({"collector": {}}))
    assert result.pod["metadata"]["labels"] == {
        "katib.kubeflow.org/experiment": "demo",
        "katib.kubeflow.org/trial": "demo-x",
        "team": "a",
    }
    env = {entry["name"]: entry["value"] for entry in result.pod["spec"]["containers"][0]["env"]}
    assert env == {**ENV, "A": "1"}
    assert "initContainers" not in result.pod["spec"]


def test_the_folder_of_event_files_is_shared_whole():
    container = sidecar(injected(pod(), trial(EVENTS)))
    assert container["name"] == "metrics-collector"
    assert container["volumeMounts"] == [{"name": "metrics-volume", "mountPath": "/train/logs", "readOnly": True}]
    assert "-path=/train/logs" in container["args"]


def test_a_prometheus_collector_needs_a_port_and_no_volume():
    result = injected(pod(), trial(PROMETHEUS))
    assert "-url=http://127.0.0.1:9090/metrics" in sidecar(result)["args"]
    assert "volumes" not in result.pod["spec"]
    assert sidecar(result)["volumeMounts"] == []


@pytest.mark.parametrize("kind", ["StdOut", "Push"])
def test_what_needs_no_sidecar_gets_none(kind):
    assert "initContainers" not in injected(pod(), trial({"collector": {"kind": kind}})).pod["spec"]


def test_a_custom_collector_stays_as_the_user_wrote_it_beside_the_training():
    result = injected(pod(), trial(CUSTOM))
    spec = result.pod["spec"]
    assert spec["shareProcessNamespace"] is True
    mine = spec["containers"][1]
    assert {key: mine[key] for key in ("name", "image", "args")} == {
        "name": "mine",
        "image": "example/mine",
        "args": ["-x"],
    }
    mount = {"name": "metrics-volume", "mountPath": "/out"}
    assert [each["volumeMounts"] for each in spec["containers"]] == [[mount], [mount]]


def test_a_custom_collector_keeps_its_own_mount():
    own = [{"name": "data", "mountPath": "/out"}]
    spec = copy.deepcopy(CUSTOM)
    spec["collector"]["customCollector"]["volumeMounts"] = own
    result = injected(pod({"name": "main", "volumeMounts": own}), trial(spec))
    assert result.pod["spec"]["containers"][1]["volumeMounts"] == own


@pytest.mark.parametrize("path", ["/var/log/katib", "/var/log", "/var/log/katib/metrics.log", "/var/log/"])
def test_metrics_in_the_users_own_volume_are_read_there(path):
    own = {"name": "data", "mountPath": path, "subPathExpr": "$(POD)/x"}
    main = {"name": "main", "volumeMounts": [own], "env": [{"name": "POD", "value": "p"}, {"name": "B", "value": "b"}]}
    result = injected(pod(main, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]), trial(FILE))
    assert sidecar(result)["volumeMounts"] == [{**own, "readOnly": True}]
    assert {"name": "POD", "value": "p"} in sidecar(result)["env"]
    assert {"name": "B", "value": "b"} not in sidecar(result)["env"]
    assert [volume["name"] for volume in result.pod["spec"]["volumes"]] == ["data"]
    assert result.pod["spec"]["containers"][0]["volumeMounts"] == [own]


def test_a_volume_beside_or_below_the_metrics_is_none_of_them():
    mounts = [{"name": "a", "mountPath": "/var/log/katib-other"}, {"name": "b", "mountPath": "/var/log/katib/deep"}]
    result = injected(pod({"name": "main", "volumeMounts": mounts}), trial(FILE))
    assert sidecar(result)["volumeMounts"][0]["name"] == "metrics-volume"


def test_only_the_primary_pod_gets_a_collector():
    facts = trial(FILE, primaryPodLabels={"role": "master"})
    assert "initContainers" in injected(pod(labels={"role": "master"}), facts).pod["spec"]
    worker = injected(pod({"name": "worker"}, labels={"role": "worker"}), facts)
    assert "initContainers" not in worker.pod["spec"]
    assert worker.pod["metadata"]["labels"]["katib.kubeflow.org/trial"] == "demo-x"
    assert worker.notes == ()


def test_a_pod_without_the_primary_container_is_left_alone_and_it_is_said():
    result = injected(pod({"name": "other"}), trial(FILE))
    assert result.notes == ("no container is named main, so none gets a metrics collector",)
    assert "initContainers" not in result.pod["spec"]


def test_metrics_in_the_root_folder_cannot_be_shared():
    spec = {"collector": {"kind": "File"}, "source": {"fileSystemPath": {"kind": "File", "path": "/metrics.log"}}}
    result = injected(pod(), trial(spec))
    assert "root folder" in result.notes[0]
    assert result.pod["spec"]["containers"][0].get("volumeMounts") is None


def test_what_the_run_was_given_of_katib_reaches_the_collector():
    env = [{"name": "KATIB_TRIAL_ATTEMPT", "value": "2"}, {"name": "SECRET", "value": "s"}]
    names = {
        entry["name"]: entry.get("value")
        for entry in sidecar(injected(pod({"name": "main", "env": env}), trial(FILE)))["env"]
    }
    assert names["KATIB_TRIAL_ATTEMPT"] == "2"
    assert "SECRET" not in names
    assert ENV.items() <= names.items()


ROOT = {"runAsUser": 0, "privileged": True, "capabilities": {"add": ["ALL"]}, "allowPrivilegeEscalation": True}


@pytest.mark.parametrize(
    ("copy_it", "context", "pod_context", "user"),
    [
        (False, {"runAsUser": 1001}, {}, 1001),
        (False, {"runAsUser": 1001}, {"runAsUser": 0}, 1001),
        (True, {"runAsUser": 1001}, {}, 1001),
        (True, ROOT, {}, None),
        (True, ROOT, {"runAsUser": 0}, 65532),
        (False, {}, {"runAsUser": 0}, 65532),
        (True, {"seccompProfile": {"type": "Unconfined"}}, {"runAsUser": 7}, None),
    ],
)
def test_the_sidecar_passes_the_restricted_level_whatever_it_copies(copy_it, context, pod_context, user):
    config = KatibConfig.model_validate({"init": {"controller": {"injectSecurityContext": copy_it}}})
    setup = Setup(config, SETUP.image, ENV)
    main = {"name": "main", "securityContext": context}
    made = sidecar(injected(pod(main, securityContext=pod_context), trial(FILE), setup))["securityContext"]
    assert made.pop("runAsUser", None) == user
    assert made == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_image_policy_and_resources_are_the_configurations():
    entry = {"kind": "File", "image": "example/c", "imagePullPolicy": "Always", "resources": {"limits": {"cpu": "2"}}}
    config = KatibConfig.model_validate({"runtime": {"metricsCollectors": [entry]}})
    container = sidecar(injected(pod(), trial(FILE), Setup(config, SETUP.image, ENV)))
    assert (container["image"], container["imagePullPolicy"]) == ("example/c", "Always")
    assert container["resources"]["limits"]["cpu"] == "2"
    assert "command" not in container
    assert "lifecycle" not in container


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(st.lists(TEXT, min_size=1, max_size=3), st.lists(TEXT, max_size=3))
def test_kubernetes_hands_every_name_and_filter_over_as_it_is(metrics, patterns):
    objective = ObjectiveSpec(objective_metric_name=metrics[0], additional_metric_names=tuple(metrics[1:]))
    spec = MetricsCollectorSpec.model_validate({**FILE, "source": {"filter": {"metricsFormat": patterns}}})
    handed = [expand(text, {"acc": "x"}) for text in arguments("demo-x", objective, spec, "db:1")]
    assert [text[3:] for text in handed if text.startswith("-m=")] == metrics
    assert [text[3:] for text in handed if text.startswith("-f=")] == patterns


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["name", "labels", "collector", "source", "kind"]), inner)
        ),
    )
)
def test_a_trial_that_makes_no_sense_stops_nobody(value):
    facts = TrialFacts.of({"metadata": value, "spec": value, "x": {"spec": {"objective": value}}})
    inject(pod(), facts, SETUP, NOW)

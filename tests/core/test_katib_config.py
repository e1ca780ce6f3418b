"""The KatibConfig: its defaults, its problems, and what serves an algorithm."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import CollectorKind
from katib_py.core.katib_config import (
    SHARED,
    Address,
    GroupVersionKind,
    KatibConfig,
    OwnImage,
    Resources,
    Sidecar,
    is_katibs,
    parse_kind,
)
from katib_py.core.quantity import quantity
from katib_py.core.validate.config import read_config

OURS = "registry.example/katib-py:1"

# The entries of a Katib 0.19 installation (control-plane.md §9.4).
KATIB = {
    "apiVersion": "config.kubeflow.org/v1beta1",
    "kind": "KatibConfig",
    "init": {
        "certGenerator": {"enable": True},
        "controller": {
            "webhookPort": 8443,
            "trialResources": ["TrainJob.v1alpha1.trainer.kubeflow.org", "Job.v1.batch", "TFJob.v1.kubeflow.org"],
        },
    },
    "runtime": {
        "metricsCollectors": [
            {"kind": "StdOut", "image": "ghcr.io/kubeflow/katib/file-metrics-collector:latest"},
            {
                "kind": "TensorFlowEvent",
                "image": "ghcr.io/kubeflow/katib/tfevent-metrics-collector:latest",
                "resources": {"limits": {"memory": "1Gi"}},
            },
        ],
        "suggestions": [
            {"algorithmName": "random", "image": "ghcr.io/kubeflow/katib/suggestion-hyperopt:latest"},
            {
                "algorithmName": "pbt",
                "image": "ghcr.io/kubeflow/katib/suggestion-pbt:latest",
                "persistentVolumeClaimSpec": {"accessModes": ["ReadWriteMany"]},
            },
        ],
        "earlyStoppings": [
            {"algorithmName": "medianstop", "image": "ghcr.io/kubeflow/katib/earlystopping-medianstop:v0.19.0"}
        ],
    },
}


def read(document):
    return read_config(yaml.safe_dump(document))


def runtime(**entries):
    return read({"runtime": entries})[0]


def suggestion(**entry):
    return runtime(suggestions=[{"algorithmName": "mine", **entry}]).suggestion("mine")


def problems(document):
    with pytest.raises(InvalidInput) as caught:
        read(document)
    return {problem.path: problem.message for problem in caught.value.problems if problem.severity == "error"}


def test_without_a_configuration_everything_has_a_default():
    for text in ("", "{}", "init: {}\nruntime: null\n"):
        config, warnings = read_config(text)
        assert config.init == KatibConfig().init
        assert not warnings
    assert config.init.controller.kinds == (GroupVersionKind("batch", "v1", "Job"),)
    assert config.init.controller.webhook_port == 8443
    assert config.init.cert_generator.webhook_secret_name == "katib-webhook-cert"
    assert config.init.cert_generator.generate
    assert config.suggestion("whatever") == config.early_stopping("whatever") == SHARED
    assert config.collector(CollectorKind.FILE, OURS).image == OURS


def test_the_configuration_of_a_katib_brings_no_image_of_its_back():
    config, warnings = read(KATIB)
    assert not warnings
    assert {config.suggestion(name) for name in ("random", "pbt")} == {SHARED}
    assert config.early_stopping("medianstop") == SHARED
    assert config.algorithms({"random"}) == {"random"}
    sidecar = config.collector(CollectorKind.TENSORFLOW_EVENT, OURS)
    assert (sidecar.image, sidecar.own, sidecar.resources["limits"]["memory"]) == (OURS, True, "1Gi")


@pytest.mark.parametrize(
    ("image", "katibs"),
    [
        ("ghcr.io/kubeflow/katib/suggestion-hyperopt", True),
        ("ghcr.io/kubeflow/katib/suggestion-goptuna@sha256:0123", True),
        ("docker.io/kubeflowkatib/suggestion-pbt:v0.17.0", True),
        ("kubeflowkatib/suggestion-pbt:v0.17.0", True),
        ("registry.example/mirror/file-metrics-collector:v0.19.0", True),
        ("registry.example/mirror/suggestion-hyperopt:v0.19.0", False),
        ("ghcr.io/kubeflow/katibfork/suggestion-hyperopt", False),
        ("example/my-file-metrics-collector-too", False),
    ],
)
def test_katibs_images_are_told_from_others(image, katibs):
    assert is_katibs(image) is katibs


def test_an_image_of_the_users_is_a_container_of_its_own():
    service = suggestion(
        image=" example/mine:1 ",
        command=["serve"],
        env=[{"name": "A", "value": "b"}],
        serviceAccountName="me",
        persistentVolumeSpec={"hostPath": {"path": "/x"}, "persistentVolumeReclaimPolicy": "Retain"},
        odd=1,
    )
    assert isinstance(service, OwnImage)
    assert service.container == {
        "name": "suggestion",
        "image": "example/mine:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["serve"],
        "env": [{"name": "A", "value": "b"}],
        "resources": Resources().filled(),
    }
    assert (service.service_account, service.mount_path) == ("me", "/opt/katib/data")
    assert service.claim == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert service.volume["persistentVolumeReclaimPolicy"] == "Delete"


def test_a_service_may_be_an_address_and_the_last_entry_of_a_name_counts():
    assert suggestion(address="svc.team-a:6789") == Address("svc.team-a:6789")
    twice = [{"algorithmName": "a", "image": "x/y"}, {"algorithmName": "a", "address": "h:1"}]
    config, warnings = read({"runtime": {"suggestions": twice}})
    assert config.suggestion("a") == Address("h:1")
    assert [warning.path for warning in warnings] == ["runtime.suggestions[1]"]
    assert config.algorithms({"random"}) == {"a", "random"}


def test_everything_wrong_is_said_at_once_with_its_place():
    found = problems(
        {
            "apiVersion": "v1",
            "init": {"controller": {"trialResources": ["Job"], "webhookPort": -1, "metricsAddr": "x", "webhookPrt": 1}},
            "runtime": {
                "suggestions": [{"image": "x/y"}, {"algorithmName": "a", "image": "x/y", "address": "h"}],
                "metricsCollectors": [{"kind": "File", "resources": {"limits": {"memory": "lots"}}}],
            },
        }
    )
    assert set(found) == {
        "apiVersion",
        "init.controller.trialResources[0]",
        "init.controller.webhookPort",
        "init.controller.metricsAddr",
        "runtime.suggestions[0].algorithmName",
        "runtime.suggestions[1].address",
        "runtime.metricsCollectors[0].resources.limits.memory",
    }
    assert found["init.controller.trialResources[0]"].startswith("is 'Job'; must be Kind.version.group")


def test_what_is_odd_is_a_warning():
    _, warnings = read(
        {
            "init": {"controller": {"injectSecurityContex": True}},
            "runtime": {
                "suggestions": [{"algorithmName": "a", "imagePullPolicy": "Sometimes", "readinessProbe": {}}],
                "metricsCollectors": [{"kind": "Stdout"}],
            },
        }
    )
    assert [str(warning) for warning in warnings] == [
        "init.controller.injectSecurityContex: is not a known field; did you mean injectSecurityContext?",
        "runtime.suggestions[0].imagePullPolicy: is 'Sometimes', none of Always, IfNotPresent, Never; "
        "IfNotPresent is taken",
        "runtime.metricsCollectors[0].kind: is 'Stdout', none of StdOut, File, TensorFlowEvent, PrometheusMetric, "
        "Custom, Push: did you mean StdOut?",
    ]


@pytest.mark.parametrize("text", ["[]", "a: 1\n---\nb: 2\n", "5"])
def test_what_is_no_configuration_is_refused(text):
    with pytest.raises(InvalidInput):
        read_config(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Job.v1.batch", ("batch", "v1", "Job")),
        ("TrainJob.v1alpha1.trainer.kubeflow.org", ("trainer.kubeflow.org", "v1alpha1", "TrainJob")),
        ("Pod.v1", ("", "v1", "Pod")),
        ("Pod.v1.", ("", "v1", "Pod")),
        ("Job", None),
        ("jobs.batch", None),
        ("", None),
    ],
)
def test_a_kind_is_named_with_version_and_group(text, kind):
    assert parse_kind(text) == kind


AMOUNTS = st.dictionaries(
    st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]),
    st.sampled_from(["-1", "0", 0, "1m", "10Mi", "2Gi", "20Gi", 1]),
    max_size=4,
)


@given(AMOUNTS, AMOUNTS)
def test_filled_resources_are_what_was_given_and_no_request_exceeds_its_limit_by_a_default(requests, limits):
    filled = Resources(requests=requests, limits=limits).filled()
    for given_, made in ((requests, filled["requests"]), (limits, filled["limits"])):
        for name, amount in given_.items():
            if quantity(amount) != 0:
                assert made.get(name) == (amount if quantity(amount) > 0 else None)
        assert all(quantity(amount) > 0 for amount in made.values())
    for name, amount in filled["requests"].items():
        both_given = quantity(requests.get(name, 0)) > 0 and quantity(limits.get(name, 0)) > 0
        assert both_given or name not in filled["limits"] or quantity(amount) <= quantity(filled["limits"][name])


def test_a_sidecar_of_the_users_own_image_is_not_ours():
    config = runtime(metricsCollectors=[{"kind": "File", "image": "example/collector", "imagePullPolicy": "Always"}])
    sidecar = config.collector(CollectorKind.FILE, OURS)
    assert sidecar == Sidecar("example/collector", "Always", Resources().filled(), own=False)

"""What katib-py prints to install itself is what kustomize makes of manifests/, and asks for no more than it needs."""

import subprocess
from functools import cache

import pytest
import yaml
from support.cluster import binaries
from support.objects import keyed, of_kind, others, pod_templates, strings

from katib_py.backends.k8s.webhooks.configurations import Service, webhook_configurations
from katib_py.cli.manifests import Installation, overlays
from katib_py.core.errors import InvalidInput

OVERLAYS = sorted(path.name for path in overlays().iterdir())
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
CLUSTER_WIDE = [name for name in OVERLAYS if name != "namespaced"]


def kustomized(folder):
    kubectl = binaries.find("kubectl")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_printed_is_what_kustomize_makes(overlay):
    assert keyed(Installation(overlay).objects()) == keyed(kustomized(overlays() / overlay))


@pytest.mark.parametrize("overlay", CLUSTER_WIDE)
def test_image_and_namespace_are_those_that_kustomize_would_set(overlay, tmp_path):
    (tmp_path / "overlays").symlink_to(overlays())
    (tmp_path / "mine").mkdir()
    image = {"name": "katib-py", "newName": "example/katib", "newTag": "7"}
    mine = {"resources": [f"../overlays/{overlay}"], "namespace": "tuning", "images": [image]}
    (tmp_path / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(mine))
    ours = Installation(overlay, "example/katib:7", "tuning").objects()
    assert keyed(ours) == keyed(kustomized(tmp_path / "mine"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_points_to_a_namespace_that_was_not_asked_for(overlay):
    for item in others(Installation(overlay, namespace="tuning").objects(), "CustomResourceDefinition"):
        assert not [text for text in strings(item) if text == "kubeflow" or ".kubeflow:" in text], item


def test_an_unknown_overlay_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidInput, match="did you mean postgres"):
        Installation("postgress").objects()


def rules(objects):
    return [rule for item in of_kind(objects, "Role", "ClusterRole") for rule in item.get("rules") or ()]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_role_has_a_wildcard(overlay):
    assert "*" not in {text for rule in rules(Installation(overlay).objects()) for text in strings(rule)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_one_secret_alone_can_be_read(overlay):
    objects = Installation(overlay).objects()
    assert not [rule for rule in rules(of_kind(objects, "ClusterRole")) if "secrets" in rule["resources"]]
    (rule,) = [rule for rule in rules(objects) if "secrets" in rule["resources"]]
    assert rule["resourceNames"] == ["katib-webhook-cert"]
    assert "create" not in rule["verbs"]


def test_the_role_of_one_namespace_gives_what_the_role_of_all_does():
    everywhere = keyed(Installation("standalone").objects())["ClusterRole", "", "katib-controller"]
    one = keyed(Installation("namespaced").objects())["Role", "kubeflow", "katib-controller-experiments"]
    assert one["rules"] == [rule for rule in everywhere["rules"] if "resourceNames" not in rule]


def test_for_one_namespace_nothing_of_the_cluster_is_given_but_the_webhooks():
    cluster_roles = of_kind(Installation("namespaced").objects(), "ClusterRole")
    assert {name for rule in rules(cluster_roles) for name in rule["resourceNames"]} == {"katib.kubeflow.org"}


def test_for_one_namespace_no_webhook_hears_of_others():
    found = of_kind(Installation("namespaced", namespace="tuning").objects(), *WEBHOOKS)
    assert keyed(found) == keyed(webhook_configurations(Service("tuning"), "tuning"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_webhook_can_hold_up_a_request(overlay):
    for item in of_kind(Installation(overlay).objects(), *WEBHOOKS):
        for webhook in item["webhooks"]:
            assert webhook["failurePolicy"] == "Ignore"
            assert webhook["timeoutSeconds"] <= 10


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_are_katibs_so_that_its_deployments_can_be_replaced(overlay):
    for item in of_kind(Installation(overlay).objects(), "Deployment"):
        component = item["metadata"]["name"].removeprefix("katib-")
        assert item["spec"]["selector"] == {"matchLabels": {"katib.kubeflow.org/component": component}}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_says_what_memory_it_needs_and_how_it_is(overlay):
    for name, template in pod_templates(Installation(overlay).objects()).items():
        for container in template["spec"]["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_two_controllers_are_there_for_leader_election():
    objects = keyed(Installation("leader-election").objects())
    assert objects["Deployment", "kubeflow", "katib-controller"]["spec"]["replicas"] == 2
    assert ("PodDisruptionBudget", "kubeflow", "katib-controller") in objects


OURS = ("katib-controller", "katib-suggestion", "katib-db-manager")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_options_of_every_container_are_those_of_its_command(overlay):
    pods = pod_templates(Installation(overlay).objects())
    for name in OURS:
        command, *options = pods[name]["spec"]["containers"][0]["args"]
        known = told(command)
        assert [option for option in options if f"{option.partition('=')[0]} " not in known] == []


@cache
def told(command):
    done = subprocess.run(["katib-py", command, "--help"], capture_output=True, text=True, check=True)
    return done.stdout

"""An installation on a real API server: admitted, restricted, and allowed what it needs and no more."""

import subprocess

import pytest
import yaml
from support.cluster import binaries
from support.cluster.client import Client, Refused
from support.cluster.controllers import Controller, eventually
from support.cluster.experiments import Objects, experiment, last
from support.cluster.kinds import install
from support.cluster.playing import played
from support.cluster.processes import free_ports
from support.cluster.pushing import Pushing
from support.objects import pod_templates
from support.shell import wait_for

from katib_py.cli.manifests import Installation, overlays, to_yaml

OVERLAYS = sorted(path.name for path in overlays().iterdir())
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}
ACCOUNT = "katib-controller"


@pytest.fixture(scope="module")
def installed(own_api_server):
    """Installs an overlay in a namespace of its own that enforces the restricted level, and returns its objects."""
    kubectl = [binaries.find("kubectl"), "--kubeconfig", own_api_server.kubeconfig]
    apply = [*kubectl, "apply", "--server-side", "--force-conflicts", "--warnings-as-errors", "-f", "-"]
    install(own_api_server.client)

    def applied(overlay):
        namespace = own_api_server.namespace(f"katib-{overlay}")
        own_api_server.client.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": RESTRICTED}})
        objects = Installation(overlay, "example/katib-py:1", namespace).objects()
        done = subprocess.run(apply, input=to_yaml(objects), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return objects

    return applied


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_installation_is_applied_and_its_pods_pass_the_restricted_level(own_api_server, installed, overlay):
    for name, template in pod_templates(installed(overlay)).items():
        pod = {"metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}
        own_api_server.client.post(f"/api/v1/namespaces/katib-{overlay}/pods", pod, dryRun="All")


def test_the_level_is_enforced(own_api_server, installed):
    installed("standalone")
    pod = {"metadata": {"name": "bad"}, "spec": {"containers": [{"name": "bad", "image": "bad"}]}}
    with pytest.raises(Refused, match="violates PodSecurity"):
        own_api_server.client.post("/api/v1/namespaces/katib-standalone/pods", pod, dryRun="All")


MAY = [
    ("list", "experiments.kubeflow.org", ""),
    ("patch", "experiments.kubeflow.org/status", ""),
    ("create", "trials.kubeflow.org", ""),
    ("update", "trials.kubeflow.org/finalizers", ""),
    ("watch", "pods", ""),
    ("get", "pods/log", ""),
    ("create", "events", ""),
    ("create", "jobs.batch", ""),
    ("delete", "pytorchjobs.kubeflow.org", ""),
    ("create", "trainjobs.trainer.kubeflow.org", ""),
    ("create", "rayjobs.ray.io", ""),
    ("create", "workflows.argoproj.io", ""),
    ("create", "pipelineruns.tekton.dev", ""),
    ("get", "configmaps", ""),
    ("create", "deployments.apps", ""),
]
MAY_NOT = [
    ("get", "secrets", ""),
    ("list", "secrets", ""),
    ("create", "pods", ""),
    ("create", "pods/exec", ""),
    ("list", "configmaps", ""),
    ("create", "experiments.kubeflow.org", ""),
    ("delete", "namespaces", ""),
]
MAY_AT_HOME = [
    ("patch", "secrets", "katib-webhook-cert"),
    ("watch", "configmaps", "katib-config"),
    ("create", "leases.coordination.k8s.io", ""),
]
MAY_OF_THE_CLUSTER = [
    ("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "katib.kubeflow.org"),
    ("patch", "validatingwebhookconfigurations.admissionregistration.k8s.io", "katib.kubeflow.org"),
]


class Rights:
    """What an account may do, as the API server says."""

    def __init__(self, server, namespace):
        self._client = Client(server.account(namespace, ACCOUNT))

    def allowed(self, namespace, verb, what, name):
        resource, _, subresource = what.partition("/")
        resource, _, group = resource.partition(".")
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        asked |= {"subresource": subresource, "name": name}
        review = {"spec": {"resourceAttributes": asked}}
        answer = self._client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return answer["status"]["allowed"]


@pytest.fixture(scope="module")
def rights(own_api_server, installed):
    def of(overlay):
        installed(overlay)
        return Rights(own_api_server, f"katib-{overlay}")

    return of


def test_a_controller_may_what_it_needs_in_every_namespace_and_no_more(rights):
    account = rights("standalone")
    assert [asked for asked in MAY if not account.allowed("team-a", *asked)] == []
    assert [asked for asked in MAY_NOT if account.allowed("team-a", *asked)] == []
    assert [asked for asked in MAY_AT_HOME if not account.allowed("katib-standalone", *asked)] == []
    assert [asked for asked in MAY_AT_HOME if account.allowed("team-a", *asked)] == []
    assert [asked for asked in MAY_OF_THE_CLUSTER if not account.allowed("", *asked)] == []


def test_a_controller_of_one_namespace_may_nothing_in_others(rights):
    account, home = rights("namespaced"), "katib-namespaced"
    assert [asked for asked in (*MAY, *MAY_AT_HOME) if not account.allowed(home, *asked)] == []
    assert [asked for asked in (*MAY, *MAY_NOT, *MAY_AT_HOME) if account.allowed("team-a", *asked)] == []
    assert [asked for asked in MAY_NOT if account.allowed(home, *asked)] == []
    assert [asked for asked in MAY_OF_THE_CLUSTER if not account.allowed("", *asked)] == []


def set_up(objects, folder, **ports):
    """The katib-config of an installation, with free ports."""
    (found,) = [item for item in objects if item["kind"] == "ConfigMap"]
    document = yaml.safe_load(found["data"]["katib-config.yaml"])
    document["init"]["controller"] |= ports
    path = folder / "katib-config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize("overlay", ["standalone", "namespaced"])
async def test_a_controller_with_these_rights_runs_experiments(
    own_api_server, installed, overlay, tmp_path, monkeypatch
):
    installation, home = installed(overlay), f"katib-{overlay}"
    monkeypatch.setenv("KATIB_CORE_NAMESPACE", home)
    webhook, metrics, health = free_ports(3)
    addresses = {"metricsAddr": f"127.0.0.1:{metrics}", "healthzAddr": f"127.0.0.1:{health}"}
    config = set_up(installation, tmp_path, webhookPort=webhook, **addresses)
    namespace = home if overlay == "namespaced" else own_api_server.namespace("team-b")
    objects = Objects(own_api_server.client, namespace)
    account = own_api_server.account(home, ACCOUNT)
    scope = home if overlay == "namespaced" else ""
    with Controller(account, tmp_path / "controller", scope, ["--config", str(config)]) as controller:
        objects.create(experiment())
        ended = await played(own_api_server, namespace, Pushing(), objects.ended)
        eventually(
            lambda: own_api_server.client.get(f"{VALIDATING}/katib.kubeflow.org")["webhooks"][0]["clientConfig"].get(
                "caBundle"
            )
        )
        assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
        assert "forbidden" not in controller.said()


VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def test_another_kind_is_allowed_by_a_labelled_role(own_api_server, rights):
    own_api_server.start_controllers("clusterrole-aggregation-controller")
    account = rights("standalone")
    labels = {"rbac.katib.kubeflow.org/aggregate-to-controller": "true"}
    rule = {"apiGroups": ["example.com"], "resources": ["sweeps"], "verbs": ["create"]}
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    own_api_server.client.post(path, {"metadata": {"name": "sweeps", "labels": labels}, "rules": [rule]})
    wait_for(lambda: account.allowed("team-a", "create", "sweeps.example.com", ""))

"""The Helm chart installs what kustomize does, whatever is chosen."""

import json
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from support.objects import keyed, of_kind, pod_templates

from katib_py.cli.manifests import in_namespace
from katib_py.core.crds import crds

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "katib-py"
CHOICES = runpy.run_path(ROOT / "charts" / "build.py")["CHOICES"]


def setting(path, value):
    if path[-1] == "json":
        return "--set-json", f"{'.'.join(path[:-1])}={value}"
    return ("--set-string" if path[-1] == "password" else "--set"), f"{'.'.join(path)}={value}"


@pytest.fixture(scope="session")
def templated(helm):
    """The objects that Helm makes of the chart with these values, in the namespace `tuning`."""

    def render(**values):
        settings = [part for key, value in values.items() for part in setting(key.split("__"), value)]
        arguments = ("--namespace", "tuning", "--kube-version", "1.34.0", "--set", "image.tag=latest")
        return [item for item in yaml.safe_load_all(helm("template", "katib", CHART, *arguments, *settings)) if item]

    return render


def comparable(item):
    """The object without what Helm alone is told, its configuration as it is read."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "annotations"}
    result = {**item, "metadata": metadata if item["kind"] == "PersistentVolumeClaim" else item["metadata"]}
    if item["kind"] == "ConfigMap":
        result["data"] = {key: yaml.safe_load(text) for key, text in item["data"].items()}
    return result


def test_the_committed_templates_are_those_of_the_manifests(tmp_path):
    subprocess.run([sys.executable, ROOT / "charts" / "build.py", tmp_path], check=True, cwd=ROOT)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert path.read_text() == (CHART / path.relative_to(tmp_path)).read_text(), path.name


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(map(str, choice)))
def test_helm_makes_the_objects_that_kustomize_makes(templated, choice):
    given = {"database__kind": choice.database, "scope": choice.scope, "webhooks": str(choice.webhooks).lower()}
    found = templated(**given, controller__replicas=2 if choice.several else 1)
    expected = [in_namespace(item, "tuning") for item in choice.objects().values()]
    assert keyed(map(comparable, found)) == keyed(map(comparable, expected))


def test_the_definitions_come_with_the_chart(helm):
    found = yaml.safe_load_all(helm("template", "katib", CHART, "--include-crds", "--kube-version", "1.34.0"))
    assert keyed(of_kind(filter(None, found), "CustomResourceDefinition")) == keyed(crds())


def test_the_charts_version_is_katib_pys():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_image_resources_and_places_are_chosen_by_values(templated):
    tolerations = [{"key": "gpu", "operator": "Exists"}]
    found = templated(
        image__repository="example/katib",
        controller__resources__limits__memory="3Gi",
        nodeSelector__disk="ssd",
        tolerations__json=json.dumps(tolerations),
        database__storageClass="fast",
    )
    pods = pod_templates(found)
    assert pods["katib-controller"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3Gi"
    for template in pods.values():
        assert template["spec"]["containers"][0]["image"] == "example/katib:latest"
        assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
        assert template["spec"]["tolerations"] == tolerations
    assert [claim["spec"]["storageClassName"] for claim in of_kind(found, "PersistentVolumeClaim")] == ["fast"]


def test_policies_and_peoples_roles_can_be_left_out(templated):
    found = templated(networkPolicies="false", userRoles="false")
    assert not of_kind(found, "NetworkPolicy")
    assert not [item for item in of_kind(found, "ClusterRole") if item["metadata"]["name"].startswith("kubeflow-")]


def test_a_password_is_taken_as_text(templated):
    (secret,) = [
        item
        for item in of_kind(templated(database__kind="postgres", database__password="007"), "Secret")
        if "stringData" in item
    ]
    assert secret["stringData"]["POSTGRES_PASSWORD"] == "007"


def test_a_database_that_there_is_not_is_refused(helm):
    with pytest.raises(AssertionError, match="kind"):
        helm("template", "katib", CHART, "--kube-version", "1.34.0", "--set", "database.kind=oracle")


def test_helm_finds_nothing_to_complain_of(helm):
    helm("lint", "--strict", CHART)


def test_an_installation_by_helm_is_applied(helm, own_api_server):
    namespace = own_api_server.namespace("by-helm")
    given = ("--kubeconfig", own_api_server.kubeconfig, "--namespace", namespace)
    helm("install", "katib", CHART, *given, "--set", "image.tag=latest")
    helm("upgrade", "katib", CHART, *given, "--set", "controller.replicas=2")
    deployment = own_api_server.client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/katib-controller")
    assert deployment["spec"]["replicas"] == 2
    helm("uninstall", "katib", *given)
    kept = own_api_server.client.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")["items"]
    assert [claim["metadata"]["name"] for claim in kept] == ["katib-db"]

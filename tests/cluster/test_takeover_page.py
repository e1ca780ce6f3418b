"""The commands of docs/takeover.md as they stand, on an installation such as Katib's, there and back."""

import os
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.cluster import binaries
from support.cluster.apiserver import ApiServer
from support.cluster.experiments import GROUP
from support.cluster.katib import Katib, given
from support.cluster.kinds import CRDS, katibs

from katib_py.cli.manifests import Installation
from katib_py.core.katib_config import KatibConfig, OwnImage

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "takeover.md").read_text()
KATIB = Path(__file__).parent / "installed" / "katib.yaml"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
EXPERIMENT = f"{GROUP}/namespaces/team-a/experiments/team-a"
IMAGE = "example/katib-py:0.1.0"


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def lines(text):
    return [line for block in blocks("sh", text) for line in block.splitlines()]


THERE, BACK = (lines(part) for part in PAGE.split("\n## And back\n"))
EXPORT, ENTRY = (yaml.safe_load(block) for block in blocks("yaml", PAGE))


class Cluster:
    """A server with Katib on it, and a shell in a folder with the tools of the page."""

    def __init__(self, server, folder):
        self.server, self.client, self.folder = server, server.client, folder
        (folder / "kubectl").symlink_to(binaries.find("kubectl"))
        (folder / "katib-export.yaml").write_text(yaml.safe_dump(EXPORT))
        (folder / "definitions.yaml").write_text(yaml.safe_dump_all(katibs()))

    def run(self, *wanted):
        path = os.pathsep.join([str(self.folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        env = {**os.environ, "PATH": path, "KUBECONFIG": str(self.server.kubeconfig)}
        for line in wanted:
            command = ["bash", "-o", "pipefail", "-c", line]
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"

    def install_katib(self):
        """As its own instructions have it."""
        definitions = f"{self.folder}/definitions.yaml"
        self.run(f"kubectl apply -f {definitions}", f"kubectl wait --for condition=established -f {definitions}")

    def stands(self):
        """What stands now."""
        names = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
        webhooks = [
            each for name in names for each in self.client.get(f"{WEBHOOKS}/{name}/katib.kubeflow.org")["webhooks"]
        ]
        deployments = self.client.get("/apis/apps/v1/namespaces/kubeflow/deployments")["items"]
        definition = self.client.get(f"{CRDS}/experiments.kubeflow.org")
        config = self.client.get("/api/v1/namespaces/kubeflow/configmaps/katib-config")["data"]["katib-config.yaml"]
        return Standing(
            self.client.get(EXPERIMENT),
            {webhook["name"]: webhook for webhook in webhooks},
            {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in deployments},
            definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            KatibConfig.model_validate(yaml.safe_load(config)),
        )


@dataclass
class Standing:
    experiment: dict
    webhooks: dict
    pods: dict
    schema: dict
    config: KatibConfig


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with ApiServer(folder / "server") as server:
        cluster = Cluster(server, folder)
        cluster.install_katib()
        katib = Katib(server.client, server.namespace("team-a"))
        experiment = katib.experiment()
        katib.suggestion(experiment, [given("team-a-a", "0.1")])
        katib.trial(experiment, given("team-a-a", "0.1"))
        cluster.run(f"kubectl apply -f {KATIB}")
        yield cluster


@pytest.fixture(scope="module")
def before(cluster):
    return cluster.stands()


@pytest.fixture(scope="module")
def taken_over(cluster, before):
    cluster.run(*THERE)
    return cluster.stands()


@pytest.fixture(scope="module")
def handing_back(cluster, taken_over):
    cluster.run(BACK[0])
    return cluster.stands()


@pytest.fixture(scope="module")
def handed_back(cluster, handing_back):
    cluster.run(*BACK[1:])
    cluster.install_katib()
    cluster.run(f"kubectl apply -f {KATIB}")
    return cluster.stands()


def ours(kind, name):
    objects = Installation("external-database", IMAGE).objects()
    return next(item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


def fits(wanted, found):
    """Whether all that is wanted is found, and of lists nothing else."""
    if isinstance(wanted, dict):
        return all(key in found and fits(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(found) and all(map(fits, wanted, found))
    return wanted == found


def test_the_objects_live_on_under_our_definitions(cluster, before, taken_over):
    assert taken_over.experiment["metadata"]["uid"] == before.experiment["metadata"]["uid"]
    assert (taken_over.experiment["spec"], taken_over.experiment["status"]) == (
        before.experiment["spec"],
        before.experiment["status"],
    )
    assert "properties" in taken_over.schema
    kept = yaml.safe_load((cluster.folder / "katib-objects.yaml").read_text())["items"]
    assert {item["kind"] for item in kept} == {"Experiment", "Suggestion", "Trial"}


@pytest.mark.parametrize("name", ["katib-controller", "katib-db-manager"])
def test_of_katibs_programs_nothing_is_left_in_ours(taken_over, name):
    assert fits(ours("Deployment", name)["spec"]["template"]["spec"], taken_over.pods[name])


def test_katibs_database_is_left_alone_and_found(cluster, before, taken_over):
    assert taken_over.pods["katib-mysql"] == before.pods["katib-mysql"]
    secret = cluster.client.get("/api/v1/namespaces/kubeflow/secrets/katib-database")["data"]
    assert {key: b64decode(value).decode() for key, value in secret.items()} == {
        "DB_NAME": "mysql",
        "DB_PASSWORD": "test",
    }


def test_of_katibs_webhooks_nothing_is_left_in_ours(taken_over):
    found = taken_over.webhooks
    assert {webhook["failurePolicy"] for webhook in found.values()} == {"Ignore"}
    assert found["mutator.pod.katib.kubeflow.org"]["namespaceSelector"] == {}
    assert not any("matchConditions" in webhook for webhook in found.values())


def test_katibs_configuration_is_in_force(taken_over):
    assert isinstance(taken_over.config.suggestion("mine"), OwnImage)
    assert not isinstance(taken_over.config.suggestion("random"), OwnImage)


def test_the_controller_is_told_to_hand_back(handing_back):
    assert handing_back.pods["katib-controller"]["containers"][0]["args"][-1] == "--hand-back"


def test_katib_is_back_as_it_was(cluster, before, handed_back):
    assert handed_back.experiment["metadata"]["uid"] == before.experiment["metadata"]["uid"]
    assert (handed_back.schema, handed_back.pods) == (before.schema, before.pods)
    assert handed_back.webhooks.keys() == before.webhooks.keys()
    assert {webhook["failurePolicy"] for webhook in handed_back.webhooks.values()} == {"Fail"}
    assert not cluster.client.get("/apis/networking.k8s.io/v1/namespaces/kubeflow/networkpolicies")["items"]


def test_the_entry_for_katibs_configuration_can_be_read():
    assert isinstance(KatibConfig.model_validate(ENTRY).suggestion("grid"), OwnImage)

"""The commands of docs/kubernetes.md run as they stand, and its YAML is taken."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.cluster import binaries
from support.cluster.apiserver import ApiServer
from support.objects import key_of

from katib_py.cli.manifests import Installation, overlays

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(helm, tmp_path):
    """Runs a line in the repository, with the tools on the PATH and the server as kubectl's."""
    for name in ("kubectl", "helm"):
        (tmp_path / name).symlink_to(binaries.find(name))
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])

    def run(line, server):
        env = {**os.environ, "PATH": path, "KUBECONFIG": str(server.kubeconfig), "HELM_CACHE_HOME": str(tmp_path)}
        command = ["bash", "-o", "pipefail", "-c", line]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr}"

    return run


@pytest.fixture
def bare_server(tmp_path, own_api_server):
    """A second server, on which nothing is installed."""
    with ApiServer(tmp_path / "server") as server:
        yield server


LINES = [line for block in blocks("sh") for line in block.splitlines()]


def test_the_commands_run_in_their_order(own_api_server, shell):
    own_api_server.start_controllers("namespace-controller", "garbage-collector-controller")
    own_api_server.namespace("team-a")
    assert len(LINES) > 10
    for line in LINES:
        if not line.startswith("helm "):
            shell(line, own_api_server)


def test_the_commands_of_helm_run_in_their_order(bare_server, shell):
    for line in LINES:
        if line.startswith("helm "):
            shell(line, bare_server)


def test_its_yaml_is_what_it_says(own_api_server, shell, tmp_path):
    kustomization, role = (yaml.safe_load(block) for block in blocks("yaml"))
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (tmp_path / "role.yaml").write_text(yaml.safe_dump(role))
    shell(f"kubectl kustomize {tmp_path}/mine > {tmp_path}/mine.yaml", own_api_server)
    shell(f"kubectl apply --server-side -f {tmp_path}/role.yaml", own_api_server)
    made = {key_of(item) for item in yaml.safe_load_all((tmp_path / "mine.yaml").read_text())}
    expected = {key_of(item) for item in Installation("postgres", namespace="tuning").objects()}
    assert made - expected == {("PodDisruptionBudget", "tuning", "katib-controller")}
    assert expected <= made


def test_every_overlay_is_in_the_table():
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    assert {path.name for path in overlays().iterdir()} <= named

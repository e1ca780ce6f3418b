"""The node that the tests run on is a real one: pods run, are reached by name, and nothing of it stays."""

import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from support.cluster import binaries, images
from support.cluster.client import Client, Refused
from support.cluster.enclosure import PREFIX, hierarchies, make_groups, sweep
from support.shell import wait_for

TESTS = Path(__file__).parents[1]
SERVE = "import http.server as s; s.HTTPServer(('', 8080), s.SimpleHTTPRequestHandler).serve_forever()"
ASK_API = """
import ssl, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount"
token = open(f"{account}/token").read()
request = urllib.request.Request("https://kubernetes.default.svc/api", headers={"Authorization": f"Bearer {token}"})
print(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=f"{account}/ca.crt")).read().decode())
"""
DOCKERFILE = """
ARG BASE_IMAGE=docker.io/library/python:3.12-slim
FROM ${BASE_IMAGE}
RUN echo built > /made
CMD ["cat", "/made"]
"""


class Runs:
    """Runs commands in pods of a namespace."""

    def __init__(self, node, namespace):
        self.node = node
        self.jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.core = f"/api/v1/namespaces/{namespace}"
        self.namespace = namespace

    def start(self, name, *command, image=images.BASE, **spec):
        container = {"name": "main", "image": image, **({"command": list(command)} if command else {})}
        template = {"metadata": {"labels": {"app": name}}}
        template["spec"] = {"containers": [container], "restartPolicy": "Never", **spec}
        return self.node.client.post(
            self.jobs, {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}}
        )

    def output(self, name, *command, **given):
        """What the command said, once it has ended well."""
        self.start(name, *command, **given)
        wait_for(lambda: self.ended(name))
        assert self.ended(name) == "Complete", self.kubectl("describe", "pods", "-l", f"app={name}")
        return self.kubectl("logs", f"job/{name}")

    def ended(self, name):
        conditions = self.node.client.get(f"{self.jobs}/{name}")["status"].get("conditions", [])
        return next((one["type"] for one in conditions if one["type"] in ("Complete", "Failed")), None)

    def kubectl(self, *words):
        command = [
            binaries.find("kubectl"),
            "--kubeconfig",
            self.node.kubeconfig,
            "--namespace",
            self.namespace,
            *words,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def runs(node, node_namespace):
    return Runs(node, node_namespace)


@pytest.fixture
def service(runs):
    """The name and the address of a Service that answers."""
    runs.start("served", "python3", "-c", SERVE)
    body = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "served"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    made = runs.node.client.post(f"{runs.core}/services", body)
    wait_for(lambda: "Running" in runs.kubectl("get", "pods", "-l", "app=served"))
    return made["metadata"]["name"], made["spec"]["clusterIP"]


def test_a_job_completes_and_its_log_is_read(runs):
    assert runs.output("says", "sh", "-c", "echo loss=0.5") == "loss=0.5\n"


def test_a_job_that_fails_is_failed(runs):
    runs.start("fails", "false")
    wait_for(lambda: runs.ended("fails"))
    assert runs.ended("fails") == "Failed"


def test_a_service_answers_to_its_name(runs, service):
    code = f"import urllib.request as r; print(r.urlopen('http://{service[0]}', timeout=20).status)"
    assert runs.output("asks", "python3", "-c", code) == "200\n"


def test_a_service_answers_to_this_machine(service):
    """So a webhook behind a Service works."""
    wait_for(lambda: answers(f"http://{service[1]}"))


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_pod_reaches_the_api_server_by_name(runs):
    assert "APIVersions" in runs.output("inside", "python3", "-c", ASK_API)


def test_unknown_names_are_unknown(runs):
    code = "import socket\ntry: socket.gethostbyname('nowhere.example')\nexcept socket.gaierror as e: print(e.errno)"
    assert runs.output("lost", "python3", "-c", code) == "-2\n"


def test_what_a_dockerfile_makes_runs(runs, tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    runs.node.load(images.build("localhost/made:tests", tmp_path))
    assert runs.output("made", image="localhost/made:tests") == "built\n"


def test_a_native_sidecar_ends_after_its_job(runs):
    trap = "trap 'echo flushed; exit 0' TERM; while :; do sleep 0.1; done"
    sidecar = {"name": "side", "image": images.BASE, "command": ["sh", "-c", trap], "restartPolicy": "Always"}
    runs.output("trains", "true", initContainers=[sidecar])
    assert runs.kubectl("logs", "job/trains", "-c", "side") == "flushed\n"


def test_nothing_is_left_of_a_node_that_was_killed(node, tmp_path):
    command = [sys.executable, "-m", "support.cluster.node", str(tmp_path), str(images.base())]
    groups_before, interfaces_before = groups(), interfaces()
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        start_pod(Client(process.stdout.readline().strip()))
        made = groups() - groups_before, interfaces() - interfaces_before
        assert all(made)
        process.send_signal(signal.SIGKILL)
    # A control group can be removed only when no process is left in it, be it a pod's.
    wait_for(lambda: not (made[0] & groups() or made[1] & interfaces() or processes_with(str(tmp_path))))
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert not (tmp_path / "containerd").exists()


def test_the_next_node_sweeps_up_after_a_keeper_that_was_killed(node):
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    name = f"{PREFIX}{gone.pid}"
    make_groups(name)
    sweep()
    assert name not in groups()


def start_pod(client):
    """A pod with a volume, and it runs."""
    wait_for(lambda: not refused(client, "/api/v1/namespaces/default/serviceaccounts/default"))
    container = {"name": "main", "image": images.BASE, "command": ["sleep", "1000"]}
    body = {"metadata": {"name": "left"}, "spec": {"containers": [container]}}
    client.post("/api/v1/namespaces/default/pods", body)
    wait_for(lambda: client.get("/api/v1/namespaces/default/pods/left")["status"]["phase"] == "Running")


def refused(client, path):
    try:
        return not client.get(path)
    except Refused:
        return True


def interfaces():
    return {path.name for path in Path("/sys/class/net").glob("kpy*")}


def groups():
    """The names of the control groups of nodes."""
    return {path.name for found in hierarchies() for path in found.place.glob(f"{PREFIX}*")}


def processes_with(text):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # a process may end while it is looked at
            found.append(path.read_bytes())
    return [command for command in found if text.encode() in command]

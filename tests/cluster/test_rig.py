"""The API server that the tests run against keeps its own promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.cluster import binaries
from support.cluster.client import Client, Refused
from support.shell import wait_for

TESTS = Path(__file__).parents[1]


def config_maps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


def config_map(name, **data):
    return {"metadata": {"name": name}, "data": data}


@pytest.fixture
def own_namespace(own_api_server, request):
    return own_api_server.namespace(request.node.name.replace("_", "-")[:50])


def test_the_server_answers(api_server, namespace):
    api_server.client.post(config_maps(namespace), config_map("answer", value="42"))
    assert api_server.client.get(f"{config_maps(namespace)}/answer")["data"] == {"value": "42"}


def test_kubectl_works_with_the_kubeconfig(api_server, namespace):
    command = [
        binaries.find("kubectl"),
        "--kubeconfig",
        api_server.kubeconfig,
        "get",
        "namespace",
        namespace,
        "-o",
        "json",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["metadata"]["name"] == namespace


def test_a_restart_keeps_objects(own_api_server, own_namespace):
    before = own_api_server.client.post(config_maps(own_namespace), config_map("kept"))
    own_api_server.restart()
    after = own_api_server.client.get(f"{config_maps(own_namespace)}/kept")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_compacted_watch_is_gone(own_api_server, own_namespace):
    path = config_maps(own_namespace)
    version = own_api_server.client.get(path)["metadata"]["resourceVersion"]
    own_api_server.expire_watches()
    (event,) = own_api_server.client.watch(path, version, seconds=5)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_watch_tells_what_happens(api_server, namespace):
    path = config_maps(namespace)
    version = api_server.client.get(path)["metadata"]["resourceVersion"]
    api_server.client.post(path, config_map("news"))
    events = api_server.client.watch(path, version, fieldSelector="metadata.name=news")
    assert next(events)["type"] == "ADDED"
    events.close()


def test_a_user_without_rights_is_forbidden(own_api_server, own_namespace):
    nobody = Client(own_api_server.user("nobody"))
    with pytest.raises(Refused, match='User "nobody" cannot list resource "configmaps"') as refused:
        nobody.get(config_maps(own_namespace))
    assert refused.value.code == 403


def test_a_service_account_may_what_its_role_gives(api_server, namespace):
    reader = Client(api_server.account(namespace, "reader"))
    with pytest.raises(Refused, match="cannot list resource"):
        reader.get(config_maps(namespace))
    api_server.grant(namespace, "reader", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]})
    assert wait_for(lambda: allowed(reader, config_maps(namespace)))


def allowed(client, path):
    try:
        return client.get(path)["kind"]
    except Refused:
        return None


def test_a_namespace_goes_with_all_that_is_in_it(api_server):
    name = api_server.namespace("short-lived")
    api_server.client.post(config_maps(name), config_map("held"))
    api_server.client.delete(f"/api/v1/namespaces/{name}")
    wait_for(lambda: not allowed(api_server.client, f"/api/v1/namespaces/{name}"))


def test_no_server_outlives_who_started_it(tmp_path, own_api_server):
    command = [sys.executable, "-m", "support.cluster.apiserver", str(tmp_path)]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        kubeconfig = process.stdout.readline().strip()
        Client(kubeconfig).get("/api/v1/namespaces")
        process.kill()
    wait_for(lambda: not commands_with(str(tmp_path)))


def commands_with(text):
    found = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return [command for command in found if text.encode() in command]

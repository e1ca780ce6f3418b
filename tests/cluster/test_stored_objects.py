"""Objects that Katib left in a cluster live on when its definitions are replaced by ours."""

import shutil
from pathlib import Path

import pytest
import yaml
from support.cluster.apiserver import ApiServer
from support.cluster.client import Refused
from support.cluster.kinds import install, install_katibs, path_of
from support.schemas import defaulted, schema_of
from support.shell import wait_for

HERE = Path(__file__).parent
FINALIZER = "update-prometheus-metrics"
OBJECTS = [
    item
    for kind in ("experiments", "suggestions", "trials")
    for item in yaml.safe_load((HERE / "stored" / f"{kind}.yaml").read_text())
]

# Since 1.30 an API server lets unchanged fields pass that new rules would refuse. Nothing relies on that.
STRICT = {"emulated_version": "1.32", "feature_gates": "CRDValidationRatcheting=false"}


def name_of(item):
    return f"{item['kind']}-{item['metadata']['name']}"


def without_nulls(value):
    if isinstance(value, dict):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory):
    """A server that had Katib's definitions when the objects were stored, and has ours now."""
    folder = tmp_path_factory.mktemp("taken-over")
    with ApiServer(folder, **STRICT) as server:
        server.namespace("katib")
        install_katibs(server.client)
        for item in OBJECTS:
            path = path_of("katib", item["kind"])
            stored = server.client.post(path, item)
            if "status" in item:
                name = item["metadata"]["name"]
                server.client.put(f"{path}/{name}/status", {**stored, "status": item["status"]})
        install(server.client)
        yield server.client
    shutil.rmtree(folder / "etcd")


@pytest.mark.parametrize("item", OBJECTS, ids=name_of)
def test_an_object_of_katibs_lives_on(taken_over, item):
    path = path_of("katib", item["kind"], item["metadata"]["name"])
    found = taken_over.get(path)
    expected = defaulted(schema_of(item["kind"]), without_nulls(item))
    assert without_nulls(found["spec"]) == without_nulls(expected["spec"])
    assert without_nulls(found.get("status", {})) == without_nulls(expected.get("status", {}))


@pytest.mark.parametrize("item", OBJECTS, ids=name_of)
def test_an_object_of_katibs_can_be_written_and_deleted(taken_over, item):
    path = path_of("katib", item["kind"], item["metadata"]["name"])
    condition = {"type": "Waiting", "status": "True", "reason": "Taken", "message": "over"}
    assert taken_over.patch(f"{path}/status", {"status": {"conditions": [condition]}})["status"]["conditions"]
    assert taken_over.patch(path, {"metadata": {"labels": {"taken": "over"}}})["metadata"]["labels"]["taken"]
    taken_over.delete(path)
    wait_for(lambda: gone(taken_over, path))


def gone(client, path):
    """Whether the object is away once its finalizers are."""
    try:
        client.patch(path, {"metadata": {"finalizers": None}})
        client.get(path)
    except Refused as refused:
        return refused.code == 404
    return False

"""What a pod gets so that its training goes on from its parent's checkpoint."""

import subprocess
from dataclasses import replace

import pytest

from katib_py.core.checkpoints import COPIER, COPY, Checkpoints, on_one_node
from katib_py.core.experiment import TrialTemplate

TEMPLATE = TrialTemplate(primary_container_name="main")
CHECKPOINTS = Checkpoints("demo", "demo-pbt", "/opt/checkpoints")


def job(**main):
    containers = [{"name": "side", "image": "side"}, {"name": "main", "image": "train:1", **main}]
    pod = {"containers": containers, "initContainers": [{"name": "first", "image": "first"}]}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}}


def pod_of(run):
    return run["spec"]["template"]["spec"]


def test_the_primary_container_sees_its_own_folder_of_the_volume_at_katibs_path():
    pod = pod_of(CHECKPOINTS.given_to(job(), TEMPLATE, "demo-b", ""))
    side, main = pod["containers"]
    mount = {"name": "suggestion-volume", "mountPath": "/opt/checkpoints", "subPath": "demo/demo-b"}
    assert main["volumeMounts"] == [mount]
    assert main["env"] == [{"name": "KATIB_CHECKPOINT_DIR", "value": "/opt/checkpoints"}]
    assert pod["volumes"] == [{"name": "suggestion-volume", "persistentVolumeClaim": {"claimName": "demo-pbt"}}]
    assert side == {"name": "side", "image": "side"}
    assert [each["name"] for each in pod["initContainers"]] == ["first"]


def test_a_parents_checkpoint_is_copied_before_anything_else_by_the_trainings_image_and_user():
    given = job(securityContext={"runAsUser": 7}, imagePullPolicy="Never")
    pod = pod_of(CHECKPOINTS.given_to(given, TEMPLATE, "demo-b", "demo-a"))
    copier, first = pod["initContainers"]
    assert (copier["name"], first["name"]) == (COPIER, "first")
    assert (copier["image"], copier["imagePullPolicy"]) == ("train:1", "Never")
    assert copier["securityContext"] == {"runAsUser": 7}
    assert copier["command"][-3:] == ["demo", "demo-b", "demo-a"]
    assert given == job(securityContext={"runAsUser": 7}, imagePullPolicy="Never")


def test_where_the_volume_is_for_one_node_all_pods_of_the_experiment_go_to_one():
    own = {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]},
        "nodeAffinity": {},
    }
    given = job()
    given["spec"]["template"]["spec"]["affinity"] = own
    affinity = pod_of(replace(CHECKPOINTS, together=True).given_to(given, TEMPLATE, "demo-b", ""))["affinity"]
    zone, host = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert (zone["topologyKey"], host["topologyKey"]) == ("zone", "kubernetes.io/hostname")
    assert host["labelSelector"]["matchLabels"] == {"katib.kubeflow.org/experiment": "demo"}
    assert "nodeAffinity" in affinity


@pytest.mark.parametrize(("modes", "one"), [(["ReadWriteOnce"], True), (["ReadWriteMany"], False), ([], True)])
def test_a_claim_tells_on_how_many_nodes_its_volume_is(modes, one):
    assert on_one_node({"accessModes": modes}) is one


def test_an_object_without_the_primary_container_stays_as_it_is():
    run = {"kind": "Other", "spec": {"steps": []}}
    assert CHECKPOINTS.given_to(run, TEMPLATE, "demo-b", "demo-a") == run


def copied(root, parent="a"):
    subprocess.run(["sh", "-c", COPY, str(root), "demo", "b", parent], check=True)
    return {path.name: path.read_text() for path in (root / "demo" / "b").iterdir()}


def test_the_copy_is_made_once_and_begun_again_where_it_was_not_finished(tmp_path):
    parent, child = tmp_path / "demo" / "a", tmp_path / "demo" / "b"
    parent.mkdir(parents=True)
    (parent / "weights").write_text("whole")
    child.mkdir()
    (child / "weights").write_text("wh")  # what a killed copy left
    (child / "rest").write_text("")
    assert copied(tmp_path) == {"weights": "whole"}
    (child / "weights").write_text("trained on")
    assert copied(tmp_path) == {"weights": "trained on"}


def test_a_parent_that_left_nothing_gives_an_empty_folder(tmp_path):
    assert copied(tmp_path, "gone") == {}

"""How runs are held back, ended and let go on: by the field that their kind has for it."""

import pytest

from katib_py.core.kinds import KINDS
from katib_py.core.switches import LABEL_QUEUE, ending, going_on, is_ended, is_held


def run(kind, spec=None, **labels):
    return {"kind": kind, "metadata": {"name": "demo-x", "labels": labels}, "spec": spec or {}}


def merged(document, patch):
    """What a merge patch makes of it."""
    if not isinstance(patch, dict):
        return patch
    held = document if isinstance(document, dict) else {}
    return {**held, **{key: merged(held.get(key), value) for key, value in patch.items()}}


ENDABLE = [kind for kind, row in KINDS.items() if row.end and not row.end_needs]
AGAIN = [kind for kind, row in KINDS.items() if row.end and row.end == row.hold and not row.end_needs]


@pytest.mark.parametrize("kind", ENDABLE)
def test_a_run_that_was_ended_says_so(kind):
    before = run(kind)
    assert not is_ended(before)
    assert is_ended(merged(before, ending(before)))


@pytest.mark.parametrize("kind", AGAIN)
def test_what_was_held_back_goes_on(kind):
    held = merged(run(kind), ending(run(kind)))
    assert is_held(held)
    assert not is_held(merged(held, going_on(held)))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {*AGAIN, "RayJob"}))
def test_what_has_ended_for_good_does_not_go_on(kind):
    assert going_on(run(kind)) is None


def test_a_ray_job_can_only_be_suspended_where_its_cluster_goes_with_it():
    assert ending(run("RayJob")) is None
    assert ending(run("RayJob", {"shutdownAfterJobFinishes": True})) == {"spec": {"suspend": True}}


def test_what_kueue_has_admitted_is_not_held_back_behind_its_back():
    assert ending(run("Job", **{LABEL_QUEUE: "team-a"})) is None


def test_a_kind_that_nobody_knows_is_held_back_by_the_usual_field_and_ended_by_deletion_only():
    assert is_held(run("Mystery", {"suspend": True}))
    assert not is_held(run("Mystery"))
    assert ending(run("Mystery")) is None


@pytest.mark.parametrize("spec", [[], "text", None, {"runPolicy": "none"}])
def test_a_run_of_any_form_can_be_looked_at(spec):
    document = {"kind": "PyTorchJob", "metadata": {"labels": None}, "spec": spec}
    assert not is_held(document)
    assert not is_ended(document)

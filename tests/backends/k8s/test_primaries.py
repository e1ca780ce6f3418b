"""Pods are told apart by attempts: whatever takes the place of what has failed is another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.backends.k8s.pods import Container, Pod
from katib_py.backends.k8s.primaries import Primaries


def at(second):
    return f"2026-01-01T00:00:{second:02}Z"


def pod(uid, created=0, phase="Running", finished="", left="", restarts=0, **labels):
    containers = {"main": Container(True, bool(finished), restarts)}
    return Pod(
        "team", uid, uid, "demo-x", "job", labels, at(created), left, finished, phase, containers, False, None, ""
    )


def primaries(attempt=1, begun=1):
    return Primaries({}, "main", attempt, begun)


def uids(pods):
    return [one.uid for one in pods]


def failed(uid, created, finished):
    return pod(uid, created, "Failed", at(finished))


def test_a_pod_in_the_place_of_a_failed_one_is_another_attempt():
    found = primaries()
    found.see([pod("a")])
    assert not found.over
    found.see([failed("a", 0, 5)])
    assert not found.over
    found.see([failed("a", 0, 5), pod("b", 6)])
    assert found.over
    assert (uids(found.newest), uids(found.replaced)) == (["b"], ["a"])


@pytest.mark.parametrize(
    "first",
    [pod("a", phase="Succeeded", finished=at(5)), pod("a"), failed("a", 0, 9)],
    ids=["succeeded", "runs", "failed-later"],
)
def test_a_pod_beside_another_or_after_one_that_has_succeeded_is_of_the_same_attempt(first):
    found = primaries()
    found.see([first])
    found.see([first, pod("b", 6)])
    assert not found.over
    assert uids(found.newest) == ["a", "b"]


def test_a_pod_that_was_deleted_is_replaced_by_the_next():
    found = primaries()
    found.see([pod("a")])
    found.see([])
    assert not found.over
    found.see([pod("b", 3)])
    assert found.over


def test_a_pod_that_is_told_to_go_is_replaced_by_one_that_is_made_then():
    found = primaries()
    found.see([pod("a", left=at(4))])
    found.see([pod("a", left=at(4)), pod("b", 4)])
    assert found.over


def test_a_container_that_is_run_again_is_another_attempt():
    found = primaries()
    found.see([pod("a")])
    found.see([pod("a", restarts=1)])
    assert found.over


def test_another_attempt_begins_with_what_the_one_before_ended_with():
    found = primaries(attempt=2)
    found.see([failed("a", 0, 5), pod("b", 6)])
    assert not found.over
    found.see([failed("a", 0, 5), failed("b", 6, 8), pod("c", 9)])
    assert found.over


def test_pods_that_nobody_has_seen_fail_are_of_attempts_that_nobody_has_counted():
    found = primaries(attempt=1)
    found.see([failed("a", 0, 5), pod("b", 6)])
    assert found.over


def test_an_object_that_was_made_for_a_later_attempt_counts_from_there():
    found = primaries(attempt=3, begun=3)
    found.see([pod("a")])
    assert not found.over


def test_pods_of_other_roles_do_not_count():
    found = Primaries({"role": "master"}, "main", 1)
    found.see([pod("a", role="worker")])
    assert not found.newest
    found.see([pod("a", role="worker"), pod("b", role="master")])
    assert uids(found.newest) == ["b"]


pods = st.lists(
    st.builds(
        pod,
        st.sampled_from("abcde"),
        st.integers(0, 9),
        st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
        st.sampled_from(["", at(4), at(8)]),
        st.sampled_from(["", at(4), at(8)]),
    ),
    unique_by=lambda one: one.uid,
    max_size=5,
)


@given(st.lists(pods, max_size=6))
def test_attempts_never_become_fewer_and_the_newest_is_of_one_of_them(looks):
    found, before = primaries(), 0
    for look in looks:
        found.see(look)
        assert found.attempts >= before
        before = found.attempts
        assert bool(found.newest) == bool(found.attempts)
        assert not {*uids(found.newest)} & {*uids(found.replaced)}

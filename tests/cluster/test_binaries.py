"""Where the tests' Kubernetes comes from."""

import shutil

import pytest
from support.cluster import binaries


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A machine on which nothing was built and nothing was given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(binaries.ENVTEST, raising=False)
    binaries.find.cache_clear()
    yield tmp_path
    binaries.find.cache_clear()


def test_every_program_has_a_version_of_its_own():
    assert binaries.PROGRAMS["kubelet"].version.startswith("v1.")
    assert binaries.PROGRAMS["etcd"].version.startswith("v3.")


def test_without_go_it_says_what_to_install(empty_cache, monkeypatch):
    monkeypatch.setattr(binaries, "find_go", lambda: None)
    with pytest.raises(binaries.Missing, match="install the dev packages"):
        binaries.find("etcd")


def test_the_programs_of_setup_envtest_are_taken(empty_cache, monkeypatch):
    assert binaries.absent(["etcd"]) == ["etcd"]
    shutil.copy(shutil.which("true"), empty_cache / "etcd")
    monkeypatch.setenv(binaries.ENVTEST, str(empty_cache))
    assert binaries.find("etcd") == empty_cache / "etcd"
    assert binaries.absent(["etcd"]) == []

"""`katib-py manifests`: what a cluster is given."""

import yaml

from katib_py.core.crds import crds


def test_the_definitions_are_printed(shell):
    done = shell("manifests", "--crds")
    assert done.returncode == 0, done.stderr
    assert list(yaml.safe_load_all(done.stdout)) == list(crds())

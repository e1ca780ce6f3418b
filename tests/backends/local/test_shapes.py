import pytest

from katib_py.backends.local.shapes import container_problems, run_problems


@pytest.mark.parametrize(
    ("container", "path"),
    [
        ({"command": "sh"}, "c.command"),
        ({"args": [["a"]]}, "c.args[0]"),
        ({"env": ["A=1"]}, "c.env[0]"),
        ({"env": [{"name": "A", "valueFrom": 3}]}, "c.env[0].valueFrom"),
        ({"resources": {"limits": [1]}}, "c.resources.limits"),
        ({"volumeMounts": [None]}, "c.volumeMounts[0]"),
    ],
)
def test_a_part_of_the_wrong_shape_is_named(container, path):
    assert [problem.path for problem in container_problems(container, "c")] == [path]


def test_what_is_null_or_unknown_is_left_alone():
    assert container_problems({"env": None, "ports": 3, "command": ["a", 1, True]}, "c") == []


def test_a_run_object_is_looked_at_without_a_pod():
    assert [problem.path for problem in run_problems({"spec": {"runPolicy": 3}}, None)] == ["spec.runPolicy"]

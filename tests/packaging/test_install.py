"""What `pip install katib-py` alone can do, beside whatever a training image pins."""

import sys
from pathlib import Path

import pytest

REPOSITORY = str(Path(__file__).parents[2])
LOWEST = ("protobuf==4.25.0", "grpcio==1.60.0", "pydantic==2.7.0", "PyYAML==6.0.1")
HEAVY = ("numpy", "scipy", "sqlalchemy", "psutil", "re2", "torch", "tensorflow", "ray", "kubernetes", "optuna", "typer")
STANDALONE = "manifests/overlays/standalone/kustomization.yaml"
IMPORTS = """
import pkgutil, importlib, sys
import katib_py, katib_py.core, katib_py.wire
from katib_py import report_metrics
for package in (katib_py.core, katib_py.wire):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""
ROUND_TRIP = """
from katib_py.wire import api
message = api.ReportObservationLogRequest(trial_name="t")
assert api.ReportObservationLogRequest.FromString(message.SerializeToString()) == message
"""
DEFAULTED = """
from katib_py.core.defaults import default
from katib_py.core.documents import read_documents
from katib_py.core.parse import parse_experiment
text = "apiVersion: kubeflow.org/v1beta1\\nkind: Experiment\\nmetadata: {name: a}\\nspec: {maxTrialCount: 3}"
document = read_documents(text)[0]
assert default(parse_experiment(document).experiment).spec.max_trial_count == 3
"""


@pytest.fixture(scope="module")
def base(environment):
    return environment(REPOSITORY)


@pytest.fixture(scope="module")
def lowest(environment):
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the lowest versions are promised for Python 3.11")
    return environment(REPOSITORY, *LOWEST)


def test_the_base_install_imports_core_wire_and_report_metrics(base):
    base(IMPORTS)


def test_the_base_install_brings_nothing_heavy(base):
    found = base(f"import importlib.util as u; print([name for name in {HEAVY} if u.find_spec(name)])")
    assert found.strip() == "[]"


def test_the_base_install_reads_an_experiment(base):
    base(DEFAULTED)


def test_an_install_has_the_manifests(base):
    found = base(f"import katib_py, pathlib as p; print([*p.Path(katib_py.__file__).parent.glob({STANDALONE!r})])")
    assert STANDALONE in found


def test_the_lowest_versions_import_and_speak_the_wire(lowest):
    lowest(IMPORTS + ROUND_TRIP + DEFAULTED)


def test_katib_py_and_kubeflow_katib_live_in_one_process(environment):
    both = environment(REPOSITORY, "kubeflow-katib")
    both("import kubeflow.katib\nimport kubeflow.katib.katib_api_pb2" + IMPORTS + ROUND_TRIP)
    both(IMPORTS + ROUND_TRIP + "import kubeflow.katib\nimport kubeflow.katib.katib_api_pb2")

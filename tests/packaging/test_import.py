"""`import katib_py` stands at the top of training programs: it must cost nothing."""

import subprocess
import sys

HEAVY = {
    "numpy",
    "scipy",
    "sqlalchemy",
    "psutil",
    "re2",
    "grpc",
    "pydantic",
    "yaml",
    "optuna",
    "typer",
    "rich",
    "torch",
}


def modules_after(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_katib_py_loads_nothing_but_itself():
    assert not modules_after("import katib_py") & HEAVY


def test_report_metrics_loads_only_what_it_sends_with():
    assert not modules_after("from katib_py import report_metrics") & (HEAVY - {"grpc"})

"""Small chaos campaigns; benchmarks/chaos_cluster.py runs the big ones."""

import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos_cluster.py"
SIZE = ["--trials", "16", "--parallel", "4", "--seconds", "0.3", "1.0"]


@pytest.mark.usefixtures("api_server")  # the programs that it takes are built
@pytest.mark.parametrize(("campaign", "strikes"), [(1, ["kill", "expire"]), (6, ["kill"])])
def test_strikes_lose_no_trial_and_no_metric(tmp_path, campaign, strikes):
    command = [sys.executable, str(CHAOS), "--only", str(campaign), "--strikes", *strikes, *SIZE]
    command += ["--folder", str(tmp_path), "--cells", str(tmp_path / "cells")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

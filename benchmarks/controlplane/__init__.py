"""How fast the control plane is: `python -m benchmarks.controlplane --help`."""

import sys
from pathlib import Path

# What plays the cluster is the tests'.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

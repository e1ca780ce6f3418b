"""How long `import katib_py` takes, in a fresh interpreter each time.

python benchmarks/import_time.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from typing import Final

STATEMENTS: Final = (
    "import katib_py",
    "from katib_py import report_metrics",
    "import katib_py.wire.api, katib_py.wire.rpc",
    "import katib_py.core.load",
    "import katib_py.cli.app",
)
CLOCKED: Final = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"


def seconds(statement: str) -> float:
    """The time of one import, without the interpreter's own start."""
    done = subprocess.run([sys.executable, "-c", CLOCKED.format(statement)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the medians; exit code 1 where `import katib_py` takes half a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"{'':<46} {'median ms':>10} {'longest':>8}")
    medians = {}
    for statement in STATEMENTS:
        found = [seconds(statement) for _ in range(rounds)]
        medians[statement] = statistics.median(found)
        print(f"{statement:<46} {medians[statement] * 1000:>10.0f} {max(found) * 1000:>8.0f}")
    raise SystemExit(medians["import katib_py"] >= 0.5)


if __name__ == "__main__":
    main()

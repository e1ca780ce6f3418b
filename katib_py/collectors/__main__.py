"""The collector beside a training as a process: `python -m katib_py.collectors -t TRIAL -m METRIC …`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

TOLD: Final[list[int]] = []


def main() -> int:
    """Collect until told to end; the exit status."""
    # Before anything is imported: the first process of a container does not even die of a signal that it ignores.
    signal.signal(signal.SIGTERM, lambda number, _: TOLD.append(number))
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own words on a server that is away come several a second
    from katib_py.collectors.process import run

    return run(sys.argv[1:], TOLD)


if __name__ == "__main__":
    sys.exit(main())

"""Scalars in a TensorBoard event file, for programs of any framework."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Records scalars, by tag, as of this step.
Record = Callable[[int, Mapping[str, float]], None]


@contextmanager
def event_file(folder: str | Path) -> Iterator[Record]:
    """A new event file in `folder`; what is recorded is on disk at once. Needs the package tensorboard."""
    # TensorBoard's own file writer would load TensorFlow where it is installed, ten seconds of every trial.
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    Path(folder).mkdir(parents=True, exist_ok=True)
    file = Path(folder) / f"events.out.tfevents.{time.time_ns()}.{os.uname().nodename}.{os.getpid()}"
    with file.open("xb") as out:
        writer = RecordWriter(out)

        def write(**event: object) -> None:
            writer.write(Event(wall_time=time.time(), **event).SerializeToString())
            writer.flush()

        def record(step: int, scalars: Mapping[str, float]) -> None:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
            write(step=step, summary=Summary(value=values))

        write(file_version="brain.Event:2")
        yield record

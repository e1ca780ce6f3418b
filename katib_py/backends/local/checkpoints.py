"""The folder of a trial from which its training can go on: its own attempts, and the trials that continue it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from katib_py.backends.local.folder import RunFolder

NAME: Final = "checkpoint"
_PART: Final = re.compile(rf"{NAME}\.(\d+)\.part")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`$KATIB_HOME/runs/NAMESPACE/EXPERIMENT/TRIAL/checkpoint`; `parent` is that of the trial continued, or empty.

    The folder is there as a whole or not at all, so that it is copied once, whenever the engine is killed.
    """

    path: str
    parent: str = ""

    @property
    def ready(self) -> bool:
        """Whether the folder is there."""
        return os.path.isdir(self.path)

    def make(self) -> None:
        """Make the folder with all that the parent's has; what is there already stays. Raises OSError."""
        if self.ready:
            return
        for left in self._left():
            shutil.rmtree(left, ignore_errors=True)
        part = f"{self.path}.{os.getpid()}.part"
        if self.parent and os.path.isdir(self.parent):
            shutil.copytree(self.parent, part, symlinks=True)
        else:
            os.mkdir(part, 0o700)
        try:
            os.rename(part, self.path)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
            if not self.ready:
                raise

    def discard(self) -> None:
        """Forget what a run left that the database does not know: it may have had other parameters."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path)

    def _left(self) -> Iterator[Path]:
        """What copying left unfinished, by engines that are no more, or by this one."""
        for path in Path(self.path).parent.glob(f"{NAME}.*.part"):
            match = _PART.fullmatch(path.name)
            if match is not None and (int(match[1]) == os.getpid() or not psutil.pid_exists(int(match[1]))):
                yield path


def checkpoint_of(run: RunFolder, parent: str = "") -> Checkpoint:
    """The checkpoint of the trial that the run belongs to; `parent` names the trial of the experiment it continues."""
    trial = os.path.dirname(run.path)
    # A name comes from a suggestion service: nothing outside the experiment's folder is read for it.
    inside = parent and os.path.basename(parent) == parent and parent not in {".", ".."}
    source = f"{os.path.dirname(trial)}/{parent}/{NAME}" if inside else ""
    return Checkpoint(f"{trial}/{NAME}", source)

"""Folders of the run in place of the paths that a container would have to itself.

Two trials on one machine would overwrite each other's /var/log/katib/metrics.log; so the collector's path and the
mountPaths of volumes become folders of the run wherever command, args and environment name them.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from katib_py.backends.local.checkpoints import checkpoint_of
from katib_py.backends.local.folder import RunFolder


@dataclass(frozen=True, slots=True)
class Paths:
    """Which path stands for which. `collector` is where the collector reads; empty where it reads no path."""

    replaced: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()
    collector: str = ""

    def apply(self, text: str) -> str:
        """The text with every replaced path, and whatever lies below one, pointing into the run's folder."""
        if not self.replaced or "/" not in text:
            return text
        return _pattern(tuple(self.replaced)).sub(lambda match: self.replaced[match[0]], text)

    def make(self) -> None:
        """Make the folders that the program may expect."""
        for folder in self.folders:
            os.makedirs(folder, exist_ok=True)


def run_paths(
    folder: RunFolder, mounts: Mapping[str, str], collector: str, directory: bool, checkpoint: str = ""
) -> Paths:
    """The replacement for one run.

    `mounts` maps mountPath to volume name; `collector` is the path that the collector reads, empty for none, and
    `directory` says whether that is a directory. `checkpoint` is where the program looks for the trial's checkpoint.
    """
    replaced = {_clean(path): f"{folder.path}/volumes/{name}" for path, name in mounts.items()}
    folders = list(replaced.values())
    if checkpoint:
        replaced[_clean(checkpoint)] = checkpoint_of(folder).path
    path = ""
    if collector:
        wanted = _clean(collector)
        inside = Paths(replaced).apply(wanted)
        if inside == wanted:
            inside = folder.metrics if directory else f"{folder.metrics}/{posixpath.basename(wanted)}"
            replaced[wanted] = inside
        path = inside
        folders.append(inside if directory else posixpath.dirname(inside))
    return Paths(replaced, folders, path)


def _clean(path: str) -> str:
    return posixpath.normpath(path)


@lru_cache(64)
def _pattern(paths: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first, so that a path below another one wins; /data is no part of /data2, data.csv or my/data.
    choices = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
    return re.compile(rf"(?<![\w./-])(?:{choices})(?![\w.-])")

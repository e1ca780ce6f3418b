"""The KatibConfig as it is at the moment: what runs is told of changes, what was set up at the start is not."""

from __future__ import annotations

import logging
from pathlib import Path

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.resources import CONFIG_MAPS
from katib_py.core.errors import InvalidInput, StoreUnavailable
from katib_py.core.katib_config import CONFIG_KEY, CONFIG_MAP, KatibConfig
from katib_py.core.validate.config import read_config

log = logging.getLogger(__name__)


class Configuration:
    """`current` is the configuration. A later one that cannot be read is logged, and the one before stays in force."""

    def __init__(self, current: KatibConfig) -> None:
        self.current = current

    @classmethod
    def of_file(cls, path: str | None) -> Configuration:
        """The configuration of a file, or all defaults without one; raises InvalidInput, StoreUnavailable."""
        if path is None:
            return cls(KatibConfig())
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StoreUnavailable(f"--config {path} cannot be read: {error}") from error
        return cls(_parsed(text, path))

    def informer(self, api: Api, namespace: str) -> Informer[str]:
        """The informer of the ConfigMap katib-config of the core namespace, which keeps `current` in step."""
        selection = Selection(namespace, fields=f"metadata.name={CONFIG_MAP}")
        return Informer(api, CONFIG_MAPS, _text, self._changed, selection)

    def _changed(self, name: Name, old: str | None, new: str | None) -> None:
        if not new or new == old:
            return
        try:
            read = _parsed(new, f"ConfigMap {name.namespace}/{name.name}")
        except InvalidInput as error:
            log.error("the configuration stays as it was: %s", error)
            return
        # What was set up at the start stays as it is until the next.
        self.current = read.model_copy(update={"init": self.current.init})


def _text(document: Json) -> str:
    return str((document.get("data") or {}).get(CONFIG_KEY, ""))


def _parsed(text: str, where: str) -> KatibConfig:
    config, warnings = read_config(text)
    for problem in warnings:
        log.warning("%s: %s", where, problem)
    return config

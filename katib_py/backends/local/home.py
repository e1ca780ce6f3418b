"""Where a local installation keeps its things."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from katib_py.controller.ports import Key
from katib_py.core.names import ENV_HOME
from katib_py.observations.address import shown


@dataclass(frozen=True, slots=True)
class Home:
    """The work folder and the database of one local installation."""

    root: Path
    db_url: str

    @classmethod
    def find(cls, db: str | None = None) -> Home:
        """$KATIB_HOME, by default ./.katib, and its katib.db unless `db` names another database."""
        root = Path(os.environ.get(ENV_HOME) or ".katib").absolute()
        return cls(root, db or f"sqlite:///{root / 'katib.db'}")

    @property
    def shown_db(self) -> str:
        """The database as it may be shown: without a password."""
        return shown(self.db_url)

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.root / "runs"

    def experiment(self, key: Key) -> Path:
        """The folder of an experiment's runs."""
        return self.runs / key.namespace / key.name

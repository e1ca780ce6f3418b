"""One `katib-py run`: an experiment, its lease, and the engine on this machine's ports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from katib_py.backends.local.configs import Configs
from katib_py.backends.local.configured import ConfiguredSuggesters, stopped_elsewhere
from katib_py.backends.local.database import Database
from katib_py.backends.local.db_manager import Address, DbManager
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.home import Home
from katib_py.backends.local.lease import TERMS, Lease, Terms
from katib_py.backends.local.observations import SqlObservations
from katib_py.backends.local.program import Site
from katib_py.backends.local.runner import LocalRunner
from katib_py.backends.local.store import SqlStore
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.controller.board import Board
from katib_py.controller.engine import Engine, Outcome
from katib_py.controller.platform import PUSHED, Platform, Render, WallClock
from katib_py.controller.ports import Key
from katib_py.controller.search import Search
from katib_py.core.errors import StoreUnavailable
from katib_py.core.experiment import Experiment
from katib_py.core.katib_config import KatibConfig
from katib_py.core.names import LABEL_EXPERIMENT, LABEL_TRIAL
from katib_py.core.pods import mark
from katib_py.core.template import ConfigMaps, compile_template
from katib_py.core.trial import TrialRecord


@dataclass(frozen=True, slots=True)
class Session:
    """What a run needs besides the experiment: where things are kept, and the ConfigMaps and Secrets beside it.

    `terms` are those of its lease.
    """

    home: Home
    database: Database
    configs: Configs = field(default_factory=Configs)
    config_maps: ConfigMaps = field(default_factory=dict)
    terms: Terms = TERMS
    config: KatibConfig = field(default_factory=KatibConfig)

    @classmethod
    def again(cls, home: Home, database: Database, key: Key) -> Session:
        """A session for what an earlier one left running: with its ConfigMaps; Secrets are not kept."""
        try:
            kept = json.loads(_kept_path(home, key).read_text())
            maps = {(namespace, name): dict(data) for namespace, name, data in kept}
        except (OSError, ValueError, TypeError):
            maps = {}  # a copy that nobody can read is none
        return cls(home, database, config_maps=maps)

    async def end(self, experiment: Experiment) -> None:
        """End what an engine that is gone left running, and start nothing; raises as `run` does."""
        await self.run(experiment, lambda board: None, ending=True)

    async def run(self, experiment: Experiment, watch: Callable[[Board], None], ending: bool = False) -> Outcome:
        """Drive the stored experiment to its end; an interrupt or SIGTERM ends its runs first, `ending` does at once.

        Raises Held, InvalidInput, NotFound, StoreUnavailable.
        """
        key = Key(experiment.metadata.namespace, experiment.name)
        wake = asyncio.Event()
        self._keep_config_maps(key)
        async with Lease(self.database, key, self.terms), self._db_manager(experiment) as address:
            engine = Engine(self._platform(experiment, address, wake), key, wake, watch)
            if ending:
                engine.interrupt()
            with _interrupting(engine.interrupt):
                return await engine.run()

    def _keep_config_maps(self, key: Key) -> None:
        """Trials whose template is in a ConfigMap are ended by `stop`, which is given no file to read it from."""
        if not self.config_maps:
            return
        path = _kept_path(self.home, key)
        draft = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps([[*owner, dict(data)] for owner, data in self.config_maps.items()]))
            draft.replace(path)
        except OSError as error:
            raise StoreUnavailable(f"{path} cannot be written: {error.strerror}") from error

    @asynccontextmanager
    async def _db_manager(self, experiment: Experiment) -> AsyncIterator[Address | None]:
        """Where pushing trials report and a foreign stopper looks; nothing is started where neither is there."""
        if not _pushes(experiment) and stopped_elsewhere(self.config, experiment) is None:
            yield None
            return
        manager = DbManager(self.home)
        try:
            yield await manager.start()
        finally:
            await manager.close()

    def _platform(self, experiment: Experiment, address: Address | None, wake: asyncio.Event) -> Platform:
        reported = address if _pushes(experiment) else None
        site = Site(experiment, str(self.home.runs), os.getcwd(), self.configs, reported)
        db_manager = "{}:{}".format(*address) if address is not None else ""
        return Platform(
            SqlStore(self.database),
            LocalRunner(site, Desk(self.database), wake.set),
            ConfiguredSuggesters(self.config, LocalSuggesters(self.home), db_manager),
            SqlObservations(self.database, experiment.metadata.namespace),
            WallClock(),
            self._renderer,
            sees_output=True,
        )

    def _renderer(self, board: Board) -> Render:
        template = compile_template(board.experiment, self.config_maps)
        namespace = board.key.namespace
        labels = {**board.experiment.metadata.labels, LABEL_EXPERIMENT: board.key.name}

        def render(trial: TrialRecord) -> Mapping[str, Any]:
            run = template.render(trial.name, namespace, trial.assignment.parameters)
            return mark(run, {**labels, **dict(trial.assignment.labels), LABEL_TRIAL: trial.name}, {})

        return render


async def ask_service(experiment: Experiment, config: KatibConfig) -> None:
    """Have the algorithm's service check the experiment; raises InvalidInput, ServiceUnavailable."""
    with tempfile.TemporaryDirectory(prefix="katib-") as folder:
        suggesters = ConfiguredSuggesters(config, LocalSuggesters(Home(Path(folder), "")))
        search = Search(suggesters, experiment, _no_trials, lambda: None, 0)
        try:
            await search.validate()
        finally:
            await suggesters.close()


def _pushes(experiment: Experiment) -> bool:
    collector = experiment.spec.metrics_collector_spec
    return collector is not None and collector.kind in PUSHED


async def _no_trials() -> list[TrialRecord]:
    return []


def _kept_path(home: Home, key: Key) -> Path:
    return home.experiment(key) / "config-maps.json"


@contextmanager
def _interrupting(interrupt: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

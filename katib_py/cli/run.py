"""Commands that change something: run, validate, stop, delete."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.lease import lease_holder
from katib_py.backends.local.session import Session, ask_service
from katib_py.cli.failure import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_SUCCEEDED, problem_lines
from katib_py.cli.input import Input, read_input
from katib_py.cli.inspect import BEST, Place, check_output, console, every_trial, kind_of
from katib_py.cli.progress import PlainProgress, TerminalProgress
from katib_py.cli.report import best_trials, summary, trials_table
from katib_py.controller.engine import Outcome
from katib_py.controller.ports import Key
from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import Experiment
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.status import read_status
from katib_py.core.tally import UNSUCCESSFUL
from katib_py.core.validate.edit import OTHERWISE

STOP_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Given:
    """The files of `katib-py run`, and the namespace that the experiment is put in."""

    file: Path
    namespace: str | None = None
    config: Path | None = None


def run(source: Given, platform: str, db: str | None, output: str) -> None:
    """Run an experiment here to its end and exit with what became of it."""
    check_output(output)
    if platform != "local":
        raise InvalidInput([Problem("--platform", f"is {show(platform)}; must be local")])
    given = read_input(source.file, source.namespace, config=source.config)
    _warn(given)
    key = Key(given.experiment.metadata.namespace, given.experiment.name)
    place = Place(db, key.namespace)
    with closing(Database(place.home.db_url)) as database:
        catalog = Catalog(database)
        experiment = given.apply(catalog, time.time())
        if experiment.spec.suspend:
            # The file keeps it waiting in a cluster; whoever types `run` wants it to run.
            experiment = catalog.suspend(key, False)
        before = read_status(experiment.status)
        outcome = _drive(
            Session(place.home, database, given.configs, given.config_maps, config=given.config), experiment, output
        )
        if outcome is Outcome.FINISHED and before.verdict and read_status(catalog.get(key).status) == before:
            print(f"experiment {key.name} had ended already; nothing was run. {OTHERWISE}", file=sys.stderr)
        code = _report(catalog, key, outcome, output)
    raise SystemExit(code)


def validate(file: Path, strict: bool, config: Path | None = None) -> None:
    """Say whether an experiment can be run."""
    given = read_input(file, None, strict, config)
    _warn(given)
    asyncio.run(ask_service(given.experiment, given.config))
    print(f"{file}: experiment {given.experiment.name} is valid")


def stop(place: Place, name: str) -> None:
    """Suspend an experiment; where no engine drives it any more, end what it left running."""
    with closing(Database(place.home.db_url)) as database:
        catalog = Catalog(database)
        key = place.key(name)
        verdict = read_status(catalog.get(key).status).verdict
        if verdict is not None:
            print(f"experiment {name} has ended already: {verdict.reason}")
            return
        experiment = catalog.suspend(key, True)
        if _driven(database, key):
            print(f"experiment {name} is suspended; its engine ends the running trials. `katib-py run` continues it")
        else:
            asyncio.run(Session.again(place.home, database, key).end(experiment))
            print(f"experiment {name} is suspended, and nothing of it runs any more. `katib-py run` continues it")


def delete(place: Place, kind: str, name: str) -> None:
    """Delete an experiment, ending its runs first."""
    if kind_of(kind) != "Experiment":
        raise InvalidInput([Problem("KIND", f"is {show(kind)}; only experiments can be deleted")])
    key = place.key(name)
    with closing(Database(place.home.db_url)) as database:
        catalog = Catalog(database)
        experiment = catalog.suspend(key, True)
        _end_runs(Session.again(place.home, database, key), experiment)
        catalog.delete(key)
    shutil.rmtree(place.home.experiment(key), ignore_errors=True)
    print(f"experiment {name} is deleted")


def _end_runs(session: Session, experiment: Experiment) -> None:
    key = Key(experiment.metadata.namespace, experiment.name)
    deadline = time.monotonic() + STOP_SECONDS
    while _driven(session.database, key) and time.monotonic() < deadline:
        time.sleep(0.1)
    asyncio.run(session.end(experiment))


def _driven(database: Database, key: Key) -> bool:
    return database.look_now(lambda connection: lease_holder(connection, key, time.time())) is not None


def _warn(given: Input) -> None:
    for line in problem_lines(given.warnings):
        print(line, file=sys.stderr)


def _drive(session: Session, experiment: Experiment, output: str) -> Outcome:
    # Standard output belongs to the result where that is JSON.
    shown = Console(stderr=output == "json", markup=False, highlight=False)
    progress = TerminalProgress(shown) if shown.is_terminal else PlainProgress(shown)
    try:
        return asyncio.run(session.run(experiment, progress))
    finally:
        progress.close()


def _report(catalog: Catalog, key: Key, outcome: Outcome, output: str) -> int:
    if outcome is Outcome.DELETED:
        print(f"experiment {key.name} was deleted meanwhile", file=sys.stderr)
        return EXIT_FAILED
    experiment = catalog.get(key)
    if output == "json":
        print(json.dumps(experiment.dump()))
    else:
        _table(catalog, key, experiment)
    if outcome is not Outcome.FINISHED:
        print(
            f"{outcome.value}: the running trials were ended; run the same command again to continue", file=sys.stderr
        )
        return EXIT_INTERRUPTED
    verdict = read_status(experiment.status).verdict
    return EXIT_SUCCEEDED if verdict is not None and verdict.succeeded else EXIT_FAILED


def _table(catalog: Catalog, key: Key, experiment: Experiment) -> None:
    objective = experiment.spec.objective
    assert isinstance(objective, ObjectiveSpec)
    out = console()
    summary(out, experiment)
    if best := best_trials(experiment.spec.judgement(), every_trial(catalog, key), BEST):
        out.print(trials_table(objective, best, out.width))
    elif failed := catalog.trials(key, limit=1, states=sorted(UNSUCCESSFUL)):
        out.print(f"{failed[0].name}: {failed[0].message}", soft_wrap=True)
        out.print(f"What it wrote: katib-py logs {failed[0].name}", soft_wrap=True)
    out.print(f"More: katib-py describe experiment {key.name} · katib-py logs TRIAL · katib-py get trials {key.name}")

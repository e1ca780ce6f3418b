"""`katib-py describe`: an object in words, then its conditions and events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from katib_py.backends.local.catalog import Catalog, CountedEvent
from katib_py.backends.local.database import Database
from katib_py.backends.local.lease import lease_holder
from katib_py.cli.facts import Fact, View, clock, experiment_facts, trial_facts
from katib_py.cli.inspect import (
    Json,
    Place,
    check_output,
    console,
    event_list,
    every_trial,
    kind_of,
    suggestion_document,
)
from katib_py.controller.ports import Key
from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import Experiment
from katib_py.core.objects import trial_object
from katib_py.core.status import parse_time
from katib_py.core.tally import tally
from katib_py.core.trial import TrialState

EVENTS: Final = 20  # that are shown, the newest
LIVE: Final = (TrialState.CREATED, TrialState.RUNNING)
STYLES: Final = {"Succeeded": "green", "Failed": "red", "MetricsUnavailable": "red", "Running": "blue"}


@dataclass(frozen=True, slots=True)
class Subject:
    """An object with its events; `facts` say it in words, and are empty where nobody has found any."""

    document: Json
    events: Sequence[CountedEvent]
    facts: Sequence[Fact] = ()
    more: str = ""


def describe(place: Place, kind: str, name: str, output: str) -> None:
    """Print an object in words; as `json` it is the object alone, as `yaml` its events are a second document."""
    wanted = kind_of(kind)
    check_output(output, ("table", "yaml", "json"))
    if wanted not in SUBJECTS:
        hint = f"the events of an experiment: katib-py get events {name}"
        raise InvalidInput([Problem("KIND", f"is {show(kind)}; must be experiment, trial or suggestion; {hint}")])
    with closing(Database(place.home.db_url)) as database:
        subject = SUBJECTS[wanted](database, place, name)
    if output == "json":
        print(json.dumps(subject.document))
    elif output == "yaml" or not subject.facts:
        documents = [subject.document, event_list(subject.events)]
        print(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), end="")
    else:
        _show(subject, f"{wanted.lower()} {name}, namespace {place.namespace}", console())


def _experiment(database: Database, place: Place, name: str) -> Subject:
    catalog, key = Catalog(database), place.key(name)
    experiment = catalog.get(key)
    more = f"katib-py get trials {name} · katib-py best {name} · katib-py get experiment {name} -o json"
    return Subject(experiment.dump(), catalog.events(key), experiment_facts(_view(database, experiment, key)), more)


def _view(database: Database, experiment: Experiment, key: Key) -> View:
    now, catalog = time.time(), Catalog(database)
    holder = database.look_now(lambda connection: lease_holder(connection, key, now))
    driven = f"process {holder.pid} on {holder.host}" if holder is not None else ""
    record, _ = catalog.suggestion(key)
    live = catalog.trials(key, states=LIVE)
    return View(experiment, now, record.settings, live, driven, _unimproved(catalog, experiment, key))


def _unimproved(catalog: Catalog, experiment: Experiment, key: Key) -> int | None:
    """The finished trials since the best one; None where nothing depends on it, as it takes a look at all of them."""
    if experiment.spec.stop_when is None or experiment.spec.objective is None:
        return None
    finished = [trial for trial in every_trial(catalog, key) if trial.state.finished]
    return tally(
        experiment.spec.judgement(), sorted(finished, key=lambda trial: trial.completed or 0.0), experiment.spec.confirm
    ).since_improvement


def _trial(database: Database, place: Place, name: str) -> Subject:
    catalog = Catalog(database)
    key, trial = catalog.trial(place.namespace, name)
    experiment = catalog.get(key)
    assert experiment.spec.objective is not None
    folder = place.home.experiment(key) / name / str(trial.attempt)
    option = "" if place.namespace == "default" else f" -n {place.namespace}"
    facts = [
        ("experiment", [experiment.name]),
        *trial_facts(experiment.spec.objective, trial, time.time()),
        ("folder", [str(folder) if folder.is_dir() else f"{folder}, not made yet"]),
        ("output", [f"katib-py logs {name}{option}"]),
    ]
    events = [event for event in catalog.events(key) if event.event.name == name]
    more = f"katib-py describe experiment {experiment.name}{option} · katib-py get trial {name}{option} -o json"
    return Subject(trial_object(experiment, trial), events, facts, more)


def _suggestion(database: Database, place: Place, name: str) -> Subject:
    catalog, key = Catalog(database), place.key(name)
    return Subject(suggestion_document(catalog, key), catalog.events(key))


SUBJECTS: Final = {"Experiment": _experiment, "Trial": _trial, "Suggestion": _suggestion}


def _show(subject: Subject, title: str, out: Console) -> None:
    out.print(Text(title, "bold"), soft_wrap=True)
    out.print(_grid((label, _lines(label, lines)) for label, lines in subject.facts))
    # A trial's conditions say nothing that its facts do not.
    conditions = subject.document["status"].get("conditions", ()) if subject.document["kind"] == "Experiment" else ()
    for heading, rows in (("Conditions", map(_condition, conditions)), ("Events", _newest(subject.events))):
        if known := list(rows):
            out.print(Text(f"\n{heading}", "bold"))
            out.print(_grid(known))
    out.print(f"\nMore: {subject.more}", soft_wrap=True)


def _grid(rows: Iterable[tuple[str, Text]]) -> Table:
    """Two columns: what is said of what, or when."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid


def _lines(label: str, lines: Sequence[str]) -> Text:
    text = Text("\n".join(lines), "yellow" if label in {"waiting", "stopping"} else "")
    if label == "state":
        word = lines[0].partition(" ")[0]
        text.stylize(f"bold {STYLES.get(word, '')}", 0, len(word))
    return text


def _condition(entry: Json) -> tuple[str, Text]:
    since = parse_time(entry.get("lastTransitionTime"))
    text = Text(f"{entry['type']} {entry['status']}", "bold").append(f" {entry.get('reason', '')}", "not bold")
    return clock(since) if since is not None else "", text.append(f": {entry.get('message', '')}", "not bold")


def _newest(events: Sequence[CountedEvent]) -> Iterator[tuple[str, Text]]:
    if (left := len(events) - EVENTS) > 0:
        yield "…", Text(f"{left} older ones: katib-py get events NAME", "dim")
    yield from map(_event, events[-EVENTS:])


def _event(item: CountedEvent) -> tuple[str, Text]:
    event = item.event
    times = f", {item.times} times" if item.times > 1 else ""
    text = Text(event.reason, "bold").append(f" of {event.kind.lower()} {event.name}{times}\n", "not bold")
    return clock(event.time), text.append(event.message, "not bold")

"""Looking at what the store holds: get, logs, best."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from katib_py.backends.local.catalog import Catalog, CountedEvent
from katib_py.backends.local.database import Database
from katib_py.backends.local.home import Home
from katib_py.cli.progress import span
from katib_py.cli.report import best_of, best_trials, short, trials_table
from katib_py.controller.ports import Key
from katib_py.core.errors import InvalidInput, NotFound, Problem, show
from katib_py.core.experiment import Experiment
from katib_py.core.objective import objective_value
from katib_py.core.objects import suggestion_object, trial_object
from katib_py.core.parse import nearest
from katib_py.core.status import SUSPENDED_SINCE, parse_time, time_text
from katib_py.core.trial import TrialRecord, TrialState

Json = dict[str, Any]

PAGE: Final = 500
BEST: Final = 10
KINDS: Final = {
    **dict.fromkeys(("experiment", "experiments"), "Experiment"),
    **dict.fromkeys(("trial", "trials"), "Trial"),
    **dict.fromkeys(("suggestion", "suggestions"), "Suggestion"),
    **dict.fromkeys(("event", "events"), "Event"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which database and namespace a command speaks of."""

    db: str | None
    namespace: str

    @property
    def home(self) -> Home:
        """The installation."""
        return Home.find(self.db)

    def key(self, name: str) -> Key:
        """An experiment of this namespace."""
        return Key(self.namespace, name)


def get(place: Place, kind: str, name: str | None, output: str) -> None:
    """List objects of a kind, or show one."""
    wanted = kind_of(kind)
    check_output(output)
    with closing(Database(place.home.db_url)) as database:
        objects, table = LISTERS[wanted](Catalog(database), place, name)
    if not objects and output == "table":
        print(f"no {wanted.lower()}s in namespace {place.namespace} of {place.home.shown_db}", file=sys.stderr)
    elif output == "json":
        print(json.dumps(objects[0] if name and len(objects) == 1 else {"kind": f"{wanted}List", "items": objects}))
    else:
        console().print(table)


def logs(place: Place, trial: str) -> None:
    """Copy the output of a trial's newest run to standard output."""
    with closing(Database(place.home.db_url)) as database:
        key, record = Catalog(database).trial(place.namespace, trial)
    folder = place.home.experiment(key) / trial
    attempts = sorted((int(path.name) for path in folder.glob("*") if path.name.isdigit()), reverse=True)
    for attempt in attempts:
        output = folder / str(attempt) / "output"
        if output.exists():
            with output.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
    raise NotFound(f"trial {trial} has written nothing yet; it is {record.state.value}")


def best(place: Place, name: str, output: str) -> None:
    """Show the best trials of an experiment."""
    check_output(output)
    with closing(Database(place.home.db_url)) as database:
        catalog = Catalog(database)
        experiment = catalog.get(place.key(name))
        objective = experiment.spec.objective
        if objective is None:
            raise NotFound(f"experiment {name} has no objective")
        trials = best_trials(experiment.spec.judgement(), every_trial(catalog, place.key(name)), BEST)
    if output == "json":
        optimal = experiment.status.get("currentOptimalTrial", {})
        print(json.dumps({**optimal, "trials": [trial_object(experiment, trial) for trial in trials]}))
    elif not trials:
        raise NotFound(f"no trial of {name} has an objective value yet")
    else:
        out = console()
        out.print(trials_table(objective, trials, out.width))


def every_trial(catalog: Catalog, key: Key) -> Iterator[TrialRecord]:
    """Every trial of an experiment, by number, read in pages."""
    after = -1
    while page := catalog.trials(key, after, PAGE):
        yield from page
        after = page[-1].assignment.index


def console() -> Console:
    """Where tables go; as wide as the terminal, and wide enough for a table where there is none."""
    plain = Console(markup=False, highlight=False)
    return plain if plain.is_terminal else Console(width=200, markup=False, highlight=False)


def kind_of(word: str) -> str:
    """The kind that a user's word means; raises InvalidInput."""
    if (kind := KINDS.get(word.lower())) is not None:
        return kind
    meant = nearest(word, list(KINDS))
    hint = f"; did you mean {meant}?" if meant else ""
    raise InvalidInput([Problem("KIND", f"is {show(word)}; must be one of {', '.join(KINDS)}{hint}")])


def check_output(output: str, known: Sequence[str] = ("table", "json")) -> None:
    """Raises InvalidInput for an output format that does not exist."""
    if output not in known:
        raise InvalidInput([Problem("--output", f"is {show(output)}; must be {' or '.join(known)}")])


def _experiments(catalog: Catalog, place: Place, name: str | None) -> tuple[list[Json], Table]:
    found = [catalog.get(place.key(name))] if name else catalog.experiments(place.namespace)
    table = simple_table("name", "status", "trials", "best", "age")
    for experiment in found:
        status = experiment.status
        table.add_row(
            experiment.name, _state(experiment), str(status.get("trials", 0)), best_of(experiment), _age(experiment)
        )
    return [experiment.dump() for experiment in found], table


def _trials(catalog: Catalog, place: Place, name: str | None) -> tuple[list[Json], Table]:
    """Trials of the experiment of that name, the one trial of that name, or every trial of the namespace."""
    table = simple_table("trial", "status", "objective", "parameters", "message")
    objects = []
    for experiment, trial in _found_trials(catalog, place, name):
        assert experiment.spec.objective is not None
        value = objective_value(experiment.spec.objective, trial.observation)
        parameters = " ".join(f"{key}={short(text)}" for key, text in trial.assignment.parameters)
        table.add_row(
            trial.name,
            trial.state.value,
            "" if value is None else f"{value:.6g}",
            parameters,
            _remark(trial),
        )
        objects.append(trial_object(experiment, trial))
    return objects, table


def _remark(trial: TrialRecord) -> str:
    """What is worth saying beside the state, in a line."""
    words = trial.waiting.message if trial.waiting else trial.message
    return "" if trial.state is TrialState.SUCCEEDED else words.partition("\n")[0]


def _found_trials(catalog: Catalog, place: Place, name: str | None) -> Iterator[tuple[Experiment, TrialRecord]]:
    if name is None:
        for experiment in catalog.experiments(place.namespace):
            yield from ((experiment, trial) for trial in every_trial(catalog, place.key(experiment.name)))
        return
    try:
        experiment = catalog.get(place.key(name))
    except NotFound:
        key, trial = catalog.trial(place.namespace, name)
        yield catalog.get(key), trial
        return
    yield from ((experiment, trial) for trial in every_trial(catalog, place.key(name)))


def _suggestions(catalog: Catalog, place: Place, name: str | None) -> tuple[list[Json], Table]:
    names = [name] if name else [experiment.name for experiment in catalog.experiments(place.namespace)]
    objects = [suggestion_document(catalog, place.key(item)) for item in names]
    table = simple_table("name", "algorithm", "requested", "assigned")
    for item in objects:
        spec, status = item["spec"], item["status"]
        algorithm = spec["algorithm"].get("algorithmName", "")
        counts = (str(spec["requests"]), str(status.get("suggestionCount", 0)))
        table.add_row(item["metadata"]["name"], algorithm, *counts)
    return objects, table


def suggestion_document(catalog: Catalog, key: Key) -> Json:
    """The Suggestion of an experiment, with its newest assignments."""
    record, unused = catalog.suggestion(key)
    counts = {"requests": record.requests, "assigned": record.assigned, "settings": record.settings}
    newest = [trial.assignment for trial in catalog.trials(key, max(-1, record.assigned - PAGE - 1), PAGE)]
    return suggestion_object(catalog.get(key), counts, [*newest, *unused])


def _events(catalog: Catalog, place: Place, name: str | None) -> tuple[list[Json], Table]:
    names = [name] if name else [experiment.name for experiment in catalog.experiments(place.namespace)]
    events = [event for item in names for event in catalog.events(place.key(item))]
    return event_list(events)["items"], _events_table(events)


LISTERS: Final = {"Experiment": _experiments, "Trial": _trials, "Suggestion": _suggestions, "Event": _events}


def event_list(events: Sequence[CountedEvent]) -> Json:
    """Events as the list that Kubernetes would give."""
    items = [
        {
            "type": item.event.type.value,
            "reason": item.event.reason,
            "involvedObject": {"kind": item.event.kind, "name": item.event.name},
            "message": item.event.message,
            "count": item.times,
            "firstTimestamp": time_text(item.first),
            "lastTimestamp": time_text(item.event.time),
        }
        for item in events
    ]
    return {"kind": "EventList", "items": items}


def _events_table(events: Sequence[CountedEvent]) -> Table:
    table = simple_table("type", "reason", "object", "count", "message")
    for item in events:
        event = item.event
        table.add_row(event.type.value, event.reason, f"{event.kind}/{event.name}", str(item.times), event.message)
    return table


def simple_table(*columns: str) -> Table:
    """A table with these columns and no frame."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _state(experiment: Experiment) -> str:
    """The newest condition; what is not finished and suspended is said to be so."""
    conditions = experiment.status.get("conditions") or [{"type": "Created"}]
    state = str(conditions[-1]["type"])
    over = state in {"Succeeded", "Failed"}
    paused = experiment.spec.suspend or SUSPENDED_SINCE in experiment.status
    return "Suspended" if paused and not over else state


def _age(experiment: Experiment) -> str:
    created = parse_time((experiment.metadata.model_extra or {}).get("creationTimestamp"))
    return "" if created is None else span(max(0.0, time.time() - created))

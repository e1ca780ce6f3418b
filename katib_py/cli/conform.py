"""The command `conformance`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from katib_py.cli.conformance.subject import Subject
from katib_py.cli.conformance.trial import Finding, Plan, Result, as_json, conforms, findings
from katib_py.cli.failure import EXIT_FAILED, EXIT_SUCCEEDED
from katib_py.cli.inspect import check_output, console
from katib_py.core.documents import read_documents
from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import AlgorithmSpec, Setting
from katib_py.core.load import load_experiment
from katib_py.core.parse import Unknown
from katib_py.core.validate import Checks
from katib_py.wire.convert import experiment_message
from katib_py.wire.rpc import ADDRESS

STYLES: Final = {Result.PASSED: "green", Result.ADVICE: "yellow", Result.FAILED: "bold red", Result.SKIPPED: "dim"}


def conformance(subject: Subject, plan: Plan, output: str) -> None:
    """Try a service, say what was found, and exit with 1 where something failed."""
    check_output(output)
    if not ADDRESS.fullmatch(subject.target):
        raise InvalidInput([Problem("--target", f"is {show(subject.target)}; must be HOST:PORT or unix:PATH")])
    try:
        found = list(findings(subject, plan))
    finally:
        subject.close()
    if output == "json":
        print(json.dumps(as_json(subject.target, plan, found)))
    else:
        _table(console(), plan, found)
    raise SystemExit(EXIT_SUCCEEDED if conforms(found) else EXIT_FAILED)


def plan_of(algorithm: str | None, settings: list[str], file: Path | None, large: int) -> Plan:
    """What the command line asks for; raises InvalidInput with every problem."""
    pairs = dict(_pair(text) for text in settings)
    if file is None:
        if not algorithm:
            raise InvalidInput([Problem("--algorithm", "is missing; must be the name that the service knows")])
        return Plan(algorithm, pairs, None, large)
    experiment = load_experiment(_document(file), Checks(), Unknown.NO_SLIPS).experiment
    spec = experiment.spec.algorithm
    name = algorithm or (spec.algorithm_name if spec is not None else "")
    own = spec.settings() if spec is not None and not algorithm else {}
    entries = tuple(Setting(name=key, value=value) for key, value in {**own, **pairs}.items())
    chosen = AlgorithmSpec(algorithm_name=name, algorithm_settings=entries)
    given = experiment.model_copy(update={"spec": experiment.spec.model_copy(update={"algorithm": chosen})})
    return Plan(name, {**own, **pairs}, experiment_message(given), large)


def _document(file: Path) -> object:
    try:
        documents = [item for item in read_documents(file.read_bytes()) if isinstance(item, dict)]
    except OSError as error:
        raise InvalidInput([Problem(str(file), f"cannot be read: {error.strerror or error}")]) from None
    experiments = [item for item in documents if item.get("kind") == "Experiment"]
    if len(experiments) != 1:
        raise InvalidInput([Problem(str(file), f"has {len(experiments)} Experiments; must have one")])
    return experiments[0]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidInput([Problem("--setting", f"is {show(text)}; must be NAME=VALUE")])
    return name, value


def _table(out: Console, plan: Plan, found: list[Finding]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("what was found", overflow="fold")
    table.add_column("time", justify="right", style="dim", no_wrap=True)
    for item in found:
        result = Text(item.result, STYLES[item.result])
        table.add_row(item.name, result, item.words, f"{item.seconds:.1f} s")
    out.print(table)
    counts = {result: sum(item.result is result for item in found) for result in Result}
    told = ", ".join(f"{count} {result}" for result, count in counts.items() if count)
    verdict = "keeps" if conforms(found) else "does not keep"
    out.print(f"{plan.algorithm} {verdict} to the protocol: {told}")

"""The commands and their options; each hands over to a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from katib_py.cli import conform, inspect, run, serve
from katib_py.cli import describe as description
from katib_py.cli import manifests as installation
from katib_py.cli.conformance.subject import Subject
from katib_py.cli.failure import guarded

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Hyperparameter search with Katib's v1beta1 Experiments, on this machine.",
)

File = Annotated[Path, typer.Argument(help="A YAML file with an Experiment; `-` reads standard input.")]
Db = Annotated[str | None, typer.Option("--db", help="Database URL; default $KATIB_HOME/katib.db.")]
DbManagerDb = Annotated[
    str | None,
    typer.Option("--db", help="Database URL; default $KATIB_DB_URL, Katib's variables, $KATIB_HOME/katib.db."),
]
Namespace = Annotated[str, typer.Option("-n", "--namespace", help="Namespace.")]
Output = Annotated[str, typer.Option("-o", "--output", help="table or json.")]
Kind = Annotated[str, typer.Argument(help="experiments, trials, suggestions or events (singular works too).")]
Name = Annotated[str | None, typer.Argument(help="Name of the object; for trials also of the experiment.")]
Config = Annotated[
    Path | None, typer.Option("--config", help="A katib-config.yaml that names services of your own by address.")
]
Listen = Annotated[str, typer.Option("--listen", help="HOST:PORT or unix:PATH; loopback unless you say otherwise.")]


@app.command("run")
@guarded
def run_command(  # noqa: PLR0913, PLR0917 - an entry point
    file: File,
    platform: Annotated[str, typer.Option(help="Where trials run: local.")] = "local",
    db: Db = None,
    namespace: Annotated[str | None, typer.Option("-n", "--namespace", help="Namespace.")] = None,
    config: Config = None,
    output: Output = "table",
) -> None:
    """Run an Experiment here to its end; killed and run again, it continues."""
    run.run(run.Given(file, namespace, config), platform, db, output)


@app.command()
@guarded
def validate(
    file: File,
    strict: Annotated[bool, typer.Option("--strict", help="Unknown fields are errors.")] = False,
    config: Config = None,
) -> None:
    """Check an Experiment and say everything that is wrong with it."""
    run.validate(file, strict, config)


@app.command()
@guarded
def get(
    kind: Kind, name: Name = None, db: Db = None, namespace: Namespace = "default", output: Output = "table"
) -> None:
    """List objects, or show one."""
    inspect.get(inspect.Place(db, namespace), kind, name, output)


@app.command()
@guarded
def describe(
    kind: Kind,
    name: Annotated[str, typer.Argument()],
    db: Db = None,
    namespace: Namespace = "default",
    output: Annotated[str, typer.Option("-o", "--output", help="table, yaml or json.")] = "table",
) -> None:
    """Say how an experiment or trial stands, with its conditions and events."""
    description.describe(inspect.Place(db, namespace), kind, name, output)


@app.command()
@guarded
def logs(trial: Annotated[str, typer.Argument()], db: Db = None, namespace: Namespace = "default") -> None:
    """Print what a trial's newest run wrote."""
    inspect.logs(inspect.Place(db, namespace), trial)


@app.command()
@guarded
def best(
    name: Annotated[str, typer.Argument()], db: Db = None, namespace: Namespace = "default", output: Output = "table"
) -> None:
    """Show the best trials of an experiment."""
    inspect.best(inspect.Place(db, namespace), name, output)


@app.command()
@guarded
def stop(name: Annotated[str, typer.Argument()], db: Db = None, namespace: Namespace = "default") -> None:
    """Suspend an experiment and end its runs; `run` continues it."""
    run.stop(inspect.Place(db, namespace), name)


@app.command()
@guarded
def delete(kind: Kind, name: Annotated[str, typer.Argument()], db: Db = None, namespace: Namespace = "default") -> None:
    """Delete an experiment with everything that belongs to it."""
    run.delete(inspect.Place(db, namespace), kind, name)


@app.command()
@guarded
def suggestion(
    listen: Listen = "127.0.0.1:6789",
    algorithms: Annotated[str | None, typer.Option(help="Serve only these, separated by commas.")] = None,
) -> None:
    """Serve every search and early stopping algorithm over gRPC."""
    serve.suggestion(listen, algorithms)


@app.command()
@guarded
def conformance(  # noqa: PLR0913, PLR0917 - an entry point
    target: Annotated[str, typer.Option("--target", help="HOST:PORT or unix:PATH of the suggestion service.")],
    algorithm: Annotated[str | None, typer.Option(help="The name that the service knows.")] = None,
    setting: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the algorithm; may be repeated.")] = None,
    experiment: Annotated[Path | None, typer.Option(help="Take the search space of this Experiment.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in the large history.")] = 1000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one call may take.")] = 60.0,
    output: Output = "table",
) -> None:
    """Try whether a suggestion service of anybody's keeps to Katib's protocol, and say what was found."""
    conform.conformance(Subject(target, timeout), conform.plan_of(algorithm, setting or [], experiment, trials), output)


@app.command("db-manager")
@guarded
def db_manager(
    listen: Listen = "127.0.0.1:6789",
    db: DbManagerDb = None,
    connect_timeout: Annotated[str, typer.Option(help="How long to wait for the database at the start.")] = "60s",
    export_katib: Annotated[bool, typer.Option(help="Write Katib's own table in place of ours, and end.")] = False,
) -> None:
    """Serve the observation log over gRPC."""
    serve.db_manager(db, ["--listen", listen, "--connect-timeout", connect_timeout], export_katib)


@app.command()
@guarded
def controller(  # noqa: PLR0913, PLR0917 - an entry point
    kubeconfig: Annotated[
        str | None, typer.Option(help="Default: the cluster that this runs in, else kubectl's own configuration.")
    ] = None,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Only this namespace; default every one.")] = "",
    suggestion: Annotated[str, typer.Option(help="HOST:PORT of the suggestion service; default one of its own.")] = "",
    db_manager: Annotated[str, typer.Option(help="HOST:PORT of the db-manager; default one of its own.")] = "",
    db: Db = None,
    config: Annotated[str | None, typer.Option(help="A katib-config.yaml; default every default.")] = None,
    hand_back: Annotated[bool, typer.Option(help="Start no trials, and leave all to Katib's own controller.")] = False,
) -> None:
    """Drive the Experiments of a Kubernetes cluster."""
    from katib_py.cli import cluster

    cluster.control(
        cluster.Asked(kubeconfig, namespace, suggestion, db_manager, db, config, hand_back),
    )


@app.command()
@guarded
def manifests(
    crds: Annotated[bool, typer.Option("--crds", help="The CustomResourceDefinitions only.")] = False,
    overlay: Annotated[str, typer.Option(help="The installation, a folder of manifests/overlays.")] = "standalone",
    image: Annotated[str | None, typer.Option(help="The image of katib-py.")] = None,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="The namespace of katib-py.")] = "kubeflow",
) -> None:
    """Print what a cluster is given, as YAML for `kubectl apply --server-side -f -`."""
    installation.manifests(crds, installation.Installation(overlay, image, namespace))


@app.command()
def collector() -> None:
    """Read a training's metrics beside it and report them: `katib-py collector -h` has the flags."""
    raise AssertionError("the command line hands this over before it comes here")

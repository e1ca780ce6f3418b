"""How a trial tells its metrics: one reporter for each form that a metrics collector reads."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TextIO

from trial_templates.events import event_file
from trial_templates.sgd_digits.network import Epoch

# Tells one epoch; true: there is no use in going on.
Report = Callable[[Epoch], bool]

LAST_SCRAPE_SECONDS = 15.0


def text(epoch: Epoch) -> str:
    """What the default filter of Katib's collectors reads."""
    return f"epoch={epoch.number} loss={epoch.loss:.6g} accuracy={epoch.accuracy:.6g}"


def custom(epoch: Epoch) -> str:
    """What only a filter of the experiment's own reads."""
    return f"[epoch {epoch.number}] accuracy -> {epoch.accuracy:.6g} | loss -> {epoch.loss:.6g}"


def json_line(epoch: Epoch) -> str:
    """One JSON object; the values are text, as Katib's own collector demands."""
    metrics = {"loss": f"{epoch.loss:.6g}", "accuracy": f"{epoch.accuracy:.6g}"}
    return json.dumps({"timestamp": time.time(), "epoch": epoch.number, **metrics})


def csv(epoch: Epoch) -> str:
    """What no collector reads but ours in `trial_templates.sgd_digits.collect`."""
    return f"{epoch.number},{epoch.loss:.6g},{epoch.accuracy:.6g}"


LINES: dict[str, Callable[[Epoch], str]] = {"text": text, "custom": custom, "json": json_line, "csv": csv}


@contextmanager
def lines(form: str, to: str) -> Iterator[Report]:
    """A line for each epoch, on standard output or in the file `to`."""
    write = LINES[form]
    with _opened(to) as out:

        def report(epoch: Epoch) -> bool:
            print(write(epoch), file=out, flush=True)
            return False

        yield report
        if form == "csv":
            print("end", file=out, flush=True)


@contextmanager
def _opened(to: str) -> Iterator[TextIO]:
    if not to:
        yield sys.stdout
        return
    Path(to).parent.mkdir(parents=True, exist_ok=True)
    with Path(to).open("a") as out:
        yield out


@contextmanager
def tensorboard(to: str) -> Iterator[Report]:
    """Scalars in a TensorBoard event file in the folder `to`."""
    with event_file(to) as record:

        def report(epoch: Epoch) -> bool:
            record(epoch.number, {"loss": epoch.loss, "accuracy": epoch.accuracy})
            return False

        yield report


@contextmanager
def push() -> Iterator[Report]:
    """Each epoch goes to the db-manager, which may answer that the trial is to stop."""
    from katib_py import report_metrics

    yield lambda epoch: bool(report_metrics(metrics={"loss": epoch.loss, "accuracy": epoch.accuracy}))


@contextmanager
def prometheus(port: int) -> Iterator[Report]:
    """The latest epoch at http://…:`port`/metrics; leaving waits until the last one was fetched, at most 15 s."""
    page = b""
    fetched = threading.Event()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if body is page:
                fetched.set()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a line for each fetch would drown the trial's own."""

    def report(epoch: Epoch) -> bool:
        nonlocal page
        fetched.clear()
        page = f"# TYPE loss gauge\nloss {epoch.loss}\n# TYPE accuracy gauge\naccuracy {epoch.accuracy}\n".encode()
        return False

    # In a cluster the collector calls from the pod's address, so listening on localhost alone would not do.
    with ThreadingHTTPServer(("", port), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield report
        fetched.wait(LAST_SCRAPE_SECONDS)
        server.shutdown()


def reporter(form: str, to: str, port: int) -> AbstractContextManager[Report]:
    """The reporter of this form; raises ValueError where it lacks what it needs."""
    if form in LINES:
        return lines(form, to)
    if form == "push":
        return push()
    if form == "prometheus":
        return prometheus(port)
    if not to:
        raise ValueError("--format=tensorboard needs a folder: --to=FOLDER, or KATIB_METRICS_PATH")
    return tensorboard(to)


FORMS = (*LINES, "tensorboard", "push", "prometheus")

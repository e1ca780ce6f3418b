"""Mutated Experiment files through `katib-py run`: a clear error or a correct run, nothing else.

python benchmarks/fuzz.py [--cases 2000] [--seed 1] [--processes 100] [--keep FOLDER]
Each case runs the command line's entry in a forked process with a folder of its own; those share one suggestion service
and --processes of them are real processes that start theirs. A case that still runs after --seconds gets SIGTERM and
must end within a minute (a mutated budget may well allow a million trials).
Exit code 1 where a case ends in a traceback, hangs, exits with a code that is not 0, 1, 2 or 130, says nothing with 2,
or leaves a file outside its work folder. Offending files are kept.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import psutil

from katib_py.backends.local import session
from katib_py.cli.app import app
from katib_py.wire import rpc

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_mutations import ESCAPE, case

OUTCOMES: Final = {0: "ran to its end", 1: "experiment failed", 2: "refused", 130: "interrupted by us"}
MARKS: Final = ("Traceback", "Exception ignored", "never retrieved", "never awaited", "Error in sys.")
DEPTH: Final = "a/b/c/d/e/work"  # deep, so that ../../.. ends where we look
END_SECONDS: Final = 60.0
FILE_BYTES: Final = 64 * 2**20


class SharedSuggesters:
    """The Suggesters port over a service that every case uses: starting one each time would be most of the time."""

    address = ""

    def __init__(self, home: object) -> None:
        self._channel: Any = None

    async def early_stopping(self, experiment: object) -> None:
        """The engine's own stoppers decide."""

    async def channel(self, experiment: object) -> Any:
        """A channel of this process."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self.address, options=rpc.CHANNEL_OPTIONS)
        return self._channel

    async def close(self) -> None:
        """Let go of the channel."""
        if self._channel is not None:
            await self._channel.close()


@dataclass
class Case:
    """One file under test, in a sandbox of its own."""

    number: int
    seed: str
    sandbox: Path
    real: bool
    pid: int = 0
    begun: float = field(default_factory=time.monotonic)
    told: bool = False

    @property
    def work(self) -> Path:
        """Where the command is called."""
        return self.sandbox / DEPTH

    @property
    def file(self) -> Path:
        """The Experiment file."""
        return self.work / "experiment.yaml"

    def start(self) -> None:
        """Have it running."""
        self.work.mkdir(parents=True)
        (self.sandbox / "tmp").mkdir()
        self.file.write_bytes(case(self.seed))
        if self.real:
            with open(self.sandbox / "out", "wb") as out:
                command = [sys.executable, "-m", "katib_py.cli", "run", "experiment.yaml"]
                child = subprocess.Popen(command, cwd=self.work, env=self.env(), stdout=out, stderr=out)
            self.pid, child.returncode = child.pid, 0  # we wait for the pid ourselves
        else:
            self.pid = os.fork()
            if self.pid == 0:
                self.child()

    def env(self) -> dict[str, str]:
        """The environment of the command: its home and temporary files are watched."""
        return {**os.environ, "TMPDIR": f"{self.sandbox}/tmp", "HOME": f"{self.sandbox}", "KATIB_HOME": ""}

    def child(self) -> None:
        """The command in this process, which ends with its exit code."""
        code = 70
        try:
            os.chdir(self.work)
            os.environ.update(self.env())
            tempfile.tempdir = None
            out = os.open(self.sandbox / "out", os.O_WRONLY | os.O_CREAT)
            os.dup2(out, 1)
            os.dup2(out, 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
            app(["run", "experiment.yaml"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:  # noqa: BLE001 - a traceback is what is looked for
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def poll(self, seconds: float) -> int | None:
        """The exit code once it has ended; a signal as a negative number."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        age = time.monotonic() - self.begun
        # Importing everything anew takes a while on a busy machine, and nobody listens to SIGTERM before the loop runs.
        seconds *= 4 if self.real else 1
        if age > seconds and not self.told:
            self.told = True
            os.kill(self.pid, signal.SIGTERM)
        if age > seconds + END_SECONDS:
            os.kill(self.pid, signal.SIGKILL)
        return None

    def said(self) -> str:
        """What the command wrote."""
        return (self.sandbox / "out").read_text(errors="replace")

    def complaints(self, code: int) -> Iterator[str]:
        """What is wrong with how the case ended."""
        said = self.said()
        if code not in OUTCOMES:
            yield f"exit code {code}" + (": it hung" if self.told else "")
        if code == 2 and "error" not in said.lower():
            yield "exit code 2 without a word"
        for mark in MARKS:
            if mark in said:
                yield f"{mark} in its output"
        log = self.work / ".katib" / "suggestion.log"
        if log.exists() and "Traceback" in log.read_text(errors="replace"):
            yield "a traceback in the suggestion service"
        yield from (f"a file outside the work folder: {path}" for path in self.strays())

    def strays(self) -> Iterator[Path]:
        """Files that are neither ours nor below the work folder's .katib."""
        ours = {self.file, self.sandbox / "out"}
        for folder, folders, files in os.walk(self.sandbox):
            if Path(folder) == self.work and ".katib" in folders:
                folders.remove(".katib")
            known = set(self.work.parents)
            yield from (Path(folder, name) for name in files if Path(folder, name) not in ours)
            for name in folders:
                path = Path(folder, name)
                if path not in known and path not in {self.work, self.sandbox / "tmp"}:
                    yield path


@dataclass
class Tally:
    """What became of the cases."""

    outcomes: Counter[str] = field(default_factory=Counter)
    offences: list[str] = field(default_factory=list)

    def take(self, case_: Case, code: int, keep: Path) -> None:
        """Count a case that has ended; an offending one is kept."""
        complaints = list(case_.complaints(code))
        self.outcomes[OUTCOMES.get(code, f"exit code {code}") if not complaints else "OFFENCE"] += 1
        if complaints:
            folder = keep / str(case_.number)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(case_.file, folder)
            shutil.copy(case_.sandbox / "out", folder)
            self.offences.append(f"case {case_.number} (seed {case_.seed}): {'; '.join(complaints)}; see {folder}")
            print(self.offences[-1], flush=True)
        shutil.rmtree(case_.sandbox, ignore_errors=True)


def suggestion_service(folder: Path) -> subprocess.Popen[bytes]:
    """The service that forked cases share."""
    SharedSuggesters.address = f"unix:{folder}/s.sock"
    with open(folder / "suggestion.log", "wb") as log:
        command = [sys.executable, "-m", "suggestion_services", "--listen", SharedSuggesters.address]
        return subprocess.Popen(command, stdout=log, stderr=log)


def left_behind(folder: Path) -> Iterator[str]:
    """Processes of cases, and files at the places that absolute paths named."""
    for process in psutil.process_iter():
        try:
            inside = process.cwd().startswith(f"{folder}/")
        except psutil.Error:
            continue
        if inside:
            yield f"a process is left: {process.pid} {' '.join(process.cmdline())[:120]}"
    for place in (Path("/tmp"), Path("/"), Path.home(), Path.cwd(), folder.parent):
        yield from (f"a file was left: {path}" for path in place.glob(f"*{ESCAPE}*"))


def run(options: argparse.Namespace, folder: Path) -> Tally:
    """Every case, a few at a time."""
    tally, running = Tally(), list[Case]()
    every = max(1, options.cases // options.processes) if options.processes else 0
    numbers = iter(options.only or range(options.cases))
    more = True
    while more or running:
        while more and len(running) < options.jobs:
            number = next(numbers, None)
            if number is None:
                more = False
                break
            real = bool(every) and number % every == 0
            fresh = Case(number, f"{options.seed}/{number}", folder / str(number), real)
            fresh.start()
            running.append(fresh)
        time.sleep(0.01)
        for case_ in list(running):
            code = case_.poll(options.seconds)
            if code is not None:
                running.remove(case_)
                tally.take(case_, code, options.keep)
    return tally


def main() -> None:
    """Run the cases and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", type=int, nargs="+", help="just these numbers")
    parser.add_argument("--processes", type=int, default=100, help="how many cases are real processes")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-offences"))
    options = parser.parse_args()
    options.keep = options.keep.absolute()
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="fz-"))
    session.LocalSuggesters = SharedSuggesters  # type: ignore[misc,assignment]
    service = suggestion_service(folder)
    try:
        tally = run(options, folder)
        tally.offences += left_behind(folder)
        if "Traceback" in (folder / "suggestion.log").read_text():
            shutil.copy(folder / "suggestion.log", Path.cwd() / "fuzz-suggestion.log")
            tally.offences.append("a traceback in the shared suggestion service; see fuzz-suggestion.log")
    finally:
        service.terminate()
        service.wait()
        shutil.rmtree(folder, ignore_errors=True)
    counts = ", ".join(f"{count} {name}" for name, count in tally.outcomes.most_common())
    print(f"{sum(tally.outcomes.values())} cases in {time.monotonic() - begin:.0f} s: {counts}")
    print("\n".join(tally.offences) or "no offence")
    raise SystemExit(bool(tally.offences))


if __name__ == "__main__":
    main()

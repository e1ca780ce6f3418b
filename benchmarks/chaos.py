"""SIGKILL at random moments: no trial lost or run twice, no metric lost or doubled, no process left.

python benchmarks/chaos.py [--collector StdOut TensorFlowEvent Push] [--trials 60] [--kills 20] [--seed 1]
A campaign per collector takes two to three minutes: `katib-py run` is killed --kills times (a quarter of them within
the start of a run, the rest while trials run), its suggestion service --service-kills times more, and each time it is
started again.
At the end the observation log is compared, value by value, with what each trial program wrote to a file of its own.
Exit code 1 on any violation; the folder of that campaign is kept.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from chaos_check import Facts, violations

KINDS: Final = ("StdOut", "TensorFlowEvent", "Push")
START_SECONDS: Final = 1.5  # "within the start of a run"
HANG_SECONDS: Final = 90.0  # no trial runs longer

Strike = Callable[[subprocess.Popen[bytes]], None]
PROGRAM: Final = Path(__file__).parent / "chaos_trial.py"


@dataclass
class Campaign:
    """One experiment under fire, in a folder of its own below `sandbox`."""

    kind: str
    sandbox: Path
    options: argparse.Namespace
    dice: random.Random
    facts: Facts = field(default_factory=Facts)

    @property
    def work(self) -> Path:
        """Where `katib-py run` is called."""
        return self.sandbox / "work"

    def prepare(self) -> None:
        """Write the experiment and make the folders that are watched."""
        for name in ("work", "accounts", "tmp", "home"):
            (self.sandbox / name).mkdir(parents=True)
        (self.work / "chaos.yaml").write_text(yaml.safe_dump(self.experiment()))

    def experiment(self) -> dict[str, object]:
        """Sleeping trials that report through this kind of collector."""
        shortest, longest = self.options.seconds
        command = [sys.executable, str(PROGRAM), "--x=${trialParameters.x}", "--seconds", str(shortest), str(longest)]
        command += [f"--kind={self.kind}", f"--accounts={self.sandbox}/accounts"]
        collector: dict[str, object] = {"collector": {"kind": self.kind}}
        if self.kind == "TensorFlowEvent":
            collector["source"] = {"fileSystemPath": {"path": "/var/log/katib/tfevent", "kind": "Directory"}}
        container = {"name": "main", "image": "none", "command": command}
        return {
            "apiVersion": "kubeflow.org/v1beta1",
            "kind": "Experiment",
            "metadata": {"name": "chaos"},
            "spec": {
                "objective": {
                    "type": "minimize",
                    "objectiveMetricName": "loss",
                    "additionalMetricNames": ["accuracy"],
                },
                "algorithm": {"algorithmName": "random"},
                "metricsCollectorSpec": collector,
                "parallelTrialCount": self.options.parallel,
                "maxTrialCount": self.options.trials,
                "parameters": [
                    {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}},
                ],
                "trialTemplate": {
                    "primaryContainerName": "main",
                    "trialParameters": [{"name": "x", "reference": "x"}],
                    "trialSpec": {
                        "apiVersion": "batch/v1",
                        "kind": "Job",
                        "spec": {"template": {"spec": {"containers": [container]}}},
                    },
                },
            },
        }

    def run(self) -> list[str]:
        """The whole campaign; the violations found."""
        self.prepare()
        begin = time.monotonic()
        try:
            for strikes in self.plan():
                self.life(strikes)
            code = self.life([])
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            return [f"{error}: {self.tail()}"]
        self.facts.seconds = time.monotonic() - begin
        found = [f"the last run exited with {code}: {self.tail()}"] if code != 0 else []
        wanted = (self.options.kills, self.options.service_kills, self.options.server_kills)
        if (self.facts.kills, self.facts.kills_of_service, self.facts.kills_of_server) != wanted:
            found.append("the experiment had ended before every kill could fall; take more trials or a shorter pause")
        return found + violations(self.work, self.sandbox, self.facts)

    def plan(self) -> list[list[Strike]]:
        """What strikes each controller, in a random order."""
        early = self.options.kills // 4
        among = self.options.kills - early
        doubled = self.options.service_kills
        lives: list[list[Strike]] = [[self.kill_at_start] for _ in range(early)]
        lives += [[self.kill_among_trials] for _ in range(among)]
        for life in lives[early : early + doubled]:
            life.insert(0, self.kill_service)
        for life in lives[early : early + self.options.server_kills]:
            life.insert(0, self.kill_fork_server)
        self.dice.shuffle(lives)
        return lives

    def life(self, strikes: list[Strike]) -> int:
        """One controller: until it is struck dead, or to the end of the experiment; its exit code."""
        env = {**os.environ, "KATIB_HOME": f"{self.work}/.katib", "TMPDIR": f"{self.sandbox}/tmp"}
        with open(self.sandbox / "run.log", "ab") as log:
            command = [sys.executable, "-m", "katib_py.cli", "run", "chaos.yaml"]
            controller = subprocess.Popen(command, cwd=self.work, env=env, stdout=log, stderr=log)
        try:
            for strike in strikes:
                strike(controller)
            return controller.wait(HANG_SECONDS + 2 * self.options.trials)
        finally:
            controller.kill()
            controller.wait()

    def kill_at_start(self, controller: subprocess.Popen[bytes]) -> None:
        """SIGKILL within the start of a run."""
        self.sleep(controller, self.dice.uniform(0, START_SECONDS))
        self.kill(controller)
        self.facts.kills_at_start += 1

    def kill_among_trials(self, controller: subprocess.Popen[bytes]) -> None:
        """SIGKILL while trials run: at work, or half of the time anywhere between exec and that."""
        settled = self.dice.random() < 0.5
        self.await_(controller, lambda: bool(self.running()) and (not settled or self.service(controller) is not None))
        self.sleep(controller, self.dice.uniform(0.1, self.options.pause))
        self.kill(controller)

    def kill_service(self, controller: subprocess.Popen[bytes]) -> None:
        """SIGKILL for the suggestion service; the controller lives on."""
        self.await_(controller, lambda: self.service(controller) is not None)
        self.sleep(controller, self.dice.uniform(0, self.options.pause))
        service = self.service(controller)
        if service is not None:
            service.kill()
            self.facts.kills_of_service += 1

    def kill_fork_server(self, controller: subprocess.Popen[bytes]) -> None:
        """SIGKILL for the parent of the runs, which the controller inherits; it lives on until they have ended."""
        # It comes with the first run that is started, not with those that are taken over.
        self.await_(controller, lambda: bool(self.running()) and child_of(controller, "fork_server.py") is not None)
        self.sleep(controller, self.dice.uniform(0, self.options.pause))
        server = child_of(controller, "fork_server.py")
        if server is not None:
            server.kill()
            self.facts.kills_of_server += 1
            inherited = self.running().keys()
            self.await_(controller, lambda: not inherited & self.running().keys())

    def kill(self, controller: subprocess.Popen[bytes]) -> None:
        """Kill the controller and note which trials run on without it."""
        if controller.poll() is not None:
            return
        controller.send_signal(signal.SIGKILL)
        controller.wait()
        alive = self.running()
        self.facts.survivors.update(alive)
        self.facts.kills += 1
        self.facts.kills_among_trials += bool(alive)

    def running(self) -> dict[str, int]:
        """The accounts of the trial programs that run now, with their pids."""
        names = [path.name for path in (self.sandbox / "accounts").iterdir()]
        pids = {name: int(name.rpartition(".")[2]) for name in names}
        return {name: pid for name, pid in pids.items() if name not in self.facts.survivors and is_trial(pid)}

    def service(self, controller: subprocess.Popen[bytes]) -> psutil.Process | None:
        """The controller's suggestion service."""
        return child_of(controller, "suggestion_services")

    def await_(self, controller: subprocess.Popen[bytes], there: Callable[[], bool]) -> None:
        """Wait until it is there or the controller has ended."""
        deadline = time.monotonic() + HANG_SECONDS
        while controller.poll() is None and not there():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the controller (pid {controller.pid}) has stood still for {HANG_SECONDS:.0f} s")
            time.sleep(0.02)

    def sleep(self, controller: subprocess.Popen[bytes], seconds: float) -> None:
        """Sleep, but no longer than the controller lives."""
        deadline = time.monotonic() + seconds
        while controller.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

    def tail(self) -> str:
        """The last words of the controllers."""
        return (self.sandbox / "run.log").read_text(errors="replace")[-600:]


def child_of(controller: subprocess.Popen[bytes], name: str) -> psutil.Process | None:
    """The controller's child that runs the module or file of this name."""
    try:
        children = psutil.Process(controller.pid).children()
        return next((child for child in children if name in map(os.path.basename, child.cmdline())), None)
    except psutil.Error:
        return None


def is_trial(pid: int) -> bool:
    """Whether this process is a trial program of ours."""
    try:
        return str(PROGRAM) in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def campaigns(options: argparse.Namespace) -> Iterator[Campaign]:
    """One for each collector, each with dice of its own."""
    for kind in options.collector:
        sandbox = Path(tempfile.mkdtemp(prefix="chaos-", dir=options.folder))
        yield Campaign(kind, sandbox, options, random.Random(f"{options.seed}/{kind}"))


def main() -> None:
    """Run the campaigns and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collector", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--service-kills", type=int, default=5)
    parser.add_argument("--server-kills", type=int, default=3, help="of the fork server, the parent of the runs")
    parser.add_argument("--seconds", type=float, nargs=2, default=(2.0, 10.0), help="how long trials run")
    parser.add_argument("--pause", type=float, default=1.5, help="longest wait between running trials and a kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the campaigns' folders are made; default: TMPDIR")
    options = parser.parse_args()
    print("collector        seconds  kills (start, trials, service, server)  trials  values  outlived  violations")
    wrong = False
    for campaign in campaigns(options):
        found, facts = campaign.run(), campaign.facts
        parts = (facts.kills_at_start, facts.kills_among_trials, facts.kills_of_service, facts.kills_of_server)
        kills = f"{facts.kills} ({', '.join(map(str, parts))})"
        row = f"{campaign.kind:<16} {facts.seconds:>7.0f}  {kills:<37} {facts.trials:>7} {facts.values:>7}"
        print(f"{row} {facts.adopted:>9} {len(found):>11}", flush=True)
        for violation in found:
            print(f"  {violation}")
        if found:
            print(f"  the folder is kept: {campaign.sandbox}")
        else:
            shutil.rmtree(campaign.sandbox)
        wrong = wrong or bool(found)
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()

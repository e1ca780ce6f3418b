"""Controllers, leaders, the API server and the db-manager struck down: no trial lost or run twice, no metric lost.

python benchmarks/chaos_cluster.py [--campaigns 20] [--seed 1] [--trials 60] [--only NUMBER …]
Each campaign is an experiment on an API server of its own, its programs played, and takes two minutes or three. They
take turns at random and tpe, at Push and StdOut, and at one controller and two replicas with a lease. The strikes fall
in a random order while trials run: `kill` (SIGKILL for the controller, or for the leader; it is started again), `api`
(the API server killed and started), `expire` (and everything that watches is answered 410), `db` (the db-manager is
away for 10 s) and, with two replicas, `halt` (the leader stopped for longer or shorter than its lease, then continued).
At the end the observation log is compared, value by value, with what each trial program wrote to a file of its own.
What a campaign found is kept in --cells and not run again. Exit code 1 on any violation; the folder of that campaign is
kept.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from chaos_cluster_check import left, read_accounts  # noqa: E402
from chaos_cluster_programs import Programs  # noqa: E402
from support.cluster import kinds  # noqa: E402
from support.cluster.apiserver import CONTROLLERS, ApiServer  # noqa: E402
from support.cluster.controllers import Controller  # noqa: E402
from support.cluster.experiments import Objects  # noqa: E402
from support.cluster.played import PlayedJobs  # noqa: E402
from support.cluster.played_node import PlayedNode  # noqa: E402
from support.cluster.processes import Server, free_ports  # noqa: E402

from katib_py.backends.k8s.resources import LEASES  # noqa: E402
from katib_py.observations.remote import RemoteLog  # noqa: E402

NAMESPACE: Final = "chaos"
STANDS_BY: Final = "stands by"
LEADS: Final = re.compile(r"(\S+) leads$", re.MULTILINE)
DRIVES: Final = "driving the experiments"
CONFIG: Final = """\
apiVersion: config.kubeflow.org/v1beta1
kind: KatibConfig
init:
  controller: {webhookPort: 0, metricsAddr: "0", healthzAddr: "0", enableLeaderElection: %s}
"""
SINGLE: Final = ("kill", "kill", "kill", "api", "expire", "db")
REPLICAS: Final = ("kill", "kill", "halt", "halt", "api", "expire", "db")
AWAY_SECONDS: Final = 10.0
HALT_SECONDS: Final = (7.0, 24.0)
TAKEOVER_SECONDS: Final = 20.0
HANG_SECONDS: Final = 300.0


@dataclass
class Facts:
    """What the table shows of a campaign. `takeover`: the longest time from a leader's death to another that acts."""

    number: int
    algorithm: str
    collector: str
    replicas: int
    seconds: float = 0.0
    strikes: list[str] = field(default_factory=list)
    trials: int = 0
    values: int = 0
    takeover: float = 0.0
    violations: list[str] = field(default_factory=list)

    def row(self) -> str:
        """A line of the table."""
        takeover = f"{self.takeover:.1f}" if self.replicas > 1 else ""
        cells = [self.number, self.algorithm, self.collector, self.replicas, f"{self.seconds:.0f}"]
        cells += [" ".join(self.strikes), self.trials, self.values, takeover, len(self.violations)]
        return f"| {' | '.join(map(str, cells))} |"


COLUMNS: Final = (
    *("campaign", "algorithm", "collector", "controllers", "seconds", "strikes", "trials", "values", "takeover s"),
    "violations",
)
HEAD: Final = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


class Campaign:
    """One experiment under fire, in a folder and on an API server of its own."""

    def __init__(self, facts: Facts, options: argparse.Namespace) -> None:
        self.facts = facts
        self.options = options
        self.dice = random.Random(f"{options.seed}/{facts.number}")
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-cluster-", dir=options.folder))
        self.accounts = self.folder / "accounts"
        self.accounts.mkdir()
        self.begins: dict[Controller, int] = {}  # where the log of each one's present life begins

    async def run(self) -> None:
        """The whole campaign."""
        async with AsyncExitStack() as stack:
            self.server = stack.enter_context(ApiServer(self.folder / "cluster"))
            self.server.start_controllers(*CONTROLLERS)
            kinds.install(self.server.client)
            self.objects = Objects(self.server.client, self.server.namespace(NAMESPACE))
            address = self.start_services(stack)
            self.start_controllers(stack)
            node = await stack.enter_async_context(PlayedNode(self.server.kubeconfig))
            programs = Programs(self.facts.collector, self.accounts, self.options.seconds, node)
            stack.push_async_callback(programs.close)
            played = PlayedJobs(self.server.kubeconfig, programs, NAMESPACE)
            jobs = await stack.enter_async_context(played)
            log = RemoteLog(address)
            stack.push_async_callback(log.close)
            try:
                await self.course(jobs)
            except TimeoutError as error:
                self.facts.violations.append(f"{error}; the controllers' last words: {self.tail()}")
                return
            found = await left(self.objects, "chaos", self.accounts, log)
            self.facts.trials, self.facts.values = len(found.trials), found.values
            self.facts.violations += found.violations()

    async def course(self, jobs: PlayedJobs) -> None:
        """From the experiment's creation to its end; raises TimeoutError where it stands still."""
        begin = time.monotonic()
        self.objects.create(self.experiment())
        striking = asyncio.create_task(self.strike())
        failing = asyncio.create_task(jobs.problem())
        await asyncio.wait({striking, failing}, return_when=asyncio.FIRST_COMPLETED)
        await (failing if failing.done() else striking)
        await self.until(self.ended, "the experiment has not ended")
        failing.cancel()
        self.facts.seconds = time.monotonic() - begin

    def experiment(self) -> dict[str, Any]:
        """The experiment: one parameter, which says how long a program runs and what it reports."""
        container = {"name": "main", "image": "none", "args": ["--x=${trialParameters.x}"]}
        pod = {"restartPolicy": "Never", "containers": [container]}
        space = {"min": "0", "max": "1"}
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
                "algorithm": {"algorithmName": self.facts.algorithm},
                "metricsCollectorSpec": {"collector": {"kind": self.facts.collector}},
                "parallelTrialCount": self.options.parallel,
                "maxTrialCount": self.options.trials,
                "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": space}],
                "trialTemplate": {
                    "primaryContainerName": "main",
                    "trialParameters": [{"name": "x", "reference": "x"}],
                    "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}},
                },
            },
        }

    def start_services(self, stack: AsyncExitStack) -> str:
        """The suggestion service and the db-manager; the latter's address."""
        ports = free_ports(2)
        suggestion, address = (f"127.0.0.1:{port}" for port in ports)
        database = f"sqlite:///{self.folder}/katib.db"
        python = [sys.executable, "-m"]
        services = {
            "suggestion": [*python, "suggestion_services", "--listen", suggestion],
            "db-manager": [*python, "katib_py.observations", "--db", database, "--listen", address],
        }
        for name, command in services.items():
            server = Server(name, command, self.folder)
            stack.callback(server.stop)
            server.start().wait_until(lambda server=server: "listening on" in server.tail())
        self.db_manager = server
        self.arguments = ["--suggestion", suggestion, "--db-manager", address]
        return address

    def start_controllers(self, stack: AsyncExitStack) -> None:
        """One, or two of which one leads."""
        config = self.folder / "katib-config.yaml"
        config.write_text(CONFIG % ("true" if self.facts.replicas > 1 else "false"))
        os.environ["KATIB_CORE_NAMESPACE"] = NAMESPACE
        arguments = [*self.arguments, "--config", str(config)]
        self.controllers = [
            Controller(self.server.kubeconfig, self.folder / f"controller-{number}", NAMESPACE, arguments)
            for number in range(self.facts.replicas)
        ]
        for controller in self.controllers:
            stack.callback(end, controller)
            self.launch(controller)

    def launch(self, controller: Controller) -> None:
        """Start it, whether it will act or stand by."""
        self.begins[controller] = controller.launch()

    # Striking

    async def strike(self) -> None:
        """Every strike, in a random order, each once so many trials have begun."""
        strikes = [*(self.options.strikes or (REPLICAS if self.facts.replicas > 1 else SINGLE))]
        self.dice.shuffle(strikes)
        for number, name in enumerate(strikes, 1):
            begun = number * self.options.trials // (len(strikes) + 2)
            await self.until(lambda: self.begun() >= begun or self.ended(), f"before {name}: no trial begins")  # noqa: B023
            await asyncio.sleep(self.dice.uniform(0, 1.5))
            if self.ended():
                self.facts.violations.append(f"the experiment had ended before {name} could fall: take more trials")
                return
            await getattr(self, name)()
            self.facts.strikes.append(name)

    async def kill(self) -> None:
        """SIGKILL for who acts, sometimes once more while it starts again."""
        leader = await self.leader()
        if self.facts.replicas > 1:
            await self.take_over(leader)
        else:
            leader.kill()
        await asyncio.sleep(self.dice.uniform(0, 1))
        self.launch(leader)
        if self.dice.random() < 0.5:
            await asyncio.sleep(self.dice.uniform(0, 3))
            leader.kill()
            self.launch(leader)

    async def take_over(self, leader: Controller) -> None:
        """The leader dies, and the other one, which stands by, acts soon."""
        (other,) = (one for one in self.controllers if one is not leader)
        await self.until(lambda: self.stands_by(other), "nobody stands by")
        known, begin = other.said().count(DRIVES), time.monotonic()
        leader.kill()
        await self.until(lambda: other.said().count(DRIVES) > known, "nobody takes over")
        seconds = time.monotonic() - begin
        self.facts.takeover = max(self.facts.takeover, seconds)
        if seconds > TAKEOVER_SECONDS:
            self.facts.violations.append(f"the other controller acted after {seconds:.1f} s")

    async def halt(self) -> None:
        """The leader sleeps, and wakes believing that it leads."""
        leader = await self.leader()
        leader.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.dice.uniform(*HALT_SECONDS))
        leader.process.send_signal(signal.SIGCONT)

    async def api(self) -> None:
        """SIGKILL for the API server; sometimes it stays away for a while."""
        await asyncio.to_thread(self.server.kill)
        await asyncio.sleep(self.dice.uniform(0, 3))
        await asyncio.to_thread(self.server.start)

    async def expire(self) -> None:
        """The API server forgets all that was, so that every watch is refused."""
        await asyncio.to_thread(self.server.expire_watches)

    async def db(self) -> None:
        """SIGKILL for the db-manager, which stays away."""
        self.db_manager.kill()
        await asyncio.sleep(AWAY_SECONDS)
        self.db_manager.start()

    async def leader(self) -> Controller:
        """The controller that acts."""
        if self.facts.replicas == 1:
            await self.until(lambda: DRIVES in self.controllers[0].said(), "no controller acts")
            return self.controllers[0]
        await self.until(lambda: self.holder() is not None, "nobody leads")
        holder = self.holder()
        assert holder is not None
        return holder

    def holder(self) -> Controller | None:
        """Who holds the lease, as far as it lives and acts."""
        leases = self.server.client.get(LEASES.path(NAMESPACE))["items"]
        identity = next((lease["spec"].get("holderIdentity") for lease in leases), None)
        for controller in self.controllers:
            said = controller.said()
            found = [*LEADS.finditer(said)]
            if found and found[-1][1] == identity and DRIVES in said[found[-1].end() :]:
                return controller
        return None

    def stands_by(self, controller: Controller) -> bool:
        """Whether it is there, and waits for the lease."""
        said = controller.said(self.begins[controller])
        return said.rfind(STANDS_BY) > said.rfind(" leads")

    # Looking

    def begun(self) -> int:
        """How many programs have begun."""
        return sum(map(len, read_accounts(self.accounts).values()))

    def ended(self) -> bool:
        """Whether the experiment has."""
        return bool(self.objects.experiment("chaos").get("status", {}).get("completionTime"))

    async def until(self, there: Any, trouble: str) -> None:
        """Wait until it is there; raises TimeoutError."""
        deadline = time.monotonic() + HANG_SECONDS
        while not there():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{trouble}, after {HANG_SECONDS:.0f} s")
            await asyncio.sleep(0.1)

    def tail(self) -> str:
        """The last words of the controllers."""
        return "\n".join(controller.said()[-2000:] for controller in self.controllers)


def end(controller: Controller) -> None:
    """Stop it, asleep or not."""
    if controller.process.poll() is None:
        controller.process.send_signal(signal.SIGCONT)
    controller.stop()


def facts_of(number: int) -> Facts:
    """Campaigns take turns at everything there is to vary."""
    return Facts(
        number,
        ("random", "tpe")[number % 2],
        ("Push", "StdOut")[number // 2 % 2],
        (1, 2)[number // 4 % 2],
    )


def cell(number: int, options: argparse.Namespace) -> Facts:
    """What a campaign found, earlier or now."""
    path = options.cells / f"{options.seed}-{number}.json"
    if path.exists():
        return Facts(**json.loads(path.read_text()))
    campaign = Campaign(facts_of(number), options)
    asyncio.run(campaign.run())
    if campaign.facts.violations or options.keep:
        print(f"  the folder is kept: {campaign.folder}", flush=True)
    else:
        shutil.rmtree(campaign.folder)
    if not campaign.facts.violations:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(campaign.facts)))
    return campaign.facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=20)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of campaigns, instead of all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--seconds", type=float, nargs=2, default=(1.0, 5.0), help="how long programs run")
    parser.add_argument("--strikes", nargs="+", choices=sorted({*SINGLE, *REPLICAS}), help="instead of the usual ones")
    parser.add_argument("--cells", type=Path, default=Path(".katib/benchmarks/chaos_cluster"))
    parser.add_argument("--keep", action="store_true", help="keep every campaign's folder")
    parser.add_argument("--folder", type=Path, help="where the campaigns' folders are made; default: TMPDIR")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(HEAD, flush=True)
    wrong = False
    for number in options.only or range(options.campaigns):
        facts = cell(number, options)
        print(facts.row(), flush=True)
        for violation in facts.violations:
            print(f"  {violation}", flush=True)
        wrong = wrong or bool(facts.violations)
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()

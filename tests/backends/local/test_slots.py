"""CPUs, GPUs and ports, shared between engines."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from katib_py.backends.local import resources
from katib_py.backends.local.adoption import running
from katib_py.backends.local.database import Database
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.holder import Holder
from katib_py.backends.local.resources import Demand, Machine, demand, refuse_impossible
from katib_py.backends.local.slots import Grant, Shortage, Slots
from katib_py.controller.ports import RunPhase
from katib_py.core.errors import InvalidInput
from katib_py.core.quantity import quantity

pytestmark = pytest.mark.every_database

MACHINE = Machine(2000, ("0", "1", "2"))


@pytest.fixture
def small(monkeypatch):
    """A machine of two CPUs and three GPUs."""
    for module in ("desk", "runner", "preflight"):
        monkeypatch.setattr(f"katib_py.backends.local.{module}.machine", lambda: MACHINE)


def asking(house, script="until [ -e go ]; do sleep 0.02; done; echo loss=1", **limits):
    return house.shell(
        script, resources={"limits": {name.replace("gpu", "nvidia.com/gpu"): value for name, value in limits.items()}}
    )


async def test_runs_wait_until_there_is_room(house, small):
    engine = house.engine()
    for number in range(3):
        engine.runner.start(house.order(asking(house, cpu="1"), f"demo-{number}"))
    waiting = await engine.until(lambda report: report.phase is RunPhase.WAITING)
    assert (waiting.reason, waiting.detail) == ("WaitingForCPU", "needs 1 CPUs; 0 are free")
    (house.root / "go").touch()
    for _ in range(3):
        await engine.until(lambda report: report.phase is RunPhase.ENDED)


async def test_two_engines_share_one_machine(house, small):
    first, second = house.engine(), house.engine()
    first.runner.start(house.order(asking(house, cpu="1500m"), "demo-a"))
    await first.phase(RunPhase.RUNNING, "demo-a")
    second.runner.start(house.order(asking(house, cpu="1500m"), "demo-b"))
    await second.phase(RunPhase.WAITING, "demo-b")
    (house.root / "go").touch()
    await first.phase(RunPhase.ENDED, "demo-a")
    await second.phase(RunPhase.ENDED, "demo-b")


async def test_every_run_has_gpus_of_its_own(house, small):
    engine = house.engine()
    script = 'echo "gpus=$CUDA_VISIBLE_DEVICES"; until [ -e go ]; do sleep 0.02; done'
    for number, count in enumerate((2, 1)):
        engine.runner.start(house.order(asking(house, script, gpu=count), f"demo-{number}"))
        await engine.phase(RunPhase.RUNNING, f"demo-{number}")
    (house.root / "go").touch()
    for _ in range(2):
        await engine.until(lambda report: report.phase is RunPhase.ENDED)
    outputs = [Path(house.folder(f"demo-{number}").output).read_text() for number in range(2)]
    assert outputs == ["gpus=0,1\n", "gpus=2\n"]


async def test_a_run_that_waits_can_be_stopped(house, small):
    engine = house.engine()
    for number in range(2):
        engine.runner.start(house.order(asking(house, gpu=3), f"demo-{number}"))
    waiting = await engine.until(lambda report: report.phase is RunPhase.WAITING)
    engine.runner.stop(waiting.name)
    report = await engine.phase(RunPhase.ENDED, waiting.name)
    assert report.stopped


async def test_a_run_that_can_never_fit_fails_at_once(house, small):
    report = await house.engine().run(asking(house, gpu=4))
    assert "asks for 4 GPUs; this machine has 3" in house.text(report)


def test_what_the_dead_held_is_free_again(house):
    slots = Slots(MACHINE, running)
    dead = Slots(MACHINE, running)
    dead._holder = Holder.current()._replace(started=1.0)
    run = house.database.run_now
    assert run(lambda connection: dead.take(connection, "/gone", Demand(gpus=3))) == Grant(("0", "1", "2"))
    assert run(lambda connection: slots.take(connection, "/new", Demand(gpus=1))) == Grant(("0",))


def test_a_run_that_outlived_its_engine_keeps_its_slots(house):
    slots = Slots(MACHINE, lambda folder: folder == "/orphan")
    dead = Slots(MACHINE, running)
    dead._holder = Holder.current()._replace(started=1.0)
    run = house.database.run_now
    run(lambda connection: dead.take(connection, "/orphan", Demand(gpus=3)))
    assert run(lambda connection: slots.take(connection, "/new", Demand(gpus=1))) == Shortage(
        "WaitingForGPU", "needs 1 GPUs; 0 are free"
    )


def test_engines_that_ask_at_once_share_what_there_is(house):
    """Each counts what is taken and then takes."""
    databases = [Database(house.database.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: _take(databases[number % 4], number), range(16)))
    assert sum(isinstance(answer, Grant) for answer in answers) == 4
    for database in databases:
        database.close()


def _take(database, number):
    slots = Slots(MACHINE, running)
    return database.run_now(lambda connection: slots.take(connection, f"/run-{number}", Demand(500)))


def test_a_fixed_port_is_for_one_run_at_a_time(house):
    slots = Slots(MACHINE, running)
    run = house.database.run_now
    assert run(lambda connection: slots.take(connection, "/a", Demand(port=8080))) == Grant()
    assert isinstance(run(lambda connection: slots.take(connection, "/b", Demand(port=8080))), Shortage)
    assert run(lambda connection: slots.take(connection, "/c", Demand(port=8081))) == Grant()
    run(lambda connection: slots.give_back(connection, ["/a"]))
    assert run(lambda connection: slots.take(connection, "/b", Demand(port=8080))) == Grant()


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), (2, "2"), ("1.5", "1.5"), ("4Gi", str(4 * 1024**3)), ("1e3", "1000"), (".5", ".5")],
)
def test_quantities_read_as_in_kubernetes(text, value):
    assert quantity(text) == resources.Decimal(value)


@pytest.mark.parametrize("text", ["", "1 CPU", "half", "1e", "0x10", True, None, "1_000"])
def test_what_is_no_quantity_is_refused_with_an_example(text):
    with pytest.raises(InvalidInput, match="500m"):
        quantity(text)


def test_a_request_outranks_a_limit_and_all_problems_are_told():
    assert demand({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "4"}}}, None) == Demand(1000)
    with pytest.raises(InvalidInput) as caught:
        demand({"resources": {"requests": {"cpu": "-1", "nvidia.com/gpu": "x"}}}, None)
    assert [problem.path for problem in caught.value.problems] == [
        "resources.requests.cpu",
        "resources.requests.nvidia.com/gpu",
    ]


def test_what_fits_is_not_refused():
    assert refuse_impossible(Demand(2000, 3), MACHINE) == []
    assert len(refuse_impossible(Demand(2001, 4), MACHINE)) == 2


async def test_a_desk_closes_while_the_store_is_out_of_reach(tmp_path):
    database = Database(f"sqlite:///{tmp_path}")
    desk = Desk(database)
    desk.give_back("/run")
    desk.keep("/other")
    async with asyncio.timeout(30):
        await desk.close()
    database.close()


def test_another_machine_with_the_same_database_has_slots_of_its_own(house):
    here, there = Slots(MACHINE, running), Slots(MACHINE, running)
    there._holder = Holder.current()._replace(host="elsewhere")
    run = house.database.run_now
    assert run(lambda connection: there.take(connection, "/there", Demand(cpu=2000, gpus=3)))
    assert isinstance(run(lambda connection: here.take(connection, "/here", Demand(cpu=2000, gpus=3))), Grant)
    assert isinstance(run(lambda connection: there.take(connection, "/more", Demand(cpu=1))), Shortage)


def test_engines_that_see_other_gpus_do_not_take_each_others(house):
    first, second = Slots(Machine(2000, ("0", "1")), running), Slots(Machine(2000, ("1", "GPU-5")), running)
    run = house.database.run_now
    assert run(lambda connection: first.take(connection, "/a", Demand(gpus=1))) == Grant(("0",))
    assert run(lambda connection: second.take(connection, "/b", Demand(gpus=2))) == Grant(("1", "GPU-5"))
    assert isinstance(run(lambda connection: first.take(connection, "/c", Demand(gpus=1))), Shortage)

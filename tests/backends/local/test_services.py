"""The services beside a local engine: suggestions, and the db-manager for those that report by themselves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import grpc
import psutil
import pytest

from katib_py.backends.local.db_manager import DbManager
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.home import Home
from katib_py.backends.local.observations import SqlObservations
from katib_py.backends.local.service import start_service
from katib_py.backends.local.session import Session
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.controller.ports import Key, RunPhase
from katib_py.core.errors import ServiceUnavailable, StoreUnavailable
from katib_py.wire import api, rpc

REPORT = """
import katib_py
for step in range(3):
    katib_py.report_metrics({"loss": step / 2})
"""


@pytest.fixture
def home(house) -> Home:
    return Home(house.root, house.database.url)


@pytest.fixture
async def suggesters(home):
    suggesters = LocalSuggesters(home)
    yield suggesters
    await suggesters.close()


@pytest.fixture
async def manager(home):
    manager = DbManager(home)
    yield manager
    await manager.close()


def children(word: str) -> list[psutil.Process]:
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if word in " ".join(child.cmdline())]


async def answers(channel) -> bool:
    request = api.ValidateAlgorithmSettingsRequest()
    request.experiment.spec.algorithm.algorithm_name = "random"
    try:
        await rpc.call(channel, "Suggestion", "ValidateAlgorithmSettings")(request, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.INVALID_ARGUMENT
    return True


async def test_one_service_serves_every_call(house, suggesters):
    first = await suggesters.channel(house.experiment())
    assert await answers(first)
    assert await suggesters.channel(house.experiment()) is first
    assert len(children("suggestion_services")) == 1


async def test_services_that_start_at_one_moment_are_told_apart_in_the_log_that_they_share(home):
    reading, writing = os.pipe()
    home.root.mkdir(parents=True, exist_ok=True)
    sockets = [f"unix:{home.root}/{number}.sock" for number in range(2)]
    starts = [
        start_service("suggestion_services", ["--listen", socket], reading, home.root / "log") for socket in sockets
    ]
    started = await asyncio.gather(*starts)
    assert [address for _, address in started] == sockets
    os.close(reading)
    os.close(writing)
    for process, _ in started:
        await asyncio.to_thread(process.wait, 30)


async def test_a_service_that_died_is_started_again(house, suggesters):
    await suggesters.channel(house.experiment())
    (service,) = children("suggestion_services")
    service.kill()
    service.wait()
    assert await answers(await suggesters.channel(house.experiment()))


async def test_a_deep_work_folder_does_not_matter(house):
    deep = Home(house.root / ("deep" * 30), house.database.url)
    suggesters = LocalSuggesters(deep)
    assert await answers(await suggesters.channel(house.experiment()))
    await suggesters.close()
    assert not children("suggestion_services")


async def test_the_service_ends_with_a_killed_engine(house, home):
    script = f"""
import asyncio
from pathlib import Path
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.home import Home
from katib_py.backends.local.session import Session
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.core.experiment import Experiment

async def main():
    suggesters = LocalSuggesters(Home(Path({str(home.root)!r}), ""))
    await suggesters.channel(Experiment())
    print(suggesters._process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    engine = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    service = psutil.Process(int(await engine.stdout.readline()))
    engine.kill()
    await engine.wait()
    await asyncio.to_thread(service.wait, 30)


async def test_a_service_that_cannot_start_says_why(house, suggesters, monkeypatch):
    monkeypatch.setattr("katib_py.backends.local.suggesters.MODULE", "no_such_module")
    with pytest.raises(ServiceUnavailable, match="No module named"):
        await suggesters.channel(house.experiment())


async def test_what_a_trial_pushes_is_in_the_log(house, manager):
    given = house.experiment(metricsCollectorSpec={"collector": {"kind": "Push"}})
    engine = house.engine(given, db_manager=await manager.start())
    report = await engine.run(house.python(REPORT))
    assert house.status(report)["phase"] == "Succeeded", house.text(report)
    (items,) = await SqlObservations(house.database, "team-a").read([(house.order({}).trial_uid, 1)])
    assert [float(item.value) for item in items] == [0.0, 0.5, 1.0]


async def test_a_custom_collector_runs_beside_its_trial_and_may_finish_afterwards(house, manager):
    collector = {
        "name": "collector",
        "command": [sys.executable, "-c", COLLECTOR],
        "env": [{"name": "RESULT", "value": "/result/loss"}],
        "volumeMounts": [{"name": "result", "mountPath": "/result"}],
    }
    given = house.experiment(metricsCollectorSpec={"collector": {"kind": "Custom", "customCollector": collector}})
    engine = house.engine(given, db_manager=await manager.start())
    document = house.shell("echo 0.75 >/result/loss", volumeMounts=[{"name": "result", "mountPath": "/result"}])
    await engine.run(document)
    (items,) = await SqlObservations(house.database, "team-a").read([(house.order({}).trial_uid, 1)])
    assert [item.value for item in items] == ["0.75"]
    assert not house.processes()


async def test_stopping_a_trial_that_has_ended_does_not_cost_what_its_collector_still_reports(house, manager):
    collector = {"name": "collector", "command": ["sh", "-c", "until [ -e go ]; do sleep 0.02; done; touch reported"]}
    given = house.experiment(metricsCollectorSpec={"collector": {"kind": "Custom", "customCollector": collector}})
    engine = house.engine(given, db_manager=await manager.start())
    engine.runner.start(house.order(house.shell("true", job={"activeDeadlineSeconds": 2})))
    await engine.phase(RunPhase.RUNNING)
    while not engine.runner._runs["demo-x"].concluding:
        await asyncio.sleep(0.01)
    engine.runner.stop("demo-x")
    await asyncio.sleep(2.1)  # past the deadline, which is the program's and not the collector's
    (house.root / "go").touch()
    report = await engine.phase(RunPhase.ENDED)
    assert (house.root / "reported").exists()
    assert not report.stopped
    assert house.status(report)["phase"] == "Succeeded"


async def test_two_engines_share_one_manager(home, manager):
    other = DbManager(home)
    assert await manager.start() == await other.start()
    assert len(children("katib_py.observations")) == 1
    await other.close()


async def test_a_manager_stays_while_a_pushing_trial_runs_and_no_longer(house, home):
    first = DbManager(home)
    given = house.experiment(metricsCollectorSpec={"collector": {"kind": "Push"}})
    engine = house.engine(given, db_manager=await first.start())
    script = f"import time, os\nwhile not os.path.exists({str(house.root / 'go')!r}): time.sleep(0.05)\n{REPORT}"
    engine.runner.start(house.order(house.python(script)))
    await engine.phase(RunPhase.RUNNING)
    (process,) = children("katib_py.observations")
    closing = asyncio.create_task(first.close())
    second = DbManager(home)
    address = await second.start()
    assert process.is_running()
    assert address[1] == json.loads((home.root / "db-manager.json").read_text())["port"]
    await second.close()
    (house.root / "go").touch()
    report = await engine.phase(RunPhase.ENDED)
    assert house.status(report)["phase"] == "Succeeded", house.text(report)
    await closing
    await engine.runner.close()
    await asyncio.to_thread(process.wait, 30)


async def test_which_database_a_manager_serves_is_told_to_no_list_of_processes_and_no_file(home, manager):
    await manager.start()
    (process,) = children("katib_py.observations")
    for text in (" ".join(process.cmdline()), (home.root / "db-manager.json").read_text()):
        assert home.db_url not in text


async def test_a_manager_that_died_comes_back_at_the_same_address(home, manager):
    address = await manager.start()
    (process,) = children("katib_py.observations")
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while not [child for child in children("katib_py.observations") if child.pid != process.pid]:
            await asyncio.sleep(0.05)
        while True:
            async with grpc.aio.insecure_channel(f"{address[0]}:{address[1]}") as channel:
                request = api.GetObservationLogRequest(trial_name="x")
                call = rpc.call(channel, "DBManager", "GetObservationLog")
                try:
                    await call(request, timeout=5)
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
                else:
                    return


COLLECTOR = """
import os, time
import katib_py
while not os.path.exists(os.environ["RESULT"]) or not open(os.environ["RESULT"]).read():
    time.sleep(0.02)
time.sleep(0.5)
katib_py.report_metrics({"loss": float(open(os.environ["RESULT"]).read())})
"""


async def test_a_home_that_cannot_be_made_is_told_in_words(house):
    (house.root / "file").touch()
    home = Home(house.root / "file" / "home", house.database.url)
    with pytest.raises(ServiceUnavailable, match=r"file/home/db-manager\.pipe cannot be made: Not a directory"):
        await DbManager(home).start()
    with pytest.raises(ServiceUnavailable, match=r"file/home/suggestion\.log cannot be written: Not a directory"):
        await LocalSuggesters(home).channel(house.experiment())
    with pytest.raises(StoreUnavailable, match="file/home/runs/x/1 cannot be made: Not a directory"):
        RunFolder(f"{home.runs}/x/1").create()


@pytest.mark.parametrize("torn", ["", '[["team-a", "te', "[[1]]", "5"])
def test_a_torn_copy_of_the_config_maps_counts_as_none(house, home, torn):
    key = Key("team-a", "demo")
    home.experiment(key).mkdir(parents=True)
    (home.experiment(key) / "config-maps.json").write_text(torn)
    assert Session.again(home, house.database, key).config_maps == {}

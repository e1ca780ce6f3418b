"""Of several candidates one leads, and stops writing before another one can."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from katib_py.backends.k8s import fence as fences
from katib_py.backends.k8s import leadership as leaderships
from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.errors import Fenced
from katib_py.backends.k8s.leadership import Leadership
from katib_py.backends.k8s.resources import CONFIG_MAPS, LEASES

LEASE = "leads"


class Clock:
    """Our own clock, which a test can move on."""

    def __init__(self):
        self.ahead = 0.0
        self.now = fences.now

    def __call__(self):
        return self.now() + self.ahead


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (fences, leaderships):
        monkeypatch.setattr(module, "now", clock)
    monkeypatch.setattr(leaderships, "RENEW_SECONDS", 0.1)
    return clock


@pytest.fixture
async def api(api_server):
    api = await Api.connect(str(api_server.kubeconfig))
    yield api
    await api.close()


@pytest.fixture
def candidate(api, namespace):
    return lambda name: Leadership(api, namespace, LEASE, name)


@pytest.fixture
def lease(api_server, namespace):
    path = LEASES.path(namespace, LEASE)
    return lambda: api_server.client.get(path)["spec"]


@asynccontextmanager
async def going(work):
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def soon(awaitable):
    async with asyncio.timeout(60):
        return await awaitable


async def test_one_of_two_leads_for_as_long_as_it_renews(candidate, lease, clock):
    first, second = candidate("a"), candidate("b")
    await soon(first.acquired())
    assert (lease()["holderIdentity"], first.fence.left > 0, second.fence.left > 0) == ("a", True, False)
    async with going(first.lost()), going(second.acquired()) as waiting:
        renewed = lease()["renewTime"]
        while lease()["renewTime"] == renewed:
            await asyncio.sleep(0.05)
        assert not waiting.done()


async def test_a_lease_that_is_given_back_is_taken_at_once(candidate, lease, clock):
    first, second = candidate("a"), candidate("b")
    await soon(first.acquired())
    async with going(second.acquired()) as waiting:
        await asyncio.sleep(0.3)
        await first.release()
        await soon(waiting)
    assert (lease()["holderIdentity"], lease()["leaseTransitions"]) == ("b", 2 + 1)
    assert first.fence.left < 0 < second.fence.left


async def test_a_lease_that_is_not_renewed_runs_out_by_the_clock_of_who_waits(candidate, lease, clock, api_server):
    first, second = candidate("a"), candidate("b")
    await soon(first.acquired())
    async with going(second.acquired()) as waiting:
        await asyncio.sleep(0.5)
        assert not waiting.done()
        clock.ahead += fences.LEASE_SECONDS
        await soon(waiting)
    assert lease()["holderIdentity"] == "b"
    await soon(first.lost())
    assert first.fence.left < 0


async def test_what_the_clocks_of_others_say_does_not_matter(candidate, clock, api_server, namespace):
    await soon(candidate("a").acquired())
    spec = {"renewTime": "2000-01-01T00:00:00.000000Z", "acquireTime": "2000-01-01T00:00:00.000000Z"}
    api_server.client.patch(LEASES.path(namespace, LEASE), {"spec": spec})
    async with going(candidate("b").acquired()) as waiting:
        await asyncio.sleep(0.5)
        assert not waiting.done()


async def test_a_leader_that_slept_writes_nothing_before_it_knows_that_it_leads(candidate, clock, api, namespace):
    leader = candidate("a")
    await soon(leader.acquired())
    fenced = api.fenced(leader.fence)
    await fenced.create(CONFIG_MAPS, namespace, {"metadata": {"name": "before"}})
    clock.ahead += fences.SURE_SECONDS
    with pytest.raises(Fenced):
        await fenced.create(CONFIG_MAPS, namespace, {"metadata": {"name": "asleep"}})
    assert await fenced.get(CONFIG_MAPS, namespace, "before")
    async with going(leader.lost()) as losing:
        async with asyncio.timeout(60):
            while leader.fence.left < 0:
                await asyncio.sleep(0.01)
        await fenced.create(CONFIG_MAPS, namespace, {"metadata": {"name": "after"}})
        assert not losing.done()


async def test_a_leader_that_slept_while_another_led_has_lost_though_the_lease_is_free_again(candidate, clock):
    first, second = candidate("a"), candidate("b")
    await soon(first.acquired())
    async with going(second.acquired()) as waiting:
        await asyncio.sleep(0.3)
        clock.ahead += fences.LEASE_SECONDS
        await soon(waiting)
    await second.release()
    await soon(first.lost())
    assert first.fence.left < 0


async def test_who_only_labels_the_lease_takes_nothing(candidate, clock, api_server, namespace, lease):
    leader = candidate("a")
    await soon(leader.acquired())
    api_server.client.patch(LEASES.path(namespace, LEASE), {"metadata": {"labels": {"seen": "yes"}}})
    renewed = lease()["renewTime"]
    async with going(leader.lost()) as losing:
        while lease()["renewTime"] == renewed:
            await asyncio.sleep(0.05)
        assert not losing.done()


async def test_a_lease_that_is_deleted_is_lost(candidate, clock, api_server, namespace):
    leader = candidate("a")
    await soon(leader.acquired())
    api_server.client.delete(LEASES.path(namespace, LEASE))
    await soon(leader.lost())
    await soon(leader.acquired())


async def test_a_fence_that_shuts_while_a_request_waits_for_its_turn_is_asked_again(candidate, clock, api, namespace):
    """Connections are waited for, and what is checked before that has been true."""
    leader = candidate("a")
    await soon(leader.acquired())
    fenced = api.fenced(leader.fence)

    async def shut_meanwhile():
        clock.ahead += fences.SURE_SECONDS
        return {}

    fenced._connection._authorization = shut_meanwhile
    with pytest.raises(Fenced):
        await fenced.create(CONFIG_MAPS, namespace, {"metadata": {"name": "late"}})
